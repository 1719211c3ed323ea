//! Operations: what a client asked, when, and what it was answered. A history is all of them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// A moment of a run, in nanoseconds since its clock began. Only clients in one process share a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// The monotonic clock of a run.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:06}s",
            self.0 / 1_000_000_000,
            self.0 / 1_000 % 1_000_000
        )
    }
}

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Everything that was acknowledged before the read began.
    Linearizable,
    /// The node's own state, at or past this index (0: whatever it has).
    Local {
        /// `minIndex`.
        min_index: u64,
    },
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Makes a topic of one partition on [`REPLICAS`].
    CreateTopic {
        /// Its name.
        topic: Arc<str>,
        /// Its `retention.ms`: no two creations of a run have the same, so that a reader can tell which one it sees.
        mark: u64,
    },
    /// Deletes a topic.
    DeleteTopic {
        /// Its name.
        topic: Arc<str>,
    },
    /// Compare and set of the partition's in-sync replicas.
    UpdatePartition {
        /// Name of the topic.
        topic: Arc<str>,
        /// The broker that asks as the leader.
        leader: u32,
        /// Epoch of its registration.
        broker_epoch: u64,
        /// The leader epoch that the caller knows.
        leader_epoch: u32,
        /// The partition epoch that the caller knows.
        partition_epoch: u32,
        /// The new in-sync replicas.
        isr: Vec<u32>,
    },
    /// Makes a broker the partition's leader.
    ElectLeader {
        /// Name of the topic.
        topic: Arc<str>,
        /// Who is to lead.
        broker: u32,
    },
    /// Registers a broker, or sets its rack if it is registered.
    RegisterBroker {
        /// Its number.
        id: u32,
        /// Its rack becomes this number as text; no two calls of a run have the same.
        mark: u64,
    },
    /// Reads a topic.
    GetTopic {
        /// Its name.
        topic: Arc<str>,
        /// How fresh.
        freshness: Freshness,
    },
    /// Reads the first page of the topics with a prefix.
    ListTopics {
        /// The beginning of their names.
        prefix: Arc<str>,
        /// How fresh.
        freshness: Freshness,
    },
    /// Reads a broker.
    GetBroker {
        /// Its number.
        id: u32,
        /// How fresh.
        freshness: Freshness,
    },
}

/// The brokers that all replicas are on. The first one leads a new topic.
pub const REPLICAS: [u32; 3] = [101, 102, 103];

/// Most topics in the answer to [`Call::ListTopics`].
pub const PAGE: u32 = 50;

impl Call {
    /// Whether it asks for a change.
    pub const fn is_write(&self) -> bool {
        self.freshness().is_none()
    }

    /// How fresh a read has to be; none for a write.
    pub const fn freshness(&self) -> Option<Freshness> {
        match self {
            Self::GetTopic { freshness, .. }
            | Self::ListTopics { freshness, .. }
            | Self::GetBroker { freshness, .. } => Some(*freshness),
            Self::CreateTopic { .. }
            | Self::DeleteTopic { .. }
            | Self::UpdatePartition { .. }
            | Self::ElectLeader { .. }
            | Self::RegisterBroker { .. } => None,
        }
    }
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A success.
    Done {
        /// `X-Metadata-Index`: the entry of a write, the state of a read.
        index: u64,
        /// `X-Metadata-Term`.
        term: u64,
        /// The body; equal bodies share one text.
        body: Arc<str>,
    },
    /// Definitely not done.
    Refused {
        /// Code of the problem document, or [`UNREACHABLE`].
        code: Arc<str>,
        /// What it says.
        detail: Arc<str>,
        /// Index and term at which that was decided: in the log, or on the state that was read. `None`: no command came
        /// into the log.
        at: Option<(u64, u64)>,
    },
    /// Whether it was done, or will be, nobody said.
    Unknown,
    /// An answer that the interface does not allow. It counts as unknown, and as a violation.
    Broken {
        /// What came.
        text: Arc<str>,
    },
}

/// Code of a refusal of which the server knows nothing: there was no connection, so nothing was sent.
pub const UNREACHABLE: &str = "UNREACHABLE";

/// One attempt of a client: a call, and what came of it. A call is attempted again with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Number of the client, which has one operation at a time.
    pub client: u32,
    /// The node that was asked.
    pub node: u32,
    /// What was asked.
    pub call: Call,
    /// `Idempotency-Key`. Attempts with the same key take effect at most once, all together.
    pub key: Option<Arc<str>>,
    /// When it was sent, or a little before.
    pub invoked: Moment,
    /// When the answer was there, or a little after; none for an unknown outcome, which may come true at any time.
    pub returned: Option<Moment>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Operation {
    /// Index that the answer named.
    pub const fn index(&self) -> Option<u64> {
        match &self.outcome {
            Outcome::Done { index, .. }
            | Outcome::Refused {
                at: Some((index, _)),
                ..
            } => Some(*index),
            Outcome::Refused { at: None, .. } | Outcome::Unknown | Outcome::Broken { .. } => None,
        }
    }

    /// Whether the write may have taken effect, now or later, without anybody having been told.
    pub const fn is_unknown(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown | Outcome::Broken { .. })
    }

    /// Whether the answer says what the state machine, or a state, made of the call.
    pub const fn is_decided(&self) -> bool {
        self.index().is_some()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} ", self.invoked)?;
        match self.returned {
            Some(returned) => write!(f, "{returned}]")?,
            None => write!(f, "...]")?,
        }
        write!(
            f,
            " client {} at node {}: {:?}",
            self.client, self.node, self.call
        )?;
        if let Some(key) = &self.key {
            write!(f, " key {key}")?;
        }
        match &self.outcome {
            Outcome::Done { index, term, body } => write!(f, " -> done at {index}/{term} {body}"),
            Outcome::Refused {
                code,
                at: Some((index, term)),
                ..
            } => {
                write!(f, " -> refused at {index}/{term}: {code}")
            }
            Outcome::Refused { code, at: None, .. } => write!(f, " -> refused: {code}"),
            Outcome::Unknown => f.write_str(" -> unknown"),
            Outcome::Broken { text } => write!(f, " -> broken: {text}"),
        }
    }
}
