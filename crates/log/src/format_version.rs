//! The versions of what lies on disk. A binary reads its own version and the previous one (DESIGN 6.7).

/// Version of the data directory: identity file, segments, frames and records.
pub const DATA_DIR_VERSION: u32 = 1;

/// Version of the snapshot container (not of its content, which the feature level defines).
pub const SNAPSHOT_VERSION: u32 = 1;

/// Whether this binary reads a version of which `current` is its own.
pub(crate) const fn is_readable(found: u32, current: u32) -> bool {
    found >= 1 && found <= current && found + 1 >= current
}
