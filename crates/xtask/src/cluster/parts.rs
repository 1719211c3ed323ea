//! The processes of a cluster. Each carries the cluster's folder and its own part in its environment, so that what runs is known from
//! the machine itself, also after `up` was killed: there is no list that could be out of date.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::layout::Layout;
use super::machine;

/// The variable with the folder of the cluster that a process belongs to.
const CLUSTER: &str = "DMQ_CLUSTER_RUN";

/// The variable with the name of the part.
const PART: &str = "DMQ_CLUSTER_PART";

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    /// Program and arguments.
    pub(super) words: Vec<String>,
}

impl Part {
    pub(super) fn new(name: impl Into<String>, program: &str, arguments: &[String]) -> Self {
        let mut words = vec![program.to_owned()];
        words.extend_from_slice(arguments);
        Self {
            name: name.into(),
            words,
        }
    }
}

/// How a command becomes one of a cluster: its environment, and the way into a namespace.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    layout: Layout,
    /// The folder of Kubernetes' programs.
    bin: PathBuf,
}

impl Surroundings {
    pub(super) fn new(layout: &Layout, bin: &Path) -> Self {
        Self {
            layout: layout.clone(),
            bin: bin.to_path_buf(),
        }
    }

    /// A command in the namespaces that process `pid` holds, to be run to its end.
    pub(super) fn inside(&self, pid: u32, words: &[&str]) -> Command {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.command("env", Some(pid), &words)
    }

    /// `first` stands before the words and replaces itself by them, so that the process id is the program's.
    fn command(&self, first: &str, inside: Option<u32>, words: &[String]) -> Command {
        let mut command = Command::new(first);
        if let Some(pid) = inside {
            command.args(["nsenter", "-t", &pid.to_string(), "-n", "-m", "--"]);
        }
        command
            .args(words)
            .env_clear()
            .env("PATH", path_with(&self.bin))
            .env("HOME", &self.layout.run)
            .env(CLUSTER, &self.layout.run);
        command
    }
}

/// Starts the parts of one cluster and notices when one ends.
#[derive(Debug)]
pub(super) struct Starter {
    pub(super) surroundings: Surroundings,
    children: Vec<(String, Child)>,
}

impl Starter {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        Self {
            surroundings,
            children: Vec::new(),
        }
    }

    /// Starts `part` in a session of its own, inside of the namespaces of process `inside` if one is given.
    /// Returns its process id.
    pub(super) fn start(&mut self, inside: Option<u32>, part: &Part) -> anyhow::Result<u32> {
        let path = self.surroundings.layout.log(&part.name);
        let log = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut command = self.surroundings.command("setsid", inside, &part.words);
        command
            .env(PART, &part.name)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", part.name))?;
        let pid = child.id();
        self.children.push((part.name.clone(), child));
        Ok(pid)
    }

    /// The names of all parts so far.
    pub(super) fn names(&self) -> Vec<&str> {
        self.children
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Fails with the end of its log if a part has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                let log = self.surroundings.layout.log(name);
                bail!(
                    "{name} ended ({status}); its log {} ends with:\n{}",
                    log.display(),
                    tail(&log)
                );
            }
        }
        Ok(())
    }
}

/// `PATH` for a process that uses the cluster's programs.
pub(super) fn path_with(bin: &Path) -> OsString {
    let mut folders = vec![bin.to_path_buf()];
    folders.extend(machine::search_path());
    std::env::join_paths(folders).unwrap_or_default()
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// A process of the cluster that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: u32,
    /// The part that it is, or that has started it.
    pub(super) part: String,
}

/// All processes of the cluster, found by their environment.
pub(super) fn running(layout: &Layout) -> Vec<Member> {
    let run = layout.run.to_string_lossy();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            member(pid, &environment, &run)
        })
        .collect()
}

/// The process id of a part without children; those would bear its name as well.
pub(super) fn pid_of(layout: &Layout, part: &str) -> Option<u32> {
    let found = running(layout)
        .into_iter()
        .find(|member| member.part == part);
    found.map(|member| member.pid)
}

fn member(pid: u32, environment: &[u8], run: &str) -> Option<Member> {
    let value = |name: &str| {
        environment.split(|byte| *byte == 0).find_map(|variable| {
            let text = std::str::from_utf8(variable).ok()?;
            text.strip_prefix(name)?.strip_prefix('=')
        })
    };
    (value(CLUSTER)? == run).then(|| Member {
        pid,
        part: value(PART).unwrap_or_default().to_owned(),
    })
}

/// The cluster that this process is a part of.
pub(super) fn own_cluster() -> Option<PathBuf> {
    std::env::var_os(CLUSTER).map(PathBuf::from)
}

/// When a process was started, in the kernel's ticks: process ids are used again, pairs of both are not. `None` once it has ended.
pub(super) fn birth(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; field 3 is behind it.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18)?.parse().ok())?
}

/// Ends a process at once. One that is gone already is fine.
pub(super) fn end(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_belongs_to_exactly_the_cluster_in_its_environment() {
        let environment = b"PATH=/bin\0DMQ_CLUSTER_RUN=/c/dmq\0DMQ_CLUSTER_PART=etcd\0";
        let found = member(7, environment, "/c/dmq").unwrap();
        assert_eq!(
            found,
            Member {
                pid: 7,
                part: "etcd".to_owned()
            }
        );
        assert_eq!(member(7, environment, "/c/dm"), None);
        assert_eq!(member(7, b"DMQ_CLUSTER_RUN_OTHER=/c/dmq\0", "/c/dmq"), None);
    }
}
