//! The programs that search for bugs: test executables and this crate's searches, each run under one mutant.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use super::{Search, VARIABLE};

/// A mutant may loop and take memory; this machine has other work.
const MEMORY_BYTES_MAX: u64 = 6 << 30;
/// A program that computes longer than this does not end, which none does without a mutant. The system ends it then.
const CPU_SECONDS_MAX: u64 = 120;
/// One that neither computes nor ends waits for something that never comes.
const WAIT_MAX: Duration = Duration::from_mins(10);
/// Packages and searches by what their programs cost.
const CHEAP_FIRST: [&str; 7] = [
    "raft", "metadata", "replica", "log", "store", "walker", "sim",
];
const POLL: Duration = Duration::from_millis(5);

/// Something that finds bugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// A test executable.
    Tests {
        /// `package/target`, without the prefix of our packages.
        name: String,
        /// The executable.
        path: PathBuf,
        /// Where it runs: the folder of its package.
        folder: PathBuf,
    },
    /// One of this crate's searches, with so many tries.
    Search(Search, u64),
}

/// All programs, the cheap ones first.
#[derive(Clone, Debug, Default)]
pub struct Programs(pub Vec<Program>);

/// What one program said about one mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The program's name.
    pub program: String,
    /// Whether it failed.
    pub found: bool,
    /// The tests that failed, or how far a search came.
    pub after: String,
    /// What it said, in one line.
    pub words: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl Programs {
    /// Reads lines of name, path and folder, separated by tabs.
    ///
    /// # Errors
    /// A line that is something else.
    pub fn read(text: &str) -> anyhow::Result<Vec<Program>> {
        let program = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
            [name, path, folder] => Ok(Program::Tests {
                name: name.to_owned(),
                path: path.into(),
                folder: folder.into(),
            }),
            _ => anyhow::bail!("not a program: `{line}`"),
        };
        text.lines().map(program).collect()
    }

    /// Brings the cheap ones to the front.
    pub fn sort(&mut self) {
        let cost = |program: &Program| {
            let package = program.name().split('/').next().unwrap_or_default();
            CHEAP_FIRST.iter().position(|known| *known == package)
        };
        self.0
            .sort_by_key(|program| cost(program).unwrap_or(usize::MAX));
    }

    /// The program of this name.
    pub fn get(&self, name: &str) -> Option<&Program> {
        self.0.iter().find(|program| program.name() == name)
    }
}

impl Program {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Tests { name, .. } => name,
            Self::Search(search, _) => search.name(),
        }
    }

    /// Runs it under a mutant; under none, if the name is empty. `filter` chooses tests by name.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, mutant: &str, filter: Option<&str>) -> anyhow::Result<Finding> {
        let mut output = tempfile::tempfile()?;
        let mut command = self.command(filter)?;
        command
            .env(VARIABLE, mutant)
            .env("RUST_BACKTRACE", "0")
            // What a mutant breaks is no counterexample to keep.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        let begin = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.name()))?;
        limit(&child, Resource::As, MEMORY_BYTES_MAX)?;
        limit(&child, Resource::Cpu, CPU_SECONDS_MAX)?;
        let ended = wait(&mut child)?;
        let elapsed = begin.elapsed();
        let text = read_all(&mut output)?;
        Ok(self.judge(ended, &text, elapsed))
    }

    fn command(&self, filter: Option<&str>) -> anyhow::Result<Command> {
        match self {
            Self::Tests { path, folder, .. } => {
                let mut command = Command::new(path);
                command
                    .current_dir(folder)
                    .env("CARGO_MANIFEST_DIR", folder)
                    .arg("--test-threads=1")
                    .args(filter);
                Ok(command)
            }
            Self::Search(search, tries) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["search", search.name(), "--tries", &tries.to_string()]);
                Ok(command)
            }
        }
    }

    fn judge(&self, ended: Option<ExitStatus>, text: &str, elapsed: Duration) -> Finding {
        let found = ended.is_none_or(|status| !status.success());
        let (after, words) = match (self, ended) {
            (_, None) => ("it does not end".to_owned(), String::new()),
            (Self::Search(..), Some(_)) => last_line(text),
            (Self::Tests { .. }, Some(_)) => (failed_tests(text), first_panic(text)),
        };
        Finding {
            program: self.name().to_owned(),
            found,
            after,
            words,
            elapsed,
        }
    }
}

fn limit(child: &Child, resource: Resource, most: u64) -> anyhow::Result<()> {
    let (current, maximum) = (Some(most), Some(most));
    let limit = Rlimit { current, maximum };
    match prlimit(Pid::from_raw(child.id().cast_signed()), resource, limit) {
        // It ended already.
        Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("cannot limit a program"),
    }
}

/// `None` if it does not end by itself.
fn wait(child: &mut Child) -> anyhow::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            let stopped = [Signal::XCPU, Signal::KILL].map(Signal::as_raw);
            let by_itself = status
                .signal()
                .is_none_or(|signal| !stopped.contains(&signal));
            return Ok(by_itself.then_some(status));
        }
        if begin.elapsed() > WAIT_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

fn read_all(output: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A search's last line: how far it came, a tab, and what it found.
fn last_line(text: &str) -> (String, String) {
    let last = text.lines().last().unwrap_or_default();
    let (after, words) = last.split_once('\t').unwrap_or((last, ""));
    (after.to_owned(), words.to_owned())
}

/// `one_test`, or `one_test and 3 more`; scenario scripts by their files.
fn failed_tests(text: &str) -> String {
    let failed = |line: &str| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.to_owned())
    };
    let mut names: Vec<String> = text.lines().filter_map(failed).collect();
    let mut scripts: Vec<String> = text.split_whitespace().filter_map(script).collect();
    scripts.dedup();
    if !scripts.is_empty() {
        names = scripts;
    }
    match names.split_first() {
        None => "it ends early".to_owned(),
        Some((first, [])) => first.clone(),
        Some((first, rest)) => format!("{first} and {} more", rest.len()),
    }
}

/// `figure8.txt` of `/a/testdata/figure8.txt:17`.
fn script(word: &str) -> Option<String> {
    let (_, rest) = word.rsplit_once("/testdata/")?;
    let (stem, _) = rest.split_once(".txt:")?;
    Some(format!("{stem}.txt"))
}

/// The line behind the first `thread ... panicked at ...:`.
fn first_panic(text: &str) -> String {
    let mut lines = text.lines();
    let at = lines.find(|line| line.contains("panicked at"));
    let words = at.and_then(|_| lines.next());
    words.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_runners_output_is_understood() {
        let text = "test a ... ok\ntest b::c ... FAILED\n\nthread 'b::c' panicked at src/x.rs:1:2:\nboom\n\
                    test d ... FAILED\n";
        assert_eq!(failed_tests(text), "b::c and 1 more");
        assert_eq!(first_panic(text), "boom");
        assert_eq!(failed_tests(""), "it ends early");
    }

    #[test]
    fn scenarios_are_named_by_their_files() {
        let text = "test every ... FAILED\n/x/testdata/figure8.txt:17\n  expected: a\n/x/testdata/b.txt:2\n";
        assert_eq!(failed_tests(text), "figure8.txt and 1 more");
    }

    #[test]
    fn a_search_ends_with_its_result() {
        let line = "thread panicked\ntry 3, 17 simulated seconds\tstate machine safety";
        let (after, words) = last_line(line);
        assert_eq!(after, "try 3, 17 simulated seconds");
        assert_eq!(words, "state machine safety");
    }
}
