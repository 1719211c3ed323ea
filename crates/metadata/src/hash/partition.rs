//! The protobuf message of a partition written straight from the row: this hash is on the path of every ISR change,
//! and the message type would copy both lists first. A test holds the two against each other.

use bytes::BufMut;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::ids::BrokerId;
use crate::mutant;
use crate::partition::{LeaderRecovery, Partition};

/// Length of what [`write`] writes, in bytes.
pub(super) fn size(row: &Partition) -> usize {
    let topic = key_len(1) + 1 + 16;
    let lists = list_size(3, &row.replicas) + list_size(4, &row.isr);
    let leader = row
        .leader
        .map_or(0, |leader| key_len(5) + varint_size(leader.0));
    let numbers: usize = numbers(row)
        .map(|(tag, number)| number_size(tag, number))
        .iter()
        .sum();
    topic + lists + leader + numbers
}

/// Writes the message `wire::Partition` of the row.
pub(super) fn write(row: &Partition, buffer: &mut impl BufMut) {
    let [id, leader_epoch, epoch, recovery] = numbers(row);
    encode_key(1, WireType::LengthDelimited, buffer);
    encode_varint(16, buffer);
    buffer.put_slice(row.topic_id.0.as_bytes());
    write_number(id, buffer);
    write_list(3, &row.replicas, buffer);
    write_list(4, &row.isr, buffer);
    if let Some(leader) = row.leader {
        encode_key(5, WireType::Varint, buffer);
        encode_varint(leader.0.into(), buffer);
    }
    for number in [leader_epoch, epoch, recovery] {
        write_number(number, buffer);
    }
}

/// The plain numbers with their tags.
fn numbers(row: &Partition) -> [(u32, u32); 4] {
    let recovery = match row.recovery {
        LeaderRecovery::Recovered => 0,
        LeaderRecovery::Recovering => 1,
    };
    let epoch = row.partition_epoch.0 * u32::from(!mutant::is("hash-misses-field"));
    [
        (2, row.partition_id.0),
        (6, row.leader_epoch.0),
        (7, epoch),
        (8, recovery),
    ]
}

/// The default, 0, is left out.
fn number_size(tag: u32, number: u32) -> usize {
    if number == 0 {
        0
    } else {
        key_len(tag) + varint_size(number)
    }
}

fn write_number((tag, number): (u32, u32), buffer: &mut impl BufMut) {
    if number != 0 {
        encode_key(tag, WireType::Varint, buffer);
        encode_varint(number.into(), buffer);
    }
}

/// The default, an empty list, is left out.
fn list_size(tag: u32, brokers: &[BrokerId]) -> usize {
    if brokers.is_empty() {
        return 0;
    }
    let content = content_size(brokers);
    key_len(tag) + encoded_len_varint(content as u64) + content
}

fn write_list(tag: u32, brokers: &[BrokerId], buffer: &mut impl BufMut) {
    if brokers.is_empty() {
        return;
    }
    encode_key(tag, WireType::LengthDelimited, buffer);
    encode_varint(content_size(brokers) as u64, buffer);
    for broker in brokers {
        encode_varint(broker.0.into(), buffer);
    }
}

fn content_size(brokers: &[BrokerId]) -> usize {
    brokers.iter().map(|broker| varint_size(broker.0)).sum()
}

fn varint_size(number: u32) -> usize {
    encoded_len_varint(number.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use uuid::Uuid;

    use super::{size, write};
    use crate::encoding::wire;
    use crate::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionId, TopicId};
    use crate::partition::{LeaderRecovery, Partition};

    /// Numbers of every length as varint.
    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![Just(0), 0_u32..200, any::<u32>()]
    }

    fn brokers() -> impl Strategy<Value = Vec<BrokerId>> {
        prop::collection::vec(number().prop_map(BrokerId), 0..100)
    }

    prop_compose! {
        fn partition()(
            topic: u128, recovering: bool, numbers in [number(), number(), number()],
            replicas in brokers(), isr in brokers(), leader in prop::option::of(number()),
        ) -> Partition {
            Partition {
                topic_id: TopicId(Uuid::from_u128(topic)),
                partition_id: PartitionId(numbers[0]),
                replicas,
                isr,
                leader: leader.map(BrokerId),
                leader_epoch: LeaderEpoch(numbers[1]),
                partition_epoch: PartitionEpoch(numbers[2]),
                recovery: if recovering { LeaderRecovery::Recovering } else { LeaderRecovery::Recovered },
            }
        }
    }

    proptest! {
        #[test]
        fn the_direct_bytes_are_those_of_the_message(row in partition()) {
            let mut direct = Vec::new();
            write(&row, &mut direct);
            prop_assert_eq!(direct.len(), size(&row));
            prop_assert_eq!(direct, wire::Partition::from(&row).encode_to_vec());
        }
    }
}
