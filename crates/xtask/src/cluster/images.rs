//! Brings our images onto the nodes without a registry, and again when they have changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Map, Value, json};

use super::layout::Node;
use super::parts::Surroundings;
use super::{parts, wait};
use crate::image::{self, Archive};
use crate::workspace;

/// All images of this checkout. They are built if they are out of date, or taken as
/// they were left by an earlier build if `kept`.
pub(super) fn archives(kept: bool) -> anyhow::Result<Vec<Archive>> {
    if kept {
        left()
    } else {
        image::all().context("the images cannot be built")
    }
}

/// `true` for the image that holds a pod's namespaces. A cluster of `kind` has its own, which is not ours to replace.
pub(super) fn is_pause(archive: &Archive) -> bool {
    let name = archive.reference.rsplit('/').next();
    name.is_some_and(|name| name.starts_with("pause"))
}

/// What lies in the folder of images, the newest of each name.
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
    Ok(newest(files.into_iter().map(|(_, path)| path)))
}

/// The last file of each name, where a name is what stands before the digest.
fn newest(files: impl Iterator<Item = PathBuf>) -> Vec<Archive> {
    let named = files.map(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = match stem.rsplit_once('-') {
            Some((name, digest)) if digest.len() == 16 => name.to_owned(),
            _ => stem.into_owned(),
        };
        (name, path)
    });
    let last: BTreeMap<String, PathBuf> = named.collect();
    last.into_iter()
        .map(|(reference, path)| Archive { reference, path })
        .collect()
}

/// Loads what the nodes do not have yet, all nodes at the same time: containerd spends most of it waiting for the disk.
/// `nodes` come with the processes that hold their namespaces.
pub(super) fn load(
    surroundings: &Surroundings,
    nodes: &[(Node, u32)],
    archives: &[Archive],
) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|(node, holder)| scope.spawn(|| load_one(surroundings, node, *holder, archives)))
            .collect();
        for thread in threads {
            let result = thread.join();
            result.map_err(|_| anyhow!("loading images panicked"))??;
        }
        Ok(())
    })
}

fn load_one(
    surroundings: &Surroundings,
    node: &Node,
    holder: u32,
    archives: &[Archive],
) -> anyhow::Result<()> {
    // The socket lies in the node's own `/run`.
    let socket = format!("/proc/{holder}/root/run/containerd/containerd.sock");
    wait::until("containerd", wait::LIMIT, || {
        ensure!(parts::birth(holder).is_some(), "{} has ended", node.name());
        Ok(Path::new(&socket).exists())
    })?;
    let list = node.file("images.json");
    let mut loaded = read_list(&list);
    // One after the other: images that share a layer get in each other's way.
    for (archive, stamp) in missing(archives, &loaded)? {
        let path = archive.path.to_string_lossy();
        let words = ["ctr", "-n", "k8s.io", "images", "import", &path];
        crate::process::output(surroundings.inside(holder, &words))
            .with_context(|| format!("{} on {}", archive.reference, node.name()))?;
        loaded.insert(archive.reference.clone(), stamp);
        fs::write(&list, Value::Object(loaded.clone()).to_string())?;
    }
    Ok(())
}

/// The archives that have changed since they were loaded, with what to remember of them.
fn missing<'a>(
    archives: &'a [Archive],
    loaded: &Map<String, Value>,
) -> anyhow::Result<Vec<(&'a Archive, Value)>> {
    let mut missing = Vec::new();
    for archive in archives {
        let stamp = stamp(&archive.path)?;
        if loaded.get(&archive.reference) != Some(&stamp) {
            missing.push((archive, stamp));
        }
    }
    Ok(missing)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(folder: &Path, name: &str, content: &str) -> Archive {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        Archive {
            reference: format!("dmq.test/{name}:1"),
            path,
        }
    }

    #[test]
    fn what_has_not_changed_is_not_loaded_again() {
        let folder = tempfile::tempdir().unwrap();
        let archives = [
            archive(folder.path(), "a", "1"),
            archive(folder.path(), "b", "1"),
        ];
        let mut loaded = Map::new();
        for (archive, stamp) in missing(&archives, &loaded).unwrap() {
            loaded.insert(archive.reference.clone(), stamp);
        }
        assert_eq!(loaded.len(), 2);
        assert!(missing(&archives, &loaded).unwrap().is_empty());
        archive(folder.path(), "b", "longer");
        let again = missing(&archives, &loaded).unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].0, &archives[1]);
    }

    #[test]
    fn of_kept_images_the_newest_of_a_name_is_loaded() {
        let files = [
            "/i/dmq-metadata_0.1.2-broken-3e17cd1fe3280f1d.tar",
            "/i/dmq-metadata_0.1.0-07bfe72d2238b232.tar",
            "/i/dmq-metadata_0.1.0-1111111111111111.tar",
        ];
        let found = newest(files.into_iter().map(PathBuf::from));
        let names: Vec<&str> = found
            .iter()
            .map(|archive| archive.reference.as_str())
            .collect();
        assert_eq!(names, ["dmq-metadata_0.1.0", "dmq-metadata_0.1.2-broken"]);
        assert_eq!(found[0].path, PathBuf::from(files[2]));
    }

    #[test]
    fn the_pause_image_is_known_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = archive(folder.path(), "a", "1");
        assert!(!is_pause(&archive));
        archive.reference = "registry.k8s.io/pause:3.10".to_owned();
        assert!(is_pause(&archive));
    }
}
