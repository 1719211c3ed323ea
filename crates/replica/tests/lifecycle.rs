//! Birth, stop, snapshots, restarts and divergence of members.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use dmq_metadata::{FeatureLevel, StateHash};
use dmq_raft::{LogIndex, NodeId, Role};
use dmq_replica::{
    Ack, AlarmKind, Answer, DriverInput, ExitReason, FeedInput, HashNote, MemberReport, ReportRow,
    RequestError, Ticket,
};
use shell::Shell;

fn failure(shell: &Shell, ticket: Ticket) -> &RequestError {
    match shell.answers.get(&ticket) {
        Some(Answer::Failed(error)) => error,
        other => panic!("{ticket:?} was answered by {other:?}"),
    }
}

#[test]
fn the_lowest_voter_initialises_and_the_same_body_again_is_fine() {
    let mut shell = Shell::born(3, |_| ());
    let request = shell.initialize_request();
    let again = shell.initialize(0, request.clone());
    assert!(matches!(shell.answers[&again], Answer::Initialized));
    let mut other = request;
    other.voters.pop_last();
    other.voters.pop_last();
    let other = shell.initialize(0, other);
    assert!(matches!(failure(&shell, other), RequestError::Conflict(_)));
}

#[test]
fn a_wrong_initialise_changes_nothing() {
    let mut shell = Shell::new(3, |_| ());
    let request = shell.initialize_request();
    let mut cases = Vec::new();
    cases.push(shell.initialize(1, request.clone()));
    let mut wrong = request.clone();
    wrong.cluster_id = "other".into();
    cases.push(shell.initialize(0, wrong));
    let mut wrong = request.clone();
    wrong.incarnation.number = 2;
    cases.push(shell.initialize(0, wrong));
    let mut wrong = request.clone();
    wrong.voters.pop_last();
    cases.push(shell.initialize(0, wrong));
    for ticket in cases {
        let error = failure(&shell, ticket);
        assert!(
            matches!(error, RequestError::Conflict(_) | RequestError::Invalid(_)),
            "{error}"
        );
    }
    assert!((0..3).all(|node| shell.status(node).role == Role::Uninitialized));
    let good = shell.initialize(0, request);
    assert!(matches!(shell.answers[&good], Answer::Initialized));
}

#[test]
fn a_voter_that_pinned_another_body_refuses_for_good() {
    let mut shell = Shell::new(3, |_| ());
    shell.ask(2, |ticket| DriverInput::PinRequest {
        ticket,
        digest: [9; 32],
    });
    let request = shell.initialize_request();
    let ticket = shell.initialize(0, request.clone());
    let text = failure(&shell, ticket).to_string();
    assert!(text.contains("node 3"), "{text}");
    shell.kill(2);
    shell.start(2);
    let ticket = shell.initialize(0, request);
    assert!(
        matches!(failure(&shell, ticket), RequestError::Conflict(_)),
        "the pin is durable"
    );
    assert_eq!(shell.status(0).role, Role::Uninitialized);
}

#[test]
fn initialise_waits_for_voters_and_says_who_is_missing() {
    let mut shell = Shell::new(3, |_| ());
    shell.isolate(1);
    let request = shell.initialize_request();
    let ticket = shell.initialize(0, request.clone());
    shell.until("the end of its time", |shell| {
        shell.answers.contains_key(&ticket)
    });
    let text = failure(&shell, ticket).to_string();
    assert!(
        text.contains("node 2") && failure(&shell, ticket).retriable(),
        "{text}"
    );
    shell.cut.clear();
    let ticket = shell.initialize(0, request);
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    assert!(matches!(shell.answers[&ticket], Answer::Initialized));
}

