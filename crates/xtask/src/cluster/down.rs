//! Takes a cluster away: every process of it, its control groups, its folder. Works on what it finds, so also after half an `up`.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context as _;

use super::layout::Layout;
use super::{cgroup, parts, wait};

/// Ends everything and removes the folder.
pub(super) fn remove(layout: &Layout) -> anyhow::Result<()> {
    stop(layout)?;
    match fs::remove_dir_all(&layout.run) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", layout.run.display()))
        }
        _ => Ok(()),
    }
}

/// Ends every process and leaves the folder with its logs. The namespaces and mounts go with the last process.
pub(super) fn stop(layout: &Layout) -> anyhow::Result<()> {
    let group = layout.control_group();
    wait::until("the end of the cluster's processes", wait::LIMIT, || {
        let left = processes(layout, &group);
        left.iter().copied().for_each(parts::end);
        // Groups can be removed once the kernel has let go of their last process.
        Ok(left.is_empty() && cgroup::remove(&group).is_ok())
    })
}

/// Containers are known by their group, all else by the environment; this process may itself be part of the cluster.
fn processes(layout: &Layout, group: &str) -> BTreeSet<u32> {
    let mut all = cgroup::processes(group);
    all.extend(parts::running(layout).into_iter().map(|member| member.pid));
    all.remove(&std::process::id());
    all
}

/// `true` if there is anything to take away.
pub(super) fn anything(layout: &Layout) -> bool {
    layout.run.exists() || runs(layout)
}

/// `true` if any process of it runs.
pub(super) fn runs(layout: &Layout) -> bool {
    !processes(layout, &layout.control_group()).is_empty()
}
