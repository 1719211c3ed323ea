//! What a controller says when it may be wrong: it lost its office, cannot apply, or is handing over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use dmq_metadata::{BrokerEpoch, BrokerId, Command, FeatureLevel};
use dmq_raft::{NodeId, Role, Term};
use dmq_replica::{
    Ack, AlarmKind, Answer, DriverInput, DriverOutput, Heartbeat, LogOutput, Proposal,
    RequestError, Ticket,
};
use shell::{Shell, envelope};

fn failure(shell: &Shell, ticket: Ticket) -> &RequestError {
    match shell.answers.get(&ticket) {
        Some(Answer::Failed(error)) => error,
        other => panic!("{ticket:?} was answered by {other:?}"),
    }
}

fn beat(shell: &mut Shell, node: usize, broker: u32, epoch: Option<u64>) -> Ticket {
    shell.ask(node, |ticket| heartbeat(ticket, broker, epoch))
}

fn heartbeat(ticket: Ticket, broker: u32, epoch: Option<u64>) -> DriverInput {
    DriverInput::Heartbeat(Heartbeat {
        ticket,
        broker: BrokerId(broker),
        epoch: epoch.map(BrokerEpoch),
        seen: None,
        want_fence: false,
        want_shut_down: false,
    })
}

fn transfer(ticket: Ticket, to: Option<NodeId>, expected_term: Option<Term>) -> DriverInput {
    DriverInput::Transfer {
        ticket,
        to,
        expected_term,
    }
}

/// Ticks these nodes alone, as if the others were paused.
fn tick_only(shell: &mut Shell, nodes: [usize; 2]) {
    for node in nodes {
        shell.tell(node, DriverInput::Tick);
    }
}

#[test]
fn a_controller_that_was_replaced_unnoticed_rejects_no_heartbeat() {
    let mut shell = Shell::born(3, |_| ());
    shell.isolate(0);
    while (1..3).all(|node| shell.status(node).role != Role::Leader) {
        tick_only(&mut shell, [1, 2]);
    }
    let new = (1..3)
        .find(|node| shell.status(*node).role == Role::Leader)
        .unwrap();
    let write = shell.write(new, 9, Ack::Applied);
    assert!(matches!(shell.answers[&write], Answer::Committed(_)));
    assert_eq!(shell.status(0).role, Role::Leader, "it does not know");
    let ticket = beat(&mut shell, 0, 9, None);
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    let error = failure(&shell, ticket);
    assert!(error.retriable(), "{error:?}");
}

#[test]
fn a_new_controller_rejects_no_heartbeat_before_it_has_applied_an_entry_of_its_term() {
    let mut shell = Shell::born(1, |_| ());
    shell.write(0, 9, Ack::Applied);
    shell.kill(0);
    shell.start(0);
    let driver = &mut shell.nodes[0].member.as_mut().unwrap().driver;
    let mut inputs = vec![DriverInput::Tick];
    while driver.status().role != Role::Leader {
        let outputs = driver.turn(&mut inputs.drain(..));
        inputs.push(DriverInput::Tick);
        inputs.extend(outputs.into_iter().filter_map(|output| match output {
            DriverOutput::Persist(persist) => {
                Some(DriverInput::Log(LogOutput::Persisted(persist.io)))
            }
            _ => None,
        }));
    }
    let beat = heartbeat(Ticket(901), 9, None);
    let outputs = driver.turn(&mut vec![beat].into_iter());
    let answer = outputs.iter().find_map(|output| match output {
        DriverOutput::Answer(Ticket(901), Answer::Failed(error)) => Some(error),
        _ => None,
    });
    assert!(answer.is_some_and(RequestError::retriable), "{answer:?}");
}

#[test]
fn a_controller_rejects_a_heartbeat_once_a_majority_has_confirmed_it() {
    let mut shell = Shell::born(3, |_| ());
    shell.write(0, 9, Ack::Applied);
    let known = beat(&mut shell, 0, 9, None);
    assert!(matches!(shell.answers[&known], Answer::Heartbeat(_)));
    for (broker, epoch) in [(77, None), (9, Some(u64::MAX))] {
        let ticket = beat(&mut shell, 0, broker, epoch);
        shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
        let error = failure(&shell, ticket);
        assert!(matches!(error, RequestError::Rejected(_)), "{error:?}");
    }
    shell.isolate(0);
    let ticket = beat(&mut shell, 0, 77, None);
    assert!(!shell.answers.contains_key(&ticket));
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    assert!(failure(&shell, ticket).retriable());
}

