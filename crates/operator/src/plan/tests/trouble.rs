//! Failing pods, lost data, lost quorums: what stops a roll, and what is only reported.

use dmq_crd::condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::scene::{Says as _, Scene, time};
use crate::plan::Stage;

/// `Available` is `False` since so many seconds.
fn unavailable(scene: Scene, seconds: i64) -> Scene {
    let since = Time(scene.seen.now - jiff::SignedDuration::from_secs(seconds));
    scene.status(|status| {
        status.conditions = vec![Condition {
            type_: condition::kind::AVAILABLE.to_owned(),
            status: "False".to_owned(),
            reason: "NoLeader".to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: since,
        }];
    })
}

#[test]
fn a_replaced_pod_that_fails_stops_the_roll_before_the_second() {
    let made = Scene::running(3)
        .new_template()
        .replaced(2)
        .broken(2, "ImagePullBackOff")
        .plan();
    assert!(made.is_harmless());
    assert!(made.at(Stage::RollPaused));
    assert_eq!(made.stalled(), Some("RollPaused"));
    assert!(
        made.message().contains("meta-2") && made.message().contains("ImagePullBackOff"),
        "{}",
        made.message()
    );
}

#[test]
fn a_replaced_pod_that_takes_too_long_stops_the_roll_too() {
    let waiting = Scene::running(3)
        .new_template()
        .replaced(2)
        .down(2, 59)
        .plan();
    assert!(waiting.at(Stage::Rolling) && waiting.is_harmless());
    let made = Scene::running(3)
        .new_template()
        .replaced(2)
        .down(2, 61)
        .plan();
    assert_eq!(made.stalled(), Some("RollPaused"));
    assert!(made.message().contains("60 s"), "{}", made.message());
}

#[test]
fn the_troubles_of_a_start_are_no_failure_yet() {
    let mut scene = Scene::running(3)
        .new_template()
        .replaced(2)
        .broken(2, "Unschedulable");
    let now = scene.seen.now;
    scene.pod(2).created = now;
    scene.pod(2).unready_since = Some(now);
    let made = scene.plan();
    assert!(made.at(Stage::Rolling) && made.is_harmless());
    assert_eq!(made.waits(), Some("PodStarting"));
    assert!(
        made.message().contains("Unschedulable"),
        "{}",
        made.message()
    );
}

#[test]
fn a_pod_that_is_stuck_but_not_outdated_stops_the_roll_and_says_so() {
    let mut scene = Scene::running(5)
        .new_template()
        .replaced(4)
        .replaced(3)
        .broken(4, "Unschedulable");
    let later = scene.seen.now - jiff::SignedDuration::from_secs(20);
    scene.pod(3).created = later;
    let made = scene.plan();
    assert!(made.is_harmless());
    assert!(made.at(Stage::RollPaused));
    assert_eq!(made.stalled(), Some("PodStuck"));
    assert!(
        made.message().contains("meta-4") && made.message().contains("not outdated"),
        "{}",
        made.message()
    );
}

#[test]
fn the_next_template_takes_the_failed_pod_first() {
    let made = Scene::running(3)
        .broken(1, "CrashLoopBackOff")
        .new_template()
        .plan();
    assert_eq!(made.deletes(), Some("meta-1"));
}

#[test]
fn without_pause_on_failure_the_roll_waits_and_calls_nobody() {
    for replicas in [3, 5, 7] {
        let made = Scene::running(replicas)
            .new_template()
            .replaced(replicas - 1)
            .broken(replicas - 1, "CrashLoopBackOff")
            .spec(|spec| spec.update_strategy.pause_on_failure = false)
            .plan();
        assert!(made.is_harmless(), "never two down by our hand: {made:?}");
        assert_eq!(made.stalled(), None);
        assert!(made.at(Stage::Rolling));
    }
}

#[test]
fn a_pod_that_does_not_stop_is_told() {
    let scene = Scene::running(3).new_template().down(2, 100).terminating(2);
    let made = scene.plan();
    assert_eq!(made.stalled(), Some("PodStuck"));
    assert!(
        made.message().contains("does not stop"),
        "{}",
        made.message()
    );
}

#[test]
fn a_member_that_came_back_empty_is_reported_and_the_roll_waits() {
    let made = Scene::running(3).emptied(1).plan();
    assert!(made.is_harmless());
    assert_eq!(made.stalled(), Some("MemberDataLost"));
    assert!(made.message().contains("meta-1"), "{}", made.message());
    let made = Scene::running(3).new_template().emptied(1).plan();
    assert!(made.is_harmless());
    assert!(made.at(Stage::RollPaused));
}

