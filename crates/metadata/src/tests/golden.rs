//! Bytes that were written once are read for ever: `golden_1.txt` holds those of format 1, level 1, as hex.
//! A test that fails here has changed the format. The change needs a new feature level, not a new file.

use std::fmt::Write as _;

use uuid::Uuid;

use super::fixtures::{
    World, assigned, brokers, by_name, create_topic, member, registration, topic_id,
};
use crate::command::{
    BrokerSession, Command, CreateTopic, DeleteTopic, Election, Envelope, RegisterBroker,
    TopicLayout, TopicRef, UpdateLeader, UpdatePartition,
};
use crate::encoding::{decode_changes, decode_outcome, encode_changes, encode_outcome};
use crate::hash::canonical_bytes;
use crate::snapshot;
use crate::{
    BrokerEpoch, BrokerId, ClusterId, DecodeError, FeatureLevel, Fingerprint, Idempotency, Image,
    LeaderEpoch, LeaderRecovery, LogTime, Outcome, PartitionEpoch, PartitionId, Rack, Rejection,
    RejectionCode, Reply, Row, TopicConfigs, row_hash,
};

const GOLDEN: &str = include_str!("golden_1.txt");

/// One command of every kind, every field set to something of its own.
fn commands() -> Vec<Command> {
    let session = BrokerSession {
        broker_id: BrokerId(3),
        epoch: BrokerEpoch(300),
    };
    let configs = TopicConfigs::parse([("retention.ms", "5"), ("cleanup.policy", "compact")]);
    let assigned = TopicLayout::Assigned(vec![brokers(&[0, 1]), brokers(&[1, 2])]);
    vec![
        Command::CreateTopic(CreateTopic {
            configs: configs.unwrap(),
            ..create_topic("orders", 12, 3)
        }),
        Command::CreateTopic(CreateTopic {
            layout: assigned,
            ..create_topic("payments", 1, 1)
        }),
        Command::DeleteTopic(DeleteTopic {
            topic: by_name("orders"),
        }),
        Command::DeleteTopic(DeleteTopic {
            topic: TopicRef::Id(topic_id("orders")),
        }),
        Command::UpdatePartition(UpdatePartition {
            topic: by_name("orders"),
            partition_id: PartitionId(4),
            broker_id: BrokerId(5),
            broker_epoch: BrokerEpoch(6),
            leader_epoch: LeaderEpoch(7),
            partition_epoch: PartitionEpoch(8),
            new_isr: vec![
                member(5),
                crate::IsrMember {
                    broker_epoch: Some(BrokerEpoch(9)),
                    ..member(0)
                },
            ],
            recovery: LeaderRecovery::Recovering,
        }),
        update_leader(Election::Preferred, None),
        update_leader(Election::Unclean, Some(0)),
        update_leader(Election::Designated(BrokerId(0)), Some(10)),
        Command::RegisterBroker(RegisterBroker {
            cluster_id: Some(ClusterId::parse("dmq").unwrap()),
            rack: Some(Rack::parse("a").unwrap()),
            ..registration(3)
        }),
        Command::RegisterBroker(RegisterBroker {
            incarnation: None,
            ..registration(0)
        }),
        Command::FenceBroker(session),
        Command::UnfenceBroker(session),
        Command::SetFeatureLevel(FeatureLevel(1)),
    ]
}

fn update_leader(election: Election, epoch: Option<u32>) -> Command {
    Command::UpdateLeader(UpdateLeader {
        topic: TopicRef::Id(topic_id("orders")),
        partition_id: PartitionId(0),
        election,
        leader_epoch: epoch.map(LeaderEpoch),
        partition_epoch: epoch.map(PartitionEpoch),
    })
}

