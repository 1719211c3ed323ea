//! What holds of every status, whatever was seen: a fixpoint, dates, kstatus, the API server's rules.

use dmq_crd::DmqMetadataClusterStatus;
use dmq_crd::condition::kind::{READY, RECONCILING, STALLED};
use proptest::prelude::*;

use super::fixture::{Pass, applied_just_now, directory, formatted, maybe, problem, running};
use crate::plan::Stage;
use crate::report::events;

const STAGES: [Stage; 11] = [
    Stage::Deleting,
    Stage::Suspended,
    Stage::Invalid,
    Stage::Blocked,
    Stage::Bootstrapping,
    Stage::DataLost,
    Stage::NoLeader,
    Stage::QuorumLost,
    Stage::Rolling,
    Stage::RollPaused,
    Stage::Steady,
];

/// One way in which a pass may differ from a quorum that runs.
#[derive(Clone, Debug)]
enum Twist {
    Gone(i32),
    Broken(i32),
    Unready(i32),
    Terminating(i32),
    Slow(i32),
    OtherData(i32),
    Sick(i32),
    Leader(i32, u64),
    Leaderless,
    NotApplied,
    Target,
    Updated(i32),
    Stalled,
    Rejected,
    Progress,
    Suspend,
    Version,
}

fn twist() -> impl Strategy<Value = Twist> {
    let pod = 0..3_i32;
    prop_oneof![
        pod.clone().prop_map(Twist::Gone),
        pod.clone().prop_map(Twist::Broken),
        pod.clone().prop_map(Twist::Unready),
        pod.clone().prop_map(Twist::Terminating),
        pod.clone().prop_map(Twist::Slow),
        pod.clone().prop_map(Twist::OtherData),
        pod.clone().prop_map(Twist::Sick),
        (pod.clone(), 3..6_u64).prop_map(|(pod, term)| Twist::Leader(pod, term)),
        Just(Twist::Leaderless),
        Just(Twist::NotApplied),
        Just(Twist::Target),
        pod.prop_map(Twist::Updated),
        Just(Twist::Stalled),
        Just(Twist::Rejected),
        Just(Twist::Progress),
        Just(Twist::Suspend),
        Just(Twist::Version),
    ]
}

fn twisted(mut pass: Pass, twist: &Twist) -> Pass {
    match *twist {
        Twist::Gone(pod) => pass.gone(pod),
        Twist::Broken(pod) if pass.seen.pods.contains_key(&pod) => {
            pass.broken(pod, "CrashLoopBackOff", "back-off 10s restarting")
        }
        Twist::Leader(pod, term) => pass.led_by(pod, term),
        Twist::Leaderless => pass.leaderless(),
        Twist::NotApplied => pass.not_applied(),
        Twist::Target => pass.target("meta-b"),
        Twist::Stalled => pass.stalled("PodStuck", "meta-1 is stuck."),
        Twist::Rejected => pass.rejected("ScaleRejected", "Set it back."),
        Twist::Progress => pass.progress("RollingUpdate", "On its way."),
        Twist::Suspend => pass.spec(|spec| spec.suspend = true),
        Twist::Version => pass.spec(|spec| spec.version = Some("0.2.0".to_owned())),
        Twist::Unready(pod)
        | Twist::Terminating(pod)
        | Twist::Updated(pod)
        | Twist::Broken(pod) => {
            if let Some(found) = pass.seen.pods.get_mut(&pod) {
                match twist {
                    Twist::Unready(_) => found.ready = false,
                    Twist::Updated(_) => found.revision = Some("meta-b".to_owned()),
                    _ => found.terminating = true,
                }
            }
            pass
        }
        Twist::Slow(pod) => {
            pass.seen.members.remove(&pod);
            pass
        }
        Twist::OtherData(pod) | Twist::Sick(pod) => {
            if let Some(member) = pass.seen.members.get_mut(&pod) {
                match twist {
                    Twist::Sick(_) => member.quorum.projection.healthy = false,
                    _ => member.quorum.directory_id = directory(99),
                }
            }
            pass
        }
    }
}

