//! Conditions: what is true when, and what their messages tell a user.

use dmq_crd::condition::kind::{
    AVAILABLE, PAUSED, PROJECTION_HEALTHY, QUORUM_HEALTHY, READY, RECONCILING, STALLED, UP_TO_DATE,
};
use dmq_crd::status::Phase;

use super::fixture::{applied_just_now, at, condition, formatted, maybe, running, says};
use crate::plan::Stage;

#[test]
fn a_quorum_that_runs_is_all_true_and_asks_for_nothing() {
    let status = running().status(None);
    for kind in [READY, QUORUM_HEALTHY, UP_TO_DATE, PROJECTION_HEALTHY] {
        assert_eq!(says(&status, kind), "True AsExpected");
    }
    assert_eq!(says(&status, AVAILABLE), "True LeaderConfirmed");
    assert_eq!(says(&status, PAUSED), "False NotSuspended");
    assert_eq!(status.conditions.len(), 6);
    assert_eq!(
        condition(&status, AVAILABLE).message,
        "meta-0 leads in term 3."
    );
    assert!(
        status
            .conditions
            .iter()
            .all(|one| one.observed_generation == Some(1))
    );
}

#[test]
fn ready_is_not_true_of_a_generation_that_was_not_applied() {
    let before = running().settled();
    let status = running().generation(2).not_applied().status(Some(&before));
    assert_eq!(says(&status, READY), "False Applying");
    assert_eq!(says(&status, RECONCILING), "True Applying");
    assert_eq!(says(&status, UP_TO_DATE), "False Applying");
    assert_eq!(condition(&status, READY).observed_generation, Some(2));
    assert_eq!(says(&status, AVAILABLE), "True LeaderConfirmed");
}

#[test]
fn ready_waits_until_kubernetes_has_looked_at_the_template() {
    let mut pass = running();
    pass.seen.stateful_set.as_mut().expect("a set").generation = 2;
    assert_eq!(says(&pass.status(None), READY), "False Applying");
}

#[test]
fn a_roll_is_reconciling_and_stays_available() {
    let pass = running()
        .target("meta-b")
        .revision(2, "meta-b")
        .stage(Stage::Rolling)
        .progress("RollingUpdate", "Waiting for meta-2.");
    let status = pass.status(Some(&running().settled()));
    assert_eq!(says(&status, READY), "False RollingUpdate");
    assert_eq!(says(&status, UP_TO_DATE), "False RollingUpdate");
    assert_eq!(says(&status, RECONCILING), "True RollingUpdate");
    assert_eq!(says(&status, AVAILABLE), "True LeaderConfirmed");
    let message = &condition(&status, READY).message;
    assert_eq!(
        message,
        "1 of 3 pods are on the newest revision. Waiting for meta-2."
    );
    assert_eq!(status.phase, Some(Phase::Updating));
}

#[test]
fn a_pod_that_cannot_pull_its_image_is_named_with_what_to_do() {
    let pass = running().broken(2, "ImagePullBackOff", "Back-off pulling image \"x:9\"");
    let status = pass.status(Some(&running().settled()));
    assert_eq!(says(&status, READY), "False PodsNotReady");
    let message = &condition(&status, READY).message;
    assert_eq!(
        message,
        "2 of 3 pods are Ready. Pod meta-2: ImagePullBackOff: Back-off pulling image \"x:9\". \
         Check spec.version, spec.image and spec.image.pullSecrets."
    );
    assert_eq!(says(&status, QUORUM_HEALTHY), "False MembersUnhealthy");
    assert!(
        condition(&status, QUORUM_HEALTHY)
            .message
            .starts_with("2 of 3 voters are healthy; no more may fail. meta-2: ")
    );
}

#[test]
fn the_growing_back_off_of_a_crashing_pod_is_no_news() {
    let crash = |delay: &str| {
        let message = format!("back-off {delay} restarting failed container=dmq-metadata");
        running().broken(2, "CrashLoopBackOff", &message)
    };
    let first = crash("10s").status(Some(&running().settled()));
    assert_eq!(crash("2m40s").status(Some(&first)), first);
    assert!(
        condition(&first, READY)
            .message
            .contains("logs meta-2 --all-containers --previous")
    );
}

#[test]
fn a_bootstrap_says_what_it_waits_for() {
    let first = applied_just_now().status(None);
    assert_eq!(says(&first, READY), "False Bootstrapping");
    assert_eq!(says(&first, AVAILABLE), "False Bootstrapping");
    assert_eq!(says(&first, RECONCILING), "True Bootstrapping");
    let waits = formatted().progress("WaitingForMembers", "2 of 3 members answer.");
    let waits = waits.broken(1, "Unschedulable", "0/3 nodes are available");
    let status = waits.status(Some(&first));
    let message = &condition(&status, READY).message;
    assert!(message.starts_with("2 of 3 members answer."), "{message}");
    assert!(
        message.contains("Pod meta-1: Unschedulable: 0/3 nodes are available. Add room"),
        "{message}"
    );
    assert_eq!(says(&status, RECONCILING), "True WaitingForMembers");
}

