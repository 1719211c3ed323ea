//! `status.operation`: written before anything is done, resumed from what is seen, and never without an end.

use dmq_crd::status::OperationType::{Restart, TransferLeadership};

use super::scene::{Says as _, Scene};
use crate::plan::{Action, Again, Plan, Stage};

fn ends(made: &Plan) -> bool {
    assert!(!made.actions.contains(&Action::EndOperation) || made.is_harmless());
    made.actions.contains(&Action::EndOperation)
}

fn begins(made: &Plan) -> bool {
    made.actions
        .iter()
        .any(|action| matches!(action, Action::BeginOperation(_)))
}

#[test]
fn a_restart_that_was_written_down_but_not_done_is_done() {
    let made = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 5)
        .plan();
    assert_eq!(made.deletes(), Some("meta-2"));
    assert!(!begins(&made) && !ends(&made));
}

#[test]
fn it_is_not_done_if_the_gates_have_shut_meanwhile() {
    let made = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 5)
        .gone(1)
        .plan();
    assert!(made.is_harmless());
    assert_eq!(made.waits(), Some("PodMissing"));
}

#[test]
fn a_restart_goes_on_until_the_new_pod_is_back() {
    let stopping = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 5)
        .terminating(2);
    let missing = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 5)
        .gone(2);
    let starting = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 5)
        .replaced(2)
        .down(2, 5);
    for scene in [stopping, missing, starting] {
        let made = scene.plan();
        assert!(made.is_harmless() && !ends(&made));
        assert!(made.at(Stage::Rolling));
    }
}

#[test]
fn it_ends_when_the_new_pod_has_caught_up() {
    let made = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 20)
        .replaced(2)
        .plan();
    assert!(ends(&made));
    assert_eq!(made.again, Again::Now);
    assert!(made.at(Stage::Rolling));
}

#[test]
fn the_last_pod_is_part_of_the_roll_until_it_is_back() {
    let mut scene = Scene::running(3).new_template().operation(Restart, 0, 20);
    for ordinal in 0..3 {
        scene = scene.replaced(ordinal);
    }
    assert!(ends(&scene.plan()));
    let made = scene.down(0, 5).plan();
    assert!(made.at(Stage::Rolling), "{:?}", made.report);
    assert_eq!(made.waits(), Some("PodStarting"));
}

#[test]
fn it_ends_when_the_new_pod_fails() {
    let made = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 20)
        .replaced(2)
        .broken(2, "CrashLoopBackOff")
        .plan();
    assert!(ends(&made));
}

#[test]
fn it_ends_when_the_template_changes_again() {
    let mut scene = Scene::running(3)
        .new_template()
        .operation(Restart, 2, 20)
        .down(2, 5);
    scene.pod(2).uid = "another".to_owned();
    assert!(ends(&scene.plan()), "the successor is outdated already");
}

#[test]
fn it_ends_when_the_template_is_taken_back_before_anything_was_done() {
    assert!(ends(&Scene::running(3).operation(Restart, 2, 5).plan()));
}

#[test]
fn it_ends_with_its_deadline() {
    let scene = |age| {
        Scene::running(3)
            .new_template()
            .operation(Restart, 2, age)
            .gone(2)
    };
    assert!(!ends(&scene(59).plan()));
    assert!(ends(&scene(61).plan()));
    let undone = Scene::running(3).new_template().operation(Restart, 2, 61);
    assert!(ends(&undone.plan()));
}

#[test]
fn an_operation_on_a_pod_that_does_not_belong_here_ends() {
    let mut scene = Scene::running(3).operation(Restart, 2, 5);
    scene = scene.status(|status| {
        let operation = status.operation.as_mut().expect("written");
        operation.pod_name = "other-2".to_owned();
    });
    assert!(ends(&scene.plan()));
}

#[test]
fn an_operation_ends_also_while_nobody_leads() {
    let made = Scene::running(3)
        .leaderless()
        .operation(Restart, 2, 61)
        .plan();
    assert!(ends(&made));
}

fn transferring(age: i64) -> Scene {
    Scene::running(3)
        .new_template()
        .replaced(1)
        .replaced(2)
        .operation(TransferLeadership, 0, age)
}

#[test]
fn a_transfer_that_was_written_down_but_not_done_is_done() {
    let made = transferring(3).plan();
    assert_eq!(made.transfers_to(), Some(2));
    assert!(!begins(&made));
}

#[test]
fn a_transfer_ends_when_another_leads() {
    let mut scene = transferring(3);
    scene.leader().ordinal = 1;
    scene.leader().id = 2;
    assert!(ends(&scene.plan()));
}

#[test]
fn a_transfer_ends_when_its_pod_is_gone_or_another() {
    assert!(ends(&transferring(3).terminating(0).plan()));
    let mut scene = transferring(3);
    scene.pod(0).uid = "another".to_owned();
    assert!(ends(&scene.plan()));
    let taken_back = Scene::running(3).operation(TransferLeadership, 0, 3);
    assert!(ends(&taken_back.plan()));
}

#[test]
fn a_transfer_waits_while_nobody_leads_but_not_for_ever() {
    let made = transferring(3).leaderless().plan();
    assert!(made.is_harmless() && !ends(&made));
    assert!(ends(&transferring(16).leaderless().plan()));
}

#[test]
fn a_transfer_that_does_not_happen_is_given_up_for_a_plain_restart() {
    assert_eq!(transferring(14).plan().transfers_to(), Some(2));
    let made = transferring(15).plan();
    assert_eq!(made.deletes(), Some("meta-0"));
    assert!(begins(&made), "as another operation");
}

#[test]
fn a_transfer_is_not_given_up_while_the_gates_are_shut() {
    let made = transferring(15).down(2, 5).plan();
    assert!(made.is_harmless());
}
