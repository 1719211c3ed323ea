//! Stories of `UPDATE_LEADER`.

use super::fixtures::{World, assigned, elect, standing, unclean_topic};
use crate::RejectionCode::{
    ElectionNotNeeded, EligibleLeadersNotAvailable, FencedLeaderEpoch, IneligibleReplica,
    InvalidUpdateVersion, PreferredLeaderNotAvailable,
};
use crate::command::{Command, Election, UpdateLeader};
use crate::{BrokerId, LeaderEpoch, PartitionEpoch};

fn world() -> World {
    let mut world = World::with_brokers(3);
    world.expect(assigned("orders", &[&[1, 2]]));
    world
}

fn designate(broker: u32) -> Command {
    elect("orders", 0, Election::Designated(BrokerId(broker)))
}

#[test]
fn a_designated_leader_takes_over_and_both_epochs_move() {
    let mut world = world();
    world.expect(designate(2));
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 2 isr [1, 2] epochs 1/1"
    );
    assert_eq!(world.image.counts().preferred_leader_imbalance, 1);
    world.expect(elect("orders", 0, Election::Preferred));
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 1 isr [1, 2] epochs 2/2"
    );
    assert_eq!(world.image.counts().preferred_leader_imbalance, 0);
}

#[test]
fn whoever_leads_already_needs_no_election() {
    let mut world = world();
    world.expect_refusal(designate(1), ElectionNotNeeded, "brokerId");
    world.expect_refusal(
        elect("orders", 0, Election::Preferred),
        ElectionNotNeeded,
        "type",
    );
    world.expect_refusal(
        elect("orders", 0, Election::Unclean),
        ElectionNotNeeded,
        "type",
    );
}

#[test]
fn a_designated_leader_is_a_replica_in_sync_and_not_fenced() {
    let mut world = world();
    world.expect_refusal(designate(3), IneligibleReplica, "brokerId");
    world.set_isr("orders", 0, &[1]);
    world.expect_refusal(designate(2), IneligibleReplica, "brokerId");
    world.fence(2);
    world.expect_refusal(designate(2), IneligibleReplica, "brokerId");
}

#[test]
fn the_preferred_replica_leads_only_in_sync() {
    let mut world = world();
    world.fence(1);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 2 isr [2] epochs 1/1"
    );
    let preferred = || elect("orders", 0, Election::Preferred);
    world.expect_refusal(preferred(), PreferredLeaderNotAvailable, "type");
    world.unfence(1);
    world.expect_refusal(preferred(), PreferredLeaderNotAvailable, "type");
    world.set_isr("orders", 0, &[1, 2]);
    world.expect(preferred());
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 1 isr [1, 2] epochs 2/3"
    );
}

#[test]
fn an_unclean_election_needs_the_topics_permission() {
    let mut world = world();
    world.set_isr("orders", 0, &[1]);
    world.fence(1);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader none isr [1] epochs 1/2"
    );
    let unclean = elect("orders", 0, Election::Unclean);
    world.expect_refusal(unclean, EligibleLeadersNotAvailable, "type");
}

#[test]
fn an_unclean_election_needs_a_live_replica() {
    let mut world = World::with_brokers(2);
    world.expect(unclean_topic("orders", &[&[1]]));
    world.fence(1);
    let unclean = elect("orders", 0, Election::Unclean);
    world.expect_refusal(unclean, EligibleLeadersNotAvailable, "type");
}

#[test]
fn an_expected_epoch_must_be_the_one_in_force() {
    let mut world = world();
    let Command::UpdateLeader(update) = designate(2) else {
        unreachable!()
    };
    let leader = UpdateLeader {
        leader_epoch: Some(LeaderEpoch(1)),
        ..update.clone()
    };
    world.expect_refusal(
        Command::UpdateLeader(leader),
        FencedLeaderEpoch,
        "leaderEpoch",
    );
    let partition = UpdateLeader {
        partition_epoch: Some(PartitionEpoch(1)),
        ..update.clone()
    };
    let code = InvalidUpdateVersion;
    world.expect_refusal(Command::UpdateLeader(partition), code, "partitionEpoch");
    let right = UpdateLeader {
        leader_epoch: Some(LeaderEpoch(0)),
        partition_epoch: Some(PartitionEpoch(0)),
        ..update
    };
    world.expect(Command::UpdateLeader(right));
}
