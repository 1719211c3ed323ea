//! Changes of the membership through whole members: growth, replacement, removal, and every refusal.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use std::collections::BTreeSet;

use dmq_raft::{Configuration, LogIndex, MemberId, MembershipChange, NodeId, Role};
use dmq_replica::{Ack, Answer, DriverInput, RequestError, Settings, Ticket};
use shell::Shell;

fn failure(shell: &Shell, ticket: Ticket) -> &RequestError {
    match shell.answers.get(&ticket) {
        Some(Answer::Failed(error)) => error,
        other => panic!("{ticket:?} was answered by {other:?}"),
    }
}

/// The configuration that answers this ticket, once it is there.
fn changed(shell: &mut Shell, ticket: Ticket) -> (LogIndex, Configuration) {
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    match &shell.answers[&ticket] {
        Answer::MembershipChanged {
            index,
            configuration,
        } => (*index, Configuration::clone(configuration)),
        other => panic!("{ticket:?} was answered by {other:?}"),
    }
}

fn index(shell: &Shell, node: usize) -> LogIndex {
    shell.status(node).membership_index
}

fn members(shell: &Shell, nodes: &[usize]) -> BTreeSet<MemberId> {
    nodes.iter().map(|node| shell.member(*node)).collect()
}

/// Makes a node an observer and waits until it is caught up.
fn observe(shell: &mut Shell, leader: usize, node: usize) {
    let (member, expected) = (shell.member(node), index(shell, leader));
    let ticket = shell.change(leader, MembershipChange::AddLearner(member), expected);
    changed(shell, ticket);
    shell.until("an observer that is caught up", |shell| {
        let peers = shell.status(leader).peers;
        peers
            .iter()
            .any(|peer| peer.member == member && peer.caught_up)
    });
}

fn vote(shell: &mut Shell, leader: usize, nodes: &[usize]) -> Ticket {
    let (voters, expected) = (members(shell, nodes), index(shell, leader));
    shell.change(leader, MembershipChange::Voters(voters), expected)
}

fn is_written(shell: &mut Shell, node: usize, broker: u32) -> bool {
    let ticket = shell.write(node, broker, Ack::Applied);
    shell.until("an outcome", |shell| shell.answers.contains_key(&ticket));
    matches!(shell.answers[&ticket], Answer::Committed(_))
}

fn leader(shell: &mut Shell) -> usize {
    shell.until("a controller", |shell| shell.leader().is_some());
    shell.leader().unwrap()
}

/// Stops or starts the log threads of these nodes.
fn hold_logs(shell: &mut Shell, nodes: &[usize], held: bool) {
    for node in nodes {
        shell.nodes[*node].log_held = held;
    }
}

/// One node that became three.
fn grown() -> Shell {
    grown_with(|_| ())
}

fn grown_with(settings: fn(&mut Settings)) -> Shell {
    let mut shell = Shell::born(1, settings);
    for _ in 0..2 {
        let node = shell.add();
        observe(&mut shell, 0, node);
    }
    let ticket = vote(&mut shell, 0, &[0, 1, 2]);
    changed(&mut shell, ticket);
    shell
}

#[test]
fn one_grows_to_three_and_survives_the_first() {
    let mut shell = Shell::born(1, |_| ());
    assert!(is_written(&mut shell, 0, 1));
    for node in 1..3 {
        assert_eq!(shell.add(), node);
        assert_eq!(shell.status(node).role, Role::Uninitialized);
        observe(&mut shell, 0, node);
        assert_eq!(shell.status(node).role, Role::Learner);
        assert_eq!(
            shell.status(node).applied.index,
            shell.status(0).applied.index
        );
    }
    let ticket = vote(&mut shell, 0, &[0, 1, 2]);
    let (at, configuration) = changed(&mut shell, ticket);
    let voters = Configuration::of_voters(members(&shell, &[0, 1, 2]));
    assert_eq!(configuration, voters);
    assert_eq!(index(&shell, 0), at);
    assert!(is_written(&mut shell, 0, 2));
    for node in 0..3 {
        assert_eq!(*shell.status(node).configuration.1, voters);
    }
    shell.kill(0);
    let next = leader(&mut shell);
    assert!(is_written(&mut shell, next, 3));
}

