//! The namespaces of a cluster: one for the control plane, one for each node, held open by a process that sleeps. Nothing of the cluster
//! touches the machine's own network or mounts, and nothing of it can leave.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::layout::{CONTROL_ADDRESS, Node, text};
use super::parts::{Part, Starter};
use super::{machine, wait};

/// Kernel settings that a kubelet writes. Each node gets files of its own over them, so that the machine keeps its values.
const KERNEL_SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// The part that holds the control plane's namespaces open.
pub(super) const CONTROL: &str = "namespace";

/// The part that holds a node's namespaces open.
pub(super) fn holder(node: &Node) -> String {
    format!("namespace-{}", node.name())
}

/// Makes new network and mount namespaces (below those of `inside`, if given) and returns the process that holds them.
pub(super) fn open(
    starter: &mut Starter,
    inside: Option<u32>,
    part: String,
) -> anyhow::Result<u32> {
    let words = ["-n", "-m", "--propagation", "private", "sleep", "infinity"].map(str::to_owned);
    let pid = starter.start(inside, &Part::new(part, "unshare", &words))?;
    let name = format!("/proc/{pid}/comm");
    wait::until("a namespace", Duration::from_mins(1), || {
        starter.check()?;
        // The program changes once the namespaces are made.
        Ok(fs::read_to_string(&name).is_ok_and(|program| program.trim() == "sleep"))
    })?;
    Ok(pid)
}

/// Runs a script inside of the namespaces that `pid` holds.
pub(super) fn script(starter: &Starter, pid: u32, lines: &str) -> anyhow::Result<()> {
    let command = starter.surroundings.inside(pid, &["sh", "-ec", lines]);
    crate::process::output(command).map(drop)
}

/// The control plane's network: a bridge that the nodes are plugged into.
pub(super) fn control_script() -> String {
    format!(
        "ip link set lo up\n\
         ip link add node0 type bridge\n\
         ip addr add {CONTROL_ADDRESS}/24 dev node0\n\
         ip link set node0 up\n\
         echo 1 > /proc/sys/net/ipv4/ip_forward\n"
    )
}

/// Plugs a node, whose namespace `holder` holds, into the bridge; run in the control plane's namespace.
pub(super) fn plug_script(node: &Node, holder: u32) -> String {
    let (link, pods, address) = (node.name(), node.pods(), node.address());
    format!(
        "ip link add {link} type veth peer name eth0 netns {holder}\n\
         ip link set {link} master node0 up\n\
         ip route add {pods} via {address}\n"
    )
}

/// A node's own network; run in its namespace. `others` are its peers, whose pods it reaches directly.
pub(super) fn node_script(node: &Node, others: &[Node]) -> String {
    let mut lines = format!(
        "ip link set lo up\n\
         ip addr add {}/24 dev eth0\n\
         ip link set eth0 up\n\
         ip route add default via {CONTROL_ADDRESS}\n\
         echo 1 > /proc/sys/net/ipv4/ip_forward\n",
        node.address()
    );
    for other in others.iter().filter(|other| other.number != node.number) {
        let _ = writeln!(
            lines,
            "ip route add {} via {}",
            other.pods(),
            other.address()
        );
    }
    lines
}

/// A node's own view of the folders and kernel settings that its programs write; run in its namespace.
/// Paths come through as arguments of the shell, so no character of theirs has a meaning.
pub(super) fn mount_script(node: &Node) -> String {
    let mut lines = String::new();
    for folder in machine::NODE_FOLDERS {
        let source = text(&node.file(&private_name(folder)));
        let _ = match folder {
            "/run" => writeln!(lines, "mount -t tmpfs tmpfs /run"),
            _ => writeln!(lines, "mount --bind {} {folder}", quoted(&source)),
        };
    }
    for setting in KERNEL_SETTINGS {
        let own = quoted(&text(&node.file("sysctl").join(private_name(setting))));
        let _ = writeln!(
            lines,
            "[ ! -e /proc/sys/{setting} ] || {{ cat /proc/sys/{setting} > {own}; mount --bind {own} /proc/sys/{setting}; }}"
        );
    }
    lines
}

/// The folders that `mount_script` expects.
pub(super) fn make_folders(node: &Node) -> anyhow::Result<()> {
    let own = machine::NODE_FOLDERS.map(private_name);
    for folder in own.iter().map(String::as_str).chain(["sysctl", "cni"]) {
        let folder = node.file(folder);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(())
}

fn private_name(path: &str) -> String {
    path.trim_matches('/').replace('/', "-")
}

/// A word that the shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs `work` on a thread in the network namespace of process `pid`; sockets that it makes belong there.
pub(super) fn inside<T: Send>(
    pid: u32,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let link = format!("/proc/{pid}/ns/net");
    let link = File::open(&link).with_context(|| format!("cannot open {link}"))?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network))
                .context("cannot enter the cluster's network")?;
            work()
        });
        let result = thread.join();
        result.map_err(|_| anyhow!("a thread in the cluster's network panicked"))?
    })
}

/// Fails unless `folder` can be used as a node sees it.
pub(super) fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let plain = folder.to_str().is_some_and(|text| !text.contains('"'));
    ensure!(
        plain,
        "{} is no folder for a cluster: its path has characters that configuration files cannot hold",
        folder.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::*;

    #[test]
    fn a_node_knows_the_way_to_the_pods_of_all_others_and_not_to_its_own() {
        let layout = Layout::of("dmq").unwrap();
        let nodes = [layout.node(1), layout.node(2), layout.node(3)];
        let lines = node_script(&nodes[1], &nodes);
        assert!(lines.contains("198.18.1.0/24 via 198.18.255.2"));
        assert!(lines.contains("198.18.3.0/24 via 198.18.255.4"));
        assert!(!lines.contains("198.18.2.0/24"));
    }

    #[test]
    fn what_a_node_writes_lies_in_its_own_folder() {
        let mut node = Layout::of("dmq").unwrap().node(1);
        node.folder = "/c/it's/node1".into();
        let lines = mount_script(&node);
        assert!(lines.contains("mount -t tmpfs tmpfs /run\n"));
        assert!(lines.contains(r"mount --bind '/c/it'\''s/node1/var-lib' /var/lib"));
        assert!(lines.contains(
            "mount --bind '/c/it'\\''s/node1/sysctl/kernel-panic' /proc/sys/kernel/panic;"
        ));
    }
}
