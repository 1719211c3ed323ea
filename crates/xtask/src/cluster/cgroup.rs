//! The control groups of a cluster's containers: a kubelet removes every pod below its root that it does not know, so each node has a
//! root of its own. They also name every process of every container, which is what `down` needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

const MOUNT: &str = "/sys/fs/cgroup";

/// Makes `group` (with a leading slash) in every hierarchy.
pub(super) fn create(group: &str) -> anyhow::Result<()> {
    for root in hierarchies()
        .into_iter()
        .filter(|root| has_controllers(root))
    {
        let mut at = root.clone();
        for part in group.split('/').filter(|part| !part.is_empty()) {
            let parent = at.clone();
            at = at.join(part);
            fs::create_dir_all(&at).with_context(|| format!("cannot make {}", at.display()))?;
            hand_down(&parent, &at).with_context(|| format!("cannot fill {}", at.display()))?;
        }
    }
    Ok(())
}

/// A new group in `cpuset` of version 1 has no processors and no memory; one in version 2 has no controllers.
fn hand_down(parent: &Path, group: &Path) -> std::io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = group.join(file);
        if is_version_1(group) && own.exists() && fs::read_to_string(&own)?.trim().is_empty() {
            fs::write(&own, fs::read_to_string(parent.join(file))?.trim())?;
        }
    }
    let controllers = parent.join("cgroup.controllers");
    if controllers.exists() {
        for controller in fs::read_to_string(controllers)?.split_whitespace() {
            fs::write(
                parent.join("cgroup.subtree_control"),
                format!("+{controller}"),
            )?;
        }
    }
    Ok(())
}

fn is_version_1(group: &Path) -> bool {
    !group.join("cgroup.controllers").exists()
}

/// All processes in `group` and below it.
pub(super) fn processes(group: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for folder in folders(group) {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    }
    found
}

/// Removes `group` with all below it. What still has a process stays, and is an error.
pub(super) fn remove(group: &str) -> anyhow::Result<()> {
    for folder in folders(group).iter().rev() {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `group` and all below it in every hierarchy, parents first.
fn folders(group: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = hierarchies()
        .into_iter()
        .map(|root| root.join(group.trim_start_matches('/')))
        .filter(|folder| folder.is_dir())
        .collect();
    let mut next = 0;
    while next < found.len() {
        let below: Vec<PathBuf> = fs::read_dir(&found[next])
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        found.extend(below);
        next += 1;
    }
    found
}

/// `false` for the empty hierarchy of version 2 beside those of version 1, where the container runtime makes groups nevertheless.
fn has_controllers(root: &Path) -> bool {
    root == Path::new(MOUNT) || is_version_1(root)
}

/// The mount itself in version 2; in version 1 one folder for each controller. Names like `cpu,cpuacct` have links such as `cpu`
/// beside them, which are left out.
fn hierarchies() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    if mount.join("cgroup.procs").exists() {
        return vec![mount.to_path_buf()];
    }
    fs::read_dir(mount)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|root| root.join("cgroup.procs").exists())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parent with these files, and a group in it that has the same files empty.
    fn groups(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let group = parent.path().join("group");
        fs::create_dir(&group).unwrap();
        for (name, content) in files {
            fs::write(parent.path().join(name), content).unwrap();
            fs::write(group.join(name), "\n").unwrap();
        }
        (parent, group)
    }

    #[test]
    fn a_group_of_version_1_gets_the_processors_and_memory_of_its_parent() {
        let (parent, group) = groups(&[("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")]);
        hand_down(parent.path(), &group).unwrap();
        assert_eq!(
            fs::read_to_string(group.join("cpuset.cpus")).unwrap(),
            "0-1"
        );
        assert_eq!(fs::read_to_string(group.join("cpuset.mems")).unwrap(), "0");
    }

    #[test]
    fn a_group_of_version_2_keeps_its_empty_files_and_gets_the_controllers() {
        let (parent, group) = groups(&[("cpuset.cpus", "\n"), ("cgroup.controllers", "pids\n")]);
        hand_down(parent.path(), &group).unwrap();
        assert_eq!(fs::read_to_string(group.join("cpuset.cpus")).unwrap(), "\n");
        let control = parent.path().join("cgroup.subtree_control");
        assert_eq!(fs::read_to_string(control).unwrap(), "+pids");
    }
}