#[test]
fn every_reason_has_its_refusal_in_the_order_of_the_contract() {
    let mut shell = grown();
    let (now, all) = (index(&shell, 0), members(&shell, &[0, 1, 2]));
    let stale = LogIndex(now.0 - 1);
    let two = members(&shell, &[0, 1]);

    let elsewhere = shell.change(1, MembershipChange::Voters(all.clone()), stale);
    let error = failure(&shell, elsewhere);
    assert!(
        matches!(error, RequestError::NotController { .. }),
        "{error:?}"
    );

    let equal = shell.change(0, MembershipChange::Voters(all.clone()), stale);
    assert_eq!(changed(&mut shell, equal).0, now, "nothing to do");
    assert_eq!(index(&shell, 0), now);

    let wrong = shell.change(0, MembershipChange::Voters(two), stale);
    assert_eq!(
        *failure(&shell, wrong),
        RequestError::StaleMembership { actual: now }
    );

    let stranger = shell.add();
    let with_stranger = members(&shell, &[0, 1, 2, stranger]);
    let early = shell.change(0, MembershipChange::Voters(with_stranger), now);
    let error = failure(&shell, early);
    assert!(matches!(error, RequestError::NotCaughtUp(_)), "{error:?}");

    let none = shell.change(0, MembershipChange::RemoveLearner(NodeId(4)), now);
    let error = failure(&shell, none);
    assert!(matches!(error, RequestError::UnknownMember(_)), "{error:?}");
    let voter = MembershipChange::AddLearner(shell.member(1));
    let voter = shell.change(0, voter, now);
    let error = failure(&shell, voter);
    assert!(matches!(error, RequestError::Conflict(_)), "{error:?}");
    assert_eq!(index(&shell, 0), now, "nothing of all this was done");
}

#[test]
fn a_change_under_way_is_named_to_whoever_wishes_another() {
    let mut shell = grown();
    let node = shell.add();
    observe(&mut shell, 0, node);
    // The old majority answers, the new one does not: the change stays joint.
    hold_logs(&mut shell, &[2, 3], true);
    let running = vote(&mut shell, 0, &[0, 2, 3]);
    shell.tick();
    assert!(!shell.answers.contains_key(&running));
    assert!(shell.status(0).configuration.1.is_joint());
    let expected = index(&shell, 0);
    let second = shell.change(
        0,
        MembershipChange::Voters(members(&shell, &[0, 1, 2])),
        expected,
    );
    shell.until("an answer", |shell| shell.answers.contains_key(&second));
    let RequestError::MembershipChanging { target, .. } = failure(&shell, second) else {
        panic!("{:?}", failure(&shell, second));
    };
    assert_eq!(target.voters, members(&shell, &[0, 2, 3]));
    assert!(!target.is_joint());
    hold_logs(&mut shell, &[2, 3], false);
    assert_eq!(
        changed(&mut shell, running).1.voters,
        members(&shell, &[0, 2, 3])
    );
}

#[test]
fn a_controller_removes_itself_and_does_not_disturb() {
    let mut shell = grown();
    let ticket = vote(&mut shell, 0, &[1, 2]);
    let (_, configuration) = changed(&mut shell, ticket);
    assert_eq!(configuration.voters, members(&shell, &[1, 2]));
    shell.until("a controller among those that stay", |shell| {
        shell.leader().is_some_and(|leader| leader != 0)
    });
    let next = leader(&mut shell);
    let term = shell.status(next).term;
    for _ in 0..500 {
        shell.tick();
    }
    assert_eq!(shell.status(0).role, Role::Learner);
    assert_eq!(shell.status(next).term, term, "nobody campaigned");
    assert!(is_written(&mut shell, next, 4));
}

#[test]
fn a_controller_that_was_replaced_unnoticed_changes_nothing() {
    let mut shell = Shell::born(3, |_| ());
    shell.isolate(0);
    let ticket = vote(&mut shell, 0, &[0, 1]);
    assert!(!shell.answers.contains_key(&ticket));
    let last = shell.status(0).last;
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    let error = failure(&shell, ticket);
    assert!(error.retriable(), "{error:?}");
    assert_eq!(shell.status(0).last, last);
}

#[test]
fn the_next_controller_finishes_what_it_finds_and_the_caller_learns_of_it() {
    let mut shell = grown_with(|settings| {
        settings.membership_ticks = 100_000;
        settings.undecided_ticks = 100_000;
    });
    let node = shell.add();
    observe(&mut shell, 0, node);
    let before = shell.status(0).last.index;
    // Everybody else has the joint configuration; the controller is cut off before it is committed here.
    hold_logs(&mut shell, &[1, 2, 3], true);
    let ticket = vote(&mut shell, 0, &[0, 2, 3]);
    shell.cut.extend([(1, 0), (2, 0), (3, 0)]);
    hold_logs(&mut shell, &[1, 2, 3], false);
    shell.until("everybody has it", |shell| {
        (1..4).all(|node| shell.status(node).durable > before)
    });
    shell.isolate(0);
    shell.until("another controller", |shell| {
        (1..4).any(|node| shell.status(node).role == Role::Leader)
    });
    shell.until("the end of the change", |shell| {
        let configuration = &shell.status(1).configuration.1;
        !configuration.is_joint() && configuration.voters == members(shell, &[0, 2, 3])
    });
    assert!(!shell.answers.contains_key(&ticket));
    shell.cut.clear();
    let (_, configuration) = changed(&mut shell, ticket);
    assert_eq!(configuration.voters, members(&shell, &[0, 2, 3]));
    assert_ne!(shell.status(0).role, Role::Leader);
}

