//! What a client of a member gets: outcomes, definite refusals, unknown outcomes, and when.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use dmq_metadata::BrokerId;
use dmq_raft::{LogIndex, NodeId, Role};
use dmq_replica::{
    Ack, Answer, DriverInput, Heartbeat, ProjectionHealth, ProjectionReport, ReadRequest,
    RequestError, Ticket,
};
use shell::Shell;

fn failure(shell: &Shell, ticket: Ticket) -> &RequestError {
    match shell.answers.get(&ticket) {
        Some(Answer::Failed(error)) => error,
        other => panic!("{ticket:?} was answered by {other:?}"),
    }
}

fn linearizable(ticket: Ticket) -> DriverInput {
    DriverInput::Read(ReadRequest {
        ticket,
        linearizable: true,
        min_index: None,
        wait_ticks: None,
    })
}

#[test]
fn a_write_is_answered_once_a_majority_has_it_and_every_image_gets_it() {
    let mut shell = Shell::born(3, |_| ());
    let ticket = shell.write(0, 7, Ack::Applied);
    let Answer::Committed(write) = &shell.answers[&ticket] else {
        panic!()
    };
    assert!(write.outcome.is_ok());
    let index = write.id.index;
    shell.until("all have it", |shell| {
        (0..3).all(|n| shell.status(n).applied.index >= index)
    });
    for node in &shell.nodes {
        assert!(
            node.member
                .as_ref()
                .unwrap()
                .view
                .image
                .broker(BrokerId(7))
                .is_some()
        );
    }
}

#[test]
fn a_follower_names_the_controller() {
    let mut shell = Shell::born(3, |_| ());
    let ticket = shell.write(1, 7, Ack::Applied);
    assert_eq!(
        *failure(&shell, ticket),
        RequestError::NotController {
            leader: Some(NodeId(1))
        }
    );
}

#[test]
fn a_write_whose_place_another_term_took_is_definitely_void() {
    let mut shell = Shell::born(3, |_| ());
    shell.isolate(0);
    let ticket = shell.write(0, 7, Ack::Applied);
    assert!(!shell.answers.contains_key(&ticket));
    shell.until("a new controller", |shell| {
        (1..3).any(|node| shell.status(node).role == Role::Leader)
    });
    shell.cut.clear();
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    assert_eq!(*failure(&shell, ticket), RequestError::LeaderChanged);
    assert!(failure(&shell, ticket).retriable());
    for node in &shell.nodes {
        assert!(
            node.member
                .as_ref()
                .unwrap()
                .view
                .image
                .broker(BrokerId(7))
                .is_none()
        );
    }
}

#[test]
fn a_minority_gives_up_with_an_unknown_outcome_and_refuses_reads_and_writes() {
    let mut shell = Shell::born(3, |_| ());
    shell.isolate(0);
    let write = shell.write(0, 7, Ack::Applied);
    let read = shell.ask(0, linearizable);
    let mut ticks = 0;
    while !shell.answers.contains_key(&write) {
        shell.tick();
        ticks += 1;
    }
    assert_eq!(*failure(&shell, write), RequestError::OutcomeUnknown);
    assert!(failure(&shell, write).outcome_unknown());
    assert!(
        ticks <= 30 + 60 + 2,
        "check quorum, then three election time-outs: {ticks}"
    );
    assert_eq!(*failure(&shell, read), RequestError::NoQuorum);
    let late = shell.write(0, 8, Ack::Applied);
    assert_eq!(
        *failure(&shell, late),
        RequestError::NotController { leader: None }
    );
}

#[test]
fn a_linearizable_read_on_a_follower_sees_the_last_write() {
    let mut shell = Shell::born(3, |_| ());
    let write = shell.write(0, 7, Ack::Applied);
    let Answer::Committed(write) = shell.answers[&write].clone() else {
        panic!()
    };
    let read = shell.ask(2, linearizable);
    shell.until("an answer", |shell| shell.answers.contains_key(&read));
    let Answer::Read { index } = shell.answers[&read] else {
        panic!()
    };
    assert!(index >= write.id.index);
    assert!(shell.nodes[2].member.as_ref().unwrap().view.last.index >= index);
}

