//! Makes a fault happen, and undoes it.

use std::process::Command;

use anyhow::{bail, ensure};

use super::databases::Frozen;
use super::fault::Fault;
use super::members;
use super::network::Network;
use super::plan::{Step, Victim};
use super::rules::Rules;
use super::stage::Stage;
use crate::harness::Process;

/// What must be undone.
#[derive(Debug)]
pub enum Struck {
    /// The rules of the network.
    Network,
    /// These nodes are down.
    Down(Vec<u32>),
    /// This node stands still.
    Paused(u32),
    /// This node's disk is full.
    Full(u32),
    /// This node's syncs are held up, by a program that follows its system calls.
    Slow(Process),
    /// The database servers are down.
    DatabasesDown,
    /// The databases stand still.
    DatabasesFrozen(Frozen),
    /// The guest runs on, as a node that was removed.
    Guest,
    /// Nothing: it is over.
    Over,
}

/// The node that a step is for, now that we can know who leads.
pub async fn victim(stage: &mut Stage, step: &Step) -> anyhow::Result<u32> {
    let controller = stage.quorum.controller().await?;
    Ok(match step.victim {
        Victim::Controller => controller,
        Victim::Follower(number) => {
            let others = stage.quorum.others(controller);
            others[number % others.len()]
        }
    })
}

/// Makes the fault of a step happen to `node`.
pub async fn strike(stage: &mut Stage, fault: Fault, node: u32) -> anyhow::Result<Struck> {
    if let Some(rules) = rules(fault, stage.nodes(), node) {
        stage.network.set(rules)?;
        return Ok(Struck::Network);
    }
    match fault {
        Fault::Kill => kill(stage, vec![node]),
        Fault::KillAll => kill(stage, stage.ids()),
        Fault::Pause => {
            stage.quorum.node(node)?.pause()?;
            Ok(Struck::Paused(node))
        }
        Fault::DiskFull => {
            stage.volume(node).fill()?;
            Ok(Struck::Full(node))
        }
        Fault::SlowDisk => Ok(Struck::Slow(slow_down(stage, node)?)),
        Fault::DatabaseKilled => {
            stage.databases.kill().await?;
            Ok(Struck::DatabasesDown)
        }
        Fault::DatabaseEmptied => {
            stage.databases.empty(&mut stage.quorum, node)?;
            Ok(Struck::Over)
        }
        Fault::DatabaseSlow => {
            let frozen = stage.databases.freeze(&stage.quorum, &stage.ids())?;
            Ok(Struck::DatabasesFrozen(frozen))
        }
        Fault::RollingRestart => restart_all(stage).await,
        Fault::Membership => {
            members::exchange(stage, node).await?;
            Ok(Struck::Guest)
        }
        Fault::Wiped => {
            members::replace(stage, node).await?;
            Ok(Struck::Over)
        }
        Fault::CutOff
        | Fault::Mute
        | Fault::Deaf
        | Fault::Bridge
        | Fault::Ring
        | Fault::Loss
        | Fault::Delay => bail!("{fault} is made of rules"),
    }
}

/// Whether it has reached what it was meant for: a fault that nobody meets tests nothing.
pub async fn bites(stage: &mut Stage, struck: &mut Struck) -> anyhow::Result<bool> {
    match struck {
        Struck::Network => Ok(Network::met()? > 0),
        Struck::Full(id) => {
            let answer = stage.quorum.rest(*id)?.get("/controller").await?;
            let alarms = answer.json["alarms"].as_array();
            Ok(alarms.is_some_and(|alarms| alarms.iter().any(|alarm| alarm == "NO_SPACE")))
        }
        Struck::Slow(tracer) => {
            ensure!(
                tracer.ended()?.is_none(),
                "strace ended: {}",
                tracer.output()
            );
            Ok(true)
        }
        Struck::Down(_)
        | Struck::Paused(_)
        | Struck::DatabasesDown
        | Struck::DatabasesFrozen(_)
        | Struck::Guest
        | Struck::Over => Ok(true),
    }
}

/// Undoes it.
pub async fn heal(stage: &mut Stage, struck: Struck) -> anyhow::Result<()> {
    match struck {
        Struck::Network => stage.network.heal(),
        Struck::Down(ids) => start(stage, &ids),
        Struck::Paused(id) => stage.quorum.node(id)?.resume(),
        Struck::Full(id) => stage.volume(id).free(),
        Struck::Slow(tracer) => end_tracer(tracer).await,
        Struck::DatabasesDown => stage.databases.restart().await,
        Struck::DatabasesFrozen(frozen) => {
            stage.databases.thaw(frozen);
            Ok(())
        }
        Struck::Guest => members::dismiss(stage),
        Struck::Over => Ok(()),
    }
}

fn rules(fault: Fault, nodes: u32, node: u32) -> Option<Rules> {
    match fault {
        Fault::CutOff => Some(Rules::cut_off(nodes, &[node])),
        Fault::Mute => Some(Rules::mute(nodes, node)),
        Fault::Deaf => Some(Rules::deaf(nodes, node)),
        Fault::Bridge => Some(Rules::bridge(nodes, node)),
        Fault::Ring => Some(Rules::ring(nodes)),
        Fault::Loss => Some(Rules::lossy(nodes, node)),
        Fault::Delay => Some(Rules::delayed(nodes)),
        _ => None,
    }
}

fn kill(stage: &mut Stage, ids: Vec<u32>) -> anyhow::Result<Struck> {
    for &id in &ids {
        stage.quorum.node(id)?.kill()?;
    }
    Ok(Struck::Down(ids))
}

fn start(stage: &mut Stage, ids: &[u32]) -> anyhow::Result<()> {
    ids.iter()
        .try_for_each(|id| stage.quorum.node(*id)?.start())
}

/// `strace` holds up the thread that syncs, and no other.
fn slow_down(stage: &mut Stage, node: u32) -> anyhow::Result<Process> {
    let pid = stage.quorum.node(node)?.pid()?;
    let mut strace = Command::new("strace");
    strace
        .args([
            "-qq",
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=fsync,fdatasync",
        ])
        .args(["-e", "inject=fsync,fdatasync:delay_enter=500ms"])
        .args(["-p", &pid.to_string()]);
    let log = stage.quorum.folder().join("strace.log");
    Process::start(&mut strace, log)
}

/// Let go in order: every thread runs on.
async fn end_tracer(mut tracer: Process) -> anyhow::Result<()> {
    tracer.signal(rustix::process::Signal::TERM)?;
    tracer.wait().await.map(drop)
}

async fn restart_all(stage: &mut Stage) -> anyhow::Result<Struck> {
    for id in stage.ids() {
        let node = stage.quorum.node(id)?;
        let status = node.stop().await?;
        ensure!(
            status.success(),
            "node {id} was asked to stop and ended with {status}"
        );
        node.start()?;
        node.wait_until_ready().await?;
        // Ready says that it has caught up; the next one stops only when this one follows.
        stage.quorum.controller().await?;
    }
    Ok(Struck::Over)
}
