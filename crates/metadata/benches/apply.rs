//! How many `UPDATE_PARTITION` entries apply takes per second on 100,000 partitions, and what its parts cost.
//! Run with `cargo bench -p dmq-metadata`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its numbers")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first surprise"
)]

use std::time::{Duration, Instant};

use dmq_metadata::{
    BrokerEpoch, BrokerId, BrokerSession, ClusterId, Command, CreateTopic, Envelope, FeatureLevel,
    Host, Image, IsrMember, LeaderRecovery, LogTime, Partition, Principal, RegisterBroker,
    RequestId, Row, TopicConfigs, TopicId, TopicLayout, TopicName, TopicRef, UpdatePartition,
    WallTime, apply, row_hash, snapshot,
};
use uuid::Uuid;

const TOPICS: u32 = 100;
const PARTITIONS_PER_TOPIC: u32 = 1_000;
const BROKERS: u32 = 12;
const UPDATES: usize = 500_000;

fn main() {
    let mut image = build();
    println!(
        "{} partitions, {BROKERS} brokers",
        image.counts().partitions
    );
    let updates = updates(&image);
    measure("UPDATE_PARTITION apply", updates.len(), || {
        for update in &updates {
            run(&mut image, update).outcome.unwrap();
        }
    });
    let updates = self::updates(&image);
    measure(
        "the same, a clone held per 1,000 entries",
        updates.len(),
        || {
            let mut held = image.clone();
            for (number, update) in updates.iter().enumerate() {
                run(&mut image, update).outcome.unwrap();
                if number % 1_000 == 0 {
                    held = image.clone();
                }
            }
            drop(held);
        },
    );
    let encoded: Vec<_> = updates.iter().map(Envelope::encode).collect();
    measure("decode of an entry", encoded.len(), || {
        for bytes in &encoded {
            Envelope::decode(bytes).unwrap();
        }
    });
    let level = image.feature_level();
    measure("row hash of a partition", image.counts().partitions, || {
        for row in image.partitions() {
            std::hint::black_box(row_hash(Row::Partition(row), level));
        }
    });
    let mut content = Vec::new();
    measure(
        "snapshot write, per partition",
        image.counts().partitions,
        || {
            let sink = |piece: &[u8]| -> Result<(), std::convert::Infallible> {
                content.extend_from_slice(piece);
                Ok(())
            };
            let Ok(()) = snapshot::write(&image, sink);
        },
    );
    println!("snapshot content: {} bytes", content.len());
    measure(
        "snapshot read, per partition",
        image.counts().partitions,
        || {
            let mut reader = snapshot::Reader::new();
            content
                .chunks(1 << 20)
                .for_each(|piece| reader.push(piece).unwrap());
            assert!(reader.finish().unwrap() == image);
        },
    );
    let session = BrokerSession {
        broker_id: BrokerId(1),
        epoch: epoch(&image, BrokerId(1)),
    };
    let fence = envelope(Command::FenceBroker(session));
    measure("FENCE_BROKER", 1, || {
        drop(run(&mut image, &fence).outcome.unwrap());
    });
}

/// Time that this process has had a processor: a busy machine does not count. Elsewhere than on Linux: time.
fn busy(start: Instant) -> Duration {
    let statistics = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = statistics
        .split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn measure(what: &str, count: usize, mut work: impl FnMut()) {
    let start = Instant::now();
    let before = busy(start);
    work();
    let nanos = busy(start).saturating_sub(before).as_nanos();
    let each = nanos / count as u128;
    println!(
        "{what}: {each} ns each, {} per second",
        1_000_000_000 / each.max(1)
    );
}

fn envelope(command: Command) -> Envelope {
    Envelope {
        request_id: RequestId(Uuid::from_u128(1)),
        principal: Principal::anonymous(),
        idempotency: None,
        log_time: LogTime(0),
        wall_clock: WallTime(0),
        seed: 1,
        command,
    }
}

fn run(image: &mut Image, envelope: &Envelope) -> dmq_metadata::Applied {
    let index = image.index().next();
    let mut stamped = envelope.clone();
    stamped.log_time = LogTime(index.0);
    apply(image, index, &stamped).unwrap()
}

fn build() -> Image {
    let mut image = Image::new(ClusterId::parse("bench").unwrap());
    run(
        &mut image,
        &envelope(Command::SetFeatureLevel(FeatureLevel::MAX)),
    )
    .outcome
    .unwrap();
    for id in 0..BROKERS {
        let broker_id = BrokerId(id);
        let register = RegisterBroker {
            broker_id,
            cluster_id: None,
            incarnation: None,
            host: Host::parse("localhost").unwrap(),
            port: 9092,
            rack: None,
        };
        run(&mut image, &envelope(Command::RegisterBroker(register)))
            .outcome
            .unwrap();
        let session = BrokerSession {
            broker_id,
            epoch: epoch(&image, broker_id),
        };
        run(&mut image, &envelope(Command::UnfenceBroker(session)))
            .outcome
            .unwrap();
    }
    for number in 0..TOPICS {
        let create = CreateTopic {
            topic_id: TopicId(Uuid::from_u128(u128::from(number) << 64 | 1 << 120)),
            name: TopicName::parse(&format!("topic-{number}")).unwrap(),
            layout: TopicLayout::Automatic {
                partitions: PARTITIONS_PER_TOPIC,
                replication_factor: 3,
            },
            configs: TopicConfigs::default(),
        };
        run(&mut image, &envelope(Command::CreateTopic(create)))
            .outcome
            .unwrap();
    }
    image
}

fn epoch(image: &Image, broker: BrokerId) -> BrokerEpoch {
    image.broker(broker).unwrap().epoch
}

/// Every partition's leader shrinks and grows its ISR in turn; partitions in an order that jumps about.
fn updates(image: &Image) -> Vec<Envelope> {
    let rows: Vec<&Partition> = image.partitions().map(|row| &**row).collect();
    let update = |number: usize| {
        let row = rows[number * 7_919 % rows.len()];
        let round = u32::try_from(number / rows.len()).unwrap();
        let shrinks = row.isr.len() == 3;
        proposal(
            image,
            row,
            round,
            if (round % 2 == 0) == shrinks { 2 } else { 3 },
        )
    };
    (0..UPDATES).map(update).collect()
}

fn proposal(image: &Image, row: &Partition, round: u32, members: usize) -> Envelope {
    let leader = row.leader.unwrap();
    let mut partition_epoch = row.partition_epoch;
    partition_epoch.0 += round;
    let isr = row.replicas.iter().take(members);
    envelope(Command::UpdatePartition(UpdatePartition {
        topic: TopicRef::Id(row.topic_id),
        partition_id: row.partition_id,
        broker_id: leader,
        broker_epoch: epoch(image, leader),
        leader_epoch: row.leader_epoch,
        partition_epoch,
        new_isr: isr
            .map(|id| IsrMember {
                broker_id: *id,
                broker_epoch: None,
            })
            .collect(),
        recovery: LeaderRecovery::Recovered,
    }))
}
