//! Seeded bugs for the mutation gate (`cargo xtask mutants`, docs/mutants.md). Without the feature `mutants` there are
//! none: [`is`] is a constant then, and nothing of it is left in the binary.

/// Whether the seeded bug of this name is the one that this process runs with: `DMQ_MUTANT`, read once.
#[cfg(feature = "mutants")]
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("DMQ_MUTANT").unwrap_or_default());
    *CHOSEN == name
}

/// There are no seeded bugs.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is(_name: &str) -> bool {
    false
}
