//! What `dev` is going to start: ids, ports, directories, and the one configuration file of all nodes.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use crate::cli::DevArgs;
use crate::exit::{Exit, Failure};

/// The nodes of a quorum on this machine.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// In the order of their ids.
    pub(super) nodes: Vec<NodePlan>,
    /// Where everything lies.
    pub(super) data_dir: PathBuf,
    election_timeout_ms: u64,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct NodePlan {
    /// 1 and up.
    pub(super) id: u32,
    /// REST port.
    pub(super) rest_port: u16,
    /// gRPC port.
    pub(super) grpc_port: u16,
    /// Database, if it is not the embedded one.
    pub(super) store_url: Option<String>,
}

impl NodePlan {
    /// The node's REST address.
    pub(super) fn url(&self) -> String {
        format!("http://localhost:{}", self.rest_port)
    }
}

impl Plan {
    /// The plan for these arguments.
    pub(super) fn new(args: &DevArgs) -> Result<Self, Failure> {
        let port = |first: u16, id: u32| {
            u16::try_from(u32::from(first) + id - 1).map_err(|_| {
                Failure::new(
                    Exit::Usage,
                    format!("port {first} leaves no room for {} nodes", args.nodes),
                )
            })
        };
        let node = |id| {
            let rest_port = port(args.rest_port, id)?;
            Ok(NodePlan {
                id,
                rest_port,
                grpc_port: port(args.grpc_port, id)?,
                store_url: None,
            })
        };
        let nodes = (1..=args.nodes).map(node).collect::<Result<_, Failure>>()?;
        let data_dir = args.data_dir.clone();
        Ok(Self {
            nodes,
            data_dir,
            election_timeout_ms: args.election_timeout_ms,
        })
    }

    /// Names the first port that something else listens on, or that two nodes would share.
    pub(super) fn check_ports(&self) -> Result<(), Failure> {
        self.check_overlap()?;
        // All are held until the last one was found free.
        let mut held = Vec::new();
        for node in &self.nodes {
            for (kind, flag, port) in [
                ("REST", "--rest-port", node.rest_port),
                ("gRPC", "--grpc-port", node.grpc_port),
            ] {
                let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
                    Failure::failed(format!(
                        "the {kind} port {port} of node {} is not free ({error}): stop what uses it, \
                         or choose other ports with {flag}",
                        node.id
                    ))
                })?;
                held.push(bound);
            }
        }
        Ok(())
    }

    fn check_overlap(&self) -> Result<(), Failure> {
        let shared = self.nodes.iter().find_map(|rest| {
            let mut nodes = self.nodes.iter();
            let grpc = nodes.find(|grpc| grpc.grpc_port == rest.rest_port)?;
            Some((rest, grpc))
        });
        let Some((rest, grpc)) = shared else {
            return Ok(());
        };
        let message = format!(
            "port {} would be the REST port of node {} and the gRPC port of node {}: --rest-port and \
             --grpc-port must be at least {} apart",
            rest.rest_port,
            rest.id,
            grpc.id,
            self.nodes.len()
        );
        Err(Failure::new(Exit::Usage, message))
    }

    /// Creates the data directory; `fresh` first removes what `dev` made there before.
    pub(super) fn prepare_directory(&self, fresh: bool) -> Result<(), Failure> {
        if fresh {
            remove_earlier(&self.data_dir).map_err(|error| self.unusable(&error))?;
        }
        std::fs::create_dir_all(&self.data_dir).map_err(|error| self.unusable(&error))
    }

    /// Refuses a directory that holds a quorum of another size: its voters would wait for nodes that are
    /// not started, or new ones for a quorum that they are not part of.
    pub(super) fn check_earlier(&self) -> Result<(), Failure> {
        let (wanted, Some(found)) = (self.nodes.len(), self.earlier_nodes()) else {
            return Ok(());
        };
        if found == wanted {
            return Ok(());
        }
        let message = format!(
            "--nodes is {wanted}, but {} holds a quorum of {found}: use --nodes {found}, another --data-dir, \
             or --fresh, which removes it",
            self.data_dir.display()
        );
        Err(Failure::new(Exit::Usage, message))
    }

    /// How many nodes the quorum has that an earlier run left here, if any.
    fn earlier_nodes(&self) -> Option<usize> {
        if !self.data_dir.join("node-1").is_dir() {
            return None;
        }
        let sources = crate::config::Sources {
            file: Some(self.configuration_file()),
            flags: vec![("dmq.kraft.node-id".to_owned(), "1".to_owned())],
            ..Default::default()
        };
        let earlier = crate::config::load(&sources).ok()?;
        Some(earlier.nodes.len())
    }

    fn unusable(&self, error: &std::io::Error) -> Failure {
        let message = format!("data directory {}: {error}", self.data_dir.display());
        Failure::new(Exit::DataDirectory, message)
    }

    /// The file that all nodes share; each gets its id and REST port as flags.
    pub(super) fn configuration_file(&self) -> PathBuf {
        self.data_dir.join("nodes.yaml")
    }

    /// Writes the configuration file.
    pub(super) fn write_configuration(&self) -> Result<(), Failure> {
        std::fs::write(self.configuration_file(), self.configuration())
            .map_err(|error| self.unusable(&error))
    }

    fn configuration(&self) -> String {
        let mut nodes = String::new();
        for NodePlan { id, grpc_port, .. } in &self.nodes {
            let _ = writeln!(
                nodes,
                "        - {{ id: {id}, host: localhost, port: {grpc_port} }}"
            );
        }
        let Self {
            data_dir,
            election_timeout_ms: election,
            ..
        } = self;
        let heartbeat = (election / 6).max(10);
        let log_dir = serde_json::Value::from(data_dir.to_string_lossy());
        format!(
            "# Written by `dmq-metadata dev` at every start. One node of it in a terminal of its own:\n\
             #   dmq-metadata serve --config {file} --bootstrap --dmq.kraft.node-id=1 --server.port={port}\n\
             dmq:\n  kraft:\n    cluster:\n      id: dev\n      nodes:\n{nodes}    raft:\n      \
             election-timeout-ms: {election}\n      heartbeat-interval-ms: {heartbeat}\n      \
             log-dir: {log_dir}\n",
            file = self.configuration_file().display(),
            port = self.nodes.first().map_or(8080, |node| node.rest_port),
        )
    }

    /// The arguments of the process of one node.
    pub(super) fn arguments(&self, node: &NodePlan) -> Vec<String> {
        let mut arguments = vec![
            "serve".to_owned(),
            format!("--config={}", self.configuration_file().display()),
            "--bootstrap".to_owned(),
            format!("--dmq.kraft.node-id={}", node.id),
            format!("--server.port={}", node.rest_port),
        ];
        arguments.extend(
            node.store_url
                .iter()
                .map(|url| format!("--store.url={url}")),
        );
        arguments
    }

    /// Where a node's log lines go.
    pub(super) fn log_file(&self, node: u32) -> PathBuf {
        self.data_dir.join(format!("node-{node}.log"))
    }
}

