//! Events: each on its change, none without one.

use kube::runtime::events::EventType;

use super::fixture::{Pass, applied_just_now, at, formatted, running};
use crate::plan::{Action, Stage};
use crate::report::events;
use dmq_crd::DmqMetadataClusterStatus;
use dmq_crd::status::{Operation, OperationType};

/// The Events between two passes of a quorum that was not seen before.
fn between(before: &Pass, after: &Pass) -> Vec<String> {
    told(&before.settled(), after)
}

/// The Events between two passes of a quorum that has been up.
fn between_later(before: &Pass, after: &Pass) -> Vec<String> {
    told(&before.status(Some(&running().settled())), after)
}

fn told(previous: &DmqMetadataClusterStatus, after: &Pass) -> Vec<String> {
    let next = after.status(Some(previous));
    let notes = events("meta", Some(previous), &next, &after.plan, &[]);
    // The same pass again has nothing to tell.
    let again = after.status(Some(&next));
    assert_eq!(events("meta", Some(&next), &again, &after.plan, &[]), []);
    notes
        .into_iter()
        .map(|note| format!("{} {}", note.reason, note.note))
        .collect()
}

#[test]
fn nothing_happens_when_nothing_changes() {
    assert_eq!(between(&running(), &running()), [""; 0]);
}

#[test]
fn a_new_leader_is_told_with_both_pods_and_terms() {
    assert_eq!(
        between(&running(), &running().led_by(1, 4)),
        ["LeaderChanged meta-1 leads in term 4; before, meta-0 led in term 3"]
    );
    assert_eq!(
        between(&running(), &running().led_by(0, 4)),
        ["LeaderChanged meta-0 leads in term 4; before, meta-0 led in term 3"]
    );
}

#[test]
fn the_first_leader_is_told() {
    assert_eq!(
        between(&formatted(), &running()),
        ["LeaderChanged meta-0 leads in term 3"]
    );
}

#[test]
fn a_leader_that_goes_and_one_that_comes_are_two_events() {
    let without = running().leaderless().gone(0).stage(Stage::NoLeader);
    assert_eq!(
        between(&running(), &without),
        ["LeaderLost meta-0 no longer leads (term 3); no other member does yet"]
    );
    let previous = without.status(Some(&running().settled()));
    let pass = running().led_by(1, 4);
    let next = pass.status(Some(&previous));
    let notes = events("meta", Some(&previous), &next, &pass.plan, &[]);
    assert_eq!(
        notes[0].note,
        "meta-1 leads in term 4; the term before was 3"
    );
    assert_eq!((notes.len(), notes[0].pod.as_deref()), (1, Some("meta-1")));
}

#[test]
fn a_leader_that_steps_down_because_we_asked_is_no_warning() {
    let mut previous = running().settled();
    previous.operation = Some(Operation {
        type_: OperationType::TransferLeadership,
        pod_name: "meta-0".to_owned(),
        pod_uid: "uid".to_owned(),
        reason: "outdated".to_owned(),
        started_at: at(900),
    });
    let pass = running().leaderless().stage(Stage::NoLeader);
    let next = pass.status(Some(&previous));
    assert_eq!(events("meta", Some(&previous), &next, &pass.plan, &[]), []);
}

#[test]
fn what_was_done_is_told_with_its_pod() {
    let status = running().settled();
    let done = [
        Action::DeletePod {
            pod: "meta-2".to_owned(),
            uid: "uid".to_owned(),
            resource_version: "7".to_owned(),
            reason: "its template changed".to_owned(),
        },
        Action::Transfer {
            from: 0,
            target: 3,
            expected_term: 3,
        },
        Action::Initialize {
            ordinal: 0,
            cluster_id: "orders".to_owned(),
            incarnation: "1".to_owned(),
            voters: Vec::new(),
        },
        Action::ApplyChildren,
    ];
    let notes = events("meta", Some(&status), &status, &running().plan, &done);
    let told: Vec<(&str, Option<&str>)> = notes
        .iter()
        .map(|note| (note.reason.as_str(), note.pod.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("PodRestarted", Some("meta-2")),
            ("LeadershipTransferred", Some("meta-2")),
            ("ClusterBootstrapped", None)
        ]
    );
    assert_eq!(notes[1].note, "meta-0 handed leadership to meta-2");
}

#[test]
fn a_roll_is_told_at_its_start_and_its_end() {
    let rolls = running()
        .target("meta-b")
        .stage(Stage::Rolling)
        .progress("RollingUpdate", "x");
    assert_eq!(
        between(&running(), &rolls),
        [
            "RollingUpdateStarted The pods are replaced one by one, the controller's last: from revision meta-a to meta-b"
        ]
    );
    let all = (0..3).fold(running().target("meta-b"), |pass, ordinal| {
        pass.revision(ordinal, "meta-b")
    });
    assert_eq!(
        between(&rolls, &all),
        ["RollingUpdateCompleted Every pod is on revision meta-b"]
    );
}

#[test]
fn the_first_pods_are_no_roll() {
    assert_eq!(between(&applied_just_now(), &formatted()), [""; 0]);
}

