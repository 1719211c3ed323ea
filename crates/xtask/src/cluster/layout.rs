//! Where everything of one cluster lies: folders, addresses, names. Pure, so that every part agrees without asking.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::ensure;

use crate::workspace;

/// Most nodes of a cluster: one for each of the three zones.
pub(super) const MOST_NODES: u8 = 3;

/// The control plane's address on the bridge between the nodes; a range reserved for tests (RFC 2544).
pub(super) const CONTROL_ADDRESS: &str = "198.18.255.1";

/// Where the API server listens in the cluster's network.
pub(super) const API_PORT: u16 = 6443;

/// Addresses of services.
pub(super) const SERVICE_RANGE: &str = "198.19.0.0/24";

/// Addresses of all pods and nodes.
pub(super) const CLUSTER_RANGE: &str = "198.18.0.0/16";

/// The folders of one cluster.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// What tells several clusters of a machine apart.
    pub(super) name: String,
    /// All state of this cluster; `down` removes it.
    pub(super) run: PathBuf,
}

impl Layout {
    /// The layout of the cluster `name`: 1 to 20 lower-case letters, digits and dashes, as it becomes part of paths
    /// and of a control group's name.
    pub(super) fn of(name: &str) -> anyhow::Result<Self> {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(
            (1..=20).contains(&name.len()) && name.chars().all(valid) && !name.starts_with('-'),
            "--name {name:?}: a name has 1 to 20 lower-case letters, digits and dashes, the first no dash"
        );
        Ok(Self {
            name: name.to_owned(),
            run: clusters()?.join(name),
        })
    }

    /// The kubeconfig for users on this machine.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.run.join("kubeconfig")
    }

    /// The kubeconfig of a component inside of the cluster's network.
    pub(super) fn component_config(&self, component: &str) -> PathBuf {
        self.run.join(format!("{component}.kubeconfig"))
    }

    /// Where the API server writes its certificate.
    pub(super) fn pki(&self) -> PathBuf {
        self.run.join("pki")
    }

    /// The API server's certificate, behind it the authority that signed it.
    pub(super) fn authority(&self) -> PathBuf {
        self.pki().join("apiserver.crt")
    }

    /// The key that signs the tokens of service accounts.
    pub(super) fn account_key(&self) -> PathBuf {
        self.pki().join("service-accounts.key")
    }

    /// The tokens that the API server accepts.
    pub(super) fn tokens(&self) -> PathBuf {
        self.run.join("tokens.csv")
    }

    /// The log of one process.
    pub(super) fn log(&self, part: &str) -> PathBuf {
        self.run.join("log").join(format!("{part}.log"))
    }

    /// The file with the port on which the API server is reached from this machine.
    pub(super) fn port_file(&self) -> PathBuf {
        self.run.join("port")
    }

    /// What `up` was asked for, written once the cluster is ready.
    pub(super) fn state_file(&self) -> PathBuf {
        self.run.join("state.json")
    }

    /// The folder of the volumes, which all nodes see: a drained pod finds its data on another node.
    pub(super) fn volumes(&self) -> PathBuf {
        self.run.join("volumes")
    }

    /// The control group below which all containers of this cluster live.
    pub(super) fn control_group(&self) -> String {
        format!("dmq-{}", self.name)
    }

    /// The node with this number, counted from 1.
    pub(super) fn node(&self, number: u8) -> Node {
        Node {
            number,
            folder: self.run.join(format!("node{number}")),
            control_group: format!("/{}/node{number}", self.control_group()),
        }
    }
}

/// The folder of all clusters of this machine.
pub(super) fn clusters() -> anyhow::Result<PathBuf> {
    Ok(workspace::cache()?.join("cluster-run"))
}

/// One node: what is its own.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) number: u8,
    pub(super) folder: PathBuf,
    /// Below the root of every controller, with a leading slash as the kubelet wants it.
    pub(super) control_group: String,
}

impl Node {
    pub(super) fn name(&self) -> String {
        format!("node{}", self.number)
    }

    /// Its address on the bridge between the nodes.
    pub(super) fn address(&self) -> String {
        format!("198.18.255.{}", self.number + 1)
    }

    /// The addresses of its pods.
    pub(super) fn pods(&self) -> String {
        format!("198.18.{}.0/24", self.number)
    }

    /// The value of `topology.kubernetes.io/zone`: a, b, c.
    pub(super) fn zone(&self) -> char {
        char::from(b'a' + self.number.saturating_sub(1))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Bytes as hexadecimal text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Text of a path; the folders of a cluster are made from names that are text.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_part_of_paths_and_is_checked() {
        assert!(Layout::of("ci-4711").is_ok());
        for bad in ["", "-a", "a/b", "Dmq", "a.b", "abcdefghijklmnopqrstu"] {
            assert!(Layout::of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nodes_share_nothing_but_the_bridge() {
        let layout = Layout::of("dmq").unwrap();
        let (one, two) = (layout.node(1), layout.node(2));
        assert_eq!(one.address(), "198.18.255.2");
        assert_eq!(two.pods(), "198.18.2.0/24");
        assert_eq!((one.zone(), two.zone()), ('a', 'b'));
        assert_eq!(two.control_group, "/dmq-dmq/node2");
        assert_ne!(one.folder, two.folder);
    }
}
