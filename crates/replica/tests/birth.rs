//! Birth of a quorum when requests cross: one voter binds itself to one body, and everyone is answered.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use dmq_raft::{DirectoryId, MemberId, Message, MessageBody, NodeId, Role, Term};
use dmq_replica::{
    Answer, DriverInput, DriverOutput, ExitReason, PinError, RequestError, Settings, Ticket,
};
use shell::Shell;

/// One turn of one driver, without its shell: the disk answers when the test says so.
fn turn(shell: &mut Shell, node: usize, inputs: Vec<DriverInput>) -> Vec<DriverOutput> {
    let member = shell.nodes[node].member.as_mut().unwrap();
    member.driver.turn(&mut inputs.into_iter())
}

fn pin_request(ticket: u64, digest: u8) -> DriverInput {
    DriverInput::PinRequest {
        ticket: Ticket(ticket),
        digest: [digest; 32],
    }
}

fn stored(digest: u8) -> DriverInput {
    DriverInput::PinStored {
        digest: [digest; 32],
        result: Ok(()),
    }
}

fn pins(outputs: &[DriverOutput]) -> Vec<u8> {
    let digest = |output: &DriverOutput| match output {
        DriverOutput::Pin(digest) => Some(digest[0]),
        _ => None,
    };
    outputs.iter().filter_map(digest).collect()
}

fn answer(outputs: &[DriverOutput], wanted: u64) -> Option<&Answer> {
    outputs.iter().find_map(|output| match output {
        DriverOutput::Answer(ticket, answer) if *ticket == Ticket(wanted) => Some(answer),
        _ => None,
    })
}

fn is_conflict(answer: Option<&Answer>) -> bool {
    matches!(answer, Some(Answer::Failed(RequestError::Conflict(_))))
}

#[test]
fn a_second_body_is_refused_while_the_first_is_on_its_way_to_the_disk() {
    let mut shell = Shell::new(3, |_| ());
    let requests = vec![
        pin_request(901, 1),
        pin_request(902, 2),
        pin_request(903, 1),
    ];
    let outputs = turn(&mut shell, 2, requests);
    assert_eq!(pins(&outputs), vec![1], "one write, of the first body");
    assert!(is_conflict(answer(&outputs, 902)));
    let outputs = turn(&mut shell, 2, vec![stored(1)]);
    for ticket in [901, 903] {
        assert!(matches!(answer(&outputs, ticket), Some(Answer::Pinned)));
    }
}

#[test]
fn an_initialise_is_refused_while_another_body_is_being_pinned() {
    let mut shell = Shell::new(3, |_| ());
    let request = shell.initialize_request();
    let ticket = Ticket(902);
    let inputs = vec![
        pin_request(901, 1),
        DriverInput::Initialize { ticket, request },
    ];
    let outputs = turn(&mut shell, 0, inputs);
    assert_eq!(pins(&outputs), vec![1]);
    assert!(is_conflict(answer(&outputs, 902)));
}

#[test]
fn a_disk_that_holds_another_pin_than_asked_ends_the_process() {
    let mut shell = Shell::new(3, |_| ());
    let inputs = vec![pin_request(901, 1), stored(1), stored(2)];
    let outputs = turn(&mut shell, 2, inputs);
    let exit = outputs.iter().find_map(|output| match output {
        DriverOutput::Exit(reason) => Some(reason),
        _ => None,
    });
    assert!(matches!(exit, Some(ExitReason::LogFailed(_))), "{exit:?}");
}