#[test]
fn a_bootstrap_that_needs_a_human_is_failed() {
    let pass = applied_just_now().stalled("SecretMissing", "Secret db of spec.store is not there.");
    let status = pass.status(None);
    assert_eq!(says(&status, READY), "False SecretMissing");
    assert_eq!(says(&status, STALLED), "True SecretMissing");
    assert_eq!(maybe(&status, RECONCILING), None);
    assert_eq!(status.phase, Some(Phase::Failed));
}

#[test]
fn no_leader_is_not_available_and_in_progress() {
    let before = running().settled();
    let status = running()
        .leaderless()
        .stage(Stage::NoLeader)
        .status(Some(&before));
    assert_eq!(says(&status, AVAILABLE), "False NoLeader");
    assert_eq!(says(&status, READY), "False NoLeader");
    assert_eq!(says(&status, QUORUM_HEALTHY), "False NoLeader");
    assert_eq!(says(&status, RECONCILING), "True NoLeader");
    assert_eq!(
        condition(&status, AVAILABLE).message,
        "No member leads. 3 of 3 voters are up, 2 are needed to elect one."
    );
}

#[test]
fn a_lost_quorum_asks_a_human_even_if_the_plan_says_no_more() {
    let pass = running()
        .leaderless()
        .gone(1)
        .gone(2)
        .stage(Stage::QuorumLost);
    let status = pass.status(Some(&running().settled()));
    assert_eq!(says(&status, STALLED), "True QuorumLost");
    assert_eq!(says(&status, AVAILABLE), "False QuorumLost");
    assert_eq!(maybe(&status, RECONCILING), None);
    let message = &condition(&status, STALLED).message;
    assert!(message.contains("1 of 3 voters are up, 2 are needed. Pod meta-1 does not exist. Pod meta-2 does not exist."), "{message}");
    assert_eq!(status.phase, Some(Phase::QuorumLost));
}

#[test]
fn lost_data_is_failed_and_never_in_progress() {
    let pass = running().leaderless().stage(Stage::DataLost);
    let status = pass.status(Some(&running().settled()));
    assert_eq!(says(&status, STALLED), "True DataLost");
    assert_eq!(says(&status, AVAILABLE), "False DataLost");
    assert_eq!(
        (status.phase, maybe(&status, RECONCILING)),
        (Some(Phase::Failed), None)
    );
}

#[test]
fn a_refused_scale_stalls_a_quorum_that_runs_on() {
    let pass = running()
        .spec(|spec| spec.replicas = 5)
        .rejected("ScaleRejected", "Set spec.replicas back to 3.");
    let status = pass.status(Some(&running().settled()));
    assert_eq!(says(&status, READY), "False ScaleRejected");
    assert_eq!(says(&status, STALLED), "True ScaleRejected");
    assert_eq!(says(&status, AVAILABLE), "True LeaderConfirmed");
    assert_eq!(says(&status, QUORUM_HEALTHY), "True AsExpected");
    assert_eq!(says(&status, UP_TO_DATE), "True AsExpected");
    assert_eq!(
        (status.phase, maybe(&status, RECONCILING)),
        (Some(Phase::Running), None)
    );
}

#[test]
fn two_refusals_are_both_told_once() {
    let pass = running()
        .stalled("UpgradeRejected", "No way down")
        .rejected("UpgradeRejected", "No way down")
        .rejected("ResizeRejected", "Not bigger either.");
    let status = pass.status(None);
    assert_eq!(
        condition(&status, STALLED).message,
        "No way down. Not bigger either."
    );
}

#[test]
fn a_roll_that_goes_on_beside_a_refusal_shows_both() {
    let pass = running()
        .target("meta-b")
        .stage(Stage::Rolling)
        .progress("RollingUpdate", "Replacing meta-2.")
        .rejected("ScaleRejected", "Set spec.replicas back to 3.");
    let status = pass.status(None);
    assert_eq!(says(&status, RECONCILING), "True RollingUpdate");
    assert_eq!(says(&status, STALLED), "True ScaleRejected");
}

#[test]
fn a_paused_roll_names_the_pod_and_its_problem() {
    let pass = running()
        .target("meta-b")
        .revision(2, "meta-b")
        .broken(2, "ImagePullBackOff", "no such image")
        .stage(Stage::RollPaused);
    let status = pass.status(Some(&running().settled()));
    assert_eq!(says(&status, UP_TO_DATE), "False RollPaused");
    assert_eq!(says(&status, STALLED), "True RollPaused");
    assert!(
        condition(&status, STALLED)
            .message
            .contains("Pod meta-2: ImagePullBackOff: no such image.")
    );
    assert_eq!(status.phase, Some(Phase::Degraded));
}

