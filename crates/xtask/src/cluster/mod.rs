//! `cluster`: a real Kubernetes on this machine with our images on its nodes, and its end without a trace.

mod binaries;
mod cgroup;
mod config;
mod control_plane;
mod down;
mod images;
mod kind;
mod kubectl;
mod layout;
mod local;
mod machine;
mod namespace;
mod node;
mod owner;
mod parts;
mod provisioner;
mod ready;
mod serve;
mod wait;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::process::say;
use layout::{Layout, MOST_NODES};

/// What to do with a cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts a cluster with our images, or brings changed images onto a running one; prints what a shell needs.
    Up(Options),
    /// Ends a cluster and removes all of it.
    Down {
        /// The cluster's name.
        #[arg(long, default_value = DEFAULT_NAME)]
        name: String,
    },
    /// The process that stays with a cluster; `up` starts it.
    #[command(hide = true)]
    Serve(serve::Options),
    /// The process that takes a cluster of `kind` down when the one that it was made for is gone; `up` starts it.
    #[command(hide = true)]
    Watch {
        #[arg(long)]
        name: String,
        #[arg(long)]
        owner: u32,
    },
}

const DEFAULT_NAME: &str = "dmq";

/// Which cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Nodes that take pods, one in each of the zones a, b and c.
    #[arg(long, default_value_t = MOST_NODES, value_parser = clap::value_parser!(u8).range(1..=i64::from(MOST_NODES)))]
    pub(crate) nodes: u8,
    /// Processes of this machine (Linux, root), or containers of Docker through `kind`. Without it: `local` for root, `kind` for
    /// others where it is installed.
    #[arg(long, value_enum)]
    pub(crate) provider: Option<Provider>,
    /// Tells several clusters of one machine apart.
    #[arg(long, default_value = DEFAULT_NAME)]
    pub(crate) name: String,
    /// Load the images as an earlier build left them, without building.
    #[arg(long)]
    pub(crate) kept_images: bool,
    /// The process with which the cluster ends, instead of with `down`.
    #[arg(long, hide = true)]
    pub(crate) owner: Option<u32>,
}

/// What a cluster is made of. No test knows on which it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// Processes in namespaces of their own, built from published modules.
    Local,
    /// Containers of Docker, made by `kind`.
    Kind,
}

impl Provider {
    /// What suits this user and machine. Where neither does, the first says why.
    fn choose(root: bool, has_kind: bool) -> Self {
        if !root && has_kind {
            Self::Kind
        } else {
            Self::Local
        }
    }

    fn of_this_machine() -> Self {
        let root = rustix::process::geteuid().is_root();
        Self::choose(root, crate::apt::on_path("kind").is_some())
    }
}

/// A cluster that is ready.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// For `KUBECONFIG`.
    pub(crate) kubeconfig: PathBuf,
    /// The folder of `kubectl` and `helm`, for `PATH`.
    pub(crate) bin: PathBuf,
}

/// Does what the command line says.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(options) => {
            let running = up(&options)?;
            say(&format!(
                "export KUBECONFIG={}",
                running.kubeconfig.display()
            ));
            say(&format!("export PATH={}:$PATH", running.bin.display()));
            Ok(())
        }
        Command::Down { name } => down(&name),
        Command::Serve(options) => serve::run(&options),
        Command::Watch { name, owner } => kind::stay(&Layout::of(&name)?, owner),
    }
}

/// Starts the cluster or finds it running; ready for pods on return.
pub(crate) fn up(options: &Options) -> anyhow::Result<Running> {
    let layout = Layout::of(&options.name)?;
    owner::sweep();
    let provider = options.provider.unwrap_or_else(Provider::of_this_machine);
    anyhow::ensure!(
        !layout.run.exists() || kind::made(&layout) == (provider == Provider::Kind),
        "cluster `{0}` was made by another provider: `cargo xtask cluster down --name {0}` first",
        options.name
    );
    match provider {
        Provider::Local => local::up(&layout, options),
        Provider::Kind => kind::up(&layout, options),
    }
}

/// Ends the cluster and removes all of it. One that is not there is fine.
pub(crate) fn down(name: &str) -> anyhow::Result<()> {
    let layout = Layout::of(name)?;
    if kind::made(&layout) {
        return kind::down(&layout);
    }
    let _turn = local::take_turn()?;
    if down::anything(&layout) {
        down::remove(&layout)?;
        say(&format!("cluster `{name}` is gone"));
    } else {
        say(&format!("there is no cluster `{name}`"));
    }
    Ok(())
}

/// The folder of the `helm` that the charts are tested with, built if it is missing.
pub(crate) fn helm() -> anyhow::Result<PathBuf> {
    binaries::provide(&["helm"])
}

/// That `helm`, if it was built before.
pub(crate) fn built_helm() -> Option<PathBuf> {
    binaries::built("helm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_needs_no_docker_and_others_need_kind() {
        assert_eq!(Provider::choose(true, true), Provider::Local);
        assert_eq!(Provider::choose(false, true), Provider::Kind);
        assert_eq!(Provider::choose(false, false), Provider::Local);
    }
}
