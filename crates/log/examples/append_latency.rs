//! What a durable append costs here, beside the raw `fdatasync` that it cannot beat:
//! `cargo run --release -p dmq-log --example append_latency [directory]`.
#![allow(clippy::print_stdout, reason = "a table is what this example is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dmq_log::{
    Access, DataDir, Disk, DiskFile, FileDisk, FormatOptions, Identity, Incarnation, Log,
    LogOptions, random_directory_id,
};
use dmq_raft::{Entry, EntryKind, HardState, IoSeq, LogIndex, NodeId, Persist, Term};

const ROUNDS: u64 = 4000;
const PAYLOAD_BYTES: usize = 256;
const FILE_BYTES: u64 = 64 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("dmq-append-latency-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    println!(
        "{ROUNDS} durable appends each, {PAYLOAD_BYTES} bytes per entry, in {}",
        dir.display()
    );
    println!("{:<28} {:>9} {:>9} {:>12}", "", "p50", "p99", "entries/s");
    for bytes in [4096, 32 << 10] {
        show(
            &format!("raw pwrite + fdatasync {} KiB", bytes >> 10),
            1,
            raw(&dir, bytes)?,
        );
    }
    for batch in [1, 16, 64] {
        show(
            &format!("log, {batch} entries"),
            batch,
            append(&dir, batch)?,
        );
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn show(name: &str, batch: u64, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let total: Duration = times.iter().sum();
    let entries =
        u32::try_from(batch).unwrap_or(u32::MAX) * u32::try_from(times.len()).unwrap_or(1);
    let rate = f64::from(entries) / total.as_secs_f64();
    println!(
        "{name:<28} {:>7}us {:>7}us {rate:>12.0}",
        at(50).as_micros(),
        at(99).as_micros()
    );
}

/// The floor: overwriting a file that is full of zeros.
fn raw(dir: &Path, bytes: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let path = dir.join("raw");
    let file = FileDisk.open(&path, Access::Create)?;
    for offset in (0..FILE_BYTES).step_by(1 << 20) {
        file.write_at(&vec![0; 1 << 20], offset)?;
    }
    file.sync()?;
    let buffer = vec![7; bytes];
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let begin = Instant::now();
        file.write_at(&buffer, round * bytes as u64 % (FILE_BYTES - bytes as u64))?;
        file.sync()?;
        times.push(begin.elapsed());
    }
    FileDisk.remove(&path)?;
    Ok(times)
}

fn append(dir: &Path, batch: u64) -> Result<Vec<Duration>, Box<dyn Error>> {
    let root = dir.join(format!("node-{batch}"));
    let identity = Identity {
        cluster_id: "example".into(),
        incarnation: Incarnation {
            number: 1,
            nonce: 0,
        },
        node: NodeId(1),
        directory: random_directory_id(&FileDisk)?,
    };
    DataDir::format(&FileDisk, &root, &identity, &FormatOptions::default())?;
    let (mut log, _) = Log::open(&DataDir::open(&FileDisk, &root)?, LogOptions::default())?;
    log.spares().prepare()?;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let persist = persist(round * batch + 1, batch);
        let begin = Instant::now();
        log.append(std::slice::from_ref(&persist))?;
        times.push(begin.elapsed());
    }
    log.close()?;
    Ok(times)
}

fn persist(first: u64, count: u64) -> Persist {
    let entry = |index| Entry {
        index: LogIndex(index),
        term: Term(1),
        kind: EntryKind::Command,
        payload: vec![7; PAYLOAD_BYTES].into(),
    };
    Persist {
        io: IoSeq(first),
        hard_state: (first == 1).then_some(HardState {
            term: Term(1),
            vote: None,
        }),
        start: None,
        truncate_from: None,
        entries: (first..first + count).map(entry).collect(),
    }
}
