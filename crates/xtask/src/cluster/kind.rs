//! The provider `kind`: the same cluster in Docker containers, for machines where those are at hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::layout::{Layout, text};
use super::{Options, Running, binaries, control_plane, images};
use crate::{apt, process};

/// The file from which `kind` makes a cluster; also says who made it.
const MARK: &str = "kind.yaml";

/// Creates the cluster unless there is one of this name, and loads the images.
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
    process::run(command(&if exists {
        export(layout)
    } else {
        create(layout, &file)
    }))?;
    for archive in archives.iter().filter(|archive| !images::is_pause(archive)) {
        process::run(command(&load(layout, &archive.path)))?;
    }
    Ok(Running {
        kubeconfig: layout.kubeconfig(),
        bin,
    })
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
