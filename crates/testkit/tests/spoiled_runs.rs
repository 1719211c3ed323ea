//! Whole members in runs of a kind: a disk that lies must be found and its story made short; members whose state
//! is wrong must be found out by the others (DESIGN 6.8).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use dmq_replica::AlarmKind;
use dmq_testkit::sim::{
    Cuts, Failure, Findings, Pace, Params, SECOND, Who, run_spoiled, run_with, shrink,
};

/// A run that fails for certain: disks that forget what they acknowledged.
fn run_on_lying_disks() -> Failure {
    let failing = (1..200).find_map(|seed| {
        let params = Params {
            lying_disks: true,
            power_loss: true,
            pace: Pace::Busy,
            rot: false,
            disk_errors: false,
            ..Params::from_seed(seed)
        };
        run_with(params).err()
    });
    failing.unwrap_or_else(|| panic!("disks that lie were never noticed"))
}

#[test]
fn a_disk_that_lies_is_found_and_the_story_is_made_short() {
    let failure = run_on_lying_disks();
    let short = shrink(&failure, Duration::from_mins(1));
    assert_eq!(short.kind(), failure.kind());
    assert!(
        short.story.len() <= 5 && short.story.len() < failure.story.len(),
        "{} of {} parts left: {:#?}",
        short.story.len(),
        failure.story.len(),
        short.story
    );
    assert!(short.to_string().contains("DMQ_SIM_ONLY="));
    let again = run_with((*short.params).clone()).unwrap_err();
    assert_eq!(again, short, "the same cuts are the same run");
}

/// A quorum without faults, in which hashes are compared.
fn spoiled(voters: usize, who: Who, down: usize) -> Findings {
    let params = Params {
        nodes: voters,
        standby: 0,
        membership: false,
        pace: Pace::Busy,
        clients: 8,
        chaos: 300 * SECOND,
        loss: 0,
        late: 0,
        delay_max: 1_000,
        disk_max: 1_000,
        // Everything comes from the cache, where it can be exchanged, and nobody needs a snapshot.
        kept_entries: 100_000,
        cache_bytes: 32 << 20,
        cuts: Cuts {
            keep: Some([].into()),
            ..Cuts::default()
        },
        ..Params::from_seed(7)
    };
    let findings = run_spoiled(params, who, down).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(findings.changed > 0, who != Who::Nobody, "{findings:?}");
    findings
}

#[test]
fn a_member_whose_state_is_wrong_ends_and_the_others_go_on() {
    let findings = spoiled(3, Who::Others(1), 0);
    let bad = findings.spoiled[0];
    assert!(
        findings.alarms.contains(&(bad, AlarmKind::Corrupt, false)),
        "{findings:?}"
    );
    assert_eq!(findings.ended.len(), 1, "{findings:?}");
    assert_eq!(findings.ended[0].0, bad);
    assert_eq!(findings.running.len(), 2, "{findings:?}");
}

#[test]
fn a_controller_whose_state_is_wrong_hands_over_before_it_ends() {
    let findings = spoiled(3, Who::Controller, 0);
    let bad = findings.spoiled[0];
    assert!(
        findings.alarms.contains(&(bad, AlarmKind::Corrupt, true)),
        "{findings:?}"
    );
    let ([(ended, at)], Some((successor, since))) = (&findings.ended[..], findings.successor)
    else {
        panic!("it ends, and another one leads: {findings:?}");
    };
    assert_eq!(*ended, bad);
    assert_ne!(successor, bad);
    // Handed over, that is: nobody had to wait for an election time-out, which is half a second at least.
    assert!(since < at + SECOND / 4, "{findings:?}");
    assert_eq!(findings.running.len(), 2, "{findings:?}");
}

#[test]
fn two_against_two_is_an_alarm_and_nobody_ends() {
    // Of five voters, one of which is down; four voters are no quorum that can be made.
    let findings = spoiled(5, Who::Others(2), 1);
    let raised = |kind| {
        findings
            .alarms
            .iter()
            .filter(move |alarm| alarm.1 == kind)
            .count()
    };
    assert!(raised(AlarmKind::Diverged) > 0, "{findings:?}");
    assert_eq!(raised(AlarmKind::Corrupt), 0, "{findings:?}");
    assert!(findings.ended.is_empty(), "{findings:?}");
    assert_eq!(findings.running.len(), 4, "{findings:?}");
}

#[test]
fn members_that_agree_raise_nothing() {
    let findings = spoiled(3, Who::Nobody, 0);
    assert!(findings.alarms.is_empty(), "{findings:?}");
    assert_eq!(findings.running.len(), 3);
}
