//! A metadata log made up from a seed, with the image and the change sets that it gives.

use dmq_metadata::{
    BrokerId, BrokerIncarnation, BrokerSession, Changes, ClusterId, Command, CreateTopic,
    DeleteTopic, DirectoryId, Election, Envelope, FeatureLevel, Fingerprint, Host, Idempotency,
    IdempotencyKey, Image, Incarnation, IsrMember, LeaderRecovery, LogTime, MetadataIndex, NodeId,
    Partition, Principal, Rack, RegisterBroker, RequestId, StateHash, Term, TopicConfigs, TopicId,
    TopicLayout, TopicName, TopicRef, UpdateLeader, UpdatePartition, WallTime, advance, apply,
};
use uuid::Uuid;

use crate::{Batch, Checkpoint, Owner, RowChanges, StoredConfiguration};

/// Brokers of the made-up cluster; the last one has the highest number that there is.
const BROKERS: [u32; 5] = [0, 1, 2, 7, u32::MAX];
/// Every so many entries is a no-op of a new term, and the one after it a membership.
const TERM_ENTRIES: u64 = 50;

/// A log from its first entry on, and what became of it.
#[derive(Clone, Debug)]
pub struct History {
    random: u64,
    image: Image,
    /// One for each entry: its changes and the state after it.
    entries: Vec<(Changes, Checkpoint)>,
}

/// The member whose database is tested.
pub fn owner() -> Owner {
    Owner {
        cluster_id: ClusterId::parse("conformance").expect("a valid cluster id"),
        incarnation: Incarnation {
            number: 3,
            nonce: 0xfedc_ba98_7654_3210,
        },
        node: NodeId(2),
        directory: DirectoryId(Uuid::from_u128(0xd1)),
    }
}

impl History {
    /// The log of `seed` up to index `entries`.
    pub fn new(seed: u64, entries: u64) -> Self {
        let image = Image::new(owner().cluster_id);
        let mut history = Self {
            random: seed,
            image,
            entries: Vec::new(),
        };
        history.extend(entries);
        history
    }

    /// Adds entries.
    pub fn extend(&mut self, entries: u64) {
        for _ in 0..entries {
            let index = self.last().next();
            let envelope = self.envelope(index);
            self.append(envelope.as_ref());
        }
    }

    /// Adds one entry: this command, or a no-op.
    pub fn append(&mut self, envelope: Option<&Envelope>) {
        let index = self.last().next();
        let changes = if let Some(envelope) = envelope {
            apply(&mut self.image, index, envelope)
                .expect("a known command")
                .changes
        } else {
            advance(&mut self.image, index).expect("the next index");
            Changes::default()
        };
        let at = self.checkpoint_now(index);
        self.entries.push((changes, at));
    }

    /// An envelope around a command, stamped for the next index.
    pub fn wrap(&mut self, command: Command) -> Envelope {
        let index = self.last().next();
        let roll = self.roll(4);
        let key = format!("key-{}", self.roll(20));
        Envelope {
            request_id: RequestId(Uuid::from_u128(u128::from(index.0))),
            principal: Principal::parse("o'brien \"\\ ü").expect("a valid principal"),
            idempotency: (roll == 0).then(|| Idempotency {
                key: IdempotencyKey::parse(&key).expect("a valid key"),
                fingerprint: Fingerprint(u128::from(index.0)),
            }),
            // Answers expire after 5 minutes: within this log, that is.
            log_time: LogTime(index.0 * 2_500),
            wall_clock: WallTime(1_700_000_000_123 + i64::try_from(index.0).unwrap_or(0)),
            seed: self.next_random(),
            command,
        }
    }

    /// Index of the last entry.
    pub fn last(&self) -> MetadataIndex {
        self.image.index()
    }

    /// The image after the last entry.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Hash of the state after an entry.
    pub fn hash_at(&self, index: MetadataIndex) -> StateHash {
        self.checkpoint(index).state_hash
    }

    /// The state after an entry.
    pub fn checkpoint(&self, index: MetadataIndex) -> Checkpoint {
        let position = usize::try_from(index.0)
            .unwrap_or(usize::MAX)
            .checked_sub(1);
        let entry = position.and_then(|position| self.entries.get(position));
        entry.map_or_else(Checkpoint::before_first, |(_, at)| at.clone())
    }

    /// The batch of these entries, both ends included.
    pub fn batch(&self, first: u64, last: u64) -> Batch {
        let number = |index: u64| usize::try_from(index).expect("a small index");
        let entries = &self.entries[number(first) - 1..number(last)];
        Batch {
            first: MetadataIndex(first),
            at: self.checkpoint(MetadataIndex(last)),
            rows: RowChanges::coalesce(entries.iter().map(|(changes, _)| changes)),
        }
    }

    /// Term of an entry; `None` outside of the log.
    pub fn term_at(&self, index: MetadataIndex) -> Option<Term> {
        (index <= self.last()).then(|| self.checkpoint(index).term)
    }

    fn checkpoint_now(&self, index: MetadataIndex) -> Checkpoint {
        let term = term_of(index);
        let configuration = (term.0 > 1).then(|| StoredConfiguration {
            index: MetadataIndex((term.0 - 1) * TERM_ENTRIES + 1),
            bytes: vec![0, 255, u8::try_from(term.0 % 251).unwrap_or(0)],
        });
        Checkpoint {
            index,
            term,
            log_time: self.image.log_time(),
            feature_level: self.image.feature_level(),
            state_hash: self.image.state_hash(),
            configuration,
            snapshot_index: MetadataIndex(index.0 / 100 * 100),
        }
    }