#[test]
fn a_second_transfer_does_not_fail_the_one_that_runs() {
    let mut shell = Shell::born(3, |_| ());
    shell.cut.insert((0, 2));
    let transfer = |to| move |ticket| transfer(ticket, to, None);
    let first = shell.ask(0, transfer(Some(NodeId(3))));
    assert!(!shell.answers.contains_key(&first));
    let second = shell.ask(0, transfer(Some(NodeId(2))));
    assert!(matches!(failure(&shell, second), RequestError::Conflict(_)));
    shell.tell(0, DriverInput::Stop);
    assert!(!shell.answers.contains_key(&first), "it still runs");
    shell.until("an answer", |shell| shell.answers.contains_key(&first));
}

#[test]
fn the_controller_judges_the_expected_term_and_nobody_else_does() {
    let mut shell = Shell::born(3, |_| ());
    let term = shell.status(0).term;
    let stale = Some(Term(term.0 - 1));
    let follower = shell.ask(1, |ticket| transfer(ticket, None, stale));
    let error = failure(&shell, follower);
    assert!(
        matches!(
            error,
            RequestError::NotController {
                leader: Some(NodeId(1))
            }
        ),
        "{error:?}"
    );
    let refused = shell.ask(0, |ticket| transfer(ticket, Some(NodeId(2)), stale));
    assert_eq!(
        *failure(&shell, refused),
        RequestError::StaleTerm { actual: term }
    );
    assert!(!failure(&shell, refused).retriable());
    assert_eq!(shell.leader(), Some(0), "nothing was done");
    let done = shell.ask(0, |ticket| transfer(ticket, Some(NodeId(2)), Some(term)));
    shell.until("an answer", |shell| shell.answers.contains_key(&done));
    let Answer::Transferred { to, term: new } = shell.answers[&done] else {
        panic!("{:?}", shell.answers[&done])
    };
    assert_eq!(to, NodeId(2));
    assert_eq!(new, shell.status(1).term);
    assert!(new > term);
}

#[test]
fn a_transfer_that_ran_out_of_time_says_who_leads() {
    let mut shell = Shell::born(3, |_| ());
    shell.cut.insert((0, 2));
    let ticket = shell.ask(0, |ticket| transfer(ticket, Some(NodeId(3)), None));
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    let error = failure(&shell, ticket);
    assert!(error.retriable(), "{error:?}");
    let term = shell.status(0).term;
    assert_eq!(
        error.to_string(),
        format!("the target did not take over; this node leads in term {term}")
    );
}

#[test]
fn a_transfer_without_a_winner_is_undecided() {
    let mut shell = Shell::born(3, |_| ());
    // The target's call for votes ends the term, and its one vote is still on its way to the disk when the
    // target falls silent: the old controller is none any more, and nobody knows of a new one.
    shell.cut.insert((1, 2));
    shell.nodes[0].log_held = true;
    let ticket = shell.ask(0, |ticket| transfer(ticket, Some(NodeId(3)), None));
    shell.isolate(2);
    shell.nodes[0].log_held = false;
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    let error = failure(&shell, ticket);
    assert!(error.outcome_unknown() && !error.retriable(), "{error:?}");
    assert!(
        error.to_string().contains("does not lead any more"),
        "{error}"
    );
}

/// A command that no binary of this level can apply: every member stops before it.
fn unknown(ticket: Ticket) -> DriverInput {
    DriverInput::Propose(Proposal {
        ticket,
        envelope: envelope(Command::SetFeatureLevel(FeatureLevel(
            FeatureLevel::MAX.0 + 1,
        ))),
        ack: Ack::Applied,
    })
}

#[test]
fn a_controller_that_cannot_apply_answers_everyone_and_takes_no_more_writes() {
    let mut shell = Shell::born(3, |_| ());
    let asked = shell.ask(0, unknown);
    let write = shell.write(0, 9, Ack::Applied);
    for _ in 0..200 {
        shell.tick();
    }
    let raised = |node: &shell::Node| {
        let mut alarms = node.alarms.iter();
        alarms.any(|alarm| alarm.kind == AlarmKind::UnknownEntry && alarm.raised)
    };
    assert!(shell.nodes.iter().all(raised));
    assert_eq!(*failure(&shell, asked), RequestError::OutcomeUnknown);
    assert!(matches!(shell.answers[&write], Answer::Failed(_)));
    assert!(
        (1..3).any(|node| shell.status(node).counters.elected > 0),
        "the first controller handed over"
    );
    for node in 0..3 {
        assert!(shell.nodes[node].exit.is_none(), "it votes and replicates");
        let late = shell.write(node, 9, Ack::Applied);
        let error = failure(&shell, late);
        assert!(error.retriable(), "{error:?}");
        let late = beat(&mut shell, node, 9, None);
        assert!(failure(&shell, late).retriable());
        assert_eq!(shell.status(node).waiting, 0);
    }
}
