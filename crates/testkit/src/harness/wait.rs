//! Waiting for conditions. No test waits for a time, and no time decides a test: the limit only ends a hung one.

use std::time::{Duration, Instant};

use anyhow::bail;

/// After this a condition counts as never coming true, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until `probe` finds something. An error of the probe ends the wait; a condition that is not
/// yet true is `Ok(None)`.
pub async fn wait_until<T>(
    what: &str,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if started.elapsed() > PATIENCE {
            bail!("waited {} s in vain until {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
