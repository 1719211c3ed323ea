//! Log lines: JSON for collectors, text for people.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, LogFormat};

/// Begins to log to stderr.
pub(super) fn start(args: &Args) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.log_level)
        .with_context(|| format!("--log-level '{}' is not a filter", args.log_level))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Each line names its object itself, so the spans of the libraries are left out.
    let started = match args.log_format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => lines.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
