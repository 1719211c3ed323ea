//! The four parts of `replica` on threads with bounded queues, and the ports through which they reach the
//! rest of the process. Nothing is decided here.
//!
//! | thread       | part                 | queue, bound |
//! |--------------|----------------------|--------------|
//! | `driver`     | `Driver`             | [`DRIVER_QUEUE_MAX`] requests and peer messages; the parts' own answers go past it |
//! | `log-writer` | `LogWriter`          | what one turn of the driver persists; the core's uncommitted bytes bound it |
//! | `applier`    | `Applier`            | committed entries; the core's uncommitted bytes bound it |
//! | `snapshots`  | snapshot files       | one: the driver asks for one at a time |
//! | a task       | `ProjectorFeed`      | [`FEED_QUEUE_MAX`] change sets of one piece of work each; the feed bounds its own memory |

mod applier;
mod ask;
mod commit_times;
mod driver;
mod log_writer;
mod snapshots;

use std::time::Duration;

use dmq_replica::{Answer, DriverInput, Ticket};
use tokio::sync::oneshot;

pub use applier::{ApplierPorts, HashRing, published, run as run_applier};
pub use ask::Ask;
pub use driver::{Beat, DriverPorts, Shell, run as run_driver};
pub use log_writer::run as run_log_writer;
pub use snapshots::{SnapshotWork, run as run_snapshots};

/// Requests and peer messages that wait for the driver, at most. A turn handles one in about 2 us, so that
/// a full queue is 30 ms old: older requests had better be refused with `OVERLOADED`.
pub const DRIVER_QUEUE_MAX: usize = 16_384;
/// What one turn of the driver takes from its queue, at most: about 1 ms of work, so that a heartbeat never
/// waits longer for its turn.
pub const TURN_INPUTS_MAX: usize = 1_024;
/// Pieces of the applier's work that wait for the feed, which takes each in microseconds and never waits
/// for the database.
pub const FEED_QUEUE_MAX: usize = 1_024;
/// Longest gap between two turns that still counts as ticks, as a part of the election timeout: a process
/// that was paused must hear its inbox before it may conclude that the leader is gone.
pub const CATCH_UP_TICKS_DIVISOR: u32 = 2;
/// A driver that made no turn, or a log write that did not end, for so long fails `/livez`.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// What waits for the driver.
#[derive(Debug)]
pub enum Work {
    /// Something that happened.
    Input(DriverInput),
    /// Something that somebody waits for.
    Ask {
        /// The request, which names the ticket.
        input: DriverInput,
        /// Its ticket.
        ticket: Ticket,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
}
