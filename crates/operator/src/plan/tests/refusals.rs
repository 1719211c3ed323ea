//! What is refused, and what goes on nevertheless.

use dmq_crd::names::annotation;

use super::scene::{Says as _, Scene};
use crate::observed::{Conflict, Latch, Problem};
use crate::plan::{Action, Again, Plan, Stage};

fn applies_template(made: &Plan) -> bool {
    made.actions
        .iter()
        .any(|action| matches!(action, Action::ApplyStatefulSet { .. }))
}

fn rejected(made: &Plan) -> Vec<&str> {
    made.report
        .rejected
        .iter()
        .map(|problem| problem.reason.as_str())
        .collect()
}

#[test]
fn an_object_that_is_being_deleted_is_left_to_kubernetes() {
    let made = Scene::running(3).new_template().deleted().plan();
    assert!(made.at(Stage::Deleting));
    assert!(made.actions.is_empty());
}

#[test]
fn a_suspended_object_is_only_observed() {
    let mut scene = Scene::running(3)
        .new_template()
        .spec(|spec| spec.suspend = true);
    scene.pod(0).labelled_controller = false;
    let made = scene.plan();
    assert!(made.at(Stage::Suspended));
    assert!(made.actions.is_empty());
    assert_eq!(made.report.updated, 0);
}

#[test]
fn an_invalid_spec_changes_nothing_but_the_label_follows() {
    let mut scene = Scene::running(3).new_template();
    scene.seen.invalid = vec![
        Problem::new(
            "InvalidSpec",
            "spec.pod.env: POD_NAME is set by the operator",
        ),
        Problem::new("InvalidSpec", "spec.pod.resources: 1x is no quantity"),
    ];
    scene.pod(0).labelled_controller = false;
    let made = scene.plan();
    assert!(made.at(Stage::Invalid));
    assert_eq!(made.stalled(), Some("InvalidSpec"));
    assert!(
        made.message().contains("POD_NAME") && made.message().contains("1x"),
        "{}",
        made.message()
    );
    assert!(matches!(made.actions[..], [Action::LabelController { .. }]));
}

#[test]
fn a_taken_name_is_never_taken_over() {
    let mut scene = Scene::created(3);
    scene.seen.conflicts = vec![Conflict {
        object: "Service/meta".to_owned(),
        owner: "Deployment/shop".to_owned(),
    }];
    let made = scene.plan();
    assert!(made.at(Stage::Blocked));
    assert_eq!(made.stalled(), Some("NameConflict"));
    assert!(
        made.message()
            .contains("Service/meta belongs to Deployment/shop"),
        "{}",
        made.message()
    );
    assert!(made.actions.is_empty());
}

#[test]
fn scaling_is_refused_and_everything_else_goes_on() {
    let made = Scene::running(3)
        .spec(|spec| spec.replicas = 5)
        .new_template()
        .plan();
    assert_eq!(rejected(&made), ["ScaleRejected"]);
    let set = made.actions.iter().find_map(|action| match action {
        Action::ApplyStatefulSet { replicas, .. } => Some(*replicas),
        _ => None,
    });
    assert_eq!(set, Some(3));
    assert_eq!(made.deletes(), Some("meta-2"));
    assert!(made.report.rejected[0].message.contains("back to 3"));
}

#[test]
fn a_statefulset_that_was_scaled_by_hand_is_put_right() {
    let mut scene = Scene::running(3);
    scene.seen.stateful_set.as_mut().expect("a set").replicas = 2;
    let made = scene.plan();
    assert!(rejected(&made).is_empty());
    assert!(
        made.actions
            .iter()
            .any(|action| matches!(action, Action::ApplyStatefulSet { replicas: 3, .. }))
    );
}

#[test]
fn growing_a_volume_is_refused_and_the_template_keeps_its_sizes() {
    let made = Scene::running(3)
        .spec(|spec| spec.storage.size = "20Gi".to_owned())
        .plan();
    assert_eq!(rejected(&made), ["ResizeRejected"]);
    assert!(
        made.report.rejected[0]
            .message
            .contains("log is 10Gi, 20Gi is asked for")
    );
    let sizes = made.actions.iter().find_map(|action| match action {
        Action::ApplyStatefulSet { claim_sizes, .. } => Some(claim_sizes["log"].as_str()),
        _ => None,
    });
    assert_eq!(sizes, Some("10Gi"));
    let same = Scene::running(3)
        .spec(|spec| spec.storage.size = "10240Mi".to_owned())
        .plan();
    assert!(rejected(&same).is_empty());
}

