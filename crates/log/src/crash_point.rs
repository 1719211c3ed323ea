//! Named points between durable steps, at which a test lets the process die, an operation fail, or time go by.
//!
//! Every step that the design puts before another one has a point behind it. Only a build with the feature
//! `crash-points` knows them; in every other build [`reach`] is nothing. Which point, and what happens there:
//!
//! ```text
//! DMQ_CRASH_POINT=<name>=<kill|eio|enospc|sleep>[@<nth>][+]      at the nth passage (default 1); +: and at all later ones
//! DMQ_CRASH_POINT_FILE=<path>                                    the same text in a file, which may come and go
//! ```
//!
//! What fires is told on standard error (`crash point <name>: <action>`), and takes the file away first unless
//! it ends in `+`.

use OnError::{Either, Ends, GoesOn};
use Passage::{Allocation, Birth, Election, Install, Recover, Writes};

/// When a point is passed, and so how a test gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// While a directory is formatted and a quorum is born.
    Birth,
    /// Under writes, by every member, sooner or later.
    Writes,
    /// When a term begins.
    Election,
    /// Under writes, when a segment is allocated and none is recycled.
    Allocation,
    /// By a follower that is sent a snapshot.
    Install,
    /// By `dmq-metadata recover`.
    Recover,
}

/// What an error at a point leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The process ends: what the disk holds is unknown, and nothing is retried.
    Ends,
    /// The work fails and is begun anew later; the process goes on.
    GoesOn,
    /// One or the other, depending on who was at work.
    Either,
}

/// One point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPoint {
    /// Its name.
    pub name: &'static str,
    /// When it is passed.
    pub passage: Passage,
    /// What an error there leads to.
    pub on_error: OnError,
}

const fn at(name: &'static str, passage: Passage, on_error: OnError) -> CrashPoint {
    CrashPoint {
        name,
        passage,
        on_error,
    }
}

/// All of them, in the order of DESIGN section 6.
pub const CRASH_POINTS: &[CrashPoint] = &[
    at("format-marked", Birth, Ends),
    at("format-segment-synced", Birth, Ends),
    at("format-segment-renamed", Birth, Ends),
    at("format-identity-synced", Birth, Ends),
    at("format-identity-renamed", Birth, Ends),
    at("format-whole", Birth, Ends),
    at("format-unmarked", Birth, Ends),
    at("pin-synced", Birth, Either),
    at("pin-renamed", Birth, Either),
    at("frame-built", Writes, Ends),
    at("frame-written", Writes, Ends),
    at("frame-synced", Writes, Ends),
    at("hard-state-written", Election, Ends),
    at("hard-state-synced", Election, Ends),
    at("switch-old-synced", Writes, Ends),
    at("switch-front-written", Writes, Ends),
    at("switch-front-synced", Writes, Ends),
    at("switch-renamed", Writes, Ends),
    at("switch-named", Writes, Ends),
    at("spare-begun", Allocation, Either),
    at("spare-zeroed", Allocation, Either),
    at("spare-renamed", Allocation, Either),
    at("purge-begun", Writes, Ends),
    at("purge-renamed", Writes, Ends),
    at("purge-named", Writes, Ends),
    at("snapshot-piece-written", Writes, GoesOn),
    at("snapshot-piece-synced", Writes, GoesOn),
    at("snapshot-whole", Writes, GoesOn),
    at("snapshot-renamed", Writes, GoesOn),
    at("snapshot-named", Writes, GoesOn),
    at("snapshot-old-removed", Writes, GoesOn),
    at("receive-piece-written", Install, GoesOn),
    at("receive-piece-synced", Install, GoesOn),
    at("receive-renamed", Install, GoesOn),
    at("receive-named", Install, GoesOn),
    at("receive-answered", Install, GoesOn),
    at("start-point-begun", Install, Ends),
    at("start-point-durable", Install, Ends),
    at("install-begun", Install, Ends),
    at("install-loaded", Install, Ends),
    at("rebuild-begun", Install, GoesOn),
    at("rebuild-committed", Install, GoesOn),
    at("projection-begun", Writes, GoesOn),
    at("projection-committed", Writes, GoesOn),
    at("recover-successor-formatted", Recover, Ends),
    at("recover-successor-filled", Recover, Ends),
    at("recover-origin-synced", Recover, Ends),
    at("recover-origin-renamed", Recover, Ends),
    at("recover-whole", Recover, Ends),
    at("recover-old-renamed", Recover, Ends),
    at("recover-old-named", Recover, Ends),
    at("recover-new-renamed", Recover, Ends),
    at("recover-new-named", Recover, Ends),
];

#[cfg(feature = "crash-points")]
pub use armed::reach;

/// Nothing happens.
///
/// # Errors
/// None.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub const fn reach(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::io::{self, Write};
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    /// How long the action `sleep` takes.
    const SLEEP: Duration = Duration::from_millis(500);
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;

    /// What is armed, and how often its point was passed.
    static STATE: Mutex<(String, u64)> = Mutex::new((String::new(), 0));

    struct Armed<'a> {
        point: &'a str,
        action: &'a str,
        nth: u64,
        and_later: bool,
    }

    /// Passes a point: usually nothing happens.
    ///
    /// # Errors
    /// The one that was asked for.
    pub fn reach(name: &'static str) -> io::Result<()> {
        debug_assert!(super::CRASH_POINTS.iter().any(|point| point.name == name));
        let Some(text) = text() else {
            return Ok(());
        };
        let Some(armed) = parse(&text).filter(|armed| armed.point == name) else {
            return Ok(());
        };
        if !fires(&text, &armed) {
            return Ok(());
        }
        act(name, armed.action)
    }

    fn text() -> Option<String> {
        if let Ok(text) = std::env::var("DMQ_CRASH_POINT") {
            return Some(text);
        }
        let path = std::env::var_os("DMQ_CRASH_POINT_FILE")?;
        std::fs::read_to_string(path).ok()
    }

    fn parse(text: &str) -> Option<Armed<'_>> {
        let text = text.trim();
        let (text, and_later) = text
            .strip_suffix('+')
            .map_or((text, false), |text| (text, true));
        let (text, nth) = match text.split_once('@') {
            Some((text, nth)) => (text, nth.parse().ok()?),
            None => (text, 1),
        };
        let (point, action) = text.split_once('=')?;
        Some(Armed {
            point,
            action,
            nth,
            and_later,
        })
    }

    fn fires(text: &str, armed: &Armed<'_>) -> bool {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != text {
            *state = (text.to_owned(), 0);
        }
        state.1 += 1;
        let due = state.1 == armed.nth || (armed.and_later && state.1 > armed.nth);
        if due && !armed.and_later {
            // The next life of the node must not meet it again.
            if let Some(path) = std::env::var_os("DMQ_CRASH_POINT_FILE") {
                drop(std::fs::remove_file(path));
            }
        }
        due
    }

    fn act(name: &str, action: &str) -> io::Result<()> {
        drop(writeln!(
            io::stderr().lock(),
            "crash point {name}: {action}"
        ));
        match action {
            "kill" => std::process::abort(),
            "eio" => Err(io::Error::from_raw_os_error(EIO)),
            "enospc" => Err(io::Error::from_raw_os_error(ENOSPC)),
            _ => {
                std::thread::sleep(SLEEP);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::CRASH_POINTS;

    #[test]
    fn no_name_is_used_twice() {
        let names: BTreeSet<_> = CRASH_POINTS.iter().map(|point| point.name).collect();
        assert_eq!(names.len(), CRASH_POINTS.len());
    }
}
