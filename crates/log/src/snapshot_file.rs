//! Snapshot files: one file per snapshot, whole or not there at all.
//!
//! ```text
//! snapshots/<index>-<term>.snap         whole, durable
//! snapshots/<index>-<term>.snap.tmp     being written from this member's image
//! snapshots/<...>.part                  being received; survives a restart, so that the transfer resumes
//! ```

mod container;
mod error;
mod incoming;
mod meta;
mod reader;
mod store;
mod writer;

pub use error::SnapshotError;
pub use incoming::Incoming;
pub use meta::{SnapshotInfo, SnapshotMeta, SnapshotOffer};
pub use reader::{Chunks, SnapshotReader};
pub(crate) use store::SNAPSHOT_SUFFIX;
pub use store::{NewestSnapshot, SnapshotStore};
pub use writer::SnapshotWriter;