#[test]
fn a_lost_database_is_no_trouble_at_all() {
    let mut scene = Scene::running(3);
    let projection = &mut scene
        .seen
        .members
        .get_mut(&1)
        .expect("there")
        .quorum
        .projection;
    projection.healthy = false;
    projection.lag = 9_999;
    assert!(scene.plan().at(Stage::Steady));
    assert_eq!(scene.new_template().plan().deletes(), Some("meta-2"));
}

#[test]
fn a_failed_pod_outside_of_a_roll_is_reported() {
    let made = Scene::running(3).broken(1, "CrashLoopBackOff").plan();
    assert!(made.is_harmless());
    assert_eq!(made.stalled(), Some("PodStuck"));
    assert!(
        made.message().contains("CrashLoopBackOff"),
        "{}",
        made.message()
    );
}

#[test]
fn a_pod_that_was_just_lost_is_waited_for() {
    let made = Scene::running(3).gone(1).plan();
    assert!(made.is_harmless());
    assert_eq!((made.stalled(), made.waits()), (None, Some("PodStarting")));
}

#[test]
fn an_election_is_waited_for_and_children_are_kept() {
    let made = Scene::running(3).leaderless().plan();
    assert!(made.at(Stage::NoLeader));
    assert!(made.is_harmless());
    assert_eq!(made.actions.len(), 2);
    assert_eq!(made.stalled(), None);
}

#[test]
fn a_lost_majority_is_a_lost_quorum_after_a_while() {
    let scene = Scene::running(3)
        .leaderless()
        .broken(1, "CrashLoopBackOff")
        .gone(2);
    let made = unavailable(scene.clone(), 3).plan();
    assert!(made.at(Stage::NoLeader));
    let made = unavailable(scene, 30).plan();
    assert!(made.at(Stage::QuorumLost));
    assert!(made.is_harmless());
    assert_eq!(made.stalled(), Some("QuorumLost"));
    for part in ["1 of 3", "meta-1", "meta-2"] {
        assert!(made.message().contains(part), "{part}: {}", made.message());
    }
}

#[test]
fn pods_that_are_starting_are_no_lost_majority() {
    let scene = Scene::running(3).leaderless().down(1, 30).gone(2);
    assert!(unavailable(scene, 60).plan().at(Stage::NoLeader));
}

#[test]
fn a_majority_that_runs_is_no_lost_quorum_however_long_it_takes() {
    let scene = Scene::running(3).leaderless().down(1, 300);
    assert!(unavailable(scene, 300).plan().at(Stage::NoLeader));
}

#[test]
fn members_that_are_ready_but_silent_are_not_called_lost() {
    let scene = Scene::running(3).leaderless().silent(0).silent(1).silent(2);
    let made = unavailable(scene, 300).plan();
    assert!(
        made.at(Stage::NoLeader),
        "perhaps only the operator is cut off"
    );
}

#[test]
fn a_lost_quorum_is_not_rolled_but_the_user_is_told_how() {
    let scene = Scene::running(3)
        .new_template()
        .leaderless()
        .broken(1, "CrashLoopBackOff")
        .broken(2, "CrashLoopBackOff");
    let made = unavailable(scene, 60).plan();
    assert!(made.is_harmless());
    assert!(
        made.message().contains("delete them") && made.message().contains("meta-1, meta-2"),
        "{}",
        made.message()
    );
}

#[test]
fn empty_members_count_as_lost() {
    let scene = Scene::running(3).leaderless().emptied(1).emptied(2);
    let made = unavailable(scene, 60).plan();
    assert!(made.at(Stage::QuorumLost));
    assert!(
        made.message().contains("meta-1 lost its data"),
        "{}",
        made.message()
    );
}

#[test]
fn a_single_node_that_failed_is_replaced_when_its_template_changes() {
    let scene = Scene::running(1).leaderless().broken(0, "CrashLoopBackOff");
    assert!(scene.plan().is_harmless());
    assert_eq!(
        scene.clone().new_template().plan().deletes(),
        Some("meta-0")
    );
    let mut starting = scene.new_template();
    starting.pod(0).created = starting.seen.now;
    starting.pod(0).unready_since = None;
    assert!(starting.plan().is_harmless(), "it may still come up");
    assert!(time(0) < starting.seen.now);
}
