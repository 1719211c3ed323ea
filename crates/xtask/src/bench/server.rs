//! Server processes of a measurement: started with their output in a file, ended when dropped.

use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to do what is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A child that is killed when it is dropped.
pub(super) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, its output in `log`.
    pub(super) fn start(mut command: Command, log: PathBuf) -> anyhow::Result<Self> {
        let out = File::options().create(true).append(true).open(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until the process is gone.
    pub(super) fn wait(&mut self) -> anyhow::Result<()> {
        self.child.wait()?;
        Ok(())
    }

    /// Fails with the end of its log if the process is gone.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        bail!("the server ended ({status}):\n{}", tail(&self.log))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Below the range from which the system takes the ports of outgoing connections, so that a port stays free while its
/// server is down.
const PORTS: Range<u16> = 15_000..30_000;

/// Ports of the loopback interface that nobody listens on now.
pub(super) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    static DRAWN: AtomicU16 = AtomicU16::new(0);
    let mut ports = [0; N];
    for port in &mut ports {
        *port = (0..PORTS.len())
            .map(|_| {
                PORTS.start + DRAWN.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start)
            })
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .context("no free port")?;
    }
    Ok(ports)
}

/// Asks `probe` again and again until it has an answer; `what` names it in the error.
pub(super) async fn wait_for<T>(
    what: &str,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if started.elapsed() > PATIENCE {
            bail!("waited {} s in vain: {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
