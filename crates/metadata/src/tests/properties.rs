//! Random histories: what must hold after every entry, whatever the entries are.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::fixtures::{
    World, assigned, by_name, create, delete, elect, register, registration, unclean_topic,
};
use crate::command::{
    BrokerSession, Command, Election, Envelope, IsrMember, RegisterBroker, UpdatePartition,
};
use crate::{
    Broker, BrokerEpoch, BrokerId, BrokerIncarnation, Change, Changes, Counts, DedupEntry,
    DedupKey, FeatureLevel, Image, LeaderRecovery, Partition, PartitionId, PartitionKey, Row,
    Settings, Topic, TopicId, advance, preview, snapshot,
};

/// Something that happens, with choices that are made against the image of the moment.
#[derive(Clone, Debug)]
enum Step {
    Create {
        topic: u8,
        partitions: u32,
        factor: u32,
    },
    CreateAssigned {
        topic: u8,
        replicas: Vec<u32>,
        unclean: bool,
    },
    Delete {
        topic: u8,
    },
    Isr {
        topic: u8,
        partition: u32,
        members: u8,
        stale: u8,
    },
    Elect {
        topic: u8,
        partition: u32,
        election: Election,
    },
    Register {
        broker: u32,
        run: u8,
    },
    Fence {
        broker: u32,
        stale: bool,
    },
    Unfence {
        broker: u32,
        stale: bool,
    },
    SetLevel(u32),
    Pass,
}

/// A step, how much time passes before it, and its idempotency key if it has one.
#[derive(Clone, Debug)]
struct Turn {
    step: Step,
    elapsed: u64,
    key: Option<(u8, u8)>,
}

fn topic_of(number: u8) -> &'static str {
    ["a", "b.c", "b_c", "d-e"][usize::from(number) % 4]
}

