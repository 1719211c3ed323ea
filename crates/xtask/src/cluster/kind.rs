//! The provider `kind`: the same cluster in Docker containers, for machines where those are at hand.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::layout::{Layout, text};
use super::{Options, Running, binaries, control_plane, images, owner, parts};
use crate::image::Archive;
use crate::{apt, process};

/// The file from which `kind` makes a cluster; also says who made it.
const MARK: &str = "kind.yaml";

/// How often to look whether the owner is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Creates the cluster unless there is one of this name, and loads the images. What it created does not outlive a failure.
pub(super) fn up(layout: &Layout, options: &Options) -> anyhow::Result<Running> {
    apt::on_path("kind")
        .context("no `kind` on PATH: https://kind.sigs.k8s.io, or `--provider local`")?;
    let archives = images::archives(options.kept_images)?;
    std::fs::create_dir_all(&layout.run)
        .with_context(|| format!("cannot make {}", layout.run.display()))?;
    let file = layout.run.join(MARK);
    control_plane::write_json(&file, &cluster(options.nodes))?;
    let bin = clients(layout)?;
    let list = process::output(command(&["get", "clusters"].map(str::to_owned)))?;
    let exists = list.lines().any(|line| line.trim() == layout.name);
    if exists {
        let nodes = process::output(command(&get_nodes(layout)))?;
        check_size(layout, &nodes, options.nodes)?;
    }
    let made = make(
        layout,
        options,
        (!exists).then_some(file.as_path()),
        &archives,
    );
    if made.is_err()
        && !exists
        && let Err(error) = down(layout)
    {
        process::say(&format!("cluster `{}` is left: {error:#}", layout.name));
    }
    made.map(|()| Running {
        kubeconfig: layout.kubeconfig(),
        bin,
    })
}

/// Makes the cluster from the file `new`, or goes on with the one that exists; brings the images onto it.
fn make(
    layout: &Layout,
    options: &Options,
    new: Option<&Path>,
    archives: &[Archive],
) -> anyhow::Result<()> {
    owner::note(layout, options.owner)?;
    if let Some(owner) = options.owner {
        watch(layout, owner)?;
    }
    process::run(command(&match new {
        None => export(layout),
        Some(file) => create(layout, file),
    }))?;
    for archive in archives.iter().filter(|archive| !images::is_pause(archive)) {
        process::run(command(&load(layout, &archive.path)))?;
    }
    Ok(())
}

/// A cluster of another size is not what was asked for, and `kind` cannot change it.
fn check_size(layout: &Layout, nodes: &str, wanted: u8) -> anyhow::Result<()> {
    let found = nodes.lines().filter(|line| !line.trim().is_empty()).count();
    ensure!(
        found == containers(wanted),
        "cluster `{0}` has {found} containers, and {wanted} nodes would be {1}: `cargo xtask cluster down --name {0}` first",
        layout.name,
        containers(wanted)
    );
    Ok(())
}

/// Starts this program again as the one that stays. It has a process group of its own, so that Ctrl-C does not reach it.
fn watch(layout: &Layout, owner: u32) -> anyhow::Result<()> {
    let log = File::create(layout.run.join("watch.log"))?;
    // Not by its path: a build may have put another file there since this program was started.
    Command::new(format!("/proc/{}/exe", std::process::id()))
        .args(["cluster", "watch", "--name", &layout.name])
        .args(["--owner", &owner.to_string()])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the process that stays with the cluster")
        .map(drop)
}

