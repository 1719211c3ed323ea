//! The decoders of the libraries, each with what it promises.
#![allow(
    clippy::panic,
    reason = "a promise that is broken is a panic, which the engine catches"
)]

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

/// A length as formats write it; inputs are far shorter than 4 GiB.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

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