#[test]
fn a_stopping_controller_hands_over_and_ends() {
    let mut shell = Shell::born(3, |_| ());
    shell.write(0, 7, Ack::Applied);
    shell.tell(0, DriverInput::Stop);
    let during = shell.write(0, 8, Ack::Applied);
    shell.until("a new controller", |shell| {
        shell.leader().is_some_and(|leader| leader != 0)
    });
    shell.until("an answer", |shell| shell.answers.contains_key(&during));
    let new = shell.leader().unwrap();
    match &shell.answers[&during] {
        Answer::Failed(RequestError::NotController { leader }) => {
            assert_eq!(*leader, Some(NodeId(u32::try_from(new).unwrap() + 1)));
        }
        other => panic!("the held write was answered by {other:?}"),
    }
    assert!(
        shell.nodes[0].exit.is_none(),
        "it lingers until its clients are gone"
    );
    shell.tell(0, DriverInput::Drained);
    assert_eq!(shell.nodes[0].exit, Some(ExitReason::Stopped));
}

#[test]
fn a_controller_that_finds_no_successor_stops_all_the_same() {
    let mut shell = Shell::born(3, |_| ());
    shell.isolate(0);
    shell.tell(0, DriverInput::Stop);
    let held = shell.write(0, 8, Ack::Applied);
    let mut ticks = 0;
    while shell.nodes[0].exit.is_none() {
        shell.tick();
        ticks += 1;
        assert!(
            ticks < 300 + 300 + 500 + 10,
            "longer than all phases together"
        );
    }
    assert!(failure(&shell, held).retriable());
}

#[test]
fn all_members_stop_together_without_waiting_for_each_other() {
    let mut shell = Shell::born(3, |_| ());
    for node in [1, 2, 0] {
        shell.tell(node, DriverInput::Drained);
        shell.tell(node, DriverInput::Stop);
    }
    shell.tick();
    assert!(
        shell
            .nodes
            .iter()
            .all(|node| node.exit == Some(ExitReason::Stopped))
    );
}

#[test]
fn the_only_voter_leads_at_once_after_a_restart() {
    let mut shell = Shell::born(1, |_| ());
    shell.write(0, 9, Ack::Applied);
    shell.kill(0);
    shell.start(0);
    assert_eq!(shell.leader(), None);
    shell.tick();
    assert_eq!(shell.leader(), Some(0), "it waits for nobody");
    let write = shell.write(0, 10, Ack::Applied);
    assert!(matches!(shell.answers[&write], Answer::Committed(_)));
}

#[test]
fn a_transfer_to_a_stranger_names_the_voters() {
    let mut shell = Shell::born(3, |_| ());
    let to = Some(NodeId(9));
    let ticket = shell.ask(0, |ticket| DriverInput::Transfer {
        ticket,
        to,
        expected_term: None,
    });
    let text = failure(&shell, ticket).to_string();
    assert_eq!(text, "target is '9': must be one of the voters 1, 2, 3");
}

#[test]
fn a_transfer_answers_with_the_new_controller() {
    let mut shell = Shell::born(3, |_| ());
    let to = Some(NodeId(3));
    let ticket = shell.ask(0, |ticket| DriverInput::Transfer {
        ticket,
        to,
        expected_term: None,
    });
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    assert!(matches!(
        shell.answers[&ticket],
        Answer::Transferred { to: NodeId(3), .. }
    ));
    assert_eq!(shell.leader(), Some(2));
}

#[test]
fn a_member_that_was_away_gets_a_snapshot_and_restarts_from_it() {
    let mut shell = Shell::born(3, |settings| {
        settings.snapshot_bytes_min = 4 << 10;
        settings.kept_entries = 10;
    });
    shell.kill(2);
    for broker in 0..3_000 {
        shell.write(0, broker % 50, Ack::Applied);
    }
    shell.until("the log is purged", |shell| {
        shell.status(0).start.index.0 > 100
    });
    shell.start(2);
    let last = shell.status(0).last.index;
    shell.until("it has caught up", |shell| {
        shell.status(2).applied.index >= last
    });
    assert_eq!(shell.status(2).counters.snapshots_installed, 1);
    shell.kill(2);
    shell.start(2);
    let member = shell.nodes[2].member.as_ref().unwrap();
    assert!(
        member.image_from > LogIndex(100),
        "its image comes from the snapshot"
    );
    shell.until("it is back", |shell| shell.status(2).applied.index >= last);
    let hash = |node: usize| {
        shell.nodes[node]
            .member
            .as_ref()
            .unwrap()
            .view
            .image
            .state_hash()
    };
    assert_eq!(hash(2), hash(0));
}

