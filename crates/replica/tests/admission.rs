//! What a controller takes into the log, and what it refuses before it drowns (AutoMQ#2057: one oversized batch took
//! a quorum down).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use dmq_replica::{Ack, Answer, DriverInput, Proposal, RequestError, Settings, Ticket};
use shell::{Shell, envelope};

const ENTRY_BYTES: usize = 200;

fn small_entries(settings: &mut Settings) {
    settings.raft.entry_size_max = ENTRY_BYTES;
}

fn few_bytes(settings: &mut Settings) {
    settings.raft.entry_size_max = 1_000;
    settings.raft.uncommitted_bytes_max = 2_000;
}

/// A broker whose host has so many characters.
fn register(ticket: Ticket, broker: u32, host: usize) -> DriverInput {
    let host = vec!["a".repeat(host.min(60)); host.div_ceil(60)].join(".");
    let envelope = envelope(shell::register(broker, &host));
    DriverInput::Propose(Proposal {
        ticket,
        envelope,
        ack: Ack::Applied,
    })
}

#[test]
fn one_oversized_command_is_refused_alone() {
    let mut shell = Shell::born(3, small_entries);
    let hosts = [(1, 5), (2, 240), (3, 5)];
    let tickets = shell.ask_together(
        0,
        hosts.map(|(broker, host)| move |ticket| register(ticket, broker, host)),
    );
    let answer = |at: usize| &shell.answers[&tickets[at]];
    assert!(matches!(answer(0), Answer::Committed(_)), "{:?}", answer(0));
    assert!(matches!(answer(2), Answer::Committed(_)), "{:?}", answer(2));
    let Answer::Failed(RequestError::TooLarge {
        size_bytes,
        limit_bytes,
    }) = answer(1)
    else {
        panic!("{:?}", answer(1))
    };
    assert!(*size_bytes > ENTRY_BYTES && *limit_bytes == ENTRY_BYTES);
    let late = shell.write(0, 4, Ack::Applied);
    assert!(matches!(shell.answers[&late], Answer::Committed(_)));
}

#[test]
fn a_controller_that_commits_nothing_refuses_after_a_bound_and_recovers() {
    let mut shell = Shell::born(3, few_bytes);
    shell.nodes[1].log_held = true;
    shell.nodes[2].log_held = true;
    let mut taken = Vec::new();
    let refused = loop {
        let broker = u32::try_from(taken.len()).unwrap() + 10;
        let ticket = shell.write(0, broker, Ack::Applied);
        if shell.answers.contains_key(&ticket) {
            break ticket;
        }
        taken.push(ticket);
        assert!(taken.len() < 1_000, "there is no bound");
    };
    let Answer::Failed(error) = &shell.answers[&refused] else {
        panic!("{:?}", shell.answers[&refused])
    };
    assert_eq!(*error, RequestError::Overloaded);
    assert!(error.retriable() && !taken.is_empty());
    shell.nodes[1].log_held = false;
    shell.nodes[2].log_held = false;
    shell.settle();
    for ticket in taken {
        assert!(matches!(shell.answers[&ticket], Answer::Committed(_)));
    }
    let late = shell.write(0, 5, Ack::Applied);
    assert!(matches!(shell.answers[&late], Answer::Committed(_)));
}
