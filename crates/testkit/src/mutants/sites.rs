//! The places of the mutants: every `mutant::is("...")` in the sources of the crates that ship.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The crates that have mutants.
const CRATES: [&str; 5] = ["raft", "log", "metadata", "replica", "store"];

const CALL: &str = "mutant::is(\"";

/// Where a mutant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// The source file, as `raft/src/election.rs`.
    pub file: String,
}

/// All places, in the order of crates, files and lines.
///
/// # Errors
/// The sources cannot be read.
pub fn sites() -> io::Result<Vec<Site>> {
    let mut found = Vec::new();
    for name in CRATES {
        let mut files = sources(&crates().join(name).join("src"))?;
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file)?;
            let shown = file.strip_prefix(crates()).unwrap_or(&file);
            found.extend(names(&text).map(|name| Site {
                name: name.to_owned(),
                file: shown.display().to_string(),
            }));
        }
    }
    Ok(found)
}

/// The crates whose `mutant.rs` is not the one of the first.
///
/// # Errors
/// One cannot be read.
pub fn copies_differ() -> io::Result<Vec<&'static str>> {
    let read = |name: &str| fs::read_to_string(crates().join(name).join("src/mutant.rs"));
    let original = read(CRATES[0])?;
    let mut different = Vec::new();
    for name in CRATES {
        if read(name)? != original {
            different.push(name);
        }
    }
    Ok(different)
}

fn crates() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let calls = text.split(CALL).skip(1);
    calls.filter_map(|rest| rest.split_once("\")").map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_calls_alone() {
        let text = format!("if {CALL}one\") || x {{}}\n// mutant::is(name)\n!{CALL}two\")");
        assert_eq!(names(&text).collect::<Vec<_>>(), ["one", "two"]);
    }
}
