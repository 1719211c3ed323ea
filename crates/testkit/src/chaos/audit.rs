//! The evidence: the committed log of a run, gathered while it lasts since old entries are purged all the time, and in the end
//! everything that clients saw held against it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use dmq_metadata::ClusterId;

use super::operation::Operation;
use super::stage::{CLUSTER, Stage};
use crate::checkers::{SeenLogs, judge};

/// Between two readings of a log. Every node's turn comes long before it purges what it has just written.
const PAUSE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);

/// How long the search for an order that explains the answers may take.
const SEARCH: Duration = Duration::from_mins(1);

/// Reads the logs of running nodes again and again.
#[derive(Debug)]
pub(super) struct Auditor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<SeenLogs>>,
}

impl Auditor {
    /// Begins to read these data directories, some of which may not be there all the time.
    pub(super) fn start(directories: Vec<PathBuf>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || read(&directories, &stopped));
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Everything that was read.
    pub(super) fn finish(mut self) -> anyhow::Result<SeenLogs> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or_else(|| anyhow!("no thread"))?;
        thread.join().map_err(|_| anyhow!("the auditor panicked"))
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn read(directories: &[PathBuf], stopped: &AtomicBool) -> SeenLogs {
    let mut log = SeenLogs::default();
    while !stopped.load(Ordering::Relaxed) {
        for directory in directories {
            log.absorb(directory);
            pause(stopped);
        }
    }
    log
}

fn pause(stopped: &AtomicBool) {
    let until = Instant::now() + PAUSE;
    while Instant::now() < until && !stopped.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
}

/// What is wrong with a history, one sentence each, and how much was checked.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) violations: Vec<String>,
    pub(super) summary: String,
}

/// Waits until all nodes are at one index, stops them, and holds the history against the log and their states.
pub(super) async fn examine(
    stage: &mut Stage,
    history: &[Operation],
    mut log: SeenLogs,
) -> anyhow::Result<Findings> {
    let commit = stage.quorum.same_state_everywhere().await?;
    let node = stage.ids()[0];
    let answer = stage
        .quorum
        .rest(node)?
        .get("/state-hash")
        .await?
        .success()?;
    ensure!(
        answer.number("index")? == commit,
        "the quorum does not rest: {}",
        answer.text
    );
    for id in stage.ids() {
        let status = stage.quorum.node(id)?.stop().await?;
        ensure!(status.success(), "node {id} ended with {status}");
    }
    for id in stage.ids() {
        let directory = stage.quorum.data_directory(id);
        log.absorb_final(&format!("node {id}"), &directory, commit)?;
    }
    let log = log.committed();
    let cluster =
        ClusterId::parse(CLUSTER).map_err(|rejection| anyhow!("{CLUSTER}: {rejection:?}"))?;
    let judgement = judge(history, &log, &cluster, commit, SEARCH);
    let mut violations = judgement.violations();
    let replayed = &judgement.witness.state_hash;
    if violations.is_empty() && answer.json["stateHash"] != replayed.as_str() {
        violations.push(format!(
            "the nodes' state is not that of the log: {}, replayed {replayed}",
            answer.text
        ));
    }
    let operations = history.len();
    let summary =
        format!("{operations} operations, {commit} entries, equal state everywhere; {judgement}");
    Ok(Findings {
        violations,
        summary,
    })
}

/// Writes the history where somebody can look at it.
pub(super) fn write_history(folder: &Path, history: &[Operation]) -> anyhow::Result<()> {
    let file = std::fs::File::create(folder.join("history.txt"))?;
    let mut out = std::io::BufWriter::new(file);
    for operation in history {
        writeln!(out, "{operation}")?;
    }
    Ok(out.flush()?)
}