#[test]
fn a_change_that_nobody_else_has_is_undone_and_its_caller_told_so() {
    let mut shell = Shell::born(3, |_| ());
    let ticket = shell.ask(0, |ticket| DriverInput::ChangeMembership {
        ticket,
        change: MembershipChange::RemoveLearner(NodeId(9)),
        expected: LogIndex(1),
    });
    let error = failure(&shell, ticket);
    assert!(matches!(error, RequestError::UnknownMember(_)), "{error:?}");

    // Heartbeats pass, so that it is confirmed; nothing that is appended reaches a disk.
    hold_logs(&mut shell, &[0, 1, 2], true);
    let ticket = vote(&mut shell, 0, &[0, 1]);
    shell.tick();
    assert!(shell.status(0).configuration.1.is_joint());
    for node in 1..3 {
        shell.kill(node);
        shell.nodes[node].log_held = false;
        shell.start(node);
    }
    shell.isolate(0);
    shell.until("another controller", |shell| {
        (1..3).any(|node| shell.status(node).role == Role::Leader)
    });
    assert!(!shell.answers.contains_key(&ticket));
    shell.nodes[0].log_held = false;
    shell.cut.clear();
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    assert_eq!(*failure(&shell, ticket), RequestError::LeaderChanged);
    let voters = members(&shell, &[0, 1, 2]);
    assert_eq!(shell.status(0).configuration.1.voters, voters);
}

#[test]
fn a_wiped_member_is_replaced_under_its_node_id() {
    let mut shell = Shell::born(3, |_| ());
    let lost = shell.member(2);
    shell.kill(2);
    shell.wipe(2);
    assert_ne!(shell.member(2), lost);
    assert_eq!(shell.status(2).role, Role::Uninitialized);
    observe(&mut shell, 0, 2);
    let ticket = vote(&mut shell, 0, &[0, 1, 2]);
    let (_, configuration) = changed(&mut shell, ticket);
    assert!(!configuration.is_voter(&lost));
    shell.kill(1);
    let next = leader(&mut shell);
    assert!(is_written(&mut shell, next, 5), "two of three");
}

/// A log that is purged at once.
fn forgetful(settings: &mut Settings) {
    settings.snapshot_bytes_min = 1;
    settings.kept_entries = 0;
}

#[test]
fn an_observer_that_comes_late_gets_the_members_with_the_snapshot() {
    let mut shell = Shell::born(1, forgetful);
    let mut broker = 1;
    while shell.status(0).start.index < LogIndex(20) {
        assert!(is_written(&mut shell, 0, broker));
        broker += 1;
        shell.tick();
    }
    let node = shell.add();
    observe(&mut shell, 0, node);
    assert!(shell.status(node).counters.snapshots_installed > 0);
    let status = shell.status(node);
    assert!(status.configuration.1.is_learner(&shell.member(node)));
    let ticket = vote(&mut shell, 0, &[0, 1]);
    changed(&mut shell, ticket);
    let ticket = vote(&mut shell, 0, &[1]);
    changed(&mut shell, ticket);
    shell.until("the newcomer leads alone", |shell| {
        shell.status(node).role == Role::Leader
    });
    assert!(is_written(&mut shell, node, broker));
}

#[test]
fn a_change_survives_the_death_of_all() {
    let mut shell = grown();
    let node = shell.add();
    observe(&mut shell, 0, node);
    let before = shell.status(0).last.index;
    shell.isolate(3);
    let ticket = vote(&mut shell, 0, &[0, 3]);
    shell.until("the joint configuration on all old disks", |shell| {
        (0..3).all(|node| shell.status(node).durable > before)
    });
    assert!(!shell.answers.contains_key(&ticket));
    for node in 0..4 {
        shell.kill(node);
    }
    shell.cut.clear();
    for node in 0..4 {
        shell.start(node);
    }
    shell.until("the end of the change", |shell| {
        let configuration = &shell.status(0).configuration.1;
        !configuration.is_joint() && configuration.voters == members(shell, &[0, 3])
    });
    let next = leader(&mut shell);
    assert!([0, 3].contains(&next));
    assert!(is_written(&mut shell, next, 6));
}

#[test]
fn observers_replicate_and_count_for_nothing() {
    let mut shell = Shell::born(1, |_| ());
    let node = shell.add();
    observe(&mut shell, 0, node);
    shell.isolate(node);
    assert!(is_written(&mut shell, 0, 7), "alone as before");
    let term = shell.status(0).term;
    for _ in 0..500 {
        shell.tick();
    }
    shell.cut.clear();
    for _ in 0..100 {
        shell.tick();
    }
    assert_eq!(
        (shell.status(0).role, shell.status(0).term),
        (Role::Leader, term)
    );
    let expected = index(&shell, 0);
    let gone = shell.change(
        0,
        MembershipChange::RemoveLearner(shell.member(node).node),
        expected,
    );
    assert!(changed(&mut shell, gone).1.learners.is_empty());
}

#[test]
fn a_node_that_stops_answers_whoever_waits_for_a_change() {
    let mut shell = Shell::born(3, |_| ());
    hold_logs(&mut shell, &[0, 1, 2], true);
    let appended = vote(&mut shell, 0, &[0, 1]);
    shell.tick();
    shell.tell(0, DriverInput::Stop);
    shell.until("the end", |shell| shell.nodes[0].exit.is_some());
    let error = failure(&shell, appended);
    assert!(error.outcome_unknown(), "{error:?}");
}
