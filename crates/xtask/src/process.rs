//! Child processes whose output a person can follow: every line is passed on at once, and silence is broken by a heartbeat.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a child may be silent before a line says that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How a child ended.
pub(crate) enum End {
    /// By itself, with this status.
    Exited(ExitStatus),
    /// It was killed with its whole process group because it passed its limit.
    TimedOut,
}

impl End {
    /// `true` for exit code 0.
    pub(crate) fn success(&self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

/// Runs a command to its end and fails unless it succeeded.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    let label = describe(&command);
    if stream(command, None, &mut |_| ())?.success() {
        return Ok(());
    }
    bail!("`{label}` failed")
}

/// Runs a command, passes its lines on, shows each line of its standard output to `on_line`, and kills it at `limit`.
pub(crate) fn stream(
    mut command: Command,
    limit: Option<Duration>,
    on_line: &mut dyn FnMut(&str),
) -> anyhow::Result<End> {
    let label = describe(&command);
    eprintln!("$ {label}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start `{label}`"))?;
    interrupt::watch(&child);
    let lines = follow(&mut child);
    let end = pass_on(&mut child, &lines, &label, limit, on_line);
    interrupt::forget();
    end
}

/// The child has a process group of its own, which Ctrl-C at the terminal does not reach by itself.
mod interrupt {
    use std::process::Child;
    use std::sync::{Mutex, Once, PoisonError};

    use rustix::process::Pid;

    static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);
    static LISTENER: Once = Once::new();

    pub(super) fn watch(child: &Child) {
        set(super::group_of(child));
        LISTENER.call_once(|| {
            std::thread::spawn(listen);
        });
    }

    pub(super) fn forget() {
        set(None);
    }

    fn set(group: Option<Pid>) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = group;
    }

    fn listen() {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            return;
        };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            let running = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            super::kill_group(running);
            std::process::exit(130);
        }
    }
}

/// A line of a child: standard output is shown to the caller, standard error only passed on.
enum Line {
    Out(String),
    Err(String),
}

fn follow(child: &mut Child) -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        pump(out, sender.clone(), Line::Out);
    }
    if let Some(err) = child.stderr.take() {
        pump(err, sender, Line::Err);
    }
    receiver
}

fn pump(from: impl Read + Send + 'static, to: mpsc::Sender<Line>, wrap: fn(String) -> Line) {
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut raw = Vec::new();
        while reader
            .read_until(b'\n', &mut raw)
            .is_ok_and(|read| read > 0)
        {
            let line = String::from_utf8_lossy(&raw).trim_end().to_owned();
            if to.send(wrap(line)).is_err() {
                return;
            }
            raw.clear();
        }
    });
}

fn pass_on(
    child: &mut Child,
    lines: &mpsc::Receiver<Line>,
    label: &str,
    limit: Option<Duration>,
    on_line: &mut dyn FnMut(&str),
) -> anyhow::Result<End> {
    let started = Instant::now();
    loop {
        match lines.recv_timeout(HEARTBEAT.min(remaining(started, limit))) {
            Ok(Line::Out(line)) => {
                say(&line);
                on_line(&line);
            }
            Ok(Line::Err(line)) => eprintln!("{line}"),
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Exited(child.wait()?)),
            Err(RecvTimeoutError::Timeout) if remaining(started, limit).is_zero() => {
                kill_group(group_of(child));
                child.wait()?;
                return Ok(End::TimedOut);
            }
            Err(RecvTimeoutError::Timeout) => {
                eprintln!(
                    "... `{label}` still runs after {} s",
                    started.elapsed().as_secs()
                );
            }
        }
    }
}

fn remaining(started: Instant, limit: Option<Duration>) -> Duration {
    limit.map_or(HEARTBEAT, |limit| limit.saturating_sub(started.elapsed()))
}

/// The group, because tests start servers that would otherwise outlive them.
fn kill_group(group: Option<Pid>) {
    if let Some(group) = group {
        // A group that is gone already needs no kill.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn group_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id().cast_signed())
}

/// Runs a command silently and returns its standard output, or its standard error as the error.
pub(crate) fn output(mut command: Command) -> anyhow::Result<String> {
    let label = describe(&command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{label}`"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("`{label}` failed ({}): {}", output.status, text.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Prints one line and flushes it, since nobody watches a buffered pipe.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut text = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
