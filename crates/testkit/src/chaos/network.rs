//! The network of a run: every node in a network namespace of its own, plugged into one bridge, where packets between nodes are
//! dropped, lost and delayed. Clients and databases are in the bridge's namespace and always get through.

use std::path::{Path, PathBuf};

use super::delay::DelayLine;
use super::rules::{Rules, address, link};
use super::shell;

/// The bridge's own address, from which clients ask.
const HUB: &str = "198.18.240.254/24";

/// The device through which delayed packets take their detour.
pub(super) const DETOUR: &str = "detour";

/// Namespaces, the bridge and the rules in force.
#[derive(Debug)]
pub struct Network {
    folder: PathBuf,
    nodes: u32,
    rules: Rules,
    _delay: DelayLine,
}

impl Network {
    /// Builds the network; run inside of [`super::contain`]'s namespaces, whose end is its end.
    pub fn build(folder: &Path, nodes: u32, seed: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        shell::feed("sh", &["-e"], &hub_script())?;
        for id in 1..=nodes {
            shell::feed("sh", &["-e"], &node_script(id, &namespace(folder, id)))?;
        }
        let network = Self {
            folder: folder.to_owned(),
            nodes,
            rules: Rules::default(),
            _delay: DelayLine::start(folder, DETOUR, seed)?,
        };
        network.load()?;
        Ok(network)
    }

    /// The words that start a program where a node is.
    pub fn entry(&self, id: u32) -> Vec<String> {
        let namespace = namespace(&self.folder, id);
        ["nsenter", &format!("--net={}", namespace.display()), "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Ids of all nodes.
    pub fn nodes(&self) -> impl Iterator<Item = u32> + use<> {
        1..=self.nodes
    }

    /// Puts other rules in force, all at once.
    pub(super) fn set(&mut self, rules: Rules) -> anyhow::Result<()> {
        self.rules = rules;
        self.load()
    }

    /// Everything gets through again.
    pub fn heal(&mut self) -> anyhow::Result<()> {
        self.set(Rules::default())
    }

    /// How many packets the rules in force were applied to.
    pub(super) fn met() -> anyhow::Result<u64> {
        let table = shell::run("nft", &["list", "table", "netdev", "chaos"])?;
        Ok(counted(&table))
    }

    fn load(&self) -> anyhow::Result<()> {
        shell::feed("nft", &["-f", "-"], &self.rules.script(self.nodes)).map(drop)
    }
}

/// The sum of all counters in a listing: `counter packets 3 bytes 180`.
fn counted(listing: &str) -> u64 {
    let words: Vec<&str> = listing.split_whitespace().collect();
    let counts = words
        .windows(3)
        .filter(|words| words[..2] == ["counter", "packets"]);
    counts
        .filter_map(|words| words[2].parse::<u64>().ok())
        .sum()
}

/// A namespace lives as long as the file that it is mounted on.
fn namespace(folder: &Path, id: u32) -> PathBuf {
    folder.join(format!("net-{id}"))
}

/// The detour is a port of the bridge that learns nothing and is sent nothing but what the rules put on it.
fn hub_script() -> String {
    format!(
        "ip link set lo up\n\
         ip link add hub type bridge\n\
         ip addr add {HUB} dev hub\n\
         ip link set hub up\n\
         ip tuntap add dev {DETOUR} mode tap\n\
         ip link set {DETOUR} master hub up\n\
         bridge link set dev {DETOUR} learning off flood off mcast_flood off bcast_flood off\n"
    )
}

fn node_script(id: u32, namespace: &Path) -> String {
    let (address, link, namespace) = (address(id), link(id), namespace.display());
    format!(
        "touch '{namespace}'\n\
         unshare --net='{namespace}' true\n\
         ip link add {link} type veth peer name eth0 netns '{namespace}'\n\
         ip link set {link} master hub up\n\
         nsenter --net='{namespace}' sh -ec \
         'ip link set lo up; ip addr add {address}/24 dev eth0; ip link set eth0 up'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_all_rules_are_counted() {
        let listing = "ip daddr 198.18.240.2 counter packets 3 bytes 180 drop\n\
                       ip daddr 198.18.240.3 counter packets 40 bytes 1 fwd to \"detour\"";
        assert_eq!(counted(listing), 43);
        assert_eq!(counted("chain from-1 { }"), 0);
    }
}
