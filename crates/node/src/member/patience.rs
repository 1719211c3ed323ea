//! How long requests wait that name no time, and what a read is told that waited in vain.

use std::time::Duration;

use dmq_metadata::MetadataIndex;

use crate::config::TICK;
use crate::handle::RequestError;

/// The driver ends a read's wait; after so much longer it counts as stuck.
pub(super) const DRIVER_GRACE: Duration = Duration::from_secs(1);
/// The shortest default wait of a read.
const READ_MIN: Duration = Duration::from_secs(5);
/// The shortest default wait of a write.
const WRITE_MIN: Duration = Duration::from_secs(10);

/// Default waits. They follow from the election timeout, so that whoever names no time gets the member's
/// definite answer (a lost leader, a missing majority) and not the end of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Of reads: 5 s or three election timeouts; a round for a linearizable one takes at most two.
    pub read: Duration,
    /// Of writes: 10 s or five election timeouts; one without a controller is given up after three.
    pub write: Duration,
}

impl Patience {
    /// The waits that go with an election timeout.
    pub fn of_election(timeout: Duration) -> Self {
        Self {
            read: READ_MIN.max(timeout.saturating_mul(3)),
            write: WRITE_MIN.max(timeout.saturating_mul(5)),
        }
    }
}

/// A time in the driver's ticks.
pub(super) fn in_ticks(time: Duration) -> u64 {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 1_000);
    dmq_replica::ticks(TICK, milliseconds)
}

/// Without a confirmed index a linearizable read has no index to wait for: what is missing is a majority.
pub(super) const fn late_read(
    linearizable: bool,
    wanted: MetadataIndex,
    applied: MetadataIndex,
) -> RequestError {
    if linearizable {
        return RequestError::NoQuorum;
    }
    RequestError::ReadTimeout { wanted, applied }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_waits_outlast_what_the_driver_needs_for_a_definite_answer() {
        let seconds = |read, write| Patience {
            read: Duration::from_secs(read),
            write: Duration::from_secs(write),
        };
        let of = |milliseconds| Patience::of_election(Duration::from_millis(milliseconds));
        assert_eq!(of(1_000), seconds(5, 10));
        assert_eq!(of(5_000), seconds(15, 25));
        assert_eq!(in_ticks(Duration::from_secs(15)), 1_500);
    }

    #[test]
    fn a_linearizable_read_that_was_not_confirmed_lacks_a_majority() {
        let (wanted, applied) = (MetadataIndex(7), MetadataIndex(5));
        let late = |linearizable| late_read(linearizable, wanted, applied);
        assert!(matches!(late(true), RequestError::NoQuorum));
        assert!(matches!(late(false), RequestError::ReadTimeout { .. }));
    }
}
