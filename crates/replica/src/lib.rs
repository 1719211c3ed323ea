//! One member of the quorum without threads, sockets or clock, in four parts that share nothing and
//! exchange messages by value (DESIGN 3.2): [`Driver`] (raft and the waiting requests), [`LogWriter`],
//! [`Applier`] (image and snapshots) and [`ProjectorFeed`].
//!
//! Read `messages` first: it names everything that goes from one part to another. `member` builds the four parts
//! from a data directory; `node` gives each a thread, and the simulator delivers the same messages in
//! every order that bounded queues allow. `recovery` stands apart: it works offline, on a member that does not run.
//!
//! ```text
//!   requests --> Driver --Persist/Purge--> LogWriter --Persisted--> Driver
//!                  |---Apply/Install/HoldImage--> Applier --Applied--> Driver
//!                  |---Durable--> ProjectorFeed <--Changes-- Applier
//!                  '---Send/Fill/SendSnapshot--> peers    ProjectorFeed --Projection--> Driver
//! ```

mod answer;
mod applier;
mod driver;
mod feed;
mod fill;
mod log_writer;
mod member;
mod messages;
mod mutant;
mod recovery;
mod settings;
mod snapshot;
mod status;

pub use answer::*;
pub use applier::{Applier, HASH_INTERVAL};
pub use driver::{Driver, DriverStart};
pub use feed::{BATCH_ROWS, FeedBatch, FeedWork, ProjectorFeed, QUEUE_BYTES_MAX};
pub use fill::fill;
pub use log_writer::LogWriter;
pub use member::{Member, StartError};
pub use messages::*;
pub use recovery::{INDEX_GAP, Recovered, Recovery, RecoveryError, Survey, Survivor};
pub use settings::*;
pub use snapshot::{SNAPSHOTS_KEPT, SnapshotFailure, write_snapshot};
pub use status::*;
