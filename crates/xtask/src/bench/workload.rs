//! What our clients write: `update` changes the in-sync replicas of partitions, `create` makes topics.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use http::Method;

use super::http::{Answer, Connection};
use super::load::Writer;
use super::ours::{PREFIX, Partition};

/// What the answer of a write waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ack {
    /// The default: the controller's database has it.
    Projected,
    /// The controller's image has it.
    Applied,
}

impl Ack {
    fn query(self) -> &'static str {
        match self {
            Self::Projected => "",
            Self::Applied => "?ack=applied",
        }
    }
}

/// Answers of this run that came before the controller's database had the write, although they should have waited.
static NOT_PROJECTED: AtomicU64 = AtomicU64::new(0);

/// How many answers did not wait for the database since this was last asked. The default acknowledgement waits up to one
/// second; a column of answers that did not wait would be another column.
pub(super) fn not_projected() -> u64 {
    NOT_PROJECTED.swap(0, Ordering::Relaxed)
}

/// A client with partitions of its own, each changed in turn with the epoch that the last change gave it, so
/// that every write is accepted.
pub(super) struct Updater {
    connection: Connection,
    partitions: Vec<Partition>,
    paths: Vec<String>,
    next: usize,
    ack: Ack,
}

impl Updater {
    pub(super) async fn new(
        port: u16,
        partitions: Vec<Partition>,
        ack: Ack,
    ) -> anyhow::Result<Self> {
        let path = |partition: &Partition| {
            format!(
                "{PREFIX}/topics/bench/partitions/{}{}",
                partition.number,
                ack.query()
            )
        };
        let paths = partitions.iter().map(path).collect();
        Ok(Self {
            connection: Connection::open(port).await?,
            partitions,
            paths,
            next: 0,
            ack,
        })
    }

    /// The partitions in their present state, for the next round's clients.
    pub(super) fn into_partitions(self) -> Vec<Partition> {
        self.partitions
    }
}

impl Writer for Updater {
    async fn write(&mut self) -> anyhow::Result<()> {
        let at = self.next;
        self.next = (at + 1) % self.partitions.len();
        let body = update_body(&self.partitions[at]);
        let answer = self
            .connection
            .send(Method::PATCH, &self.paths[at], body)
            .await?;
        succeeded(&answer, self.ack)?;
        self.partitions[at].partition_epoch += 1;
        Ok(())
    }
}

/// All replicas are in sync after an odd epoch, the leader alone after an even one, or the other way round: each
/// write changes something.
fn update_body(partition: &Partition) -> String {
    let alone = [partition.leader];
    let isr = if partition.partition_epoch.is_multiple_of(2) {
        &alone[..]
    } else {
        &partition.replicas
    };
    format!(
        r#"{{"brokerId":{},"brokerEpoch":{},"leaderEpoch":{},"partitionEpoch":{},"isr":{isr:?},"leaderRecoveryState":"RECOVERED"}}"#,
        partition.leader,
        partition.leader_broker_epoch,
        partition.leader_epoch,
        partition.partition_epoch
    )
}

/// Draws the numbers of topic names, over all rounds and sides.
static NAMES: AtomicU64 = AtomicU64::new(0);

/// A client that makes topics of one partition with three replicas.
pub(super) struct Creator {
    connection: Connection,
    path: String,
    ack: Ack,
}

impl Creator {
    pub(super) async fn new(port: u16, ack: Ack) -> anyhow::Result<Self> {
        let path = format!("{PREFIX}/topics{}", ack.query());
        Ok(Self {
            connection: Connection::open(port).await?,
            path,
            ack,
        })
    }
}

impl Writer for Creator {
    async fn write(&mut self) -> anyhow::Result<()> {
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"topicName":"bench-{name:010}","numPartitions":1,"replicationFactor":3,"configs":{{"retention.ms":"604800000"}}}}"#
        );
        let answer = self.connection.send(Method::POST, &self.path, body).await?;
        succeeded(&answer, self.ack)
    }
}

fn succeeded(answer: &Answer, ack: Ack) -> anyhow::Result<()> {
    let text = || String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(
        answer.status.is_success(),
        "a write was refused: {} {}",
        answer.status,
        text()
    );
    let there = answer
        .indexes
        .is_some_and(|(index, projected)| projected >= index);
    if ack == Ack::Projected && !there {
        NOT_PROJECTED.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
