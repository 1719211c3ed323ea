//! What an entry's payload, a projector's change set and a remembered answer look like in bytes.

use std::sync::OnceLock;

use dmq_metadata::encoding::{decode_changes, decode_outcome, encode_changes, encode_outcome};
use dmq_metadata::{
    Applied, BrokerEpoch, BrokerId, BrokerSession, ClusterId, Command, CreateTopic, Election,
    Envelope, FeatureLevel, Host, Image, LogTime, PartitionId, Principal, RegisterBroker,
    RequestId, TopicConfigs, TopicId, TopicLayout, TopicName, TopicRef, UpdateLeader, WallTime,
    apply,
};
use uuid::Uuid;

use crate::fuzz::{Answer, Form, Target};

/// The payload of an entry, and what applying it does.
pub(super) const ENVELOPE: Target = Target {
    name: "envelope",
    form: Form::Protobuf,
    run: run_envelope,
    seeds: seeds_of_envelopes,
    // The largest command creates 10,000 partitions on up to 10 brokers each.
    memory_base: 64 << 20,
    memory_factor: 64,
};

/// A change set.
pub(super) const CHANGES: Target = Target {
    name: "changes",
    form: Form::Protobuf,
    run: run_changes,
    seeds: seeds_of_changes,
    memory_base: 64 << 10,
    memory_factor: 256,
};

/// An outcome.
pub(super) const OUTCOME: Target = Target {
    name: "outcome",
    form: Form::Protobuf,
    run: run_outcome,
    seeds: seeds_of_outcomes,
    memory_base: 64 << 10,
    memory_factor: 256,
};

/// What is decoded is encoded to the same; applied, it is answered, and outcome and changes survive their own bytes.
fn run_envelope(input: &[u8]) -> Answer {
    let envelope = match Envelope::decode(input) {
        Ok(envelope) => envelope,
        Err(error) => return Answer::refused(&error),
    };
    assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope.clone()));
    let mut image = world().image.clone();
    let before = image.state_hash();
    let index = image.index().next();
    match apply(&mut image, index, &envelope) {
        Ok(applied) => {
            check(&applied);
            assert_eq!(
                image.state_hash(),
                image.rehash(),
                "the hash is that of the rows"
            );
            Answer::taken(&(envelope.command.name(), &applied.outcome))
        }
        Err(error) => {
            assert_eq!(image.state_hash(), before, "not applied, hence unchanged");
            Answer::taken(&error.to_string())
        }
    }
}

fn check(applied: &Applied) {
    let outcome = encode_outcome(&applied.outcome);
    assert_eq!(decode_outcome(&outcome).as_ref(), Ok(&applied.outcome));
    let changes = encode_changes(&applied.changes);
    assert_eq!(decode_changes(&changes).as_ref(), Ok(&applied.changes));
}

fn run_changes(input: &[u8]) -> Answer {
    match decode_changes(input) {
        Ok(changes) => {
            assert_eq!(
                decode_changes(&encode_changes(&changes)).as_ref(),
                Ok(&changes)
            );
            Answer::taken(&changes)
        }
        Err(error) => Answer::refused(&error),
    }
}

fn run_outcome(input: &[u8]) -> Answer {
    match decode_outcome(input) {
        Ok(outcome) => {
            assert_eq!(
                decode_outcome(&encode_outcome(&outcome)).as_ref(),
                Ok(&outcome)
            );
            Answer::taken(&outcome)
        }
        Err(error) => Answer::refused(&error),
    }
}

/// A small cluster, and how it came about.
pub(super) struct World {
    /// Its image.
    pub(super) image: Image,
    envelopes: Vec<Envelope>,
    applied: Vec<Applied>,
}

/// The cluster that all inputs meet.
pub(super) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut world = World {
            image: Image::new(name(ClusterId::parse("dmq"))),
            envelopes: Vec::new(),
            applied: Vec::new(),
        };
        for command in commands() {
            let envelope = envelope(command);
            let index = world.image.index().next();
            let applied = apply(&mut world.image, index, &envelope);
            let applied = applied.unwrap_or_else(|error| panic!("{error}"));
            world.envelopes.push(envelope);
            world.applied.push(applied);
        }
        world
    })
}

/// A name that this file wrote itself.
fn name<T, E: std::fmt::Display>(parsed: Result<T, E>) -> T {
    parsed.unwrap_or_else(|error| panic!("{error}"))
}

fn envelope(command: Command) -> Envelope {
    Envelope {
        request_id: RequestId(Uuid::from_u128(1)),
        principal: Principal::anonymous(),
        idempotency: None,
        log_time: LogTime(7),
        wall_clock: WallTime(1_700_000_000_000),
        seed: 7,
        command,
    }
}

fn commands() -> Vec<Command> {
    let mut commands = vec![Command::SetFeatureLevel(FeatureLevel::MAX)];
    for number in 1..=3 {
        let broker_id = BrokerId(number);
        commands.push(Command::RegisterBroker(RegisterBroker {
            broker_id,
            cluster_id: Some(name(ClusterId::parse("dmq"))),
            incarnation: None,
            host: name(Host::parse("localhost")),
            port: 9000,
            rack: None,
        }));
        // A registration's epoch is the index of its entry.
        let epoch = BrokerEpoch(commands.len() as u64);
        commands.push(Command::UnfenceBroker(BrokerSession { broker_id, epoch }));
    }
    let layouts = [
        TopicLayout::Automatic {
            partitions: 3,
            replication_factor: 2,
        },
        TopicLayout::Assigned(vec![vec![BrokerId(1), BrokerId(2)], vec![BrokerId(3)]]),
    ];
    for (number, layout) in (1_u128..).zip(layouts) {
        commands.push(Command::CreateTopic(CreateTopic {
            topic_id: TopicId(Uuid::from_u128(number << 8 | 0x42)),
            name: name(TopicName::parse(&format!("topic-{number}"))),
            layout,
            configs: TopicConfigs::default(),
        }));
    }
    commands.push(Command::UpdateLeader(UpdateLeader {
        topic: TopicRef::Name(name(TopicName::parse("topic-1"))),
        partition_id: PartitionId(0),
        election: Election::Preferred,
        leader_epoch: None,
        partition_epoch: None,
    }));
    commands
}

fn seeds_of_envelopes() -> Vec<Vec<u8>> {
    let envelopes = world().envelopes.iter();
    envelopes
        .map(|envelope| envelope.encode().to_vec())
        .collect()
}

fn seeds_of_changes() -> Vec<Vec<u8>> {
    let applied = world().applied.iter();
    applied
        .map(|applied| encode_changes(&applied.changes))
        .collect()
}

fn seeds_of_outcomes() -> Vec<Vec<u8>> {
    let applied = world().applied.iter();
    applied
        .map(|applied| encode_outcome(&applied.outcome))
        .collect()
}
