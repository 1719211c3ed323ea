//! When the process is asked to stop: SIGTERM, SIGINT, or the end of `dev` that started it.

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Failure};

/// SIGTERM and SIGINT from the moment at which this was made: none that comes later is lost.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Handles both signals from now on.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::failed(format!("no signal handlers: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Ends with the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Does `work`, which blocks, unless the process is asked to stop before it is done. The first process of a container is not
/// ended by a signal that it does not listen to. `work` is then cut off wherever it is, as by a crash.
pub async fn unless_stopped(
    work: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        done = tokio::task::spawn_blocking(work) => {
            done.map_err(|error| Failure::new(Exit::Defect, error))?
        }
        () = signals.next() => Err(Failure::failed("asked to stop before it was done")),
    }
}

/// Ends when standard input is closed.
pub async fn stdin_closed() {
    let mut input = tokio::io::stdin();
    let mut rest = [0; 64];
    while matches!(input.read(&mut rest).await, Ok(read) if read > 0) {}
}
