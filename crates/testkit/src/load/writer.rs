//! One client: it changes a partition of its own, creates a topic, changes the partition, deletes the topic, and so on.

use std::sync::Arc;
use std::time::Duration;

use dmq_api::client::{Client, ClientError};
use dmq_api::rest::topics::{
    CreateTopicRequest, PartitionResponse, TopicResponse, UpdatePartitionRequest,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::brokers::{self, Brokers};
use super::meter::Meter;

/// Pause before the partition is read again.
const REREAD_PAUSE: Duration = Duration::from_millis(50);

/// A client with one write in flight.
pub(super) struct Writer {
    client: Client,
    /// The topic that the partition is of.
    topic: String,
    /// The client's partition.
    partition: u32,
    /// Begins the names of the topics that this client creates; no other load has it.
    prefix: String,
    brokers: Brokers,
    meter: Arc<Meter>,
}

/// What became of a write.
enum Outcome {
    Acknowledged,
    /// The state that it was made from is no longer so.
    Stale,
}

impl Writer {
    pub(super) fn new(
        number: u32,
        client: Client,
        topic: String,
        brokers: Brokers,
        meter: Arc<Meter>,
    ) -> Self {
        let run = Uuid::new_v4().simple().to_string();
        let prefix = format!("{topic}-{}-{number}", &run[..8]);
        Self {
            client,
            topic,
            partition: number,
            prefix,
            brokers,
            meter,
        }
    }

    /// Writes until the task is aborted.
    pub(super) async fn run(self, pause: Duration) {
        let mut known = self.look().await;
        for count in 0_u64.. {
            let outcome = match count % 4 {
                0 | 2 => self.change(&mut known).await,
                1 => self.create(count).await,
                _ => self.delete(count - 2).await,
            };
            match outcome {
                Ok(Outcome::Acknowledged) => self.meter.acknowledged(),
                Ok(Outcome::Stale) => {
                    self.meter.stale();
                    known = self.look().await;
                }
                Err(error) => {
                    self.meter.failed(&error);
                    known = self.look().await;
                }
            }
            sleep(pause).await;
        }
    }

    async fn create(&self, count: u64) -> Result<Outcome, ClientError> {
        let request = CreateTopicRequest {
            topic_name: Some(format!("{}-{count}", self.prefix)),
            num_partitions: Some(1),
            replication_factor: Some(brokers::COUNT),
            ..CreateTopicRequest::default()
        };
        let done = self.client.create_topic(&request).await.map(drop);
        judged(done, &[])
    }

    /// Deletes what was created two writes before; there is nothing to delete if that failed.
    async fn delete(&self, count: u64) -> Result<Outcome, ClientError> {
        let name = format!("{}-{count}", self.prefix);
        let done = self.client.delete_topic(&name).await.map(drop);
        judged(done, &["UNKNOWN_TOPIC_OR_PARTITION"])
    }

    /// The in-sync replicas become the leader alone, and all replicas again. A partition that another load has, or
    /// whose leader is not registered just now, is read again.
    async fn change(&self, known: &mut Option<PartitionResponse>) -> Result<Outcome, ClientError> {
        let Some((now, request)) = known
            .as_ref()
            .and_then(|now| Some((now, self.request(now)?)))
        else {
            return Ok(Outcome::Stale);
        };
        let done = self
            .client
            .update_partition(&self.topic, now.partition_id, &request)
            .await;
        let done = done.map(|answer| *known = Some(answer.body));
        judged(done, STALE_CODES)
    }

    fn request(&self, now: &PartitionResponse) -> Option<UpdatePartitionRequest> {
        let leader = now.leader_id?;
        let isr = if now.isr.len() > 1 {
            vec![leader]
        } else {
            now.replicas.clone()
        };
        Some(UpdatePartitionRequest {
            broker_id: Some(leader),
            broker_epoch: Some(self.brokers.epoch(leader)?),
            leader_epoch: Some(now.leader_epoch),
            partition_epoch: Some(now.partition_epoch),
            isr: Some(isr),
            ..UpdatePartitionRequest::default()
        })
    }

    /// The present state of the client's partition; none if there are fewer partitions than clients, or nobody
    /// answers.
    async fn look(&self) -> Option<PartitionResponse> {
        sleep(REREAD_PAUSE).await;
        let path = format!("/topics/{}?consistency=linearizable", self.topic);
        match self.client.read::<TopicResponse>(&path).await {
            Ok(answer) => answer
                .body
                .partitions
                .into_iter()
                .find(|partition| partition.partition_id == self.partition),
            Err(error) => {
                self.meter.note(&error);
                None
            }
        }
    }
}

/// The refusals that say that the caller's state is an old one.
const STALE_CODES: &[&str] = &[
    "FENCED_LEADER_EPOCH",
    "INVALID_UPDATE_VERSION",
    "STALE_BROKER_EPOCH",
    "BROKER_ID_NOT_REGISTERED",
    "INELIGIBLE_REPLICA",
    "NEWER_STATE_KNOWN",
    "UNKNOWN_TOPIC_OR_PARTITION",
];

fn judged(done: Result<(), ClientError>, stale: &[&str]) -> Result<Outcome, ClientError> {
    match done {
        Ok(()) => Ok(Outcome::Acknowledged),
        Err(error) => match error.problem() {
            Some(problem) if stale.contains(&problem.code.as_str()) => Ok(Outcome::Stale),
            _ => Err(error),
        },
    }
}
