//! Waiting for a condition, with a limit that only ends what hangs.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How long anything may take; generous, since two processors may be shared by many.
pub(super) const LIMIT: Duration = Duration::from_mins(5);

const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is yes. An error ends the wait at once.
pub(super) fn until(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !ready()? {
        if started.elapsed() > limit {
            bail!("{what}: not ready after {} s", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
