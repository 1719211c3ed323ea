//! Stories of topics.

use uuid::Uuid;

use super::fixtures::{
    World, assigned, brokers, by_name, create, create_topic, delete, racked, register, standing,
    topic_id, topic_name,
};
use crate::RejectionCode::{
    InvalidPartitions, InvalidReplicaAssignment, InvalidReplicationFactor, InvalidRequest,
    InvalidTopic, TopicAlreadyExists, UnknownTopicId, UnknownTopicOrPartition,
};
use crate::command::{Command, CreateTopic, DeleteTopic, TopicRef};
use crate::{BrokerId, Reply, TopicConfigs, TopicId, WallTime, preview};

#[test]
fn a_topic_is_created_with_all_its_partitions_led_and_in_sync() {
    let mut world = World::with_brokers(3);
    let reply = world.expect(create("orders", 6, 3));
    let expected = Reply::TopicCreated {
        topic_id: topic_id("orders"),
        name: topic_name("orders"),
        partition_count: 6,
        replication_factor: 3,
    };
    assert_eq!(reply, expected);
    let topic = world.topic("orders");
    assert_eq!(topic.created_index, world.image.index());
    assert_eq!(topic.created_at, WallTime(1_700_000_000_000));
    assert_eq!(world.image.partitions_of(topic.id).count(), 6);
    for row in world.image.partitions_of(topic.id) {
        assert_eq!(row.leader, row.preferred_leader());
        assert_eq!(row.isr, row.replicas);
        assert_eq!(row.replicas.len(), 3);
    }
}

#[test]
fn the_seed_decides_the_placement_and_nothing_else_does() {
    let layout = |seed| {
        let mut world = World::with_brokers(9);
        world.seed = seed;
        world.expect(create("orders", 20, 3));
        world
            .image
            .partitions()
            .map(|row| row.replicas.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(layout(1), layout(1));
    assert_ne!(layout(1), layout(2));
}

#[test]
fn an_assignment_by_the_caller_is_taken_as_it_is() {
    let mut world = World::with_brokers(3);
    world.expect(assigned("orders", &[&[3, 1], &[2, 3]]));
    assert_eq!(world.partition("orders", 0).replicas, brokers(&[3, 1]));
    assert_eq!(
        standing(&world.partition("orders", 1)),
        "leader 2 isr [2, 3] epochs 0/0"
    );
    assert_eq!(world.topic("orders").replication_factor, 2);
}

#[test]
fn fenced_replicas_start_outside_the_isr() {
    let mut world = World::with_brokers(3);
    world.fence(3);
    world.expect(assigned("orders", &[&[3, 1, 2]]));
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 1 isr [1, 2] epochs 0/0"
    );
    assert_eq!(world.image.counts().preferred_leader_imbalance, 1);
}

#[test]
fn replicas_spread_over_racks() {
    let mut world = World::new();
    for (id, rack) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
        world.expect(racked(id, rack));
        world.unfence(id);
    }
    world.expect(create("orders", 8, 2));
    for row in world.image.partitions() {
        let racks: Vec<bool> = row.replicas.iter().map(|broker| broker.0 <= 2).collect();
        assert_ne!(racks[0], racks[1], "{:?}", row.replicas);
    }
}

#[test]
fn a_topic_that_exists_is_not_created_again() {
    let mut world = World::with_brokers(1);
    world.expect(create("orders", 1, 1));
    let again = CreateTopic {
        topic_id: topic_id("other"),
        ..create_topic("orders", 2, 1)
    };
    world.expect_refusal(Command::CreateTopic(again), TopicAlreadyExists, "topicName");
    let same_id = CreateTopic {
        topic_id: topic_id("orders"),
        ..create_topic("payments", 1, 1)
    };
    world.expect_refusal(Command::CreateTopic(same_id), TopicAlreadyExists, "topicId");
}

#[test]
fn names_that_differ_in_dot_and_underscore_only_collide() {
    let mut world = World::with_brokers(1);
    world.expect(create("a.b", 1, 1));
    world.expect_refusal(create("a_b", 1, 1), InvalidTopic, "topicName");
    world.expect(create("a-b", 1, 1));
    world.expect(delete("a.b"));
    world.expect(create("a_b", 1, 1));
}