#[test]
fn a_suspended_quorum_that_is_in_place_is_ready_and_paused() {
    let pass = running()
        .spec(|spec| spec.suspend = true)
        .stage(Stage::Suspended);
    let status = pass.status(None);
    assert_eq!(says(&status, PAUSED), "True Suspended");
    assert_eq!(says(&status, READY), "True AsExpected");
    assert_eq!(
        (status.phase, maybe(&status, RECONCILING)),
        (Some(Phase::Suspended), None)
    );
    let changed = pass.generation(2).not_applied().status(Some(&status));
    assert_eq!(says(&changed, READY), "False Suspended");
    assert_eq!(maybe(&changed, RECONCILING), None);
}

#[test]
fn a_sick_database_is_told_and_does_not_touch_ready() {
    let mut pass = running();
    pass.seen
        .members
        .get_mut(&1)
        .expect("a member")
        .quorum
        .projection
        .healthy = false;
    let status = pass.status(Some(&running().settled()));
    assert_eq!(says(&status, PROJECTION_HEALTHY), "False ProjectionBehind");
    assert!(
        condition(&status, PROJECTION_HEALTHY)
            .message
            .starts_with("The database of meta-1 cannot be written or is being rebuilt.")
    );
    assert!(
        condition(&status, PROJECTION_HEALTHY)
            .message
            .ends_with(" logs meta-1 -c dmq-metadata.")
    );
    assert_eq!(says(&status, READY), "True AsExpected");
}

#[test]
fn a_member_that_did_not_answer_once_is_no_news_of_its_database() {
    let mut sick = running();
    sick.seen
        .members
        .get_mut(&1)
        .expect("a member")
        .quorum
        .projection
        .healthy = false;
    let before = sick.status(None);
    let mut slow = running();
    slow.seen.members.remove(&1);
    assert_eq!(
        says(&slow.status(Some(&before)), PROJECTION_HEALTHY),
        "False ProjectionBehind"
    );
    assert_eq!(
        says(&slow.status(Some(&running().settled())), PROJECTION_HEALTHY),
        "True AsExpected"
    );
    assert_eq!(
        says(&running().gone(1).status(Some(&before)), PROJECTION_HEALTHY),
        "Unknown Unknown"
    );
}

#[test]
fn an_image_of_another_release_than_the_spec_says_is_up_to_date_and_told() {
    let pass = running().spec(|spec| spec.version = Some("0.1.1".to_owned()));
    let status = pass.status(None);
    assert_eq!(says(&status, UP_TO_DATE), "True AsExpected");
    assert!(
        condition(&status, UP_TO_DATE)
            .message
            .contains("version 0.1.0, not 0.1.1")
    );
}

#[test]
fn a_deleted_object_is_not_ready() {
    let status = running().stage(Stage::Deleting).status(None);
    assert_eq!(says(&status, READY), "False Deleting");
    assert_eq!(status.phase, Some(Phase::Deleting));
}

#[test]
fn a_date_moves_only_when_the_status_of_a_condition_flips() {
    let first = running().status(None);
    let other_leader = running().led_by(1, 4).at(2_000).status(Some(&first));
    let available = condition(&other_leader, AVAILABLE);
    assert_eq!(available.message, "meta-1 leads in term 4.");
    assert_eq!(available.last_transition_time, at(1_000));
    let none = running()
        .leaderless()
        .stage(Stage::NoLeader)
        .at(3_000)
        .status(Some(&other_leader));
    assert_eq!(condition(&none, AVAILABLE).last_transition_time, at(3_000));
    assert_eq!(condition(&none, UP_TO_DATE).last_transition_time, at(1_000));
}

#[test]
fn the_placeholder_of_the_definition_gives_way() {
    let mut before = dmq_crd::DmqMetadataClusterStatus::default();
    let mut placeholder = condition(&running().status(None), READY).clone();
    placeholder.status = "Unknown".to_owned();
    placeholder.reason = "Pending".to_owned();
    before.conditions.push(placeholder);
    let status = running().at(5_000).status(Some(&before));
    assert_eq!(condition(&status, READY).last_transition_time, at(5_000));
}

#[test]
fn a_member_that_has_just_started_may_still_fill_its_database() {
    let filling = |ready_for: i64| {
        let mut pass = running();
        let now = pass.seen.now;
        pass.pod(1).ready_since = Some(now - jiff::SignedDuration::from_secs(ready_for));
        let member = pass.seen.members.get_mut(&1).expect("a member");
        member.quorum.projection.healthy = false;
        pass
    };
    let before = running().settled();
    assert_eq!(
        says(&filling(29).status(Some(&before)), PROJECTION_HEALTHY),
        "True AsExpected"
    );
    assert_eq!(
        says(&filling(29).status(None), PROJECTION_HEALTHY),
        "Unknown Unknown"
    );
    assert_eq!(
        says(&filling(30).status(Some(&before)), PROJECTION_HEALTHY),
        "False ProjectionBehind"
    );
}
