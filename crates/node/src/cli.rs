//! The command line: every configuration key is a flag of `serve`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, Parser, Subcommand};
use dmq_metadata::Incarnation;

use crate::config::{KEYS, Kind};

/// The DMQ metadata quorum.
#[derive(Debug, Parser)]
#[command(name = "dmq-metadata", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Start a whole quorum on this machine, one process per node, and show who leads
    Dev(DevArgs),
    /// Run one node
    Serve(ServeArgs),
    /// Write the identity of a node into an empty data directory
    Format(FormatArgs),
    /// Begin a new log history with the state of one stopped node, when a majority is lost for good
    Recover(RecoverArgs),
    /// Look at the log of a stopped node
    #[command(subcommand)]
    Log(LogCommand),
    /// Look at snapshot files
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Print the OpenAPI document of the REST interface
    Openapi,
}

/// `dev`.
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// Size of the quorum: 1, 3, 5 or 7
    #[arg(long, default_value_t = 3, value_parser = quorum_size)]
    pub nodes: u32,
    /// Brokers to play, with ids from 101; 0 for none
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=50))]
    pub brokers: u32,
    /// Where the nodes keep their data
    #[arg(long, default_value = "./data/dev")]
    pub data_dir: PathBuf,
    /// Begin with empty data directories
    #[arg(long)]
    pub fresh: bool,
    /// Keep the projections in a PostgreSQL server that is started for it, one database per node
    #[arg(long)]
    pub postgres: bool,
    /// REST port of node 1; the others follow
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65000))]
    pub rest_port: u16,
    /// gRPC port of node 1; the others follow
    #[arg(long, default_value_t = 9093, value_parser = clap::value_parser!(u16).range(1..=65000))]
    pub grpc_port: u16,
    /// Election timeout of the nodes in milliseconds
    #[arg(long, default_value_t = 1000)]
    pub election_timeout_ms: u64,
}

fn quorum_size(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(nodes @ (1 | 3 | 5 | 7)) => Ok(nodes),
        _ => Err("a quorum has 1, 3, 5 or 7 nodes".to_owned()),
    }
}

/// `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// YAML file; environment variables and flags go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Format an empty directory, and initialise the quorum when all its nodes are empty
    #[arg(long)]
    pub bootstrap: bool,
    /// Stop in order when standard input is closed: the process that started this one is gone
    #[arg(long, hide = true)]
    pub stop_when_stdin_closes: bool,
    /// The configuration keys.
    #[command(flatten)]
    pub keys: KeyFlags,
}

/// One flag for every configuration key: `--dmq.kraft.node-id=2`.
#[derive(Clone, Debug, Default)]
pub struct KeyFlags(pub Vec<(String, String)>);

impl Args for KeyFlags {
    fn augment_args(command: Command) -> Command {
        KEYS.iter().fold(command, |command, key| {
            let help = format!("{} [env: {}]", key.help, key.environment_variable());
            let value_name = match key.kind {
                Kind::Number => "NUMBER",
                Kind::Text => "TEXT",
                Kind::Nodes => "LIST",
            };
            command.arg(
                Arg::new(key.path)
                    .long(key.path)
                    .value_name(value_name)
                    .help(help)
                    .allow_hyphen_values(true)
                    .help_heading("Configuration"),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |path: &str| matches.get_one::<String>(path).cloned();
        let pair = |key: &crate::config::Key| Some((key.path.to_owned(), given(key.path)?));
        Ok(Self(KEYS.iter().filter_map(pair).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `format`: what it needs may come from the file and the environment of `serve`, too.
#[derive(Clone, Debug, Args)]
pub struct FormatArgs {
    /// The YAML file of `serve`; environment variables and flags go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The node; 1 and up [env: `DMQ_KRAFT_NODE_ID`]
    #[arg(
        long,
        alias = "dmq.kraft.node-id",
        value_name = "NUMBER",
        allow_hyphen_values = true
    )]
    pub node_id: Option<String>,
    /// In place of the node: the ordinal of its pod [env: `DMQ_KRAFT_POD_INDEX`]
    #[arg(
        long,
        alias = "dmq.kraft.pod-index",
        value_name = "NUMBER",
        allow_hyphen_values = true
    )]
    pub pod_index: Option<String>,
    /// Added to the ordinal of a pod; default 0 [env: `DMQ_KRAFT_NODE_ID_BASE`]
    #[arg(
        long,
        alias = "dmq.kraft.node-id-base",
        value_name = "NUMBER",
        allow_hyphen_values = true
    )]
    pub node_id_base: Option<String>,
    /// Name of the DMQ cluster [env: `DMQ_KRAFT_CLUSTER_ID`]
    #[arg(
        long,
        alias = "dmq.kraft.cluster.id",
        value_name = "TEXT",
        allow_hyphen_values = true
    )]
    pub cluster_id: Option<String>,
    /// Parent of the node's directory node-<id>; default ./data/raft-log [env: `DMQ_KRAFT_RAFT_LOG_DIR`]
    #[arg(
        long,
        alias = "dmq.kraft.raft.log-dir",
        value_name = "TEXT",
        allow_hyphen_values = true
    )]
    pub log_dir: Option<String>,
    /// Log history that the node belongs to, as `GET /quorum` shows it; default: the first
    #[arg(long, value_parser = incarnation, default_value = "1")]
    pub incarnation: Incarnation,
    /// Do nothing, successfully, if the directory holds this very identity already
    #[arg(long)]
    pub if_empty: bool,
}

