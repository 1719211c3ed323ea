//! Clients that write all the time, follow the controller, repeat what has no known outcome, and note everything.
//!
//! Every client makes topics of its own and changes a partition of its own, one write after the other. A write is
//! repeated with the same `Idempotency-Key` until its outcome is known, so that at the end every write has exactly one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::rest::{Answer, Rest};
use super::wait::wait_until;
use crate::checkers::{History, Write};

/// The topic whose partitions the clients change.
pub(super) const CHAIN_TOPIC: &str = "load";

/// Registers brokers 101, 102 and 103 at the controller and waits until they are unfenced. Give the nodes a long
/// `broker.session-timeout-ms`, since nobody sends their heartbeats.
pub async fn play_brokers(controller: &Rest) -> anyhow::Result<Vec<(u64, u64)>> {
    let mut epochs = Vec::new();
    for id in [101, 102, 103] {
        let body = json!({ "id": id, "host": "127.0.0.1", "port": 9092 });
        let epoch = controller
            .post("/brokers", &body)
            .await?
            .success()?
            .number("brokerEpoch")?;
        let path = format!("/brokers/{id}/heartbeat");
        wait_until("a played broker is unfenced", async || {
            let beat = json!({ "brokerEpoch": epoch });
            let verdict = controller.post(&path, &beat).await?.success()?;
            Ok((verdict.json["isFenced"] == json!(false)).then_some(()))
        })
        .await?;
        epochs.push((id, epoch));
    }
    Ok(epochs)
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<anyhow::Result<Vec<Write>>>,
    counters: Vec<Arc<Counters>>,
}

/// What a client has done so far.
#[derive(Debug, Default)]
struct Counters {
    acknowledged: AtomicU64,
    /// Answers of any kind, broken connections included.
    answered: AtomicU64,
    /// Attempts that may have taken effect, or not: only a repetition told.
    doubts: AtomicU64,
}

impl Load {
    /// Prepares a topic and lets `clients` write to the nodes at these REST ports.
    pub async fn start(controller: &Rest, ports: &[u16], clients: u32) -> anyhow::Result<Self> {
        let brokers = play_brokers(controller).await?;
        let body =
            json!({ "topicName": CHAIN_TOPIC, "numPartitions": clients, "replicationFactor": 3 });
        controller.post("/topics", &body).await?.success()?;
        let topic = controller
            .get(&format!("/topics/{CHAIN_TOPIC}?consistency=linearizable"))
            .await?;
        let (stop, stopped) = watch::channel(false);
        let mut load = Self {
            stop,
            clients: JoinSet::new(),
            counters: Vec::new(),
        };
        for number in 0..clients {
            let counters = Arc::new(Counters::default());
            let chain = Chain::of(&topic.json["partitions"][number as usize], &brokers)?;
            let client = Client::new(number, ports, chain, Arc::clone(&counters))?;
            load.clients.spawn(client.run(stopped.clone()));
            load.counters.push(counters);
        }
        Ok(load)
    }

    /// Writes that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.counters
            .iter()
            .map(|counters| counters.acknowledged.load(Ordering::Relaxed))
            .sum()
    }

    /// Attempts so far of which nobody knew at first whether they took effect.
    pub fn doubts(&self) -> u64 {
        self.counters
            .iter()
            .map(|counters| counters.doubts.load(Ordering::Relaxed))
            .sum()
    }

    /// Waits until `more` further writes were acknowledged.
    pub async fn progress(&self, more: u64) -> anyhow::Result<()> {
        let goal = self.acknowledged() + more;
        wait_until(
            &format!("{more} more writes are acknowledged"),
            async || Ok((self.acknowledged() >= goal).then_some(())),
        )
        .await
    }

    /// How many answers each client has had: if one stands still while others move, its request hangs.
    pub fn answers(&self) -> Vec<u64> {
        self.counters
            .iter()
            .map(|counters| counters.answered.load(Ordering::Relaxed))
            .collect()
    }

    /// Lets every client bring its write to an end and returns what they noted.
    pub async fn finish(mut self) -> anyhow::Result<History> {
        self.stop.send_replace(true);
        let mut history = History::default();
        while let Some(client) = self.clients.join_next().await {
            history.writes.extend(client.context("a client died")??);
        }
        Ok(history)
    }
}

/// A partition that only one client changes.
#[derive(Debug)]
struct Chain {
    partition: u64,
    leader: u64,
    broker_epoch: u64,
    leader_epoch: u64,
    partition_epoch: u64,
    replicas: Value,
}

impl Chain {
    fn of(row: &Value, brokers: &[(u64, u64)]) -> anyhow::Result<Self> {
        let number = |field: &str| {
            row[field]
                .as_u64()
                .with_context(|| format!("{field} in {row}"))
        };
        let leader = number("leaderId")?;
        let epoch = brokers
            .iter()
            .find(|(id, _)| *id == leader)
            .map(|(_, epoch)| *epoch);
        Ok(Self {
            partition: number("partitionId")?,
            leader,
            broker_epoch: epoch.context("nobody plays the leader")?,
            leader_epoch: number("leaderEpoch")?,
            partition_epoch: number("partitionEpoch")?,
            replicas: row["replicas"].clone(),
        })
    }

