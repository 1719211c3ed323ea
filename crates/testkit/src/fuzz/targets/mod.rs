//! The decoders of the libraries, each with what it promises.

mod directory;
mod frame;
mod identity;
mod membership;
mod metadata;
mod record;
mod segment_head;
mod snapshot_content;
mod snapshot_file;

use super::Target;

/// All targets of this crate. Those of the server's own decoders are in `tests/fuzz`.
pub fn all() -> Vec<Target> {
    vec![
        frame::TARGET,
        record::TARGET,
        segment_head::TARGET,
        identity::TARGET,
        snapshot_file::TARGET,
        snapshot_file::META,
        snapshot_content::TARGET,
        metadata::ENVELOPE,
        metadata::CHANGES,
        metadata::OUTCOME,
        membership::TARGET,
    ]
}
