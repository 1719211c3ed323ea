//! The data directory of one member: identity, the durable Raft log, snapshot files.

mod codec;
mod contents;
mod data_dir;
mod disk;
mod error;
mod format;
mod format_version;
mod frame;
mod identity;
mod log;
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
pub use verify::{VerifyError, VerifyReport, Visit, snapshot_files, verify};
