//! `sim` and `walker`: a longer run of one suite, or one seed of it again.

use clap::Args;

use crate::suite;

/// How long, or which seed.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run exactly this seed, as a failure printed it (decimal, or hexadecimal with 0x).
    #[arg(long)]
    seed: Option<String>,
    /// Keep drawing seeds for so many minutes.
    #[arg(long, conflicts_with = "seed")]
    minutes: Option<u64>,
}

/// Runs the suite `name` with these options.
pub(crate) fn run(name: &str, options: &Options) -> anyhow::Result<()> {
    suite::test(&suite::Options {
        suites: vec![name.to_owned()],
        minutes: options.minutes,
        seed: options.seed.clone(),
        ..suite::Options::default()
    })
}