#[test]
fn min_index_waits_and_ends_in_time() {
    let mut shell = Shell::born(3, |_| ());
    let applied = shell.status(1).applied.index;
    let wait_for = |index| {
        move |ticket| {
            let min_index = Some(LogIndex(index));
            DriverInput::Read(ReadRequest {
                ticket,
                linearizable: false,
                min_index,
                wait_ticks: None,
            })
        }
    };
    let soon = shell.ask(1, wait_for(applied.0 + 1));
    let never = shell.ask(1, wait_for(applied.0 + 1_000));
    assert!(!shell.answers.contains_key(&soon));
    shell.write(0, 7, Ack::Applied);
    shell.until("the read", |shell| shell.answers.contains_key(&soon));
    assert!(matches!(shell.answers[&soon], Answer::Read { .. }));
    shell.until("the end of its time", |shell| {
        shell.answers.contains_key(&never)
    });
    assert!(matches!(
        failure(&shell, never),
        RequestError::NotApplied { .. }
    ));
}

#[test]
fn an_answer_waits_for_a_healthy_database_and_for_no_other() {
    let mut shell = Shell::born(1, |_| ());
    let report = |index, health| {
        DriverInput::Projection(ProjectionReport {
            index: LogIndex(index),
            health,
        })
    };
    let down = shell.write(0, 1, Ack::Projected);
    assert!(
        matches!(shell.answers[&down], Answer::Committed(_)),
        "no database: no wait"
    );

    shell.tell(0, report(1, ProjectionHealth::Healthy));
    let first = shell.write(0, 2, Ack::Projected);
    let applied = shell.write(0, 3, Ack::Applied);
    assert!(!shell.answers.contains_key(&first));
    assert!(matches!(shell.answers[&applied], Answer::Committed(_)));
    let index = shell.status(0).applied.index.0 - 1;
    shell.tell(0, report(index, ProjectionHealth::Healthy));
    let Answer::Committed(write) = &shell.answers[&first] else {
        panic!()
    };
    assert_eq!(write.projected, LogIndex(index));

    let slow = shell.write(0, 4, Ack::Projected);
    for _ in 0..99 {
        shell.tick();
    }
    assert!(!shell.answers.contains_key(&slow));
    shell.tick();
    let Answer::Committed(write) = &shell.answers[&slow] else {
        panic!()
    };
    assert!(
        write.projected < write.id.index,
        "a second is over: the answer says how far it is"
    );

    let broken = shell.write(0, 5, Ack::Projected);
    shell.tell(0, report(index, ProjectionHealth::Down));
    assert!(matches!(shell.answers[&broken], Answer::Committed(_)));
}

#[test]
fn a_broker_that_stops_its_heartbeats_is_fenced_and_comes_back() {
    let mut shell = Shell::born(3, |settings| settings.session_ticks = 100);
    shell.write(0, 7, Ack::Applied);
    let beat = |ticket| {
        DriverInput::Heartbeat(Heartbeat {
            ticket,
            broker: BrokerId(7),
            epoch: None,
            seen: None,
            want_fence: false,
            want_shut_down: false,
        })
    };
    let fenced = |shell: &Shell| {
        shell.nodes[2]
            .member
            .as_ref()
            .unwrap()
            .view
            .image
            .broker(BrokerId(7))
            .unwrap()
            .fenced
    };
    let ticket = shell.ask(0, beat);
    assert!(matches!(shell.answers[&ticket], Answer::Heartbeat(_)));
    shell.until("the broker is active", |shell| {
        shell.nodes[2]
            .member
            .as_ref()
            .unwrap()
            .view
            .image
            .is_active(BrokerId(7))
    });
    shell.until("it is fenced", fenced);
    shell.ask(0, beat);
    shell.until("it is active again", |shell| !fenced(shell));
    let ticket = shell.ask(1, beat);
    assert!(matches!(
        failure(&shell, ticket),
        RequestError::NotController { .. }
    ));
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads_until_there_is_room() {
    let mut shell = Shell::born(1, |_| ());
    shell.nodes[0].disk.set_capacity(0);
    let mut last = Ticket(0);
    for broker in 0..2_000 {
        last = shell.write(0, broker % 5, Ack::Applied);
        if !matches!(shell.answers.get(&last), Some(Answer::Committed(_))) {
            break;
        }
    }
    assert!(shell.status(0).no_space, "the segments are used up");
    let refused = shell.write(0, 1, Ack::Applied);
    assert_eq!(*failure(&shell, refused), RequestError::NoSpace);
    shell.nodes[0].disk.set_capacity(u64::MAX);
    shell.until("the write that waited", |shell| {
        shell.answers.contains_key(&last)
    });
    assert!(matches!(shell.answers[&last], Answer::Committed(_)));
    let taken = shell.write(0, 1, Ack::Applied);
    assert!(matches!(shell.answers[&taken], Answer::Committed(_)));
}
