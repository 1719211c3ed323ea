//! Random walks: users, crashes, losses and blind passes in any order. Nothing forbidden ever happens, and when the
//! disturbance ends the quorum comes to rest.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write as _;

use dmq_crd::names::annotation;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::model::{Log, World};
use super::scene::steady;
use crate::observed::Problem;
use crate::plan::{Plan, Stage};

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A whole pass.
    Pass,
    /// A pass of which only the first writes are done.
    Dies(usize),
    /// A pass that some nodes do not answer.
    Blind(BTreeSet<i32>),
    /// A pass looks, time goes by with another pass, then it acts.
    Late(i64),
    /// Seconds go by, with a pass after each or without.
    Time(i64, bool),
    /// A user edits.
    Template(u8),
    Version(u8),
    Replicas(i32),
    Suspend,
    Grow,
    Pause(bool),
    /// A user deletes a pod, a claim, a latch.
    DeletePod(i32),
    DeleteClaim(i32),
    DeleteIdentity,
    DeleteVoters,
    ScaleSet(i32),
    /// Things happen.
    LosePod(i32),
    LoseNode(i32),
    LoseData(i32),
    LoseEverything,
    Flap(i32),
    Lag(i32),
    Upset,
    NoRoom(i32),
    TransfersFail,
    Missing,
    Conflict,
    Invalid,
}

fn event() -> impl Strategy<Value = Event> {
    let ordinal = || 0..5_i32;
    prop_oneof![
        20 => Just(Event::Pass),
        8 => (0..9_usize).prop_map(Event::Dies),
        5 => prop::collection::btree_set(ordinal(), 1..4).prop_map(Event::Blind),
        4 => (0..4_i64).prop_map(Event::Late),
        24 => (1..8_i64, any::<bool>()).prop_map(|(seconds, passes)| Event::Time(seconds, passes)),
        2 => (60..90_i64, any::<bool>()).prop_map(|(seconds, passes)| Event::Time(seconds, passes)),
        5 => (0..5_u8).prop_map(Event::Template),
        2 => (0..5_u8).prop_map(Event::Version),
        1 => prop_oneof![Just(1), Just(3), Just(5)].prop_map(Event::Replicas),
        1 => Just(Event::Suspend),
        1 => Just(Event::Grow),
        1 => any::<bool>().prop_map(Event::Pause),
        3 => ordinal().prop_map(Event::DeletePod),
        1 => ordinal().prop_map(Event::DeleteClaim),
        1 => Just(Event::DeleteIdentity),
        1 => Just(Event::DeleteVoters),
        1 => (1..6_i32).prop_map(Event::ScaleSet),
        3 => ordinal().prop_map(Event::LosePod),
        1 => ordinal().prop_map(Event::LoseNode),
        1 => ordinal().prop_map(Event::LoseData),
        1 => Just(Event::LoseEverything),
        2 => ordinal().prop_map(Event::Flap),
        2 => ordinal().prop_map(Event::Lag),
        2 => Just(Event::Upset),
        1 => ordinal().prop_map(Event::NoRoom),
        1 => Just(Event::TransfersFail),
        1 => Just(Event::Missing),
        1 => Just(Event::Conflict),
        1 => Just(Event::Invalid),
    ]
}

pub(super) fn happen(world: &mut World, event: &Event, log: &mut Log) {
    let nobody = BTreeSet::new();
    match event {
        Event::Pass => {
            world.pass(log);
        }
        Event::Dies(writes) => {
            let sight = world.look(&nobody);
            world.act(&sight, *writes, true, log);
        }
        Event::Blind(silent) => {
            let sight = world.look(silent);
            world.act(&sight, usize::MAX, true, log);
        }
        Event::Late(seconds) => {
            let sight = world.look(&nobody);
            world.pass(log);
            for _ in 0..*seconds {
                world.tick();
            }
            world.act(&sight, usize::MAX, false, log);
        }
        Event::Time(seconds, passes) => {
            for _ in 0..*seconds {
                world.tick();
                if *passes {
                    world.pass(log);
                }
            }
        }
        user => {
            if !edit(world, user) {
                disturb(world, user);
            }
        }
    }
}

/// The status tells that there was a quorum. Without it, without the written voters and without any data there is
/// nothing left in the world to know it from.
fn ever_led(world: &World) -> bool {
    let status = world.cluster.status.as_ref();
    status.is_some_and(|known| known.term.is_some())
}

