//! What a topic does, as far as its clients can see: a second, small description of the rules, so that an error in the
//! state machine itself is found too.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::chaos::operation::REPLICAS;
use crate::checkers::wgl::Model;

/// The object behind one name.
pub(super) struct Topics;

/// A topic that exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    /// Which creation made it.
    pub(super) mark: u64,
    pub(super) partition: Partition,
}

/// Its only partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Partition {
    leader: u32,
    leader_epoch: u32,
    epoch: u32,
    isr: BTreeSet<u32>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Create {
        mark: u64,
    },
    Delete,
    Update {
        leader: u32,
        leader_epoch: u32,
        epoch: u32,
        isr: BTreeSet<u32>,
    },
    Elect {
        broker: u32,
    },
    Read,
    /// Whether a list shows the name.
    Exists,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Created or deleted.
    Done,
    /// Changed, or read: this is the partition now.
    Partition(Partition),
    /// Read: this is the topic.
    Topic(Topic),
    /// Listed, or not.
    Exists(bool),
    /// Refused for this reason.
    Refused(String),
}

impl Model for Topics {
    type State = Option<Topic>;
    type Call = Call;
    type Answer = Answer;

    fn initial(&self) -> Option<Topic> {
        None
    }

    fn step(
        &self,
        state: &Option<Topic>,
        call: &Call,
        answer: Option<&Answer>,
    ) -> Option<Option<Topic>> {
        let (next, right) = done(state.as_ref(), call);
        answer.is_none_or(|answer| *answer == right).then_some(next)
    }

    fn changes_nothing(&self, call: &Call, answer: &Answer) -> bool {
        matches!(call, Call::Read | Call::Exists) || matches!(answer, Answer::Refused(_))
    }
}

/// The state after a call, and its answer.
fn done(state: Option<&Topic>, call: &Call) -> (Option<Topic>, Answer) {
    let refused = |code: &str| (state.cloned(), Answer::Refused(code.to_owned()));
    let changed = |topic: &Topic, partition: Partition| {
        let answer = Answer::Partition(partition.clone());
        (
            Some(Topic {
                mark: topic.mark,
                partition,
            }),
            answer,
        )
    };
    match (state, call) {
        (_, Call::Exists) => (state.cloned(), Answer::Exists(state.is_some())),
        (None, Call::Create { mark }) => (
            Some(Topic {
                mark: *mark,
                partition: Partition::new(),
            }),
            Answer::Done,
        ),
        (Some(_), Call::Create { .. }) => refused("TOPIC_ALREADY_EXISTS"),
        (None, _) => refused("UNKNOWN_TOPIC_OR_PARTITION"),
        (Some(_), Call::Delete) => (None, Answer::Done),
        (Some(topic), Call::Read) => (state.cloned(), Answer::Topic(topic.clone())),
        (Some(topic), Call::Elect { broker }) => match topic.partition.led_by(*broker) {
            Ok(partition) => changed(topic, partition),
            Err(code) => refused(code),
        },
        (
            Some(topic),
            Call::Update {
                leader,
                leader_epoch,
                epoch,
                isr,
            },
        ) => {
            match topic
                .partition
                .with_isr(*leader, *leader_epoch, *epoch, isr)
            {
                Ok(partition) => changed(topic, partition),
                Err(code) => refused(code),
            }
        }
    }
}

impl Partition {
    fn new() -> Self {
        Self {
            leader: REPLICAS[0],
            leader_epoch: 0,
            epoch: 0,
            isr: REPLICAS.into(),
        }
    }

    fn led_by(&self, broker: u32) -> Result<Self, &'static str> {
        if self.leader == broker {
            return Err("ELECTION_NOT_NEEDED");
        }
        if !self.isr.contains(&broker) {
            return Err("INELIGIBLE_REPLICA");
        }
        Ok(Self {
            leader: broker,
            leader_epoch: self.leader_epoch + 1,
            epoch: self.epoch + 1,
            isr: self.isr.clone(),
        })
    }

    fn with_isr(
        &self,
        leader: u32,
        leader_epoch: u32,
        epoch: u32,
        isr: &BTreeSet<u32>,
    ) -> Result<Self, &'static str> {
        if epoch > self.epoch || leader_epoch > self.leader_epoch {
            return Err("NEWER_STATE_KNOWN");
        }
        if leader_epoch < self.leader_epoch {
            return Err("FENCED_LEADER_EPOCH");
        }
        if leader != self.leader {
            return Err("INVALID_REQUEST");
        }
        if epoch < self.epoch {
            return Err("INVALID_UPDATE_VERSION");
        }
        if !isr.contains(&self.leader) {
            return Err("INVALID_REQUEST");
        }
        let grows = u32::from(*isr != self.isr);
        Ok(Self {
            epoch: self.epoch + grows,
            isr: isr.clone(),
            ..self.clone()
        })
    }

    /// A partition as JSON shows it.
    pub(super) fn read(json: &Value) -> Option<Self> {
        let number = |field: &str| u32::try_from(json[field].as_u64()?).ok();
        let isr = json["isr"].as_array()?.iter();
        Some(Self {
            leader: number("leaderId")?,
            leader_epoch: number("leaderEpoch")?,
            epoch: number("partitionEpoch")?,
            isr: isr
                .filter_map(|id| u32::try_from(id.as_u64()?).ok())
                .collect(),
        })
    }
}

impl Topic {
    /// A topic as JSON shows it.
    pub(super) fn read(json: &Value) -> Option<Self> {
        let mark = json["configs"]["retention.ms"].as_str()?.parse().ok()?;
        let partition = Partition::read(&json["partitions"][0])?;
        (json["numPartitions"] == 1).then_some(Self { mark, partition })
    }
}