    /// The next change: the leader alone, and all replicas again.
    fn body(&self) -> Value {
        let alone = json!([self.leader]);
        let isr = if self.partition_epoch.is_multiple_of(2) {
            &alone
        } else {
            &self.replicas
        };
        json!({
            "brokerId": self.leader,
            "brokerEpoch": self.broker_epoch,
            "leaderEpoch": self.leader_epoch,
            "partitionEpoch": self.partition_epoch,
            "isr": isr,
        })
    }
}

struct Client {
    number: u32,
    nodes: Vec<Rest>,
    /// Position of the node that is asked next.
    target: usize,
    chain: Chain,
    counters: Arc<Counters>,
}

impl Client {
    fn new(
        number: u32,
        ports: &[u16],
        chain: Chain,
        counters: Arc<Counters>,
    ) -> anyhow::Result<Self> {
        let nodes = ports
            .iter()
            .map(|port| Rest::new(*port))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            number,
            nodes,
            target: number as usize % ports.len(),
            chain,
            counters,
        })
    }

    async fn run(mut self, stopped: watch::Receiver<bool>) -> anyhow::Result<Vec<Write>> {
        let mut writes = Vec::new();
        let mut count = 0_u64;
        while !*stopped.borrow() {
            let write = if count.is_multiple_of(2) {
                self.create(count).await?
            } else {
                self.update(count).await?
            };
            self.counters.acknowledged.fetch_add(1, Ordering::Relaxed);
            writes.push(write);
            count += 1;
        }
        Ok(writes)
    }

    async fn create(&mut self, count: u64) -> anyhow::Result<Write> {
        let topic = format!("c{}-{count}", self.number);
        let body = json!({ "topicName": topic, "numPartitions": 1, "replicationFactor": 1 });
        let answer = self.insist(Method::POST, "/topics", &body, count).await?;
        Ok(Write::Created {
            topic,
            index: answer.number("createdIndex")?,
        })
    }

    async fn update(&mut self, count: u64) -> anyhow::Result<Write> {
        let path = format!("/topics/{CHAIN_TOPIC}/partitions/{}", self.chain.partition);
        let body = self.chain.body();
        let answer = self.insist(Method::PATCH, &path, &body, count).await?;
        let epoch = answer.number("partitionEpoch")?;
        ensure!(
            epoch == self.chain.partition_epoch + 1,
            "partition {}: epoch {epoch} follows {}",
            self.chain.partition,
            self.chain.partition_epoch
        );
        self.chain.partition_epoch = epoch;
        Ok(Write::Changed {
            topic: CHAIN_TOPIC.to_owned(),
            partition: self.chain.partition,
            epoch,
            index: answer.index()?,
        })
    }

    /// Repeats one write until it is done. Anything but a success and a retriable refusal is an error of the server:
    /// nobody else writes to these topics.
    async fn insist(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        count: u64,
    ) -> anyhow::Result<Answer> {
        let key = format!("client-{}-write-{count}", self.number);
        let path = format!("/api/v1/metadata{path}");
        loop {
            let node = &self.nodes[self.target];
            let headers = [("idempotency-key", key.as_str())];
            let answer = node
                .send(method.clone(), &path, Some(body.to_string()), &headers)
                .await;
            self.counters.answered.fetch_add(1, Ordering::Relaxed);
            if is_doubtful(&answer) {
                self.counters.doubts.fetch_add(1, Ordering::Relaxed);
            }
            match answer {
                Ok(answer) if answer.is_success() => return Ok(answer),
                Ok(answer) if repeatable(&answer) => self.follow(&answer).await,
                Ok(answer) => bail!("{method} {path} {body}: {} {}", answer.status, answer.text),
                // Nobody answers there; whether the write was done is unknown, hence the key.
                Err(_) => self.next().await,
            }
        }
    }

    /// Asks the node that the answer names as the controller, or the next one.
    async fn follow(&mut self, answer: &Answer) {
        let named = answer
            .header("x-controller-leader")
            .and_then(|id| id.parse::<usize>().ok());
        match named {
            Some(id) if id - 1 != self.target && id <= self.nodes.len() => self.target = id - 1,
            _ => self.next().await,
        }
    }

    async fn next(&mut self) {
        self.target = (self.target + 1) % self.nodes.len();
        // A quorum without a controller is not to be drowned in questions.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn repeatable(answer: &Answer) -> bool {
    answer.json["retriable"] == json!(true) || answer.json["outcomeUnknown"] == json!(true)
}

/// Whether an attempt may have taken effect without saying so. One that did not even connect did not.
fn is_doubtful(answer: &anyhow::Result<Answer>) -> bool {
    match answer {
        Ok(answer) => answer.json["outcomeUnknown"] == json!(true),
        Err(error) => !error
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_connect),
    }
}
