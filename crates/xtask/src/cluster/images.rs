//! Brings our images onto the nodes without a registry, and again when they have changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value, json};

use super::layout::Node;
use super::parts::Starter;
use super::wait;
use crate::image::{self, Archive};
use crate::workspace;

/// All images of this checkout, the one that pods cannot do without first. They are built if they are out of date, or taken as
/// they were left by an earlier build if `kept`.
pub(super) fn archives(kept: bool) -> anyhow::Result<Vec<Archive>> {
    let mut archives = if kept {
        left()?
    } else {
        image::all().context("the images cannot be built")?
    };
    archives.sort_by_key(|archive| !is_pause(archive));
    Ok(archives)
}

/// `true` for the image that holds a pod's namespaces. A cluster of `kind` has its own, which is not ours to replace.
pub(super) fn is_pause(archive: &Archive) -> bool {
    let name = archive.reference.rsplit('/').next();
    name.is_some_and(|name| name.starts_with("pause"))
}

/// What lies in the folder of images, oldest first, so that the newest of a name wins.
fn left() -> anyhow::Result<Vec<Archive>> {
    let folder = workspace::cache()?.join("images");
    let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(&folder)
        .with_context(|| format!("no images in {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tar"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    files.sort();
    let archive = |path: PathBuf| Archive {
        reference: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        path,
    };
    Ok(files.into_iter().map(|(_, path)| archive(path)).collect())
}

/// Loads what a node does not have yet, all nodes at the same time. `holders` are the processes that hold the nodes' namespaces.
pub(super) fn load(
    starter: &Starter,
    nodes: &[(Node, u32)],
    archives: &[Archive],
) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|(node, holder)| scope.spawn(|| load_one(starter, node, *holder, archives)))
            .collect();
        for thread in threads {
            thread
                .join()
                .map_err(|_| anyhow!("loading images panicked"))??;
        }
        Ok(())
    })
}

fn load_one(
    starter: &Starter,
    node: &Node,
    holder: u32,
    archives: &[Archive],
) -> anyhow::Result<()> {
    // The socket lies in the node's own `/run`.
    let socket = format!("/proc/{holder}/root/run/containerd/containerd.sock");
    wait::until(
        "containerd",
        wait::LIMIT,
        || Ok(Path::new(&socket).exists()),
    )?;
    let list = node.file("images.json");
    let mut loaded = read_list(&list);
    for archive in archives {
        let stamp = stamp(&archive.path)?;
        if loaded.get(&archive.reference) == Some(&stamp) {
            continue;
        }
        let path = archive.path.to_string_lossy();
        let words = ["ctr", "-n", "k8s.io", "images", "import", &path];
        crate::process::output(starter.inside(holder, &words))
            .with_context(|| format!("{} on {}", archive.reference, node.name()))?;
        loaded.insert(archive.reference.clone(), stamp);
        fs::write(&list, Value::Object(loaded.clone()).to_string())?;
    }
    Ok(())
}

fn read_list(list: &Path) -> Map<String, Value> {
    let text = fs::read(list).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// What changes when an archive is written again.
fn stamp(archive: &Path) -> anyhow::Result<Value> {
    let about = fs::metadata(archive).with_context(|| format!("no {}", archive.display()))?;
    let written = about.modified()?.duration_since(std::time::UNIX_EPOCH)?;
    Ok(json!({"bytes": about.len(), "written": format!("{written:?}")}))
}
