//! Inputs worth keeping, one file each, named by what they hold.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The inputs of one target.
#[derive(Clone, Debug)]
pub struct Corpus {
    folder: PathBuf,
}

impl Corpus {
    /// The corpus of a target below `root`.
    pub fn new(root: &Path, target: &str) -> Self {
        Self {
            folder: root.join(target),
        }
    }

    /// All inputs with their files, sorted by name; none if there is no folder.
    pub fn inputs(&self) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut paths = Vec::new();
        match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(entries) => {
                for entry in entries {
                    paths.push(entry?.path());
                }
            }
        }
        paths.sort();
        let read = |path: PathBuf| fs::read(&path).map(|bytes| (path, bytes));
        paths.into_iter().map(read).collect()
    }

    /// Adds an input; the same one twice is one file. `prefix` says why it is there.
    pub fn add(&self, prefix: &str, input: &[u8]) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{prefix}{:016x}", name_of(input)));
        fs::write(&path, input)?;
        Ok(path)
    }
}

/// FNV-1a over the input: a name, not a checksum.
fn name_of(input: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    input.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