impl FormatArgs {
    /// The flags that are configuration keys, by their paths.
    pub fn keys(&self) -> Vec<(String, String)> {
        given(&[
            ("dmq.kraft.node-id", &self.node_id),
            ("dmq.kraft.pod-index", &self.pod_index),
            ("dmq.kraft.node-id-base", &self.node_id_base),
            ("dmq.kraft.cluster.id", &self.cluster_id),
            ("dmq.kraft.raft.log-dir", &self.log_dir),
        ])
    }
}

/// `recover`: the node is named as for `format`.
#[derive(Clone, Debug, Args)]
pub struct RecoverArgs {
    /// The YAML file of `serve`; environment variables and flags go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The node that survived [env: `DMQ_KRAFT_NODE_ID`]
    #[arg(
        long,
        alias = "dmq.kraft.node-id",
        value_name = "NUMBER",
        allow_hyphen_values = true
    )]
    pub node_id: Option<String>,
    /// Parent of the node's directory node-<id>; default ./data/raft-log [env: `DMQ_KRAFT_RAFT_LOG_DIR`]
    #[arg(
        long,
        alias = "dmq.kraft.raft.log-dir",
        value_name = "TEXT",
        allow_hyphen_values = true
    )]
    pub log_dir: Option<String>,
    /// Do it, and accept that writes may be lost: the cluster id of the node's directory. Without this flag
    /// the command says what it would do, and changes nothing
    #[arg(long, value_name = "CLUSTER ID", allow_hyphen_values = true)]
    pub force_cluster_id: Option<String>,
}

impl RecoverArgs {
    /// The flags that are configuration keys, by their paths.
    pub fn keys(&self) -> Vec<(String, String)> {
        given(&[
            ("dmq.kraft.node-id", &self.node_id),
            ("dmq.kraft.raft.log-dir", &self.log_dir),
        ])
    }
}

fn given(flags: &[(&str, &Option<String>)]) -> Vec<(String, String)> {
    flags
        .iter()
        .filter_map(|(path, value)| Some(((*path).to_owned(), (*value).clone()?)))
        .collect()
}

fn incarnation(text: &str) -> Result<Incarnation, String> {
    crate::identity::parse_incarnation(text)
}

/// `log`.
#[derive(Clone, Debug, Subcommand)]
pub enum LogCommand {
    /// Check every frame of a node's log; exit code 3 if it is damaged
    Verify(DirectoryArgs),
    /// Print the log of a node, one line per record
    Dump(DirectoryArgs),
}

/// `snapshot`.
#[derive(Clone, Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Print the content of a snapshot file, or of the newest one of a node's directory
    Dump(DirectoryArgs),
}

/// A place on disk.
#[derive(Clone, Debug, Args)]
pub struct DirectoryArgs {
    /// The node's directory, `<log-dir>/node-<id>` (for `snapshot dump` also one file)
    pub path: PathBuf,
}