fn step() -> impl Strategy<Value = Step> {
    let topic = 0_u8..4;
    let broker = 0_u32..6;
    let election = prop_oneof![
        Just(Election::Preferred),
        Just(Election::Unclean),
        (0_u32..6).prop_map(|id| Election::Designated(BrokerId(id))),
    ];
    prop_oneof![
        2 => (topic.clone(), 0_u32..6, 0_u32..5)
            .prop_map(|(topic, partitions, factor)| Step::Create { topic, partitions, factor }),
        2 => (topic.clone(), prop::collection::vec(broker.clone(), 0..4), any::<bool>())
            .prop_map(|(topic, replicas, unclean)| Step::CreateAssigned { topic, replicas, unclean }),
        1 => topic.clone().prop_map(|topic| Step::Delete { topic }),
        8 => (topic.clone(), 0_u32..3, any::<u8>(), 0_u8..8).prop_map(
            |(topic, partition, members, stale)| Step::Isr { topic, partition, members, stale }
        ),
        3 => (topic, 0_u32..3, election)
            .prop_map(|(topic, partition, election)| Step::Elect { topic, partition, election }),
        3 => (broker.clone(), 0_u8..3).prop_map(|(broker, run)| Step::Register { broker, run }),
        4 => (broker.clone(), prop::bool::weighted(0.1))
            .prop_map(|(broker, stale)| Step::Fence { broker, stale }),
        6 => (broker, prop::bool::weighted(0.1))
            .prop_map(|(broker, stale)| Step::Unfence { broker, stale }),
        1 => (0_u32..2).prop_map(Step::SetLevel),
        1 => Just(Step::Pass),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let elapsed = prop_oneof![5 => 0_u64..10, 1 => 0_u64..200_000];
    let key = prop::option::weighted(0.3, (0_u8..6, 0_u8..2));
    (step(), elapsed, key).prop_map(|(step, elapsed, key)| Turn { step, elapsed, key })
}

/// The command that a step means now; `None` for an entry that is none of ours.
fn command(world: &World, step: &Step) -> Option<Command> {
    Some(match step {
        Step::Create {
            topic,
            partitions,
            factor,
        } => create(topic_of(*topic), *partitions, *factor),
        Step::CreateAssigned {
            topic,
            replicas,
            unclean: false,
        } => assigned(topic_of(*topic), &[replicas]),
        Step::CreateAssigned {
            topic,
            replicas,
            unclean: true,
        } => unclean_topic(topic_of(*topic), &[replicas]),
        Step::Delete { topic } => delete(topic_of(*topic)),
        Step::Isr {
            topic,
            partition,
            members,
            stale,
        } => Command::UpdatePartition(proposal(
            world,
            topic_of(*topic),
            *partition,
            *members,
            *stale,
        )),
        Step::Elect {
            topic,
            partition,
            election,
        } => elect(topic_of(*topic), *partition, *election),
        Step::Register { broker, run: 0 } => register(*broker),
        Step::Register { broker, run } => Command::RegisterBroker(RegisterBroker {
            incarnation: (*run == 1).then_some(BrokerIncarnation(Uuid::max())),
            ..registration(*broker)
        }),
        Step::Fence { broker, stale } => Command::FenceBroker(session(world, *broker, *stale)),
        Step::Unfence { broker, stale } => Command::UnfenceBroker(session(world, *broker, *stale)),
        Step::SetLevel(level) => Command::SetFeatureLevel(FeatureLevel(*level)),
        Step::Pass => return None,
    })
}

fn session(world: &World, broker: u32, stale: bool) -> BrokerSession {
    let broker_id = BrokerId(broker);
    let epoch = world
        .image
        .broker(broker_id)
        .map_or(BrokerEpoch(1), |broker| broker.epoch);
    BrokerSession {
        broker_id,
        epoch: BrokerEpoch(epoch.0 + u64::from(stale)),
    }
}

/// The leader's proposal of the replicas whose bits are set, sometimes with one thing wrong.
fn proposal(world: &World, topic: &str, partition: u32, members: u8, stale: u8) -> UpdatePartition {
    let row = world
        .image
        .topic(&by_name(topic))
        .and_then(|topic| world.image.partition(topic.id, PartitionId(partition)));
    let Some(row) = row else {
        return nobodys_proposal(topic, partition);
    };
    let leader = row.leader.unwrap_or(row.replicas[0]);
    let chosen = |(at, id): (usize, &BrokerId)| {
        (*id == leader || members >> at & 1 == 1).then_some(IsrMember {
            broker_id: *id,
            broker_epoch: None,
        })
    };
    let mut proposal = nobodys_proposal(topic, partition);
    proposal.broker_id = leader;
    proposal.broker_epoch = world
        .image
        .broker(leader)
        .map_or(BrokerEpoch(0), |row| row.epoch);
    proposal.leader_epoch = row.leader_epoch;
    proposal.partition_epoch = row.partition_epoch;
    proposal.new_isr = row.replicas.iter().enumerate().filter_map(chosen).collect();
    match stale {
        0 => proposal.leader_epoch.0 = proposal.leader_epoch.0.wrapping_sub(1),
        1 => proposal.partition_epoch.0 = proposal.partition_epoch.0.wrapping_sub(1),
        2 => proposal.broker_epoch.0 += 1,
        3 => proposal.recovery = LeaderRecovery::Recovering,
        _ => {}
    }
    proposal
}

fn nobodys_proposal(topic: &str, partition: u32) -> UpdatePartition {
    UpdatePartition {
        topic: by_name(topic),
        partition_id: PartitionId(partition),
        broker_id: BrokerId(0),
        broker_epoch: BrokerEpoch(0),
        leader_epoch: crate::LeaderEpoch(0),
        partition_epoch: crate::PartitionEpoch(0),
        new_isr: vec![IsrMember {
            broker_id: BrokerId(0),
            broker_epoch: None,
        }],
        recovery: LeaderRecovery::Recovered,
    }
}

/// Rows as a store would hold them: it knows nothing but changes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    settings: Settings,
    topics: BTreeMap<TopicId, Arc<Topic>>,
    partitions: BTreeMap<PartitionKey, Arc<Partition>>,
    brokers: BTreeMap<BrokerId, Arc<Broker>>,
    dedup: BTreeMap<DedupKey, Arc<DedupEntry>>,
}

