//! `bench failover`: how long writes stand still when the controller is killed, and when it is told to stop.
//!
//! The load is an open loop: every 10 ms one write to each node, whether or not earlier ones were answered. The gap is
//! the time from the signal to the first write that a survivor accepts.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use http::Method;
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::disk;
use super::http::once;
use super::ours::{self, NODES, PREFIX, Quorum};
use super::server::wait_for;
use super::table::{middle, milliseconds};
use crate::process::say;

/// Between two writes to one node.
const INTERVAL: Duration = Duration::from_millis(10);

/// How many signals of each kind.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Kills, and as many stops.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Folder for all data, on the disk that is to be measured.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// One write of the open loop.
#[derive(Debug, Clone, Copy)]
struct Write {
    node: usize,
    sent: Instant,
    answered: Instant,
    accepted: bool,
}

/// What one signal did.
#[derive(Debug, Clone, Copy)]
struct Outage {
    gap: Duration,
    /// The longest that a write which was in flight at the signal, or sent in the gap, waited for any answer.
    longest_wait: Duration,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    let folder = disk::folder(options.dir.as_deref())?;
    let mut quorum = Quorum::start(folder.path().to_path_buf(), Vec::new())?;
    let controller = quorum.controller().await?;
    ours::play_brokers(quorum.rest_port(controller)).await?;
    let mut text = String::from(
        "| signal | trials | min | median | max | longest wait of a client |\n|---|---|---|---|---|---|\n",
    );
    for (name, signal) in [("SIGKILL", Signal::KILL), ("SIGTERM", Signal::TERM)] {
        let mut outages = Vec::new();
        for round in 1..=options.rounds {
            let outage = trial(&mut quorum, signal).await?;
            say(&format!(
                "{name} {round}: gap {:?}, longest wait {:?}",
                outage.gap, outage.longest_wait
            ));
            outages.push(outage);
        }
        text += &row(name, &outages);
    }
    say(&format!(
        "\nElection timeout 1000 ms, heartbeats 150 ms (the defaults).\n\n{text}"
    ));
    Ok(())
}

fn row(name: &str, outages: &[Outage]) -> String {
    let gaps = || outages.iter().map(|outage| outage.gap);
    let longest = outages.iter().map(|outage| outage.longest_wait).max();
    format!(
        "| {name} | {} | {} | {} | {} | {} |\n",
        outages.len(),
        milliseconds(gaps().min().unwrap_or_default()),
        milliseconds(middle(gaps())),
        milliseconds(gaps().max().unwrap_or_default()),
        milliseconds(longest.unwrap_or_default())
    )
}

/// Signals the controller under load and brings it back.
async fn trial(quorum: &mut Quorum, signal: Signal) -> anyhow::Result<Outage> {
    let victim = quorum.controller().await?;
    let load = Load::start((0..NODES).map(|node| quorum.rest_port(node)).collect());
    load.wait_until_accepted(|write| write.node == victim)
        .await?;
    let signalled = Instant::now();
    quorum.signal(victim, signal)?;
    load.wait_until_accepted(|write| write.node != victim)
        .await?;
    let writes = load.stop().await;
    quorum.restart(victim).await?;
    outage(&writes, victim, signalled)
}

/// The gap ends with the first write that a survivor accepted; what the old controller still accepts while it stops
/// does not count.
fn outage(writes: &[Write], victim: usize, signalled: Instant) -> anyhow::Result<Outage> {
    let recovered = writes
        .iter()
        .filter(|write| write.accepted && write.node != victim)
        .map(|write| write.answered)
        .min();
    let Some(recovered) = recovered else {
        bail!("no write was accepted after the signal")
    };
    let waits = writes
        .iter()
        .filter(|write| write.answered >= signalled && write.sent <= recovered)
        .map(|write| write.answered - write.sent.max(signalled));
    Ok(Outage {
        gap: recovered - signalled,
        longest_wait: waits.max().unwrap_or_default(),
    })
}

/// Writers that send on time whatever becomes of their writes.
struct Load {
    writes: Rc<RefCell<Vec<Write>>>,
    tasks: JoinSet<()>,
}

impl Load {
    fn start(ports: Vec<u16>) -> Self {
        let writes = Rc::new(RefCell::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for (node, port) in ports.into_iter().enumerate() {
            tasks.spawn_local(open_loop(node, port, Rc::clone(&writes)));
        }
        Self { writes, tasks }
    }

    async fn wait_until_accepted(&self, by: impl Fn(&Write) -> bool) -> anyhow::Result<()> {
        wait_for("a write is accepted", async || {
            let writes = self.writes.borrow();
            Ok(writes
                .iter()
                .any(|write| write.accepted && by(write))
                .then_some(()))
        })
        .await
    }

    /// Ends the load; what is in flight is given up.
    async fn stop(mut self) -> Vec<Write> {
        self.tasks.shutdown().await;
        self.writes.take()
    }
}

async fn open_loop(node: usize, port: u16, writes: Rc<RefCell<Vec<Write>>>) {
    let mut clock = tokio::time::interval(INTERVAL);
    let mut in_flight = JoinSet::new();
    loop {
        clock.tick().await;
        let writes = Rc::clone(&writes);
        in_flight.spawn_local(async move {
            let sent = Instant::now();
            let accepted = write(port).await;
            writes.borrow_mut().push(Write {
                node,
                sent,
                answered: Instant::now(),
                accepted,
            });
        });
        while in_flight.try_join_next().is_some() {}
    }
}

/// A topic that is made anew each time.
async fn write(port: u16) -> bool {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let name = NAMES.fetch_add(1, Ordering::Relaxed);
    let body =
        format!(r#"{{"topicName":"failover-{name}","numPartitions":1,"replicationFactor":1}}"#);
    let answer = once(port, Method::POST, &format!("{PREFIX}/topics"), body).await;
    answer.is_ok_and(|answer| answer.status.is_success())
}
