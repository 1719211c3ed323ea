//! A server's processes: signals, and whether they are gone.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use super::PostgresServer;

impl PostgresServer {
    /// The server and its sessions stand still; connections stay open and get no answer.
    pub fn pause(&self) {
        if let Some(running) = &self.running {
            running.signal_all(Signal::STOP);
        }
    }

    /// They go on.
    pub fn resume(&self) {
        if let Some(running) = &self.running {
            running.signal_all(Signal::CONT);
        }
    }
}

/// The server's process, and the one that watches ours. Dropped, both end.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) server: Child,
    /// Ends the server when its standard input closes: when this process is gone, however it went.
    pub(super) watchdog: Option<Child>,
}

impl Running {
    /// Sends a signal to the server, unless it is gone: its process id may be somebody else's then.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.end_watchdog();
        if matches!(self.server.try_wait(), Ok(None)) {
            send(self.server.id(), signal);
        }
    }

    /// The server first: one that stands still starts no further session.
    fn signal_all(&self, signal: Signal) {
        let server = self.server.id();
        send(server, signal);
        for child in children_of(server) {
            send(child, signal);
        }
    }

    /// Whether the server and its `children` are gone.
    pub(super) fn is_gone(&mut self, children: &[u32]) -> std::io::Result<bool> {
        let gone = self.server.try_wait()?.is_some();
        Ok(gone && !children.iter().any(|child| is_alive(*child)))
    }

    /// The watchdog would take the server's death for ours, and its process id for the server's.
    fn end_watchdog(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.kill());
            drop(watchdog.wait());
        }
    }
}

impl Drop for Running {
    /// SIGQUIT is PostgreSQL's immediate shutdown. One that stands still would not hear it.
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            self.signal_all(Signal::CONT);
        }
        self.signal(Signal::QUIT);
        drop(self.server.wait());
    }
}

/// Sends a signal. A process that is gone already needs none.
pub(super) fn send(process: u32, signal: Signal) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(process, signal);
    }
}

/// Backends and helpers of a server, which outlive a killed one for a moment. Each leads a process
/// group of its own.
pub(super) fn children_of(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// Whether the process runs. A zombie that nobody collects does not.
fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}