impl Rows {
    fn take(&mut self, changes: &Changes) {
        self.settings = Settings {
            feature_level: changes.feature_level,
            log_time: changes.log_time,
        };
        for change in &changes.rows {
            match change.clone() {
                Change::PutTopic(row) => drop(self.topics.insert(row.id, row)),
                Change::DeleteTopic(id) => {
                    assert!(self.topics.remove(&id).is_some());
                    assert!(!self.partitions.keys().any(|(topic, _)| *topic == id));
                }
                Change::PutPartition(row) => drop(self.partitions.insert(row.key(), row)),
                Change::DeletePartitions(id) => {
                    self.partitions.retain(|(topic, _), _| *topic != id);
                }
                Change::PutBroker(row) => drop(self.brokers.insert(row.id, row)),
                Change::DeleteBroker(id) => drop(self.brokers.remove(&id)),
                Change::PutDedup(row) => drop(self.dedup.insert(row.key.clone(), row)),
                Change::DeleteDedup(key) => assert!(self.dedup.remove(&key).is_some()),
            }
        }
    }

    fn all(&self) -> Vec<Row<'_>> {
        std::iter::once(Row::Settings(&self.settings))
            .chain(self.topics.values().map(|row| Row::Topic(row)))
            .chain(self.partitions.values().map(|row| Row::Partition(row)))
            .chain(self.brokers.values().map(|row| Row::Broker(row)))
            .chain(self.dedup.values().map(|row| Row::Dedup(row)))
            .collect()
    }
}

fn recount(image: &Image) -> Counts {
    Counts {
        topics: image.topics().count(),
        partitions: image.partitions().count(),
        offline_partitions: image
            .partitions()
            .filter(|row| row.leader.is_none())
            .count(),
        preferred_leader_imbalance: image
            .partitions()
            .filter(|row| row.leader.is_none() || row.leader != row.replicas.first().copied())
            .count(),
        active_brokers: image.brokers().filter(|row| !row.fenced).count(),
        fenced_brokers: image.brokers().filter(|row| row.fenced).count(),
        dedup_entries: image.dedup_entries().count(),
    }
}

/// What is true of every partition in every image.
fn check_partition(image: &Image, row: &Partition) {
    let isr_in_order = row
        .replicas
        .iter()
        .copied()
        .filter(|id| row.is_in_sync(*id));
    assert!(
        isr_in_order.eq(row.isr.iter().copied()),
        "the ISR is a part of the replicas: {row:?}"
    );
    assert!(
        !row.isr.is_empty(),
        "the ISR keeps its last member: {row:?}"
    );
    let active = |id: &BrokerId| image.is_active(*id);
    assert!(
        row.isr.len() == 1 || row.isr.iter().all(active),
        "a fenced member is alone: {row:?}"
    );
    match row.leader {
        Some(leader) => assert!(row.is_in_sync(leader) && active(&leader), "{row:?}"),
        None => assert!(
            !row.isr.iter().any(active),
            "a live member would lead: {row:?}"
        ),
    }
    assert!(
        row.recovery == LeaderRecovery::Recovered || row.isr.len() == 1,
        "{row:?}"
    );
    let hosts: Vec<BrokerId> = row.replicas.clone();
    assert!(
        hosts
            .iter()
            .all(|id| image.partitions_on(*id).any(|on| **on == *row))
    );
}

fn check_image(image: &Image) {
    assert_eq!(image.state_hash(), image.rehash());
    assert_eq!(image.counts(), recount(image));
    for row in image.partitions() {
        check_partition(image, row);
    }
    for topic in image.topics() {
        let ids: Vec<u32> = image
            .partitions_of(topic.id)
            .map(|row| row.partition_id.0)
            .collect();
        assert!(ids.iter().copied().eq(0..topic.partition_count));
        assert_eq!(image.topic_by_name(&topic.name), Some(topic));
        assert_eq!(image.colliding_topic(&topic.name), Some(topic));
    }
    let colliding = image.topics().filter(|topic| topic.name.can_collide());
    assert_eq!(
        image.topic_index_sizes(),
        (image.counts().topics, colliding.count())
    );
    let offline = image.partitions().filter(|row| row.leader.is_none());
    assert!(image.offline_partitions().eq(offline));
    assert!(
        image
            .dedup_by_age()
            .is_sorted_by_key(|row| (row.log_time, row.index))
    );
    assert_eq!(image.dedup_by_age().count(), image.counts().dedup_entries);
}