fn pass() -> impl Strategy<Value = Pass> {
    let start = prop_oneof![
        8 => Just(running()),
        1 => Just(applied_just_now()),
        1 => Just(formatted()),
    ];
    let stage = prop::sample::select(STAGES.to_vec());
    (start, stage, prop::collection::vec(twist(), 0..6), 1..4_i64).prop_map(
        |(start, stage, twists, generation)| {
            let pass = twists.iter().fold(start, twisted);
            pass.stage(stage).generation(generation)
        },
    )
}

/// What is stored is what is written, seconds and all.
fn stored(status: &DmqMetadataClusterStatus) -> DmqMetadataClusterStatus {
    let text = serde_json::to_string(status).expect("JSON");
    serde_json::from_str(&text).expect("a status")
}

fn check(status: &DmqMetadataClusterStatus, pass: &Pass) -> Result<(), TestCaseError> {
    prop_assert_eq!(&stored(status), status);
    let ready = maybe(status, READY).expect("Ready is always there");
    let reconciling = maybe(status, RECONCILING);
    let is_stalled = maybe(status, STALLED).is_some();
    if ready.status == "True" {
        prop_assert!(reconciling.is_none() && !is_stalled);
        prop_assert_eq!(
            ready.observed_generation,
            pass.seen.cluster.metadata.generation
        );
        prop_assert!(
            pass.seen
                .stateful_set
                .as_ref()
                .is_some_and(|set| set.applied)
        );
        prop_assert!(status.leader.is_some());
        prop_assert_eq!(status.healthy_voters, status.voters);
    } else if pass.plan.report.stage != Stage::Suspended {
        prop_assert!(reconciling.is_some() || is_stalled);
    }
    for condition in &status.conditions {
        prop_assert!(
            condition
                .reason
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric())
        );
        prop_assert!(!condition.reason.is_empty() && condition.message.len() <= 2_000);
        prop_assert!(!condition.message.contains("  "), "{}", condition.message);
    }
    let mut keys: Vec<_> = status
        .members
        .iter()
        .map(|row| (row.id, &row.directory_id))
        .collect();
    let rows = keys.len();
    keys.dedup();
    prop_assert_eq!(keys.len(), rows, "two rows of one key");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same observation again, at any later time, gives the same status and no Event.
    #[test]
    fn a_status_is_a_fixpoint(before in pass(), now in pass(), later in 0..10_000_i64) {
        let previous = before.status(None);
        let first = now.status(Some(&previous));
        check(&first, &now)?;
        let again = now.clone().at(1_000 + later);
        let second = again.status(Some(&stored(&first)));
        prop_assert_eq!(&second, &first);
        prop_assert_eq!(events("meta", Some(&first), &second, &again.plan, &[]), vec![]);
    }

    /// `lastTransitionTime` moves if and only if `status` flips; the term never goes back and the voters stay known.
    #[test]
    fn dates_move_only_on_flips(before in pass(), now in pass()) {
        let previous = before.at(1_000).status(None);
        let next = now.at(2_000).status(Some(&previous));
        for condition in &next.conditions {
            let last = maybe(&previous, &condition.type_);
            let flipped = last.is_none_or(|last| last.status != condition.status);
            let moved = condition.last_transition_time.0.as_second() == 2_000;
            prop_assert_eq!(flipped, moved, "{}", &condition.type_);
        }
        prop_assert!(next.term >= previous.term);
        prop_assert!(next.voters.is_some() || previous.voters.is_none());
    }
}

#[test]
fn a_reason_that_is_no_word_is_made_one() {
    let mut pass = running();
    pass.plan.report.stalled = Some(problem("what is it?", "No idea."));
    let status = pass.status(None);
    assert_eq!(maybe(&status, STALLED).expect("it is").reason, "whatisit");
}