/// A user edits the object or what belongs to it.
fn edit(world: &mut World, event: &Event) -> bool {
    match event {
        Event::Template(number) if *number < 2 => world.configure(&format!("broken-{number}")),
        Event::Template(number) => world.configure(&format!("good-{number}")),
        Event::Version(number) => {
            let version = ["0.2.9", "0.3.0", "0.3.1", "0.4.0", "0.5.0"][usize::from(*number)];
            world.edit(|spec| spec.version = Some(version.to_owned()));
        }
        Event::Replicas(replicas) => world.edit(|spec| spec.replicas = *replicas),
        Event::Suspend => world.edit(|spec| spec.suspend = !spec.suspend),
        Event::Grow => world.edit(|spec| spec.storage.size = "20Gi".to_owned()),
        Event::Pause(pause) => world.edit(|spec| spec.update_strategy.pause_on_failure = *pause),
        Event::DeletePod(ordinal) => world.stop(*ordinal),
        Event::DeleteClaim(ordinal) => {
            // At most one, and of a quorum that can bear it: more is the end of any quorum, and has its own tables.
            if world.voting().len() > 1
                && !world.watch.data_was_lost
                && world.doomed_claims.is_empty()
            {
                world.doomed_claims.insert(*ordinal);
            }
        }
        Event::DeleteIdentity => world.identity = None,
        Event::DeleteVoters => {
            if !world.watch.data_was_lost || ever_led(world) {
                world.voters = None;
            }
        }
        Event::ScaleSet(replicas) => {
            if let Some(set) = &mut world.set {
                set.replicas = *replicas;
                set.generation += 1;
            }
        }
        _ => return false,
    }
    true
}

fn disturb(world: &mut World, event: &Event) {
    match event {
        Event::LosePod(ordinal) => world.lose_pod(*ordinal),
        Event::LoseNode(ordinal) => world.lose_node(*ordinal),
        Event::LoseData(ordinal) => {
            if world.voting().len() > 1
                && !world.watch.data_was_lost
                && world.doomed_claims.is_empty()
            {
                world.lose_data(*ordinal);
            }
        }
        Event::LoseEverything => {
            let written = world.voters.is_some() || world.config.is_none() || ever_led(world);
            if !world.watch.data_was_lost && world.doomed_claims.is_empty() && written {
                for ordinal in 0..8 {
                    world.lose_data(ordinal);
                }
            }
        }
        Event::Flap(ordinal) => {
            let until = world.now + 4;
            if let Some(pod) = world.pods.get_mut(ordinal) {
                pod.flapping_until = until;
            }
        }
        Event::Lag(ordinal) => world.fall_behind(*ordinal),
        Event::Upset => world.upset(),
        Event::NoRoom(ordinal) => {
            world.no_room.insert(*ordinal);
        }
        Event::TransfersFail => world.transfers_fail = !world.transfers_fail,
        Event::Missing => world.missing = !world.missing,
        Event::Conflict => world.conflict = !world.conflict,
        _ => world.invalid = !world.invalid,
    }
}

/// The disturbance ends: a user puts the spec right, and Kubernetes works.
pub(super) fn calm(world: &mut World) {
    world.missing = false;
    world.conflict = false;
    world.invalid = false;
    world.transfers_fail = false;
    world.no_room.clear();
    world.doomed_claims.clear();
    // What the message of a missing identity asks for: it is brought back.
    world.identity = world.identity.take().or(world.watch.identity.clone());
    let first = world
        .voters
        .as_ref()
        .map(Vec::len)
        .or(world.config.as_ref().map(Vec::len));
    // Before there are voters the user makes up their mind: three. The StatefulSet is the operator's to put right.
    let replicas = first.map_or(3, |count| i32::try_from(count).expect("small"));
    let highest = world.set.as_ref().and_then(|set| {
        set.revisions
            .iter()
            .map(|known| known.version.clone())
            .max()
    });
    world.edit(|spec| {
        spec.replicas = replicas;
        spec.suspend = false;
        spec.storage.size = "10Gi".to_owned();
        spec.version = highest.or(spec.version.take());
        if spec
            .config
            .get("log.level")
            .is_some_and(|level| level.starts_with("broken"))
        {
            spec.config
                .insert("log.level".to_owned(), "mended".to_owned());
        }
    });
    force_stuck_pods(world);
}

fn force_stuck_pods(world: &mut World) {
    let stuck: Vec<i32> = world
        .pods
        .iter()
        .filter(|(_, pod)| pod.stuck)
        .map(|(ordinal, _)| *ordinal)
        .collect();
    for ordinal in stuck {
        world.lose_pod(ordinal);
    }
}

/// A user does what the messages say: allows a refused version; deletes pods of an older template that do not run.
fn follow_the_hint(world: &mut World, made: &Plan) {
    let refused = |problem: &Problem| problem.reason == "UpgradeRejected";
    if made.report.rejected.iter().any(refused) {
        let all = world.cluster.metadata.annotations.get_or_insert_default();
        all.insert(
            annotation::ALLOW_UNSAFE_UPGRADE.to_owned(),
            "true".to_owned(),
        );
        world.version += 1;
    }
    if made.report.stage != Stage::QuorumLost {
        return;
    }
    let target = world.set.as_ref().and_then(|set| set.update);
    let broken: Vec<i32> = world
        .pods
        .iter()
        .filter(|(_, pod)| Some(pod.revision) != target && pod.ready_since.is_none())
        .map(|(ordinal, _)| *ordinal)
        .collect();
    for ordinal in broken {
        world.stop(ordinal);
    }
}

