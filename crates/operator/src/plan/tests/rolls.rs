//! Rolls: who is next, and what must hold before.

use dmq_crd::status::OperationType;

use super::scene::{Says as _, Scene};
use crate::plan::{Action, Again, Stage};

#[test]
fn in_a_quorum_at_rest_nothing_is_written_but_children() {
    for replicas in [1, 3, 5, 7] {
        let made = Scene::running(replicas).plan();
        assert!(made.at(Stage::Steady));
        assert_eq!((made.stalled(), made.waits()), (None, None));
        assert_eq!(made.again, Again::Idle);
        assert_eq!(made.report.updated, replicas);
        let names: Vec<bool> = made
            .actions
            .iter()
            .map(|action| {
                matches!(
                    action,
                    Action::ApplyChildren | Action::ApplyStatefulSet { .. }
                )
            })
            .collect();
        assert_eq!(names, [true, true]);
    }
}

#[test]
fn the_highest_follower_goes_first_if_all_are_alike() {
    let made = Scene::running(3).new_template().plan();
    assert_eq!(made.deletes(), Some("meta-2"));
    assert!(made.at(Stage::Rolling));
    assert_eq!(made.report.updated, 0);
}

#[test]
fn the_operation_is_written_down_and_the_deletion_names_what_was_seen() {
    let scene = Scene::running(3).new_template();
    let pod = scene.seen.pods[&2].clone();
    let made = scene.plan();
    let [
        ..,
        Action::BeginOperation(operation),
        Action::DeletePod {
            pod: name,
            uid,
            resource_version,
            ..
        },
    ] = &made.actions[..]
    else {
        panic!("{:?}", made.actions);
    };
    assert_eq!(
        (name, uid, resource_version),
        (&pod.name, &pod.uid, &pod.resource_version)
    );
    assert_eq!(
        (operation.type_, &operation.pod_uid),
        (OperationType::Restart, &pod.uid)
    );
}

#[test]
fn of_the_followers_the_one_furthest_behind_goes_first() {
    let made = Scene::running(5).new_template().lagging(1, 50_000).plan();
    assert_eq!(made.deletes(), Some("meta-1"));
}

#[test]
fn a_few_entries_more_or_less_do_not_change_the_order() {
    let made = Scene::running(5).new_template().lagging(1, 40).plan();
    assert_eq!(made.deletes(), Some("meta-4"));
}

#[test]
fn members_without_a_vote_go_before_followers() {
    let mut scene = Scene::running(5).new_template();
    let voters = &mut scene.leader().quorum.voters;
    let learner = voters.remove(1);
    scene.leader().quorum.observers.push(learner);
    assert_eq!(scene.plan().deletes(), Some("meta-1"));
}

#[test]
fn what_does_not_run_anyway_goes_first() {
    let made = Scene::running(3)
        .new_template()
        .broken(1, "CrashLoopBackOff")
        .plan();
    assert_eq!(made.deletes(), Some("meta-1"));
}

#[test]
fn what_does_not_run_is_not_replaced_while_the_rest_would_not_be_a_majority() {
    let made = Scene::running(3)
        .new_template()
        .broken(1, "CrashLoopBackOff")
        .broken(2, "CrashLoopBackOff")
        .plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("QuorumAtRisk"));
}

#[test]
fn nobody_else_goes_while_a_pod_is_on_its_way_out() {
    let made = Scene::running(5).new_template().terminating(3).plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("PodStopping"));
}

#[test]
fn nobody_else_goes_while_a_pod_is_missing() {
    let made = Scene::running(5).new_template().gone(3).plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("PodMissing"));
}

#[test]
fn nobody_else_goes_before_the_replaced_pod_was_ready_for_long_enough() {
    let mut scene = Scene::running(3).new_template().replaced(2);
    let now = scene.seen.now;
    scene.pod(2).ready_since = Some(now);
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("MinReadySeconds"));
}

#[test]
fn nobody_else_goes_before_the_replaced_pod_has_caught_up() {
    let mut scene = Scene::running(3).new_template().replaced(2);
    let member = scene.seen.members.get_mut(&2).expect("there");
    let probe = member.post_restart.as_mut().expect("asked");
    probe.caught_up = false;
    probe.reason = Some("index 7 is not applied".to_owned());
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("CatchingUp"));
    assert!(
        scene.silent(2).plan().is_harmless(),
        "nor without an answer"
    );
}

#[test]
fn nobody_goes_whom_the_controller_wants_to_keep() {
    let mut scene = Scene::running(3).new_template();
    let verdict = scene.leader().pre_restart.get_mut(&3).expect("asked");
    verdict.safe = false;
    verdict.reason = Some("1 of 3 would stay".to_owned());
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("QuorumAtRisk"));
    assert!(
        made.message().ends_with("the controller says so"),
        "{}",
        made.message()
    );
}

#[test]
fn nobody_goes_without_the_controllers_word() {
    let mut scene = Scene::running(3).new_template();
    scene.leader().pre_restart.clear();
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("NoAnswer"));
}

#[test]
fn nobody_goes_while_one_voter_set_replaces_another() {
    let mut scene = Scene::running(3).new_template();
    let quorum = &mut scene.leader().quorum;
    quorum.outgoing_voters = Some(quorum.voters.clone());
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("MembershipChanging"));
}

