//! Finds PostgreSQL's server programs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian puts them, by major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The directory of `initdb` and `postgres`.
#[derive(Debug)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// `$DMQ_TEST_POSTGRES_BIN` if set, else Debian's newest version, else `$PATH`.
    pub(super) fn find() -> Option<Self> {
        let named = std::env::var_os("DMQ_TEST_POSTGRES_BIN").map(PathBuf::from);
        let candidates = named.into_iter().chain(debian()).chain(path());
        candidates
            .into_iter()
            .find(|directory| is_complete(directory))
            .map(Self)
    }

    /// A command that runs one of them.
    pub(super) fn command(&self, program: &str) -> Command {
        Command::new(self.0.join(program))
    }
}

fn is_complete(directory: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

/// Newest first.
fn debian() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let versions = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut versions: Vec<u32> = versions.collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
        .into_iter()
        .map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin"))
        .collect()
}

fn path() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}
