//! How many rows per second each store takes, by rows per transaction:
//! `cargo run --release -p dmq-store --features conformance --example projection_speed [sqlite|postgres]`.
//! The last column is processor time of this process alone: all of SQLite, but only the client of PostgreSQL.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use dmq_metadata::{Image, MetadataIndex, Partition, PartitionId};
use dmq_store::conformance::history::{History, owner};
use dmq_store::conformance::prepare_with;
use dmq_store::local_postgres::PostgresServer;
use dmq_store::{Batch, Checkpoint, PostgresStore, RowChanges, SqliteStore, StateStore};

/// Partitions that the updates are spread over.
const PARTITIONS: u32 = 10_000;
/// How long each cell is measured.
const CELL: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted = std::env::args().nth(1);
    let is_wanted = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    println!("store       rows/tx       rows/s       p50 ms       p99 ms   cpu us/row");
    if is_wanted("sqlite") {
        let directory = tempfile::TempDir::with_prefix("dmq-speed-")?;
        measure(
            "sqlite",
            &mut SqliteStore::new(directory.path().join("speed.db")),
        )
        .await?;
    }
    if is_wanted("postgres") {
        let server = PostgresServer::start().await?;
        measure("postgres", &mut PostgresStore::new(&server.url("speed"))?).await?;
    }
    Ok(())
}

async fn measure(name: &str, store: &mut dyn StateStore) -> Result<(), Box<dyn std::error::Error>> {
    let empty = History::new(0, 0);
    prepare_with(store, &empty, 0).await?;
    store
        .rebuild(&Image::new(owner().cluster_id), &Checkpoint::before_first())
        .await?;
    let mut index = 0;
    for rows in [1, 16, 64, 256, 1024] {
        let (mut times, mut random, cpu) = (Vec::new(), 1_u32, cpu_ms()?);
        let begin = Instant::now();
        while begin.elapsed() < CELL {
            let batch = updates(&mut random, rows, index);
            let start = Instant::now();
            store.apply(&batch).await?;
            times.push(start.elapsed());
            index = batch.at.index.0;
        }
        report(name, rows, &mut times, cpu_ms()? - cpu);
    }
    Ok(())
}

/// Updates of so many partitions at random.
fn updates(random: &mut u32, rows: u32, index: u64) -> Batch {
    let mut changes = RowChanges::default();
    while changes.partitions.len() < rows as usize {
        *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let row = partition((*random >> 8) % PARTITIONS, *random);
        changes.partitions.insert(row.key(), Arc::new(row));
    }
    let index = MetadataIndex(index + 1);
    let at = Checkpoint {
        index,
        ..Checkpoint::before_first()
    };
    Batch {
        first: index,
        at,
        rows: changes,
    }
}

fn partition(number: u32, epoch: u32) -> Partition {
    use dmq_metadata::{BrokerId, LeaderEpoch, LeaderRecovery, PartitionEpoch, TopicId};
    Partition {
        topic_id: TopicId(uuid::Uuid::from_u128(u128::from(number / 10))),
        partition_id: PartitionId(number % 10),
        replicas: vec![BrokerId(1), BrokerId(2), BrokerId(3)],
        isr: vec![BrokerId(1), BrokerId(2)],
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: PartitionEpoch(epoch),
        recovery: LeaderRecovery::Recovered,
    }
}

/// User and system time of this process so far: fields 14 and 15 of `stat`, in ticks of 10 ms.
fn cpu_ms() -> Result<u32, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    Ok((fields[11].parse::<u32>()? + fields[12].parse::<u32>()?) * 10)
}

fn report(name: &str, rows: u32, times: &mut [Duration], cpu_ms: u32) {
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    let all_rows = f64::from(rows) * f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
    let per_second = all_rows / total.as_secs_f64();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    let cpu = f64::from(cpu_ms) * 1000.0 / all_rows;
    let (p50, p99) = (at(50), at(99));
    println!("{name:<10} {rows:>8} {per_second:>12.0} {p50:>12.3} {p99:>12.3} {cpu:>12.1}");
}
