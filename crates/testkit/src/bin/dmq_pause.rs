//! `dmq-pause`: the process that holds a pod's namespaces on a node without a registry. It waits for a signal and reaps children.

use std::process::ExitCode;

use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};

/// Takes no arguments: whoever gives it some means another program, and is told so by exit code 1.
fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(pause())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Returns at the first request to stop. Process 1 of a shared namespace inherits the orphans of all containers.
async fn pause() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut child = signal(SignalKind::child())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = child.recv() => reap(),
        }
    }
}

/// Takes the exit codes of all children that have ended; one signal may stand for several of them.
fn reap() {
    while wait(WaitOptions::NOHANG).is_ok_and(|ended| ended.is_some()) {}
}
