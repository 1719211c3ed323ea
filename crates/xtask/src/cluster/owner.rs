//! The process that a cluster was made for, as the suites' clusters are for their run. It is noted in the cluster's folder before
//! anything is started, so that the next run can end what a killed one left.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::layout::{Layout, clusters};
use super::{down, kind, parts};
use crate::process::say;

const FILE: &str = "owner";

/// How long the logs of a cluster that failed are kept once nobody can take it down.
const LOGS_KEPT: Duration = Duration::from_hours(24);

/// Notes the process; a cluster without one lasts until `down`.
pub(super) fn note(layout: &Layout, owner: Option<u32>) -> anyhow::Result<()> {
    let Some(record) = owner.and_then(record) else {
        return Ok(());
    };
    fs::create_dir_all(&layout.run)
        .and_then(|()| fs::write(layout.run.join(FILE), record))
        .with_context(|| format!("cannot note the owner in {}", layout.run.display()))
}

/// Ends the clusters of processes that are gone. What cannot be ended is said and is no failure of the next cluster.
pub(super) fn sweep() {
    let Ok(entries) = clusters().and_then(|folder| Ok(fs::read_dir(folder)?)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(layout) = Layout::of(&name) else {
            continue;
        };
        if !gone(&layout.run) || !worth_ending(&layout) {
            continue;
        }
        say(&format!(
            "cluster `{name}` is left from a process that is gone"
        ));
        if let Err(error) = down(&name) {
            say(&format!("cluster `{name}` is still there: {error:#}"));
        }
    }
}

/// Of a cluster that failed to start, only its logs are left; somebody may still read them.
fn worth_ending(layout: &Layout) -> bool {
    kind::made(layout) || down::runs(layout) || old(&layout.run)
}

fn old(folder: &Path) -> bool {
    let changed = folder.metadata().and_then(|metadata| metadata.modified());
    let age = changed
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > LOGS_KEPT)
}

/// `true` if the cluster in this folder was made for a process that has ended.
fn gone(folder: &Path) -> bool {
    let Ok(noted) = fs::read_to_string(folder.join(FILE)) else {
        return false;
    };
    let mut words = noted.split_whitespace();
    let (Some(space), Some(Ok(pid))) = (words.next(), words.next().map(str::parse)) else {
        return false;
    };
    // The same cache may serve containers that do not see each other's processes.
    own_space().as_deref() == Some(space) && record(pid).as_deref() != Some(noted.as_str())
}

/// One line about a process that runs: its process ids' namespace, its id, when it was started.
fn record(pid: u32) -> Option<String> {
    Some(format!("{} {pid} {}", own_space()?, parts::birth(pid)?))
}

fn own_space() -> Option<String> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(folder: &Path) -> Layout {
        Layout {
            name: "ci-1".to_owned(),
            run: folder.join("ci-1"),
        }
    }

    #[test]
    fn a_cluster_is_left_once_its_process_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        note(&layout, Some(child.id())).unwrap();
        assert!(!gone(&layout.run));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(gone(&layout.run));
    }

    #[test]
    fn a_process_id_that_is_used_again_is_another_process() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        note(&layout, Some(std::process::id())).unwrap();
        assert!(!gone(&layout.run));
        let file = layout.run.join(FILE);
        let noted = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{noted}0")).unwrap();
        assert!(gone(&layout.run));
        // Of another namespace nothing is known.
        fs::write(&file, format!("elsewhere {noted}")).unwrap();
        assert!(!gone(&layout.run));
    }

    #[test]
    fn a_cluster_of_nobody_lasts() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        note(&layout, None).unwrap();
        assert!(!layout.run.exists() && !gone(&layout.run));
    }
}
