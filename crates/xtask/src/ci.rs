//! `ci`: everything that must hold before a change lands.

use crate::{check, suite};

/// Lint, then all suites; a finding of the first does not hide what the second would say.
pub(crate) fn ci(options: &suite::Options) -> anyhow::Result<()> {
    let lint = check::lint(&[]);
    if let Err(error) = &lint {
        crate::process::say(&format!("lint: {error:#}"));
    }
    suite::test(options)?;
    lint
}