#[test]
fn a_paused_roll_is_told_once() {
    let paused = running()
        .target("meta-b")
        .revision(2, "meta-b")
        .stage(Stage::RollPaused)
        .stalled("RollPaused", "meta-2 does not become Ready.");
    let rolls = running().target("meta-b").stage(Stage::Rolling);
    assert_eq!(
        between(&rolls, &paused),
        ["RollingUpdatePaused meta-2 does not become Ready."]
    );
}

#[test]
fn each_crash_of_one_pod_is_not_told_again_and_another_pod_is() {
    let stuck = |pod: &str, delay: &str, time: &str| {
        let message = format!(
            "pod {pod}: CrashLoopBackOff: back-off {delay} restarting failed container: {{\"timestamp\":\"{time}\"}} no disk"
        );
        running().stalled("PodStuck", &message)
    };
    let first = stuck("meta-1", "10s", "2026-11-23T08:33:29Z");
    assert_eq!(
        between(&first, &stuck("meta-1", "20s", "2026-11-23T08:34:01Z")),
        [""; 0]
    );
    assert_eq!(
        between(&first, &stuck("meta-2", "10s", "2026-11-23T08:33:29Z")).len(),
        1
    );
}

#[test]
fn a_second_refusal_is_told_and_the_first_not_again() {
    let one = running().rejected("ScaleRejected", "Set it back.");
    assert_eq!(between(&running(), &one), ["ScaleRejected Set it back."]);
    let two = running()
        .rejected("ScaleRejected", "Set it back.")
        .rejected("ResizeRejected", "Not bigger.");
    assert_eq!(between(&one, &two), ["ResizeRejected Not bigger."]);
}

#[test]
fn a_voter_that_goes_is_a_risk_and_its_return_a_recovery() {
    let down = running().gone(2);
    let told = between(&running(), &down);
    assert_eq!(
        told,
        [
            "QuorumAtRisk 2 of 3 voters are healthy; no more may fail. meta-2: pod meta-2 does not exist."
        ]
    );
    assert_eq!(
        between_later(&down, &running()),
        ["QuorumRecovered All 3 voters are healthy; 1 may fail."]
    );
}

#[test]
fn a_quorum_that_is_being_made_is_not_at_risk() {
    let mut young = running().progress("Bootstrapping", "Waiting for pods.");
    for ordinal in 0..3 {
        young.pod(ordinal).ready = false;
        let member = young.seen.members.get_mut(&ordinal).expect("a member");
        member.quorum.projection.healthy = false;
    }
    let mut previous = formatted().settled();
    let mut told = Vec::new();
    for pass in [&young, &running()] {
        let next = pass.status(Some(&previous));
        let notes = events("meta", Some(&previous), &next, &pass.plan, &[]);
        told.extend(notes.into_iter().map(|note| note.reason));
        previous = next;
    }
    assert_eq!(told, ["LeaderChanged"]);
    assert_eq!(previous.current_revision.as_deref(), Some("meta-a"));
}

#[test]
fn pods_that_we_replace_are_no_alarm() {
    let rolls = running().target("meta-b").stage(Stage::Rolling);
    let down = rolls.clone().gone(2);
    assert_eq!(between(&rolls, &down), [""; 0]);
    assert_eq!(between_later(&down, &rolls.revision(2, "meta-b")), [""; 0]);
}

#[test]
fn a_lost_quorum_and_its_return_are_told() {
    let lost = running()
        .leaderless()
        .gone(1)
        .gone(2)
        .stage(Stage::QuorumLost);
    let told = between(&running(), &lost);
    assert_eq!(told.len(), 2);
    assert!(
        told[1].starts_with("QuorumLost 1 of 3 voters are up"),
        "{told:?}"
    );
    let previous = lost.status(Some(&running().settled()));
    let next = running().status(Some(&previous));
    let notes = events("meta", Some(&previous), &next, &running().plan, &[]);
    assert_eq!(notes.len(), 1);
    assert_eq!(
        (notes[0].reason.as_str(), notes[0].type_),
        ("QuorumRecovered", EventType::Normal)
    );
}

#[test]
fn a_sick_database_is_told() {
    let mut sick = running();
    sick.seen
        .members
        .get_mut(&1)
        .expect("a member")
        .quorum
        .projection
        .stopped = true;
    let told = between(&running(), &sick);
    assert!(
        told[0].starts_with("ProjectionUnhealthy The database of meta-1 has stopped for good"),
        "{told:?}"
    );
    assert_eq!(
        between_later(&sick, &running()),
        ["ProjectionRecovered Every member writes its database."]
    );
}

#[test]
fn a_note_fits_into_an_event() {
    let long = running().stalled("InvalidSpec", &"ä".repeat(2_000));
    let previous = running().settled();
    let next = long.status(Some(&previous));
    let notes = events("meta", Some(&previous), &next, &long.plan, &[]);
    assert!(notes[0].note.len() <= 1_000 && notes[0].note.ends_with("..."));
}