/// Takes the cluster down when its owner is gone. Returns as well when somebody else has done so.
pub(super) fn stay(layout: &Layout, owner: u32) -> anyhow::Result<()> {
    let born = parts::birth(owner);
    while made(layout) {
        if parts::birth(owner).is_none_or(|birth| Some(birth) != born) {
            return down(layout);
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// A folder with `kubectl` and `helm`: those of the machine, built if it has none.
fn clients(layout: &Layout) -> anyhow::Result<PathBuf> {
    let bin = layout.run.join("bin");
    std::fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    for name in binaries::CLIENTS {
        let folder = match apt::on_path(name) {
            Some(folder) => folder,
            None => binaries::provide(&[name])?,
        };
        let link = bin.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(folder.join(name), link)?;
        }
    }
    Ok(bin)
}

/// Deletes the cluster.
pub(super) fn down(layout: &Layout) -> anyhow::Result<()> {
    process::run(command(&delete(layout)))?;
    std::fs::remove_dir_all(&layout.run)
        .with_context(|| format!("cannot remove {}", layout.run.display()))
}

/// `true` if this cluster was made by `kind`.
pub(super) fn made(layout: &Layout) -> bool {
    layout.run.join(MARK).exists()
}

fn command(arguments: &[String]) -> Command {
    let mut command = Command::new("kind");
    command.args(arguments);
    command
}

/// One node takes pods itself; several stand beside a control plane that takes none, as in the provider `local`.
fn cluster(nodes: u8) -> Value {
    let labels = |zone: u8| json!({"topology.kubernetes.io/zone": char::from(b'a' + zone)});
    let mut list = vec![json!({"role": "control-plane"})];
    if nodes == 1 {
        list[0]["labels"] = labels(0);
    } else {
        list.extend((0..nodes).map(|zone| json!({"role": "worker", "labels": labels(zone)})));
    }
    json!({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": list})
}

/// How many containers `cluster` asks for.
fn containers(nodes: u8) -> usize {
    cluster(nodes)["nodes"].as_array().map_or(0, Vec::len)
}

fn get_nodes(layout: &Layout) -> Vec<String> {
    ["get", "nodes", "--name", &layout.name]
        .map(str::to_owned)
        .to_vec()
}

fn create(layout: &Layout, file: &Path) -> Vec<String> {
    let words = ["create", "cluster", "--wait", "5m", "--name", &layout.name];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.extend(["--config".to_owned(), text(file)]);
    words.extend(["--kubeconfig".to_owned(), text(&layout.kubeconfig())]);
    words
}

/// Writes the kubeconfig of a cluster that exists.
fn export(layout: &Layout) -> Vec<String> {
    let config = text(&layout.kubeconfig());
    let words = ["export", "kubeconfig", "--name", &layout.name];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.extend(["--kubeconfig".to_owned(), config]);
    words
}

fn load(layout: &Layout, archive: &Path) -> Vec<String> {
    let words = ["load", "image-archive", "--name", &layout.name];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.push(text(archive));
    words
}

fn delete(layout: &Layout) -> Vec<String> {
    let config = text(&layout.kubeconfig());
    [
        "delete",
        "cluster",
        "--name",
        &layout.name,
        "--kubeconfig",
        &config,
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_take_pods_in_three_zones() {
        let nodes = cluster(3)["nodes"].as_array().cloned().unwrap();
        assert_eq!(nodes.len(), 4);
        assert_eq!(nodes[0], json!({"role": "control-plane"}));
        assert_eq!(nodes[3]["labels"]["topology.kubernetes.io/zone"], "c");
        let single = cluster(1)["nodes"].as_array().cloned().unwrap();
        assert_eq!(single.len(), 1);
        assert_eq!(single[0]["labels"]["topology.kubernetes.io/zone"], "a");
    }

    #[test]
    fn a_cluster_of_another_size_is_refused() {
        let layout = Layout::of("dmq").unwrap();
        let four = "dmq-control-plane\ndmq-worker\ndmq-worker2\ndmq-worker3\n";
        check_size(&layout, four, 3).unwrap();
        check_size(&layout, "dmq-control-plane\n", 1).unwrap();
        let refused = check_size(&layout, four, 1).unwrap_err().to_string();
        assert!(refused.contains("cluster down --name dmq"), "{refused}");
    }

    #[test]
    fn who_stays_with_a_cluster_ends_with_it() {
        let root = tempfile::tempdir().unwrap();
        let mut layout = Layout::of("dmq").unwrap();
        layout.run = root.path().join("dmq");
        // Nothing is left to take down: without the mark `kind` is not even asked.
        stay(&layout, std::process::id()).unwrap();
    }

    #[test]
    fn every_command_names_the_cluster_and_its_own_kubeconfig() {
        let mut layout = Layout::of("dmq").unwrap();
        layout.run = "/c/dmq".into();
        assert_eq!(
            create(&layout, Path::new("/c/dmq/kind.yaml")).join(" "),
            "create cluster --wait 5m --name dmq --config /c/dmq/kind.yaml --kubeconfig /c/dmq/kubeconfig"
        );
        assert_eq!(
            export(&layout).join(" "),
            "export kubeconfig --name dmq --kubeconfig /c/dmq/kubeconfig"
        );
        assert_eq!(
            load(&layout, Path::new("/i/a.tar")).join(" "),
            "load image-archive --name dmq /i/a.tar"
        );
        assert_eq!(
            delete(&layout).join(" "),
            "delete cluster --name dmq --kubeconfig /c/dmq/kubeconfig"
        );
    }
}
