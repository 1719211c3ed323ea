//! The disk of a node: a file system of its own in a file, so that it can be full while all others have room.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::shell;

/// Sparse: what is not written takes no room on the machine.
const VOLUME_BYTES: u64 = 2 << 30;

/// A mounted file system; the end of the run's mount namespace unmounts it.
#[derive(Debug)]
pub struct Volume {
    mount: PathBuf,
}

impl Volume {
    /// Makes and mounts an empty one below `folder`.
    pub fn make(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let (image, mount) = (folder.join(format!("{name}.img")), folder.join(name));
        File::create(&image)?.set_len(VOLUME_BYTES)?;
        let image = image.display().to_string();
        shell::run("mkfs.ext4", &["-q", "-m", "0", &image])?;
        std::fs::create_dir(&mount)?;
        shell::run(
            "mount",
            &["-o", "loop", &image, &mount.display().to_string()],
        )?;
        Ok(Self { mount })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Takes all room that is left.
    pub fn fill(&self) -> anyhow::Result<()> {
        let file = File::create(self.filler())?;
        let mut offset = 0;
        // What the file system says is free is not free to the last block: ever smaller pieces find all of it.
        let mut piece = free_bytes(&self.mount)?;
        while piece >= 4096 {
            match fallocate(&file, FallocateFlags::empty(), offset, piece) {
                Ok(()) => offset += piece,
                Err(rustix::io::Errno::NOSPC) => piece /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub fn free(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }
}

fn free_bytes(path: &Path) -> anyhow::Result<u64> {
    let stats = statvfs(path)?;
    Ok(stats.f_bavail * stats.f_frsize)
}
