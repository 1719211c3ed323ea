//! Stories of `UPDATE_PARTITION`.

use super::fixtures::{World, assigned, by_name, elect, member, standing, unclean_topic};
use crate::RejectionCode::{
    BrokerIdNotRegistered, FencedLeaderEpoch, IneligibleReplica, InvalidRequest,
    InvalidUpdateVersion, NotController, StaleBrokerEpoch, UnknownTopicOrPartition,
};
use crate::command::{Command, Election, UpdatePartition};
use crate::{BrokerEpoch, BrokerId, LeaderEpoch, LeaderRecovery, PartitionEpoch, PartitionId};

/// Three brokers and topic `orders` with one partition on 1, 2, 3, led by 1.
fn world() -> World {
    let mut world = World::with_brokers(3);
    world.expect(assigned("orders", &[&[1, 2, 3]]));
    world
}

fn refused(change: impl FnOnce(&mut UpdatePartition), code: crate::RejectionCode, field: &str) {
    let mut world = world();
    let mut proposal = world.isr_proposal("orders", 0, &[1, 2]);
    change(&mut proposal);
    world.expect_refusal(Command::UpdatePartition(proposal), code, field);
}

#[test]
fn the_leader_shrinks_and_grows_the_isr_and_only_the_partition_epoch_moves() {
    let mut world = world();
    world.set_isr("orders", 0, &[1]);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 1 isr [1] epochs 0/1"
    );
    world.set_isr("orders", 0, &[3, 1]);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 1 isr [1, 3] epochs 0/2"
    );
}

#[test]
fn the_same_isr_again_is_no_change() {
    let mut world = world();
    let before = world.image.state_hash();
    world.set_isr("orders", 0, &[3, 2, 1]);
    assert_eq!(
        world.partition("orders", 0).partition_epoch,
        PartitionEpoch(0)
    );
    assert_eq!(world.image.state_hash(), before);
}

#[test]
fn two_proposals_from_one_epoch_cannot_both_win() {
    let mut world = world();
    let proposal = world.isr_proposal("orders", 0, &[1, 2]);
    world.expect(Command::UpdatePartition(proposal.clone()));
    let code = InvalidUpdateVersion;
    world.expect_refusal(Command::UpdatePartition(proposal), code, "partitionEpoch");
}

#[test]
fn an_older_leader_epoch_is_fenced() {
    let mut world = world();
    let proposal = world.isr_proposal("orders", 0, &[1]);
    world.expect(elect("orders", 0, Election::Designated(BrokerId(2))));
    let code = FencedLeaderEpoch;
    world.expect_refusal(Command::UpdatePartition(proposal), code, "leaderEpoch");
}

#[test]
fn epochs_ahead_of_ours_belong_to_another_controller() {
    refused(
        |p| p.leader_epoch = LeaderEpoch(9),
        NotController,
        "leaderEpoch",
    );
    refused(
        |p| p.partition_epoch = PartitionEpoch(9),
        NotController,
        "partitionEpoch",
    );
}

#[test]
fn only_the_leader_with_its_present_registration_may_ask() {
    let mut world = world();
    let mut proposal = world.isr_proposal("orders", 0, &[1, 2]);
    proposal.broker_id = BrokerId(2);
    proposal.broker_epoch = world.broker(2).epoch;
    world.expect_refusal(
        Command::UpdatePartition(proposal),
        InvalidRequest,
        "brokerId",
    );
    refused(
        |p| p.broker_epoch = BrokerEpoch(1),
        StaleBrokerEpoch,
        "brokerEpoch",
    );
    refused(
        |p| p.broker_id = BrokerId(77),
        BrokerIdNotRegistered,
        "brokerId",
    );
}

#[test]
fn the_isr_is_a_subset_of_the_replicas_with_the_leader_in_it() {
    refused(|p| p.new_isr = vec![], InvalidRequest, "isr");
    refused(|p| p.new_isr = vec![member(2)], InvalidRequest, "isr");
    refused(|p| p.new_isr.push(member(1)), InvalidRequest, "isr");
    refused(|p| p.new_isr.push(member(4)), InvalidRequest, "isr");
}

#[test]
fn unknown_topics_and_partitions_are_named() {
    refused(
        |p| p.topic = by_name("payments"),
        UnknownTopicOrPartition,
        "topicName",
    );
    refused(
        |p| p.partition_id = PartitionId(1),
        UnknownTopicOrPartition,
        "partitionId",
    );
}

#[test]
fn fenced_brokers_and_older_registrations_are_not_eligible() {
    let mut world = world();
    world.fence(3);
    let proposal = world.isr_proposal("orders", 0, &[1, 2, 3]);
    world.expect_refusal(Command::UpdatePartition(proposal), IneligibleReplica, "isr");

    let mut proposal = world.isr_proposal("orders", 0, &[1, 2]);
    proposal.new_isr[1].broker_epoch = Some(BrokerEpoch(1));
    world.expect_refusal(
        Command::UpdatePartition(proposal.clone()),
        IneligibleReplica,
        "isr",
    );
    proposal.new_isr[1].broker_epoch = Some(world.broker(2).epoch);
    world.expect(Command::UpdatePartition(proposal));
}

#[test]
fn a_recovering_leader_stays_alone_until_it_has_recovered() {
    let mut world = World::with_brokers(2);
    world.expect(unclean_topic("orders", &[&[1, 2]]));
    world.set_isr("orders", 0, &[1]);
    world.fence(1);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 2 isr [2] epochs 1/2 recovering"
    );
    world.unfence(1);
    let recovering = UpdatePartition {
        recovery: LeaderRecovery::Recovering,
        ..world.isr_proposal("orders", 0, &[1, 2])
    };
    let field = "leaderRecoveryState";
    world.expect_refusal(Command::UpdatePartition(recovering), InvalidRequest, field);
    world.set_isr("orders", 0, &[1, 2]);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 2 isr [1, 2] epochs 1/3"
    );
    let again = UpdatePartition {
        recovery: LeaderRecovery::Recovering,
        ..world.isr_proposal("orders", 0, &[2])
    };
    world.expect_refusal(Command::UpdatePartition(again), InvalidRequest, field);
}