#[test]
fn nobody_goes_whose_majority_did_not_answer_this_pass() {
    let made = Scene::running(3).new_template().silent(1).plan();
    assert!(
        made.is_harmless(),
        "the controller's word alone is not enough"
    );
    assert_eq!(made.waits(), Some("QuorumAtRisk"));
    assert!(made.message().contains("meta-1"), "{}", made.message());
}

#[test]
fn with_one_member_of_five_down_the_roll_begins_with_it() {
    let made = Scene::running(5).new_template().down(1, 30).plan();
    assert_eq!(made.deletes(), Some("meta-1"));
}

#[test]
fn nothing_is_rolled_before_kubernetes_has_looked_at_the_template() {
    let mut scene = Scene::running(3).new_template();
    let set = scene.seen.stateful_set.as_mut().expect("a set");
    set.generation += 1;
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("WaitingForRevision"));
    assert_eq!(made.report.updated, 0);
}

#[test]
fn nothing_is_rolled_or_called_steady_before_the_template_is_the_one_that_is_asked_for() {
    for mut scene in [Scene::running(3), Scene::running(3).new_template()] {
        scene.seen.stateful_set.as_mut().expect("a set").applied = false;
        let made = scene.plan();
        assert!(made.is_harmless());
        assert_eq!(made.waits(), Some("ApplyingTemplate"));
    }
}

#[test]
fn the_leader_is_last_and_hands_over_to_a_replaced_follower() {
    let scene = Scene::running(3).new_template().replaced(1).replaced(2);
    let made = scene.plan();
    assert_eq!(made.transfers_to(), Some(2));
    assert_eq!(made.deletes(), None);
    let [
        ..,
        Action::BeginOperation(operation),
        Action::Transfer {
            from,
            expected_term,
            ..
        },
    ] = &made.actions[..]
    else {
        panic!("{:?}", made.actions);
    };
    assert_eq!(operation.type_, OperationType::TransferLeadership);
    assert_eq!(
        (*from, *expected_term),
        (0, scene.seen.leader.as_ref().expect("one").term)
    );
}

#[test]
fn leadership_goes_to_the_one_that_lacks_least() {
    let made = Scene::running(3)
        .new_template()
        .replaced(1)
        .replaced(2)
        .lagging(1, 5)
        .plan();
    assert_eq!(made.transfers_to(), Some(3));
}

#[test]
fn leadership_never_goes_to_one_that_cannot_take_it_over() {
    let mut scene = Scene::running(5).new_template();
    for ordinal in 1..5 {
        scene = scene.replaced(ordinal);
    }
    scene
        .leader()
        .pre_restart
        .get_mut(&1)
        .expect("asked")
        .successors = vec![4, 5];
    assert_eq!(scene.plan().transfers_to(), Some(4));
    scene
        .leader()
        .pre_restart
        .get_mut(&1)
        .expect("asked")
        .successors
        .clear();
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("NoSuccessor"));
}

#[test]
fn a_transfer_that_is_under_way_is_waited_for() {
    let mut scene = Scene::running(3).new_template().replaced(1).replaced(2);
    scene.leader().quorum.transferring_to = Some(2);
    let made = scene.plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("TransferringLeadership"));
}

#[test]
fn the_old_leader_goes_as_soon_as_another_leads() {
    let mut world = super::scene::steady(3);
    world.lead(1);
    for _ in 0..6 {
        world.tick();
    }
    let made = Scene::of(&world)
        .new_template()
        .replaced(1)
        .replaced(2)
        .plan();
    assert_eq!(made.deletes(), Some("meta-0"));
}

#[test]
fn a_single_node_is_simply_replaced() {
    let made = Scene::running(1).new_template().plan();
    assert_eq!(made.deletes(), Some("meta-0"));
    assert_eq!(made.transfers_to(), None);
}

#[test]
fn a_leader_whose_pod_is_not_ready_still_goes_last() {
    let mut scene = Scene::running(3).new_template();
    let pod = scene.pod(0);
    pod.ready = false;
    pod.ready_since = None;
    assert_eq!(scene.plan().deletes(), Some("meta-2"));
}

#[test]
fn a_pod_whose_claim_is_being_deleted_is_not_stopped() {
    let mut scene = Scene::running(3).new_template();
    scene
        .seen
        .claims
        .get_mut(&("log".to_owned(), 2))
        .expect("a claim")
        .terminating = true;
    let made = scene.plan();
    assert!(made.is_harmless());
    assert!(made.at(Stage::RollPaused));
    assert_eq!(made.stalled(), Some("ClaimTerminating"));
}

#[test]
fn the_label_follows_the_leader_and_leaves_the_old_pod_first() {
    let mut scene = Scene::running(3);
    scene.pod(0).labelled_controller = false;
    scene.pod(1).labelled_controller = true;
    let made = scene.plan();
    let uid = scene.seen.pods[&0].uid.clone();
    assert_eq!(
        made.actions[..2],
        [
            Action::UnlabelController {
                pods: vec!["meta-1".to_owned()]
            },
            Action::LabelController {
                pod: "meta-0".to_owned(),
                uid
            },
        ]
    );
    let made = scene.leaderless().plan();
    let moves = |action: &Action| {
        matches!(
            action,
            Action::UnlabelController { .. } | Action::LabelController { .. }
        )
    };
    assert!(!made.actions.iter().any(moves), "without a leader it stays");
}