/// Runs until all is in place; what the last plan said if that never happens.
pub(super) fn comes_to_rest(world: &mut World, log: &mut Log) -> Result<(), String> {
    calm(world);
    let mut latest = None;
    let mut lost_for = 0;
    for _ in 0..400 {
        world.tick();
        let made = world.pass(log);
        if let Some(violation) = &world.watch.violation {
            return Err(violation.clone());
        }
        follow_the_hint(world, &made);
        let stage = made.report.stage;
        let stalled = made.report.stalled.is_some();
        let rest = stage == Stage::Steady && made.report.progress.is_none();
        if rest
            && !stalled
            && world
                .cluster
                .status
                .as_ref()
                .is_none_or(|known| known.operation.is_none())
        {
            let labelled: Vec<i32> = world
                .pods
                .iter()
                .filter(|(_, pod)| pod.labelled)
                .map(|(ordinal, _)| *ordinal)
                .collect();
            let leader: Vec<i32> = world.leader.into_iter().collect();
            return if labelled == leader {
                Ok(())
            } else {
                Err(format!("{labelled:?} are labelled, {leader:?} leads"))
            };
        }
        // Lost data stays lost: that is a rest too, once nothing changes any more.
        let reason = made
            .report
            .stalled
            .as_ref()
            .map(|known| known.reason.as_str());
        let lost = matches!(reason, Some("MemberDataLost" | "DataLost" | "QuorumLost"));
        lost_for = if lost && world.watch.data_was_lost {
            lost_for + 1
        } else {
            0
        };
        if lost_for > 100 {
            return Ok(());
        }
        latest = Some(made);
    }
    let report = latest.map(|made| made.report).unwrap_or_default();
    Err(format!(
        "does not come to rest: {report:?}, operation {:?}",
        world
            .cluster
            .status
            .as_ref()
            .map(|known| known.operation.clone())
    ))
}

/// What the walks must have met, each at least once.
const MET: &[&str] = &[
    "action ApplyChildren",
    "action ApplyStatefulSet",
    "action BeginOperation",
    "action CreateIdentity",
    "action CreateToken",
    "action CreateVoters",
    "action DeletePod",
    "action EndOperation",
    "action Initialize",
    "action LabelController",
    "action Transfer",
    "action UnlabelController",
    "again Idle",
    "again Now",
    "again Soon",
    "progress ApplyingTemplate",
    "progress CatchingUp",
    "progress CreatingPods",
    "progress Initializing",
    "progress MinReadySeconds",
    "progress NoAnswer",
    "progress NoLeader",
    "progress PodMissing",
    "progress PodStarting",
    "progress PodStopping",
    "progress QuorumAtRisk",
    "progress ReplacingPod",
    "progress ReplacingPods",
    "progress ReplicasDiffer",
    "progress TransferringLeadership",
    "progress WaitingForPods",
    "progress WaitingForRevision",
    "progress WritingIdentity",
    "progress WritingVoters",
    "rejected ResizeRejected",
    "rejected ScaleRejected",
    "rejected UpgradeRejected",
    "stage Blocked",
    "stage Bootstrapping",
    "stage DataLost",
    "stage Invalid",
    "stage NoLeader",
    "stage QuorumLost",
    "stage RollPaused",
    "stage Rolling",
    "stage Steady",
    "stage Suspended",
    "stalled ClaimTerminating",
    "stalled DataLost",
    "stalled IdentityMissing",
    "stalled InvalidSpec",
    "stalled MemberDataLost",
    "stalled NameConflict",
    "stalled PodStuck",
    "stalled QuorumLost",
    "stalled RollPaused",
    "stalled SecretMissing",
];

#[test]
fn whatever_happens_nothing_forbidden_is_done_and_in_the_end_there_is_rest() {
    let cases = std::env::var("DMQ_PLAN_WALKS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_500);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let log = RefCell::new(Log::default());
    let start = (
        prop_oneof![1 => Just(1), 4 => Just(3), 2 => Just(5)],
        any::<bool>(),
        any::<bool>(),
    );
    let walks = (start, prop::collection::vec(event(), 1..90));
    let outcome = runner.run(&walks, |((replicas, pause, running), events)| {
        let mut world = if running {
            steady(replicas)
        } else {
            World::new(replicas)
        };
        world.cluster.spec.update_strategy.pause_on_failure = pause;
        let mut mine = Log::default();
        for event in &events {
            happen(&mut world, event, &mut mine);
            if let Some(violation) = &world.watch.violation {
                return Err(TestCaseError::fail(violation.clone()));
            }
        }
        let rest = comes_to_rest(&mut world, &mut mine);
        log.borrow_mut().add(&mine);
        rest.map_err(TestCaseError::fail)
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let log = log.into_inner();
    let table: Vec<String> = log
        .fired
        .iter()
        .map(|(what, count)| format!("{count:>9}  {what}"))
        .collect();
    let never: Vec<&str> = MET
        .iter()
        .copied()
        .filter(|what| !log.fired.contains_key(*what))
        .collect();
    let table = table.join("\n");
    assert!(never.is_empty(), "never met: {never:?}\n{table}");
    // Shown with --nocapture, and whenever a test fails.
    let _ = writeln!(std::io::stderr(), "{table}");
}
