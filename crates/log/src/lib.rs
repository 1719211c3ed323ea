//! The data directory of one member: identity, the durable Raft log, snapshot files (DESIGN 6.1 to 6.3, 6.7).
//!
//! Reading order: `disk` (what a disk promises), `record`, `frame`, `segment` (the bytes, with diagrams),
//! `contents` (what records add up to), `plan` (decides how a group commit is written), `writer` (does it),
//! `log` (the API), `scan` and `recovery` (reading back), `reader`, `spare`; `data_dir`, `format` and `succession`;
//! `snapshot_file`; `verify` (offline); `crash_point` (tests only).
//!
//! What holds everywhere:
//!
//! - What a call reported durable is on disk, in an order in which term and vote come before the entries of
//!   that term. After a crash the log is a prefix of what was asked for, and holds all that was acknowledged.
//! - Damage is refused by file and offset, never patched. The one exception is stated in `recovery`: the last
//!   frame, until an empty one follows it.
//! - A failed write or sync is final. A disk without space for a new segment is not a failure.
//! - No name and no byte is trusted that an earlier process may have left unsynced.

mod codec;
mod contents;
pub mod crash_point;
mod data_dir;
mod disk;
mod error;
mod format;
mod format_version;
mod frame;
mod identity;
mod log;
mod mutant;
mod pin;
mod plan;
mod reader;
mod record;
mod recovery;
mod scan;
mod segment;
mod segment_writer;
mod snapshot_file;
mod spare;
mod succession;
mod verify;
mod walk;
mod writer;

pub use data_dir::{DataDir, DataDirError, random_directory_id};
pub use disk::{Access, DirEntry, Disk, DiskFile, FileDisk, sim};
pub use error::{Corruption, IoFailure, LogError, OpenError, ReadError};
pub use format::{FormatOptions, Formatted, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_RANGE};
pub use format_version::{DATA_DIR_VERSION, SNAPSHOT_VERSION};
pub use identity::{Identity, Incarnation};
pub use log::{Log, LogOptions};
pub use reader::LogReader;
pub use record::Record;
pub use recovery::{Recovered, RecoveryReport, TornTail};
pub use snapshot_file::{
    Chunks, Incoming, NewestSnapshot, SnapshotError, SnapshotInfo, SnapshotMeta, SnapshotOffer,
    SnapshotReader, SnapshotStore, SnapshotWriter,
};
pub use spare::{SpareError, SpareMaker};
pub use succession::{Origin, Succession};
pub use verify::{VerifyError, VerifyReport, Visit, snapshot_files, verify};