#[test]
fn all_killed_at_once_come_back_with_the_same_state() {
    let mut shell = Shell::born(3, |_| ());
    let ticket = shell.write(0, 7, Ack::Applied);
    let Answer::Committed(write) = shell.answers[&ticket].clone() else {
        panic!()
    };
    (0..3).for_each(|node| shell.kill(node));
    (0..3).for_each(|node| shell.start(node));
    shell.until("all have it", |shell| {
        (0..3).all(|node| shell.status(node).applied.index > write.id.index)
    });
    let hash = |node: usize| {
        shell.nodes[node]
            .member
            .as_ref()
            .unwrap()
            .view
            .image
            .state_hash()
    };
    assert!(hash(0) == hash(1) && hash(1) == hash(2));
    assert!((0..3).all(|node| shell.status(node).ready));
}

/// A report by which this member has this hash at index 1,024.
fn report(shell: &Shell, node: usize, hash: u128) -> DriverInput {
    let member = shell.nodes[node].identity.member();
    let note = HashNote {
        index: LogIndex(1024),
        hash: StateHash(hash),
        level: FeatureLevel(1),
    };
    DriverInput::PeerReport(MemberReport {
        from: member,
        rows: vec![ReportRow {
            member,
            hashes: vec![note],
            features: (FeatureLevel(0), FeatureLevel(1)),
            projection_healthy: true,
        }],
    })
}

#[test]
fn only_a_majority_makes_a_member_corrupt_and_a_corrupt_controller_hands_over_first() {
    let mut shell = Shell::born(3, |_| ());
    while shell.status(0).applied.index.0 < 1_024 {
        shell.write(0, 7, Ack::Applied);
    }
    let one = report(&shell, 1, 1);
    shell.tell(0, one);
    let raised = |shell: &Shell, kind| {
        shell.nodes[0]
            .alarms
            .iter()
            .any(|alarm| alarm.kind == kind && alarm.raised)
    };
    assert!(raised(&shell, AlarmKind::Diverged) && shell.nodes[0].exit.is_none());
    let two = report(&shell, 2, 1);
    shell.tell(0, two);
    assert!(raised(&shell, AlarmKind::Corrupt));
    shell.until("it ends", |shell| shell.nodes[0].exit.is_some());
    assert!(matches!(shell.nodes[0].exit, Some(ExitReason::Corrupt(_))));
    assert!(
        shell.leader().is_some_and(|leader| leader != 0),
        "it handed over first"
    );
}

/// Found by the simulator (seed 1145): the projector wrote an entry that was committed, but not durable on
/// this node, because another entry had been durable at its index before it was cut.
#[test]
fn a_truncation_lowers_the_durable_index_before_its_replacement_is_applied() {
    let mut shell = Shell::born(3, |_| ());
    let common = shell.status(0).last.index;
    shell.isolate(0);
    for broker in 1..=3 {
        shell.write(0, broker, Ack::Applied);
    }
    assert_eq!(shell.status(0).durable.0, common.0 + 3);
    shell.until("a new controller", |shell| {
        (1..3).any(|node| shell.status(node).role == Role::Leader)
    });
    let leader = (1..3)
        .find(|node| shell.status(*node).role == Role::Leader)
        .unwrap();
    shell.write(leader, 7, Ack::Applied);
    shell.nodes[0].log_held = true;
    shell.nodes[0].feed.clear();
    shell.cut.clear();
    shell.until("the new entries are applied", |shell| {
        shell.status(0).applied.index > common
    });
    let mut durable = None;
    for input in &shell.nodes[0].feed {
        match input {
            FeedInput::Durable(index) => durable = Some(*index),
            FeedInput::Changes { .. } => assert_eq!(durable, Some(common)),
            other => panic!("{other:?}"),
        }
    }
}