fn envelopes() -> Vec<Envelope> {
    let mut world = World::empty();
    world.log_time = 1234;
    let mut envelopes: Vec<Envelope> = commands()
        .into_iter()
        .map(|command| world.envelope(command))
        .collect();
    envelopes[0].idempotency = Some(Idempotency {
        key: "key-1".parse().unwrap(),
        fingerprint: Fingerprint(1 << 120),
    });
    envelopes[1].request_id.0 = Uuid::max();
    envelopes
}

/// An image with a row of every kind, with and without what is optional.
fn world() -> World {
    let mut world = World::new();
    world.log_time = 77;
    let racked = RegisterBroker {
        rack: Some(Rack::parse("a").unwrap()),
        ..registration(1)
    };
    world.expect(Command::RegisterBroker(racked));
    world.expect(Command::RegisterBroker(RegisterBroker {
        incarnation: None,
        ..registration(2)
    }));
    world.unfence(1);
    world.expect(assigned("orders", &[&[1, 2], &[2, 1]]));
    world.fence(1);
    world
        .keyed("key-1", 5, Command::FenceBroker(world.session(1)))
        .outcome
        .unwrap();
    world
        .keyed("key-2", 6, Command::UnfenceBroker(world.session(2)))
        .outcome
        .unwrap();
    world
}

fn outcomes() -> Vec<Outcome> {
    let world = world();
    let summary = (BrokerId(3), BrokerEpoch(300), 4);
    vec![
        Ok(Reply::TopicCreated {
            topic_id: topic_id("orders"),
            name: "orders".parse().unwrap(),
            partition_count: 12,
            replication_factor: 3,
        }),
        Ok(Reply::TopicDeleted {
            topic_id: topic_id("orders"),
            name: "orders".parse().unwrap(),
        }),
        Ok(Reply::PartitionUpdated(world.partition("orders", 0))),
        Ok(Reply::LeaderElected(world.partition("orders", 1))),
        Ok(Reply::BrokerRegistered(world.broker(1))),
        Ok(Reply::BrokerFenced {
            broker_id: summary.0,
            epoch: summary.1,
            partitions_changed: summary.2,
        }),
        Ok(Reply::BrokerUnfenced {
            broker_id: summary.0,
            epoch: summary.1,
            partitions_changed: summary.2,
        }),
        Ok(Reply::FeatureLevelSet(FeatureLevel(1))),
        Err(Rejection {
            code: RejectionCode::InvalidTopic,
            message: "why".into(),
            field: None,
        }),
    ]
}

