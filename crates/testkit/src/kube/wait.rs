//! Waiting for conditions on a cluster. The limit only ends a hung test; no time decides one.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;

/// After this a condition counts as never coming true, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Between two looks: each starts a process.
const PAUSE: Duration = Duration::from_millis(150);

/// Looks again and again until `probe` finds something. `Err` is a look that failed: it is repeated, and told if the
/// condition never comes true.
pub fn until<T>(
    what: &str,
    mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        let seen = probe();
        if let Ok(Some(found)) = seen {
            return Ok(found);
        }
        if started.elapsed() > PATIENCE {
            let last = seen.err().map_or_else(String::new, |error| {
                format!("; the last look said: {error:#}")
            });
            bail!("waited {} s in vain until {what}{last}", PATIENCE.as_secs());
        }
        sleep(PAUSE);
    }
}
