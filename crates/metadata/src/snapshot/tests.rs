//! Round trips and refusals of snapshot content.

use std::convert::Infallible;
use std::sync::Arc;

use super::{Reader, SnapshotError, write};
use crate::encoding::DecodeError;
use crate::image::Image;
use crate::tests::fixtures::{World, create, register};
use crate::{Change, Partition, PartitionId, Topic, TopicId};

fn world() -> World {
    let mut world = World::with_brokers(3);
    world.log_time = 5000;
    world.expect(create("orders", 20, 3));
    world.expect(create("a.b", 3, 1));
    world
        .keyed("k", 1, create("payments", 2, 2))
        .outcome
        .unwrap();
    world.fence(2);
    world.run(register(9)).unwrap();
    world
}

fn content(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(()) = write(image, |piece| -> Result<(), Infallible> {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    bytes
}

fn read(pieces: &[&[u8]]) -> Result<Image, SnapshotError> {
    let mut reader = Reader::new();
    for piece in pieces {
        reader.push(piece)?;
    }
    reader.finish()
}

/// Where each record begins, and the end.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut found = vec![0];
    while at < bytes.len() {
        let mut rest = &bytes[at..];
        let size = prost::encoding::decode_varint(&mut rest).unwrap();
        at = bytes.len() - rest.len() + usize::try_from(size).unwrap();
        found.push(at);
    }
    found
}

#[test]
fn an_image_survives_the_round_trip_with_its_hash_and_its_numbers() {
    for image in [world().image, World::empty().image, World::new().image] {
        let back = read(&[&content(&image)]).unwrap();
        assert_eq!(back, image);
        assert_eq!(back.state_hash(), image.state_hash());
        assert_eq!(back.counts(), image.counts());
        assert_eq!(content(&back), content(&image));
    }
}

#[test]
fn the_loaded_image_goes_on_like_the_original() {
    let mut world = world();
    let mut loaded = World {
        image: read(&[&content(&world.image)]).unwrap(),
        ..world_at(&world)
    };
    for command in [create("later", 9, 2), create("a_b", 1, 1)] {
        assert_eq!(world.run(command.clone()), loaded.run(command));
    }
    assert_eq!(world.unfence(2), loaded.unfence(2));
    let again = |world: &mut World| world.keyed("k", 1, create("payments", 2, 2));
    assert_eq!(again(&mut world), again(&mut loaded));
    assert_eq!(world.image, loaded.image);
    assert_eq!(world.image.state_hash(), loaded.image.state_hash());
}

fn world_at(world: &World) -> World {
    World {
        log_time: world.log_time,
        ..World::empty()
    }
}

#[test]
fn pieces_may_be_cut_anywhere() {
    let image = world().image;
    let bytes = content(&image);
    for at in 0..=bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(
            read(&[left, right]).unwrap().state_hash(),
            image.state_hash()
        );
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single).unwrap(), image);
}

#[test]
fn a_cut_end_is_noticed_at_every_byte() {
    let bytes = content(&world().image);
    for length in 0..bytes.len() {
        let error = read(&[&bytes[..length]]).unwrap_err();
        assert!(
            matches!(error, SnapshotError::Truncated { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_flipped_bit_never_yields_other_rows() {
    let image = world().image;
    let bytes = content(&image);
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(read) = read(&[&damaged]) {
                let same_rows = read.rows().eq(image.rows());
                assert!(same_rows, "bit {bit} of byte {at} went unnoticed");
            }
        }
    }
}

#[test]
fn records_out_of_order_missing_or_repeated_are_refused() {
    let bytes = content(&world().image);
    let at = boundaries(&bytes);
    let record = |number: usize| &bytes[at[number]..at[number + 1]];
    let last = at.len() - 2;
    let refused = |pieces: &[&[u8]]| {
        let error = read(pieces).unwrap_err();
        assert!(matches!(error, SnapshotError::Order { .. }), "{error}");
        error.to_string()
    };
    refused(&[record(1)]);
    refused(&[record(0), record(0)]);
    refused(&[record(0), record(2)]);
    refused(&[record(0), record(1), record(3), record(2)]);
    refused(&[record(0), record(1), record(2), record(2)]);
    refused(&[&bytes, record(last)]);
    for skipped in 1..last {
        let pieces = [&bytes[..at[skipped]], &bytes[at[skipped + 1]..]];
        refused(&pieces);
    }
    let message = refused(&[record(0), record(1), record(3), record(2)]);
    assert!(
        message.starts_with("snapshot record 3 at byte"),
        "{message}"
    );
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let mut bytes = content(&world().image);
    bytes.push(5);
    let error = read(&[&bytes]).unwrap_err();
    assert!(matches!(error, SnapshotError::Truncated { .. }), "{error}");
}

#[test]
fn topics_and_partitions_must_fit_each_other() {
    let world = world();
    let refused = |change: Change| {
        let mut image = world.image.clone();
        image.absorb(&change);
        let error = read(&[&content(&image)]).unwrap_err();
        assert!(matches!(error, SnapshotError::Order { .. }), "{error}");
    };
    let topic = world.topic("orders");
    let partition = world.partition("orders", 19);
    let moved = |topic_id, id| Partition {
        topic_id,
        partition_id: PartitionId(id),
        ..Partition::clone(&partition)
    };
    refused(Change::PutPartition(Arc::new(moved(topic.id, 20))));
    refused(Change::PutPartition(Arc::new(moved(TopicId::default(), 0))));
    refused(Change::DeletePartitions(topic.id));
    let larger = Topic {
        partition_count: 21,
        ..Topic::clone(&topic)
    };
    refused(Change::PutTopic(Arc::new(larger)));
}

#[test]
fn a_partition_too_many_does_not_make_up_for_a_missing_one() {
    let world = world();
    let mut image = world.image.clone();
    let topic = world.topic("a.b");
    let row = Partition {
        partition_id: PartitionId(3),
        ..Partition::clone(&world.partition("a.b", 2))
    };
    image.absorb(&Change::DeletePartitions(topic.id));
    for id in [0, 1] {
        image.absorb(&Change::PutPartition(world.partition("a.b", id)));
    }
    image.absorb(&Change::PutPartition(Arc::new(row)));
    let error = read(&[&content(&image)]).unwrap_err();
    assert!(error.to_string().contains("belongs to no topic"), "{error}");
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_memory_is_taken() {
    for prefix in [&[0xff, 0xff, 0xff, 0x7f][..], &[0xff; 10], &[0xff; 11]] {
        let error = Reader::new().push(prefix).unwrap_err();
        assert!(
            matches!(
                error,
                SnapshotError::Order {
                    number: 0,
                    offset: 0,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn content_of_a_newer_format_or_level_is_unknown() {
    let bytes = content(&world().image);
    // Length, tag of the header, length, then field 1: the format.
    assert_eq!(bytes[3..5], [8, 1]);
    let mut newer = bytes.clone();
    newer[4] = 2;
    let error = read(&[&newer]).unwrap_err();
    let SnapshotError::Record {
        source: DecodeError::UnknownEntry(_),
        ..
    } = error
    else {
        unreachable!("{error}")
    };
}

#[test]
fn a_failing_sink_ends_the_writing() {
    let image = world().image;
    let mut calls = 0;
    let result = write(&image, |_| {
        calls += 1;
        Err("disk full")
    });
    assert_eq!((result, calls), (Err("disk full"), 1));
}