/// Epochs only grow, by one at a time, and the leader's exactly when the leader changes.
fn check_epochs(before: &Image, after: &Image) {
    for row in after.partitions() {
        let Some(old) = before.partition(row.topic_id, row.partition_id) else {
            continue;
        };
        let changed = u32::from(old != row);
        assert_eq!(
            row.partition_epoch.0,
            old.partition_epoch.0 + changed,
            "{old:?} {row:?}"
        );
        let moved = u32::from(old.leader != row.leader);
        assert_eq!(
            row.leader_epoch.0,
            old.leader_epoch.0 + moved,
            "{old:?} {row:?}"
        );
        assert_eq!(row.replicas, old.replicas);
    }
    for row in after.brokers() {
        let old = before.broker(row.id);
        assert!(old.is_none_or(|old| old.epoch <= row.epoch));
        assert!(row.epoch.0 <= row.registered_index.0);
    }
    assert!(after.log_time() >= before.log_time());
    assert!(after.feature_level() >= before.feature_level());
}

fn envelope(world: &World, command: Command, key: Option<(u8, u8)>) -> Envelope {
    let mut envelope = world.envelope(command);
    envelope.idempotency = key.map(|(key, fingerprint)| crate::Idempotency {
        key: format!("key-{key}").parse().unwrap(),
        fingerprint: crate::Fingerprint(fingerprint.into()),
    });
    envelope
}

fn through_snapshot(image: &Image) -> Image {
    let mut reader = snapshot::Reader::new();
    let Ok(()) = snapshot::write(image, |piece| -> Result<(), Infallible> {
        reader.push(piece).unwrap();
        Ok(())
    });
    reader.finish().unwrap()
}

/// Runs one turn on the world and on its twin, which sees nothing but encoded entries.
fn run(world: &mut World, twin: &mut Image, rows: &mut Rows, turn: &Turn) {
    world.log_time += turn.elapsed;
    world.seed += 1;
    let before = world.image.clone();
    let index = before.index().next();
    let Some(command) = command(world, &turn.step) else {
        advance(&mut world.image, index).unwrap();
        advance(twin, index).unwrap();
        return;
    };
    let envelope = envelope(world, command, turn.key);
    let previewed = preview(&before, &envelope);
    let applied = world.apply(&envelope);
    let decoded = Envelope::decode(&envelope.encode()).unwrap();
    assert_eq!(crate::apply(twin, index, &decoded).unwrap(), applied);
    if envelope.idempotency.is_none() {
        assert_eq!(previewed, applied.outcome);
    }
    if applied.outcome.is_err() {
        assert!(world.image.topics().eq(before.topics()));
        assert!(world.image.partitions().eq(before.partitions()));
        assert!(world.image.brokers().eq(before.brokers()));
    }
    rows.take(&applied.changes);
    assert!(world.image.rows().eq(rows.all()));
    check_image(&world.image);
    check_epochs(&before, &world.image);
}

proptest! {
    #[test]
    fn every_history_keeps_every_promise(
        turns in prop::collection::vec(turn(), 1..80), raised in prop::bool::weighted(0.9),
    ) {
        let mut world = World::empty();
        let (mut twin, mut rows) = (world.image.clone(), Rows::default());
        let level = Turn { step: Step::SetLevel(u32::from(raised)), elapsed: 0, key: None };
        for turn in std::iter::once(&level).chain(&turns) {
            run(&mut world, &mut twin, &mut rows, turn);
        }
        prop_assert_eq!(&twin, &world.image);
        prop_assert_eq!(twin.state_hash(), world.image.state_hash());
        let loaded = through_snapshot(&world.image);
        prop_assert_eq!(&loaded, &world.image);
        prop_assert_eq!(loaded.state_hash(), world.image.state_hash());
        check_image(&loaded);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Envelope::decode(&bytes);
        let _ = crate::encoding::decode_outcome(&bytes);
        let _ = crate::encoding::decode_changes(&bytes);
        let mut reader = snapshot::Reader::new();
        if reader.push(&bytes).is_ok() {
            let _ = reader.finish();
        }
    }
}