#[test]
fn a_member_that_voted_binds_itself_to_no_body() {
    let mut shell = Shell::new(3, |_| ());
    let to = shell.nodes[0].identity.member();
    let stranger = MemberId {
        node: NodeId(9),
        directory: DirectoryId(9),
    };
    let body = MessageBody::Vote {
        last: dmq_raft::EntryId::ZERO,
        transfer: false,
    };
    let (from, term) = (stranger, Term(4));
    let message = Message {
        from,
        to,
        term,
        body,
    };
    turn(&mut shell, 0, vec![DriverInput::Peer(message)]);
    assert_eq!(shell.status(0).role, Role::Uninitialized);
    assert!(shell.status(0).term > Term(0), "the vote was granted");
    let (request, ticket) = (shell.initialize_request(), Ticket(902));
    let inputs = vec![
        pin_request(901, 1),
        DriverInput::Initialize { ticket, request },
    ];
    let outputs = turn(&mut shell, 0, inputs);
    assert!(pins(&outputs).is_empty(), "nothing is written");
    assert!(is_conflict(answer(&outputs, 901)) && is_conflict(answer(&outputs, 902)));
}

#[test]
fn a_slow_disk_does_not_keep_the_callers_of_a_birth() {
    let pin_ticks = |settings: &mut Settings| settings.pin_ticks = 50;
    let mut shell = Shell::new(3, pin_ticks);
    let request = shell.initialize_request();
    let ticket = Ticket(901);
    let outputs = turn(
        &mut shell,
        0,
        vec![DriverInput::Initialize { ticket, request }],
    );
    assert_eq!(pins(&outputs).len(), 1);
    let ticks = || (0..50).map(|_| DriverInput::Tick).collect();
    let outputs = turn(&mut shell, 0, ticks());
    match answer(&outputs, 901) {
        Some(Answer::Failed(error)) => assert!(error.retriable(), "{error}"),
        other => panic!("{other:?}"),
    }
    turn(&mut shell, 2, vec![pin_request(902, 1)]);
    let outputs = turn(&mut shell, 2, ticks());
    assert!(matches!(answer(&outputs, 902), Some(Answer::Failed(_))));
}

#[test]
fn a_birth_whose_entry_is_not_durable_in_time_is_unknown_and_happens_all_the_same() {
    let mut shell = Shell::new(3, |settings| settings.pin_ticks = 50);
    shell.nodes[0].log_held = true;
    let request = shell.initialize_request();
    let ticket = shell.initialize(0, request);
    shell.until("an answer", |shell| shell.answers.contains_key(&ticket));
    assert!(matches!(
        shell.answers[&ticket],
        Answer::Failed(RequestError::OutcomeUnknown)
    ));
    shell.nodes[0].log_held = false;
    shell.until("a controller", |shell| shell.leader().is_some());
}

#[test]
fn the_end_of_the_process_answers_the_callers_of_a_birth() {
    let mut shell = Shell::new(3, |_| ());
    let request = shell.initialize_request();
    let ticket = Ticket(901);
    let inputs = vec![
        DriverInput::Initialize { ticket, request },
        DriverInput::Log(dmq_replica::LogOutput::Fatal("the disk is gone".into())),
    ];
    let outputs = turn(&mut shell, 0, inputs);
    assert!(matches!(answer(&outputs, 901), Some(Answer::Failed(_))));
    let inputs = vec![
        pin_request(902, 1),
        DriverInput::Log(dmq_replica::LogOutput::Fatal("the disk is gone".into())),
    ];
    let outputs = turn(&mut shell, 1, inputs);
    assert!(matches!(answer(&outputs, 902), Some(Answer::Failed(_))));
}

#[test]
fn a_disk_that_cannot_be_written_is_no_conflict() {
    let mut shell = Shell::new(3, |_| ());
    let request = shell.initialize_request();
    let digest = request.digest();
    let ticket = Ticket(901);
    let result = Err(PinError::Unreachable("no space".into()));
    let inputs = vec![
        DriverInput::Initialize { ticket, request },
        DriverInput::PinStored { digest, result },
    ];
    let outputs = turn(&mut shell, 0, inputs);
    match answer(&outputs, 901) {
        Some(Answer::Failed(RequestError::Unavailable(text))) => assert!(text.contains("no space")),
        other => panic!("{other:?}"),
    }
}
