//! A quorum of real processes in a temporary directory.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::links::Links;
use super::node::{Node, Place};
use super::ports::free_port;
use super::wait::wait_until;
use super::{Answer, Rest};

/// Ports of nodes that have an address of their own.
const PLACED_PEER_PORT: u16 = 9093;
const PLACED_REST_PORT: u16 = 8080;

/// What a quorum is like.
#[derive(Debug, Clone)]
pub struct QuorumOptions {
    /// Number of nodes; ids count from 1.
    pub nodes: u32,
    /// Configuration keys and values for all nodes, as flags take them.
    pub settings: Vec<(String, String)>,
    /// One database address per node; empty for the default, `SQLite`.
    pub stores: Vec<String>,
    /// Peers reach each other over [`Links`] that can be cut.
    pub links: bool,
    /// One place per node, each with an address of its own; empty for this machine's loopback interface.
    pub places: Vec<Place>,
    /// Nodes beyond `nodes` that have ports and an id, and are in nobody's address book: they may be added.
    pub spare: u32,
}

impl Default for QuorumOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            settings: Vec::new(),
            stores: Vec::new(),
            links: false,
            places: Vec::new(),
            spare: 0,
        }
    }
}

impl QuorumOptions {
    /// The same with one more key for all nodes.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.push((key.to_owned(), value.into()));
        self
    }

    /// The same with links that can be cut.
    #[must_use]
    pub fn with_links(mut self) -> Self {
        self.links = true;
        self
    }
}

/// Some nodes of one quorum. Everything ends and is removed when it is dropped, unless `DMQ_TEST_KEEP` is set.
#[derive(Debug)]
pub struct Quorum {
    pub(super) nodes: Vec<Node>,
    pub(super) spares: Vec<Node>,
    pub(super) links: Links,
    pub(super) options: QuorumOptions,
    /// gRPC ports by node id: the address book, but for spare nodes.
    pub(super) ports: Vec<(u32, u16)>,
    folder: Option<TempDir>,
}

impl Quorum {
    /// Starts all nodes empty and waits until they agree on a controller.
    pub async fn start(options: &QuorumOptions) -> anyhow::Result<Self> {
        let mut quorum = Self::prepare(options).await?;
        quorum.start_all()?;
        quorum.controller().await?;
        Ok(quorum)
    }

    /// Three nodes with defaults.
    pub async fn of_three() -> anyhow::Result<Self> {
        Self::start(&QuorumOptions::default()).await
    }

