//! The process that stays with a cluster: it joins this machine's loopback with the API server in the cluster's network, provides volumes,
//! and takes the cluster down when the process that it was started for is gone.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use tokio::net::TcpStream;

use super::kubectl::Kubectl;
use super::layout::{API_PORT, CONTROL_ADDRESS, Layout, text};
use super::parts::{Part, Starter};
use super::{Running, control_plane, down, namespace, parts, provisioner, wait};

/// The part's name.
pub(super) const PART: &str = "serve";

/// How often to look whether the owner is still there.
const LOOK: Duration = Duration::from_secs(1);

/// How `up` starts it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The cluster.
    #[arg(long)]
    name: String,
    /// The folder of Kubernetes' programs.
    #[arg(long)]
    bin: std::path::PathBuf,
    /// The process with which the cluster ends; it lasts until `down` if there is none.
    #[arg(long)]
    owner: Option<u32>,
}

/// Starts this program again as the one that stays, and returns once this machine reaches the API server's port.
pub(super) fn start(
    starter: &mut Starter,
    layout: &Layout,
    bin: &Path,
    owner: Option<u32>,
) -> anyhow::Result<()> {
    // Not by its path: a build may have put another file there since this program was started.
    let program = format!("/proc/{}/exe", std::process::id());
    let mut words = ["cluster", "serve", "--name", &layout.name, "--bin"]
        .map(str::to_owned)
        .to_vec();
    words.push(text(bin));
    if let Some(owner) = owner {
        words.extend(["--owner".to_owned(), owner.to_string()]);
    }
    starter.start(None, &Part::new(PART, &program, &words))?;
    wait::until("the forwarded port", wait::LIMIT, || {
        starter.check()?;
        Ok(layout.port_file().exists())
    })?;
    let port = fs::read_to_string(layout.port_file())?;
    control_plane::write_user_config(layout, port.trim().parse()?)
}

/// Does the work until it is ended.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let layout = layout_of_parent(&options.name)?;
    let control = parts::pid_of(&layout, namespace::CONTROL).context("the cluster is gone")?;
    let listener = TcpListener::bind("127.0.0.1:0").context("no port on the loopback")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        if let Err(error) = namespace::inside(control, move || forward(listener)) {
            eprintln!("forwarding: {error:#}");
            std::process::exit(1);
        }
    });
    let written = layout.run.join("port.new");
    fs::write(&written, format!("{port}\n"))?;
    fs::rename(written, layout.port_file())?;
    let kubectl = Kubectl::of(&Running {
        kubeconfig: layout.kubeconfig(),
        bin: options.bin.clone(),
    });
    let (of, to) = (layout.clone(), kubectl);
    thread::spawn(move || {
        let ready = || Ok(of.kubeconfig().exists());
        if wait::until("the kubeconfig", wait::LIMIT, ready).is_ok() {
            provisioner::run(&of, &to);
        }
    });
    stay(&layout, options.owner)
}

/// `up` runs this program with another home, so the folder comes from the environment that every part has.
fn layout_of_parent(name: &str) -> anyhow::Result<Layout> {
    let run = parts::own_cluster().context("`cluster serve` is started by `cluster up` only")?;
    ensure!(run.ends_with(name), "{} is not {name}", run.display());
    Ok(Layout {
        name: name.to_owned(),
        run,
    })
}

/// Returns when the cluster has to end.
fn stay(layout: &Layout, owner: Option<u32>) -> anyhow::Result<()> {
    let born = owner.and_then(parts::birth);
    loop {
        thread::sleep(LOOK);
        if owner.is_some_and(|owner| parts::birth(owner) != born) {
            eprintln!("the process that this cluster was started for is gone");
            return down::remove(layout);
        }
    }
}

/// Joins every connection of `listener`, which belongs to this machine's network, with a new one to the API server, which
/// belongs to the network of the thread that this runs on.
fn forward(listener: TcpListener) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio::spawn(join(client));
        }
    })
}

/// Either side may end it; there is nobody to tell but the other side.
async fn join(mut client: TcpStream) {
    let Ok(mut server) = TcpStream::connect((CONTROL_ADDRESS, API_PORT)).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