#[test]
fn a_version_never_goes_down_or_skips_without_the_annotation() {
    for version in ["0.2.9", "0.5.0", "2.0.0"] {
        let scene = Scene::running(3).spec(|spec| spec.version = Some(version.to_owned()));
        let made = scene.plan();
        assert_eq!(rejected(&made), ["UpgradeRejected"], "{version}");
        assert!(!applies_template(&made));
        assert!(
            made.actions.contains(&Action::ApplyChildren),
            "children stay in order"
        );
        let made = scene
            .annotated(annotation::ALLOW_UNSAFE_UPGRADE, "true")
            .plan();
        assert!(
            rejected(&made).is_empty() && applies_template(&made),
            "{version}"
        );
    }
}

#[test]
fn the_next_release_is_rolled_out() {
    for version in ["0.3.0", "0.3.9", "0.4.0"] {
        let made = Scene::running(3)
            .spec(|spec| spec.version = Some(version.to_owned()))
            .plan();
        assert!(
            rejected(&made).is_empty() && applies_template(&made),
            "{version}"
        );
    }
}

#[test]
fn a_roll_that_is_not_finished_can_be_taken_back() {
    let mut scene = Scene::running(3).new_template().replaced(2);
    scene.seen.members.get_mut(&2).expect("there").version = "0.4.0".to_owned();
    assert!(rejected(&scene.plan()).is_empty());
    for member in scene.seen.members.values_mut() {
        member.version = "0.4.0".to_owned();
    }
    assert_eq!(
        rejected(&scene.plan()),
        ["UpgradeRejected"],
        "a finished one cannot"
    );
}

#[test]
fn a_refused_version_does_not_keep_a_roll_from_its_end() {
    let mut scene = Scene::running(3)
        .new_template()
        .spec(|spec| spec.version = Some("0.9.0".to_owned()));
    scene.seen.stateful_set.as_mut().expect("a set").applied = false;
    assert_eq!(scene.plan().deletes(), Some("meta-2"));
}

#[test]
fn before_the_birth_any_version_will_do() {
    let made = Scene::created(3)
        .spec(|spec| spec.version = Some("0.9.0".to_owned()))
        .plan();
    assert!(rejected(&made).is_empty());
}

#[test]
fn a_missing_secret_is_told_and_no_pod_is_made_or_stopped_for_want_of_it() {
    let mut scene = Scene::running(3).new_template();
    scene.seen.missing = vec![(
        "spec.store.postgres.external.credentialsSecretRef".to_owned(),
        "Secret db has no key password".to_owned(),
    )];
    let made = scene.plan();
    assert!(made.is_harmless() && !applies_template(&made));
    assert_eq!(made.stalled(), Some("SecretMissing"));
    assert!(
        made.message().contains("Secret db has no key password"),
        "{}",
        made.message()
    );
    assert_eq!(made.again, Again::Soon, "it may be made any moment");
}

#[test]
fn a_statefulset_that_is_being_deleted_is_waited_for() {
    let mut scene = Scene::running(3).new_template();
    scene.seen.stateful_set.as_mut().expect("a set").terminating = true;
    let made = scene.plan();
    assert!(made.is_harmless() && !applies_template(&made));
    assert_eq!(made.waits(), Some("StatefulSetTerminating"));
}

#[test]
fn a_set_scaled_by_hand_is_put_back_also_when_the_latch_of_the_voters_is_gone() {
    let mut scene = Scene::running(3);
    scene.seen.voters = Latch::Absent;
    scene.seen.stateful_set.as_mut().expect("a set").replicas = 1;
    let put_back = |made: &Plan| {
        made.actions
            .iter()
            .any(|action| matches!(action, Action::ApplyStatefulSet { replicas: 3, .. }))
    };
    let made = scene.plan();
    assert!(put_back(&made), "the controller knows its voters: {made:?}");
    scene.seen.leader = None;
    let made = scene.plan();
    assert!(put_back(&made), "a member knows them: {made:?}");
}