    /// Makes directories, ports and configuration files, and starts nothing.
    pub async fn prepare(options: &QuorumOptions) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("dmq-test-").tempdir()?;
        let mut ports = Vec::new();
        for id in 1..=options.nodes + options.spare {
            let port = if options.places.is_empty() {
                free_port()?
            } else {
                PLACED_PEER_PORT
            };
            ports.push((id, port));
        }
        let links = if options.links {
            Links::between(&ports).await?
        } else {
            Links::default()
        };
        let mut nodes = Vec::new();
        for &(id, peer_port) in &ports {
            let file = book(folder.path(), id);
            nodes.push(node(id, peer_port, &file, folder.path(), options)?);
        }
        let spares = nodes.split_off(usize::try_from(options.nodes)?);
        let quorum = Self {
            nodes,
            spares,
            links,
            options: options.clone(),
            ports,
            folder: Some(folder),
        };
        quorum.write_address_books()?;
        Ok(quorum)
    }

    /// Puts one more node into everybody's address book. It is no member yet, does not run, and is none of [`Self::nodes`].
    pub fn further(&mut self, place: Place) -> anyhow::Result<Node> {
        let id = u32::try_from(self.ports.len() + 1)?;
        self.ports.push((id, PLACED_PEER_PORT));
        self.options.places.push(place);
        self.write_address_books()?;
        let folder = self.folder();
        // There is a quorum, and nobody is to begin another one.
        self.nodes.iter_mut().for_each(Node::without_bootstrap);
        let file = book(&folder, id);
        let mut further = node(id, PLACED_PEER_PORT, &file, &folder, &self.options)?;
        further.without_bootstrap();
        Ok(further)
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) -> anyhow::Result<()> {
        self.nodes
            .iter_mut()
            .filter(|node| !node.is_running())
            .try_for_each(Node::start)
    }

    /// A node by its id.
    pub fn node(&mut self, id: u32) -> anyhow::Result<&mut Node> {
        self.nodes
            .iter_mut()
            .find(|node| node.id == id)
            .with_context(|| format!("no node {id}"))
    }

    /// All nodes in the order of their ids.
    pub fn nodes(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Ids of all nodes but one.
    pub fn others(&self, than: u32) -> Vec<u32> {
        self.nodes
            .iter()
            .map(|node| node.id)
            .filter(|id| *id != than)
            .collect()
    }

    /// The network between the nodes.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The folder of everything.
    pub fn folder(&self) -> PathBuf {
        self.folder
            .as_ref()
            .map(|folder| folder.path().to_path_buf())
            .unwrap_or_default()
    }

    /// The data directory of a node: `<log-dir>/node-<id>`.
    pub fn data_directory(&self, id: u32) -> PathBuf {
        let volume = place(&self.options.places, id).map(|place| place.volume.clone());
        let volume = volume.unwrap_or_else(|| self.folder().join("data"));
        volume.join(format!("node-{id}"))
    }

    /// A client of a node.
    pub fn rest(&mut self, id: u32) -> anyhow::Result<Rest> {
        self.node(id)?.rest()
    }

    /// Waits until all nodes that run agree on a controller that is among them, and returns its id.
    pub async fn controller(&mut self) -> anyhow::Result<u32> {
        let ids: Vec<u32> = self
            .nodes
            .iter()
            .filter(|node| node.is_running())
            .map(|node| node.id)
            .collect();
        self.controller_among(&ids).await
    }

    /// Waits until these nodes agree on one of them as the controller, whatever the others think.
    pub async fn controller_among(&mut self, ids: &[u32]) -> anyhow::Result<u32> {
        let found = wait_until(
            &format!("the nodes {ids:?} agree on a controller"),
            async || {
                let mut seen = Vec::new();
                for &id in ids {
                    self.node(id)?.check()?;
                    seen.push(self.leader_seen_by(id).await);
                }
                let agreed = seen.iter().all(|view| view.is_some() && *view == seen[0]);
                Ok(seen[0].filter(|(leader, _)| agreed && ids.contains(leader)))
            },
        )
        .await;
        found.map(|(leader, _)| leader).with_context(|| self.logs())
    }

    /// Waits until all nodes that run have applied `index`.
    pub async fn applied(&mut self, index: u64) -> anyhow::Result<()> {
        let ids: Vec<u32> = self
            .nodes
            .iter()
            .filter(|node| node.is_running())
            .map(|node| node.id)
            .collect();
        let waited = wait_until(
            &format!("the nodes {ids:?} have applied {index}"),
            async || {
                for &id in &ids {
                    self.node(id)?.check()?;
                    let applied = self.rest(id)?.get("/controller").await;
                    let applied = applied.and_then(|answer| answer.number("appliedIndex"));
                    if applied.unwrap_or(0) < index {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            },
        )
        .await;
        waited.with_context(|| self.logs())
    }

    /// Checks that all nodes that run have the same state hash at one index that all of them have applied.
    pub async fn same_state_everywhere(&mut self) -> anyhow::Result<u64> {
        let ids: Vec<u32> = self
            .nodes
            .iter()
            .filter(|node| node.is_running())
            .map(|node| node.id)
            .collect();
        let waited = wait_until(&format!("the nodes {ids:?} are at one index"), async || {
            let mut hashes = Vec::new();
            for &id in &ids {
                hashes.push(self.rest(id)?.get("/state-hash").await?.success()?);
            }
            Ok(comparable(&hashes))
        })
        .await;
        let hashes = waited.with_context(|| self.logs())?;
        for answer in &hashes {
            ensure!(
                answer.json["stateHash"] == hashes[0].json["stateHash"],
                "state hashes differ: {} and {}",
                answer.text,
                hashes[0].text
            );
        }
        hashes[0].number("index")
    }

    async fn leader_seen_by(&mut self, id: u32) -> Option<(u32, u64)> {
        let answer = self.rest(id).ok()?.get("/controller").await.ok()?;
        let leader = answer.number("leaderId").ok()?;
        Some((u32::try_from(leader).ok()?, answer.number("term").ok()?))
    }

    /// The ends of all logs, for the error of a test.
    pub fn logs(&self) -> String {
        let tails = self
            .nodes
            .iter()
            .map(|node| format!("-- node {}:\n{}\n", node.id, node.log_tail(20)));
        tails.collect()
    }
}

impl Drop for Quorum {
    fn drop(&mut self) {
        self.nodes.clear();
        self.spares.clear();
        if std::env::var_os("DMQ_TEST_KEEP").is_some() {
            // `keep` only forgets to delete; the path was in the errors that the test gave.
            let _ = self.folder.take().map(TempDir::keep);
        }
    }
}

/// The answers, once all are of one index.
fn comparable(hashes: &[Answer]) -> Option<Vec<Answer>> {
    let index = |answer: &Answer| answer.number("index").ok();
    let first = index(hashes.first()?)?;
    hashes
        .iter()
        .all(|answer| index(answer) == Some(first))
        .then(|| hashes.to_vec())
}

/// One file per node: address books differ where the network can be cut.
pub(super) fn configuration(
    me: u32,
    ports: &[(u32, u16)],
    links: &Links,
    options: &QuorumOptions,
) -> anyhow::Result<String> {
    let mut lines: Vec<String> = ["dmq:", "  kraft:", "    cluster:", "      nodes:"]
        .map(str::to_owned)
        .to_vec();
    for &(id, port) in ports {
        let host = place(&options.places, id).map_or("127.0.0.1", |place| &place.host);
        let port = if options.links && id != me {
            links.port(me, id)?
        } else {
            port
        };
        lines.push(format!(
            "        - {{ id: {id}, host: {host}, port: {port} }}"
        ));
    }
    Ok(lines.join("\n") + "\n")
}

fn node(
    id: u32,
    peer_port: u16,
    file: &Path,
    folder: &Path,
    options: &QuorumOptions,
) -> anyhow::Result<Node> {
    let place = place(&options.places, id);
    let (rest_port, volume) = match place {
        None => (free_port()?, folder.join("data")),
        Some(place) => (PLACED_REST_PORT, place.volume.clone()),
    };
    let mut arguments = vec![
        format!("--config={}", file.display()),
        format!("--dmq.kraft.node-id={id}"),
        format!("--dmq.kraft.raft.log-dir={}", volume.display()),
        format!("--server.port={rest_port}"),
    ];
    let is_spare = (options.nodes + 1..=options.nodes + options.spare).contains(&id);
    if !is_spare {
        arguments.push("--bootstrap".to_owned());
    }
    arguments.extend(
        options
            .settings
            .iter()
            .map(|(key, value)| format!("--{key}={value}")),
    );
    if let Some(url) = options.stores.get(usize::try_from(id - 1)?) {
        arguments.push(format!("--store.url={url}"));
    }
    Ok(Node::new(id, rest_port, peer_port, arguments, folder).placed(place))
}

/// The configuration file of a node, which holds its address book.
pub(super) fn book(folder: &Path, id: u32) -> PathBuf {
    folder.join(format!("node-{id}.yaml"))
}

/// The place of a node, if nodes have any.
fn place(places: &[Place], id: u32) -> Option<&Place> {
    places.get(usize::try_from(id).ok()?.checked_sub(1)?)
}