/// Removes only what `dev` itself makes: a mistyped `--data-dir` must not cost anybody his files.
fn remove_earlier(data_dir: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(data_dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name
            .strip_prefix("node-")
            .unwrap_or_default()
            .trim_end_matches(".log");
        let ours = number.parse::<u32>().is_ok() || name == "postgres" || name == "nodes.yaml";
        match (ours, entry.file_type()?.is_dir()) {
            (false, _) => {}
            (true, true) => std::fs::remove_dir_all(entry.path())?,
            (true, false) => std::fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, CliCommand};
    use clap::Parser;

    fn plan(flags: &[&str]) -> Result<Plan, Failure> {
        let line = ["dmq-metadata", "dev"].iter().chain(flags);
        let CliCommand::Dev(args) = Cli::parse_from(line).command else {
            panic!("dev")
        };
        Plan::new(&args)
    }

    #[test]
    fn every_node_finds_itself_in_the_configuration_that_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(&["--nodes=5", "--data-dir", dir.path().to_str().unwrap()]).unwrap();
        plan.prepare_directory(true).unwrap();
        plan.write_configuration().unwrap();
        for node in &plan.nodes {
            let line = [vec!["dmq-metadata".to_owned()], plan.arguments(node)].concat();
            let CliCommand::Serve(serve) = Cli::parse_from(line).command else {
                panic!("serve")
            };
            let sources = crate::config::Sources {
                file: serve.config,
                flags: serve.keys.0,
                ..Default::default()
            };
            let config = crate::config::load(&sources).unwrap();
            assert_eq!(config.node_id.0, node.id);
            assert_eq!(config.server.port, node.rest_port);
            assert_eq!(config.own().port, node.grpc_port);
            assert_eq!(config.nodes.len(), 5);
            assert_eq!(config.raft.log_dir, dir.path());
        }
    }

    #[test]
    fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let plan = plan(&["--nodes=1", "--rest-port", &port]).unwrap();
        let message = plan.check_ports().unwrap_err().to_string();
        assert!(
            message.contains(&port) && message.contains("--rest-port"),
            "{message}"
        );
    }

    #[test]
    fn ranges_of_ports_that_overlap_are_refused() {
        for (rest, grpc) in [("20000", "20002"), ("20002", "20000"), ("20000", "20000")] {
            let plan = plan(&["--nodes=3", "--rest-port", rest, "--grpc-port", grpc]).unwrap();
            let failure = plan.check_ports().unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{failure}");
            assert!(failure.message.contains("--grpc-port"), "{failure}");
        }
        let apart = plan(&["--nodes=3", "--rest-port=20000", "--grpc-port=20003"]).unwrap();
        assert!(apart.check_overlap().is_ok());
    }

    #[test]
    fn a_directory_of_another_number_of_nodes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let of = |nodes: &str| plan(&[nodes, "--data-dir", dir.path().to_str().unwrap()]).unwrap();
        let three = of("--nodes=3");
        three.check_earlier().unwrap();
        three.write_configuration().unwrap();
        of("--nodes=5").check_earlier().unwrap();
        std::fs::create_dir(dir.path().join("node-1")).unwrap();
        three.check_earlier().unwrap();
        for other in ["--nodes=1", "--nodes=5"] {
            let failure = of(other).check_earlier().unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains("--fresh"), "{failure}");
            assert!(failure.message.contains("--nodes 3"), "{failure}");
        }
        of("--nodes=5").prepare_directory(true).unwrap();
        of("--nodes=5").check_earlier().unwrap();
    }

    #[test]
    fn fresh_removes_only_what_dev_made() {
        let dir = tempfile::tempdir().unwrap();
        for made in ["node-1", "postgres"] {
            std::fs::create_dir(dir.path().join(made)).unwrap();
        }
        for file in ["node-1.log", "nodes.yaml", "thesis.txt", "node-notes"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        remove_earlier(dir.path()).unwrap();
        let left = std::fs::read_dir(dir.path()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["node-notes", "thesis.txt"]);
    }
}
