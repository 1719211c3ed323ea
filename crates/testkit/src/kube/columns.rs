//! What `kubectl get --watch` prints, and when.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::Context as _;

use super::quorum::Quorum;
use super::wait::until;

/// A running `kubectl get dmqmc <name> --watch`.
#[derive(Debug)]
pub struct Columns {
    child: Child,
    rows: Arc<Mutex<Vec<Row>>>,
}

/// One printed row.
#[derive(Clone, Debug)]
pub struct Row {
    /// When it was read.
    pub at: Instant,
    /// The same, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// Pod of the controller; empty if there is none.
    pub leader: String,
    /// Term; 0 if there is none.
    pub term: i64,
}

impl Columns {
    /// Begins to watch.
    ///
    /// # Errors
    /// If `kubectl` cannot be started.
    pub fn watch(quorum: &Quorum) -> anyhow::Result<Self> {
        let columns = "-o=custom-columns=LEADER:.status.leader.podName,TERM:.status.term";
        let mut child = Command::new("kubectl")
            .args([
                "get",
                "dmqmc",
                quorum.name(),
                "-n",
                quorum.namespace(),
                "--watch",
                "--no-headers",
                columns,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("`kubectl` cannot be started")?;
        let out = child.stdout.take().context("no pipe")?;
        let rows: Arc<Mutex<Vec<Row>>> = Arc::default();
        let kept = Arc::clone(&rows);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Row::of(&line));
            }
        });
        let columns = Self { child, rows };
        until("kubectl printed a row", || {
            Ok(columns.rows().first().map(|_| ()))
        })?;
        Ok(columns)
    }

    /// All rows so far.
    pub fn rows(&self) -> Vec<Row> {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for the first row that `is` accepts.
    ///
    /// # Errors
    /// If there never is one.
    pub fn wait_row(&self, what: &str, mut is: impl FnMut(&Row) -> bool) -> anyhow::Result<Row> {
        until(what, || Ok(self.rows().into_iter().find(|row| is(row))))
    }

    /// The different controllers in the order in which they were shown, without gaps between two.
    pub fn leaders(&self) -> Vec<(String, i64)> {
        let mut leaders: Vec<(String, i64)> = Vec::new();
        for row in self.rows().into_iter().filter(|row| !row.leader.is_empty()) {
            let next = (row.leader, row.term);
            if leaders.last() != Some(&next) {
                leaders.push(next);
            }
        }
        leaders
    }
}

impl Drop for Columns {
    fn drop(&mut self) {
        // It may have ended with its API server.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Row {
    fn of(line: &str) -> Self {
        let mut words = line
            .split_whitespace()
            .map(|word| if word == "<none>" { "" } else { word });
        let leader = words.next().unwrap_or_default().to_owned();
        let term = words
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or_default();
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self {
            at: Instant::now(),
            unix_ms,
            leader,
            term,
        }
    }
}
