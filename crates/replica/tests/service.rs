//! Who may serve, and when: readiness, the first feature level, snapshots on request.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use dmq_raft::{EntryId, LogIndex, Message, MessageBody, Role};
use dmq_replica::{Ack, Answer, ApplierInput, DriverInput, RequestError, Ticket};
use shell::Shell;

fn failure(shell: &Shell, ticket: Ticket) -> &RequestError {
    match shell.answers.get(&ticket) {
        Some(Answer::Failed(error)) => error,
        other => panic!("{ticket:?} was answered by {other:?}"),
    }
}

/// Initialised with three voters, of which the third was lost right after its pin.
fn two_of_three(third_was_met: bool) -> Shell {
    let mut shell = Shell::new(3, |_| ());
    let request = shell.initialize_request();
    let digest = request.digest();
    shell.ask(2, |ticket| DriverInput::PinRequest { ticket, digest });
    let from = shell.nodes[2].identity.member();
    shell.isolate(2);
    let ticket = shell.initialize(0, request);
    if third_was_met {
        shell.meet(0, 2);
    }
    let result = Ok(());
    shell.tell(0, DriverInput::PinReply { from, result });
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    assert!(matches!(shell.answers[&ticket], Answer::Initialized));
    shell.until("a controller", |shell| shell.leader().is_some());
    shell
}

#[test]
fn two_of_three_serve_although_the_third_has_never_reported() {
    let mut shell = two_of_three(true);
    shell.until("the first level", |shell| {
        shell.status(0).feature_level.0 == 1
    });
    let leader = shell.leader().unwrap();
    let write = shell.write(leader, 9, Ack::Applied);
    match &shell.answers[&write] {
        Answer::Committed(write) => assert!(write.outcome.is_ok(), "{write:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_level_writes_wait_and_may_then_be_sent_again() {
    let mut shell = two_of_three(false);
    let leader = shell.leader().unwrap();
    let write = shell.write(leader, 9, Ack::Applied);
    shell.until("an answer", |shell| shell.answers.contains_key(&write));
    let error = failure(&shell, write);
    assert!(error.retriable() && !error.outcome_unknown(), "{error}");
    assert!(error.to_string().contains("voters 3"), "{error}");
    // The third comes back.
    shell.cut.clear();
    shell.until("the first level", |shell| {
        shell.status(leader).feature_level.0 == 1
    });
    let write = shell.write(leader, 9, Ack::Applied);
    assert!(matches!(shell.answers[&write], Answer::Committed(_)));
}

#[test]
fn a_leader_of_an_earlier_term_makes_nobody_ready() {
    let mut shell = Shell::born(3, |_| ());
    let (old_term, old_commit) = (shell.status(0).term, shell.status(0).commit);
    shell.isolate(0);
    shell.until("another controller", |shell| {
        (1..3).any(|node| shell.status(node).role == Role::Leader)
    });
    let leads = |node: &usize| shell.status(*node).role == Role::Leader;
    let leader = (1..3).find(leads).unwrap();
    let member = 3 - leader;
    shell.write(leader, 9, Ack::Applied);
    let (term, commit) = (shell.status(leader).term, shell.status(leader).commit);
    assert!(old_term < term && old_commit < commit);

    shell.kill(member);
    shell.isolate(member);
    shell.start(member);
    let heartbeat = |shell: &Shell, from: usize, term, commit| {
        DriverInput::Peer(Message {
            from: shell.nodes[from].identity.member(),
            to: shell.nodes[member].identity.member(),
            term,
            body: MessageBody::Heartbeat { round: 1, commit },
        })
    };
    // What the earlier leader sent was long on its way.
    let late = heartbeat(&shell, 0, old_term, old_commit);
    shell.tell(member, late);
    // The leader knows for certain only that the member has that much.
    let first = heartbeat(&shell, leader, term, old_commit);
    shell.tell(member, first);
    assert_eq!(shell.status(member).applied.index, old_commit);
    assert!(!shell.status(member).ready, "it lacks acknowledged writes");
    shell.cut.clear();
    shell.isolate(0);
    shell.until("readiness", |shell| shell.status(member).ready);
    assert!(shell.status(member).applied.index >= commit);
}

#[test]
fn a_snapshot_of_nothing_is_refused() {
    let mut shell = Shell::new(3, |_| ());
    let ticket = shell.ask(1, |ticket| DriverInput::TakeSnapshot { ticket });
    assert_eq!(failure(&shell, ticket), &RequestError::Uninitialized);
}

#[test]
fn a_snapshot_that_was_asked_for_covers_what_was_applied() {
    let mut shell = Shell::born(3, |_| ());
    // The image waits for the disk, while the other two go on.
    shell.nodes[0].log_held = true;
    let first = shell.ask(0, |ticket| DriverInput::TakeSnapshot { ticket });
    shell.write(0, 9, Ack::Applied);
    let applied = shell.status(0).applied.index;
    let second = shell.ask(0, |ticket| DriverInput::TakeSnapshot { ticket });
    shell.nodes[0].log_held = false;
    shell.tick();
    let covered = |ticket| match &shell.answers[&ticket] {
        Answer::SnapshotTaken { last } => last.index,
        other => panic!("{other:?}"),
    };
    assert!(covered(first) <= covered(second));
    assert!(covered(second) >= applied);
}

#[test]
fn a_snapshot_whose_file_is_gone_is_passed_over_if_a_newer_one_follows() {
    let mut shell = Shell::born(1, |_| ());
    let ticket = shell.ask(0, |ticket| DriverInput::TakeSnapshot { ticket });
    let Answer::SnapshotTaken { last } = shell.answers[&ticket] else {
        panic!("{:?}", shell.answers[&ticket]);
    };
    let gone = EntryId::new(last.term, LogIndex(1));
    let applier = &mut shell.nodes[0].member.as_mut().unwrap().applier;
    applier.push(ApplierInput::Install(gone));
    applier.push(ApplierInput::Install(last));
    assert!(applier.work().unwrap().driver.is_empty());
    let installed = applier.work().unwrap().driver;
    assert!(matches!(installed[..], [DriverInput::Installed(_)]));
    applier.push(ApplierInput::Install(gone));
    let stopped = applier.work().unwrap().driver;
    assert!(matches!(stopped[..], [DriverInput::ApplierStopped(_)]));
}