fn content(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let sink = |piece: &[u8]| -> Result<(), std::convert::Infallible> {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    let Ok(()) = snapshot::write(image, sink);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The golden file as this version would write it.
fn written() -> String {
    let mut text = String::new();
    let mut line = |name: &str, bytes: &[u8]| {
        let _ = writeln!(text, "{name} {}", hex(bytes));
    };
    for envelope in envelopes() {
        line(
            &format!("envelope {}", envelope.command.name()),
            &envelope.encode(),
        );
    }
    for outcome in outcomes() {
        line("outcome", &encode_outcome(&outcome));
    }
    let mut world = world();
    for row in world.image.rows() {
        line("row", &canonical_bytes(row));
        line("hash", &row_hash(row, FeatureLevel(1)).0.to_be_bytes());
    }
    line("state-hash", &world.image.state_hash().0.to_be_bytes());
    line("snapshot", &content(&world.image));
    let envelope = world.envelope(super::fixtures::delete("orders"));
    line("changes", &encode_changes(&world.apply(&envelope).changes));
    text
}

#[test]
fn bytes_of_format_1_stay_what_they_are() {
    let written = written();
    for (number, (expected, found)) in GOLDEN.lines().zip(written.lines()).enumerate() {
        assert_eq!(expected, found, "line {}", number + 1);
    }
    assert!(GOLDEN == written, "the whole file would be:\n{written}");
}

#[test]
fn golden_envelopes_and_outcomes_are_read_back() {
    for envelope in envelopes() {
        assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
    }
    for outcome in outcomes() {
        assert_eq!(decode_outcome(&encode_outcome(&outcome)), Ok(outcome));
    }
}

#[test]
fn changes_are_read_back() {
    let mut world = world();
    for command in [
        registration(5),
        RegisterBroker {
            port: 7,
            ..registration(5)
        },
    ] {
        let applied = world.keyed("key-3", 9, Command::RegisterBroker(command));
        assert_eq!(
            decode_changes(&encode_changes(&applied.changes)),
            Ok(applied.changes)
        );
    }
    let envelope = world.envelope(super::fixtures::delete("orders"));
    let changes = world.apply(&envelope).changes;
    assert_eq!(decode_changes(&encode_changes(&changes)), Ok(changes));
}

#[test]
fn what_a_newer_version_wrote_is_unknown_and_not_malformed() {
    let envelope = &envelopes()[12];
    let newer_format = [&[8, 2], &envelope.encode()[2..]].concat();
    let unknown =
        |bytes: &[u8]| matches!(Envelope::decode(bytes), Err(DecodeError::UnknownEntry(_)));
    assert!(unknown(&newer_format));
    // The command SET_FEATURE_LEVEL is field 23, varint: b8 01 01. Field 24 is nobody's yet.
    let bytes = envelope.encode();
    assert_eq!(bytes[bytes.len() - 3..], [0xb8, 1, 1]);
    assert!(unknown(
        &[&bytes[..bytes.len() - 3], &[0xc0, 1, 1]].concat()
    ));
    assert!(unknown(&bytes[..bytes.len() - 3]));
}

#[test]
fn cut_entries_are_malformed_or_unknown_and_never_taken_for_another() {
    for envelope in envelopes() {
        let bytes = envelope.encode();
        for length in 0..bytes.len() {
            let read = Envelope::decode(&bytes[..length]);
            assert!(
                read.is_err(),
                "{read:?} from {length} of {} bytes",
                bytes.len()
            );
        }
    }
}

#[test]
fn an_added_field_changes_nothing_for_this_version() {
    for envelope in envelopes() {
        // Field 200, bytes of length 2.
        let bytes = [&envelope.encode()[..], &[0xc2, 0x0c, 2, 1, 1]].concat();
        assert_eq!(Envelope::decode(&bytes), Ok(envelope));
    }
}

#[test]
fn the_words_of_a_rejection_are_not_hashed_but_its_code_is() {
    let world = world();
    let row = world.image.dedup_entries().next().unwrap();
    let hash = |code, message: &str| {
        let message = message.to_owned();
        let outcome = Err(Rejection {
            code,
            message,
            field: None,
        });
        let row = crate::DedupEntry {
            outcome,
            ..crate::DedupEntry::clone(row)
        };
        row_hash(Row::Dedup(&row), FeatureLevel(1))
    };
    let code = RejectionCode::TopicAlreadyExists;
    assert_eq!(hash(code, "better words"), hash(code, "words"));
    assert_ne!(hash(code, ""), hash(RejectionCode::InvalidTopic, ""));
}

#[test]
fn rows_of_different_kinds_never_hash_alike() {
    let world = world();
    let level = FeatureLevel(1);
    let mut hashes: Vec<_> = world.image.rows().map(|row| row_hash(row, level)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), world.image.rows().count());
    assert!(
        world
            .image
            .rows()
            .all(|row| row_hash(row, FeatureLevel::ZERO).0 == 0)
    );
    let kinds = [
        |row: &Row<'_>| matches!(row, Row::Settings(_)),
        |row: &Row<'_>| matches!(row, Row::Topic(_)),
        |row: &Row<'_>| matches!(row, Row::Partition(_)),
        |row: &Row<'_>| matches!(row, Row::Broker(_)),
        |row: &Row<'_>| matches!(row, Row::Dedup(_)),
    ];
    assert!(
        kinds
            .iter()
            .all(|kind| world.image.rows().any(|row| kind(&row)))
    );
    assert!(world.image.log_time() == LogTime(77));
}
