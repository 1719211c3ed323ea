//! The processes of the nodes: started, noticed when they die, brought back, stopped in order.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::plan::{NodePlan, Plan};
use crate::exit::Failure;

/// A node that was told to stop gets this long: transfer, linger and flush of DESIGN 6.9, with room.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// What is known of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// It runs.
    Running {
        /// Its process id.
        pid: u32,
    },
    /// It ended.
    Ended {
        /// How, for people.
        how: String,
    },
}

/// All node processes.
pub(super) struct Children {
    plan: Plan,
    program: PathBuf,
    nodes: Vec<(NodePlan, State)>,
}

enum State {
    Running(Child),
    Ended(String),
}

impl Children {
    /// Nothing is started yet.
    pub(super) fn new(plan: Plan) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::failed)?;
        let nodes = plan
            .nodes
            .iter()
            .map(|node| (node.clone(), State::Ended("not started".to_owned())))
            .collect();
        Ok(Self {
            plan,
            program,
            nodes,
        })
    }

    /// Starts every node.
    pub(super) fn start_all(&mut self) -> Result<(), Failure> {
        for (node, state) in &mut self.nodes {
            let child = start(&self.program, &self.plan, node).map_err(|error| {
                Failure::failed(format!("cannot start node {}: {error}", node.id))
            })?;
            *state = State::Running(child);
        }
        Ok(())
    }

    /// Reaps processes that ended, and tells how all are.
    pub(super) fn look(&mut self) -> Vec<Process> {
        for (_, state) in &mut self.nodes {
            if let State::Running(child) = state
                && let Ok(Some(status)) = child.try_wait()
            {
                *state = State::Ended(describe(status));
            }
        }
        self.nodes
            .iter()
            .map(|(_, state)| state.process())
            .collect()
    }

    /// Starts nodes that have ended: the one named, or all. Returns what to tell the user.
    pub(super) fn bring_back(&mut self, wanted: Option<u32>) -> Vec<String> {
        let mut notes = Vec::new();
        for (node, state) in &mut self.nodes {
            let named = wanted.is_none_or(|wanted| wanted == node.id);
            if named && matches!(state, State::Ended(_)) {
                notes.push(match start(&self.program, &self.plan, node) {
                    Ok(child) => {
                        *state = State::Running(child);
                        format!("node {} is started again", node.id)
                    }
                    Err(error) => format!("node {} cannot be started: {error}", node.id),
                });
            }
        }
        if notes.is_empty() {
            notes.push("no such node is down".to_owned());
        }
        notes
    }

    /// Kills a node as `kill -9` would. Returns what to tell the user.
    pub(super) fn kill(&mut self, wanted: Option<u32>) -> Vec<String> {
        let found = self
            .nodes
            .iter_mut()
            .find(|(node, _)| Some(node.id) == wanted);
        let note = match found {
            Some((node, State::Running(child))) => match child.start_kill() {
                Ok(()) => format!("node {} gets kill -9", node.id),
                Err(error) => format!("node {} cannot be killed: {error}", node.id),
            },
            Some((node, State::Ended(_))) => format!("node {} is down already", node.id),
            None => "there is no such node".to_owned(),
        };
        vec![note]
    }

    /// Stops all nodes in order; one that does not end in time is killed.
    pub(super) async fn stop_all(&mut self) {
        for (_, state) in &self.nodes {
            if let State::Running(child) = state {
                terminate(child);
            }
        }
        for (_, state) in &mut self.nodes {
            if let State::Running(child) = state
                && tokio::time::timeout(STOP_TIMEOUT, child.wait())
                    .await
                    .is_err()
            {
                drop(child.kill().await);
            }
        }
    }
}

impl State {
    fn process(&self) -> Process {
        match self {
            Self::Running(child) => Process::Running {
                pid: child.id().unwrap_or_default(),
            },
            Self::Ended(how) => Process::Ended { how: how.clone() },
        }
    }
}

/// The process group of its own keeps Ctrl-C away from the node: `dev` stops it. The pipe on its standard
/// input tells it when `dev` is gone, however that ended.
fn start(program: &PathBuf, plan: &Plan, node: &NodePlan) -> std::io::Result<Child> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(plan.log_file(node.id))?;
    Command::new(program)
        .args(plan.arguments(node))
        .arg("--stop-when-stdin-closes")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn terminate(child: &Child) {
    let pid = child
        .id()
        .and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "killed (kill -9)".to_owned(),
        (Some(signal), _) => format!("ended by signal {signal}"),
        (None, Some(0)) => "stopped".to_owned(),
        (None, Some(code)) => format!("ended with exit code {code}, see its log"),
        (None, None) => "ended".to_owned(),
    }
}
