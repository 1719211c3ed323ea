//! The log writer: groups the driver's durable writes into frames, one sync each (DESIGN 6.2).

use dmq_log::{Disk, IoFailure, Log, LogError, crash_point};
use dmq_raft::{IoSeq, LogIndex, Persist};

use crate::mutant;
use crate::{LogInput, LogOutput};

/// Ticks without a write after which an empty frame confirms the last one.
const IDLE_TICKS: u32 = 5;
/// Ticks between two attempts to get space.
const SPACE_RETRY_TICKS: u32 = 50;

/// The part of a member that owns the log file.
pub struct LogWriter<D: Disk> {
    log: Log<D>,
    /// Writes that wait for space, in order.
    pending: Vec<Persist>,
    no_space: bool,
    quiet_ticks: u32,
    /// An empty frame is still to follow the last write.
    unconfirmed: bool,
    failed: bool,
}

impl<D: Disk> LogWriter<D> {
    /// A writer for a log that was opened.
    pub fn new(log: Log<D>) -> Self {
        Self {
            log,
            pending: Vec::new(),
            no_space: false,
            quiet_ticks: 0,
            unconfirmed: false,
            failed: false,
        }
    }

    /// Takes all that is queued and does it: every write of the call becomes part of one frame. What
    /// is reported durable is on disk.
    pub fn run(&mut self, inputs: impl IntoIterator<Item = LogInput>) -> Vec<LogOutput> {
        let mut ticks = 0;
        let mut purge = None;
        for input in inputs {
            match input {
                LogInput::Persist(persist) => self.pending.push(persist),
                LogInput::Purge(up_to) => purge = purge.max(Some(up_to)),
                LogInput::Tick => ticks += 1,
            }
        }
        let mut out = Vec::new();
        self.quiet_ticks += ticks;
        self.write(&mut out);
        self.purge(purge, &mut out);
        self.idle(&mut out);
        out
    }

    /// An orderly stop: an empty frame confirms the last write.
    pub fn close(mut self) -> Result<(), LogError> {
        self.log.close()
    }

    fn write(&mut self, out: &mut Vec<LogOutput>) {
        let waits = self.no_space && self.quiet_ticks < SPACE_RETRY_TICKS;
        let Some(last) = self.pending.last().map(|persist| persist.io) else {
            return;
        };
        if self.failed || waits {
            return;
        }
        self.quiet_ticks = 0;
        match self.append() {
            Ok(()) => self.written(last, out),
            Err(LogError::NoSpace { .. }) if mutant::is("no-space-taken-for-done") => {
                self.written(last, out);
            }
            Err(LogError::NoSpace { .. }) => {
                if !std::mem::replace(&mut self.no_space, true) {
                    out.push(LogOutput::NoSpace(true));
                }
            }
            Err(error) => self.fail(&error, out),
        }
    }

    /// One group commit. A start point, which follows a snapshot that was received, is a step of its own.
    fn append(&mut self) -> Result<(), LogError> {
        let has_start = self.pending.iter().any(|persist| persist.start.is_some());
        let reach = |point| {
            let failed = |error| LogError::Fatal(IoFailure::of_point(point, &error));
            crash_point::reach(point).map_err(failed)
        };
        if has_start {
            reach("start-point-begun")?;
        }
        self.log.append(&self.pending)?;
        if has_start {
            reach("start-point-durable")?;
        }
        Ok(())
    }

    fn written(&mut self, last: IoSeq, out: &mut Vec<LogOutput>) {
        self.pending.clear();
        self.unconfirmed = true;
        if std::mem::take(&mut self.no_space) {
            out.push(LogOutput::NoSpace(false));
        }
        out.push(LogOutput::Persisted(last));
    }

    fn purge(&mut self, up_to: Option<LogIndex>, out: &mut Vec<LogOutput>) {
        let Some(up_to) = up_to.filter(|_| !self.failed) else {
            return;
        };
        match self.log.purge(up_to) {
            Ok(start) => out.push(LogOutput::Purged(start)),
            Err(error) => self.fail(&error, out),
        }
    }

    fn idle(&mut self, out: &mut Vec<LogOutput>) {
        let due = self.unconfirmed && self.quiet_ticks >= IDLE_TICKS;
        if self.failed || !due || !self.pending.is_empty() {
            return;
        }
        self.unconfirmed = false;
        match self.log.idle() {
            // The empty frame only narrows a window; it may wait for space like any other.
            Ok(()) | Err(LogError::NoSpace { .. }) => {}
            Err(error) => self.fail(&error, out),
        }
    }

    fn fail(&mut self, error: &LogError, out: &mut Vec<LogOutput>) {
        self.failed = true;
        out.push(LogOutput::Fatal(error.to_string()));
    }
}