#[test]
fn reserved_ids_are_refused() {
    let mut world = World::with_brokers(1);
    for id in [Uuid::nil(), Uuid::from_u128(1)] {
        let create = CreateTopic {
            topic_id: TopicId(id),
            ..create_topic("orders", 1, 1)
        };
        world.expect_refusal(Command::CreateTopic(create), InvalidRequest, "topicId");
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let mut world = World::with_brokers(3);
    world.expect_refusal(create("orders", 0, 1), InvalidPartitions, "numPartitions");
    world.expect_refusal(
        create("orders", 10_001, 1),
        InvalidPartitions,
        "numPartitions",
    );
    world.expect_refusal(
        create("orders", 1_000_000_000, 1),
        InvalidPartitions,
        "numPartitions",
    );
    world.expect_refusal(
        create("orders", 1, 0),
        InvalidReplicationFactor,
        "replicationFactor",
    );
    world.expect_refusal(
        create("orders", 1, 4),
        InvalidReplicationFactor,
        "replicationFactor",
    );
    world.expect_refusal(
        create("orders", 1, u32::MAX),
        InvalidReplicationFactor,
        "replicationFactor",
    );
    world.expect(create("orders", 10_000, 1));
}

#[test]
fn without_a_live_broker_no_topic_is_created() {
    let mut world = World::new();
    world.expect_refusal(
        create("orders", 1, 1),
        InvalidReplicationFactor,
        "replicationFactor",
    );
    world.expect(register(1));
    world.expect_refusal(
        create("orders", 1, 1),
        InvalidReplicationFactor,
        "replicationFactor",
    );
    world.expect_refusal(
        assigned("orders", &[&[1]]),
        InvalidReplicaAssignment,
        "assignments",
    );
}

#[test]
fn impossible_assignments_are_refused() {
    let mut world = World::with_brokers(3);
    let code = InvalidReplicaAssignment;
    world.expect_refusal(assigned("orders", &[&[1, 1]]), code, "assignments");
    world.expect_refusal(assigned("orders", &[&[1, 2], &[1]]), code, "assignments");
    world.expect_refusal(assigned("orders", &[&[1, 9]]), code, "assignments");
    world.expect_refusal(assigned("orders", &[]), InvalidPartitions, "assignments");
    world.expect_refusal(
        assigned("orders", &[&[]]),
        InvalidReplicationFactor,
        "assignments",
    );
}

#[test]
fn deleting_a_topic_takes_its_partitions_along() {
    let mut world = World::with_brokers(3);
    world.expect(create("orders", 5, 3));
    world.expect(create("payments", 2, 1));
    world.expect(delete("orders"));
    assert_eq!(
        (world.image.counts().topics, world.image.counts().partitions),
        (1, 2)
    );
    assert_eq!(world.image.topic_by_id(topic_id("orders")), None);
    assert_eq!(world.image.partitions_of(topic_id("orders")).count(), 0);
    let left = |id| world.image.partitions_on(BrokerId(id)).count();
    assert_eq!(left(1) + left(2) + left(3), 2);
    world.expect_refusal(delete("orders"), UnknownTopicOrPartition, "topicName");
}

#[test]
fn a_topic_deleted_by_id_is_not_its_successor_of_the_same_name() {
    let mut world = World::with_brokers(1);
    world.expect(create("orders", 1, 1));
    world.expect(delete("orders"));
    let successor = CreateTopic {
        topic_id: topic_id("successor"),
        ..create_topic("orders", 1, 1)
    };
    world.expect(Command::CreateTopic(successor));
    let old = DeleteTopic {
        topic: TopicRef::Id(topic_id("orders")),
    };
    world.expect_refusal(Command::DeleteTopic(old), UnknownTopicId, "topicId");
    let new = DeleteTopic {
        topic: TopicRef::Id(topic_id("successor")),
    };
    world.expect(Command::DeleteTopic(new));
}

#[test]
fn settings_are_kept_in_one_spelling() {
    let mut world = World::with_brokers(1);
    let configs = [("retentionMs", "+60000"), ("min.insync.replicas", "2")];
    let configs = TopicConfigs::parse(configs).unwrap();
    world.expect(Command::CreateTopic(CreateTopic {
        configs,
        ..create_topic("orders", 1, 1)
    }));
    let topic = world.topic("orders");
    let kept: Vec<_> = topic.configs.iter().collect();
    assert_eq!(
        kept,
        [("min.insync.replicas", "2"), ("retention.ms", "60000")]
    );
    assert_eq!(topic.configs.min_insync_replicas(), 2);
    assert_eq!(topic.configs.get("retentionMs"), Some("60000"));
    assert_eq!(topic.configs.get("segment.bytes"), Some("1073741824"));
}

#[test]
fn a_preview_answers_like_apply_and_changes_nothing() {
    let mut world = World::with_brokers(3);
    let envelope = world.envelope(create("orders", 3, 3));
    let before = world.image.clone();
    let preview_outcome = preview(&world.image, &envelope);
    assert_eq!(world.image, before);
    assert_eq!(preview_outcome, world.apply(&envelope).outcome);
    assert_eq!(
        preview(&world.image, &envelope).unwrap_err().code,
        TopicAlreadyExists
    );
}

#[test]
fn topics_are_listed_by_name_from_any_point_on() {
    let mut world = World::with_brokers(1);
    for name in ["b", "a.c", "a-b", "Z"] {
        world.expect(create(name, 1, 1));
    }
    let names = |after: Option<&str>| {
        let after = after.map(topic_name);
        let topics = world.image.topics_by_name(after.as_ref());
        topics
            .map(|topic| topic.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["Z", "a-b", "a.c", "b"]);
    assert_eq!(names(Some("a-b")), ["a.c", "b"]);
    assert_eq!(names(Some("zzz")), Vec::<String>::new());
    assert!(world.image.topic(&by_name("a.c")).is_some());
}
