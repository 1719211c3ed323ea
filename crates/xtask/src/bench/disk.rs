//! One place for all data of a run, on a real disk: numbers of a RAM disk say nothing about durable writes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

/// `f_type` of tmpfs, from linux/magic.h.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// A fresh folder for all sides of one run. It is removed when dropped.
pub(super) fn folder(chosen: Option<&Path>) -> anyhow::Result<TempDir> {
    let parent = chosen.map_or_else(default_parent, Path::to_path_buf);
    std::fs::create_dir_all(&parent).with_context(|| parent.display().to_string())?;
    ensure!(
        !in_memory(&parent),
        "{} is in memory; name a folder on a disk with --dir",
        parent.display()
    );
    Ok(tempfile::Builder::new()
        .prefix("dmq-bench-")
        .tempdir_in(parent)?)
}

/// The temporary folder, which every user may enter (PostgreSQL does not run as root), unless it is in memory.
fn default_parent() -> PathBuf {
    let temporary = std::env::temp_dir();
    if in_memory(&temporary) {
        crate::workspace::root().join("target/bench")
    } else {
        temporary
    }
}

fn in_memory(path: &Path) -> bool {
    let kind = rustix::fs::statfs(path).map(|status| status.f_type);
    kind.is_ok_and(|kind| u64::try_from(kind) == Ok(TMPFS_MAGIC))
}