    /// What the entry at `index` is; `None` for a no-op.
    fn envelope(&mut self, index: MetadataIndex) -> Option<Envelope> {
        let index = index.0;
        let command = match index {
            1 => Command::SetFeatureLevel(FeatureLevel::MAX),
            index if index % TERM_ENTRIES <= 1 => return None,
            2..=6 => self.register(index),
            7..=11 => self.unfence(usize::try_from(index - 7).unwrap_or(0))?,
            _ => self.any_command(index)?,
        };
        Some(self.wrap(command))
    }

    fn any_command(&mut self, index: u64) -> Option<Command> {
        match self.roll(20) {
            0..=3 => Some(self.create_topic(index)),
            4 => self.delete_topic(),
            5..=6 => self.elect(),
            7 => self.fence(),
            8 => {
                let broker = usize::try_from(self.roll(5)).unwrap_or(0);
                self.unfence(broker)
            }
            9 => Some(self.register(2 + index % 5)),
            _ => self.update_partition(),
        }
    }

    fn register(&mut self, index: u64) -> Command {
        let position = usize::try_from(index - 2).unwrap_or(0);
        let rack = (position != 1).then(|| Rack::parse(&format!("räck '{position}'")));
        Command::RegisterBroker(RegisterBroker {
            broker_id: BrokerId(BROKERS[position % BROKERS.len()]),
            cluster_id: None,
            incarnation: (position != 2)
                .then(|| BrokerIncarnation(Uuid::from_u128(u128::from(self.next_random())))),
            host: Host::parse("broker.example").expect("a valid host"),
            port: u16::MAX,
            rack: rack.transpose().expect("a valid rack"),
        })
    }

    fn unfence(&mut self, broker: usize) -> Option<Command> {
        self.session(BROKERS[broker % BROKERS.len()])
            .map(Command::UnfenceBroker)
    }

    fn fence(&mut self) -> Option<Command> {
        let broker = usize::try_from(self.roll(5)).unwrap_or(0);
        self.session(BROKERS[broker]).map(Command::FenceBroker)
    }

    fn session(&self, broker: u32) -> Option<BrokerSession> {
        let broker = self.image.broker(BrokerId(broker))?;
        Some(BrokerSession {
            broker_id: broker.id,
            epoch: broker.epoch,
        })
    }

    fn create_topic(&mut self, index: u64) -> Command {
        let settings: &[(&str, &str)] = match self.roll(3) {
            0 => &[("retention.ms", "-1"), ("cleanup.policy", "compact")],
            1 => &[("retention.bytes", "9223372036854775807")],
            _ => &[],
        };
        let partitions = u32::try_from(1 + self.roll(6)).unwrap_or(1);
        // Few names, so that some are taken and some are used again after a deletion.
        let name = format!("topic-{}", self.roll(30));
        Command::CreateTopic(CreateTopic {
            topic_id: TopicId(Uuid::from_u128(0x10_0000 + u128::from(index))),
            name: TopicName::parse(&name).expect("a valid name"),
            layout: TopicLayout::Automatic {
                partitions,
                replication_factor: 2,
            },
            configs: TopicConfigs::parse(settings.iter().copied()).expect("valid settings"),
        })
    }

    fn delete_topic(&mut self) -> Option<Command> {
        let partition = self.pick_partition()?;
        Some(Command::DeleteTopic(DeleteTopic {
            topic: TopicRef::Id(partition.topic_id),
        }))
    }

    fn elect(&mut self) -> Option<Command> {
        let partition = self.pick_partition()?;
        let wanted = *partition.isr.last()?;
        Some(Command::UpdateLeader(UpdateLeader {
            topic: TopicRef::Id(partition.topic_id),
            partition_id: partition.partition_id,
            election: Election::Designated(wanted),
            leader_epoch: None,
            partition_epoch: None,
        }))
    }

    /// The leader drops a follower from the ISR, or takes all replicas in.
    fn update_partition(&mut self) -> Option<Command> {
        let partition = self.pick_partition()?;
        let leader = self.session(partition.leader?.0)?;
        let shrink = partition.isr.len() > 1;
        let new_isr = if shrink {
            vec![leader.broker_id]
        } else {
            partition.replicas.clone()
        };
        let member = |broker_id| IsrMember {
            broker_id,
            broker_epoch: None,
        };
        Some(Command::UpdatePartition(UpdatePartition {
            topic: TopicRef::Id(partition.topic_id),
            partition_id: partition.partition_id,
            broker_id: leader.broker_id,
            broker_epoch: leader.epoch,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            new_isr: new_isr.into_iter().map(member).collect(),
            recovery: LeaderRecovery::Recovered,
        }))
    }

    fn pick_partition(&mut self) -> Option<Partition> {
        let count = u64::try_from(self.image.counts().partitions).unwrap_or(0);
        let position = usize::try_from(self.roll(count.max(1))).unwrap_or(0);
        self.image
            .partitions()
            .nth(position)
            .map(|partition| (**partition).clone())
    }

    /// A number below `limit`.
    fn roll(&mut self, limit: u64) -> u64 {
        self.next_random() % limit
    }

    /// `SplitMix64` (Steele, Lea, Flood 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Terms begin at their no-op.
fn term_of(index: MetadataIndex) -> Term {
    Term(1 + index.0 / TERM_ENTRIES)
}
