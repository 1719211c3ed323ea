//! The search against histories known to be good and bad, and against every permutation of short ones.

use std::time::{Duration, Instant};

use dmq_testkit::checkers::wgl::{Event, Linearizable, Model, search};

use crate::dice::Dice;

use Answer::{Done, Failed, Value};
use Call::{Read, Swap, Write};

/// A register with compare and set.
struct Register;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Read,
    Write(u8),
    Swap(u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Value(u8),
    Done,
    Failed,
}

impl Model for Register {
    type State = u8;
    type Call = Call;
    type Answer = Answer;

    fn initial(&self) -> u8 {
        0
    }

    fn step(&self, state: &u8, call: &Call, answer: Option<&Answer>) -> Option<u8> {
        let (next, right) = apply(*state, *call);
        answer.is_none_or(|answer| *answer == right).then_some(next)
    }

    fn changes_nothing(&self, call: &Call, answer: &Answer) -> bool {
        *call == Read || *answer == Failed
    }
}

fn apply(state: u8, call: Call) -> (u8, Answer) {
    match call {
        Read => (state, Value(state)),
        Write(value) => (value, Done),
        Swap(from, to) if from == state => (to, Done),
        Swap(..) => (state, Failed),
    }
}

type E = Event<Call, Answer>;

fn event(invoked: u64, returned: u64, call: Call, answer: Answer) -> E {
    Event {
        call,
        answer: Some(answer),
        invoked,
        returned,
    }
}

fn unknown(invoked: u64, call: Call) -> E {
    Event {
        call,
        answer: None,
        invoked,
        returned: 0,
    }
}

fn judge(events: &[E]) -> Linearizable {
    search(&Register, events, Instant::now() + Duration::from_mins(1))
}

fn accepts(events: &[E]) -> bool {
    match judge(events) {
        Linearizable::Yes => true,
        Linearizable::No(_) => false,
        Linearizable::Undecided => panic!("undecided"),
    }
}

#[test]
fn concurrent_reads_may_show_a_write_that_is_in_flight_or_not() {
    let write = event(1, 10, Write(1), Done);
    assert!(accepts(&[
        write.clone(),
        event(2, 3, Read, Value(0)),
        event(4, 5, Read, Value(1))
    ]));
    assert!(accepts(&[
        write.clone(),
        event(2, 5, Read, Value(1)),
        event(3, 4, Read, Value(0))
    ]));
    // Once shown it stays.
    assert!(!accepts(&[
        write,
        event(2, 3, Read, Value(1)),
        event(4, 5, Read, Value(0))
    ]));
}

#[test]
fn a_stale_read_is_found() {
    assert!(!accepts(&[
        event(1, 2, Write(1), Done),
        event(3, 4, Read, Value(0))
    ]));
}

#[test]
fn a_lost_update_is_found() {
    let both_win = [
        event(1, 4, Swap(0, 1), Done),
        event(2, 3, Swap(0, 2), Done),
        event(5, 6, Read, Value(1)),
    ];
    assert!(!accepts(&both_win));
}

#[test]
fn a_double_effect_is_found() {
    // One write of 1, overwritten by 2, and there again.
    let history = [
        event(1, 2, Write(1), Done),
        event(3, 4, Write(2), Done),
        event(5, 6, Read, Value(1)),
    ];
    assert!(!accepts(&history));
}

#[test]
fn an_effect_of_a_refused_write_is_found() {
    assert!(!accepts(&[
        event(1, 2, Swap(3, 4), Failed),
        event(3, 4, Read, Value(4))
    ]));
}

#[test]
fn reads_that_go_back_in_time_are_found() {
    let history = [
        event(1, 20, Write(1), Done),
        event(2, 20, Write(2), Done),
        event(3, 4, Read, Value(1)),
        event(5, 6, Read, Value(2)),
        event(7, 8, Read, Value(1)),
    ];
    assert!(!accepts(&history));
}

#[test]
fn an_unknown_write_may_take_effect_late_or_never_but_once_and_not_before_it_was_asked() {
    let asked = unknown(3, Write(7));
    let late = [
        event(1, 2, Write(1), Done),
        asked.clone(),
        event(4, 5, Read, Value(1)),
        event(8, 9, Read, Value(7)),
    ];
    assert!(accepts(&late));
    assert!(accepts(&late[..3]));
    let twice = [
        asked.clone(),
        event(4, 5, Read, Value(7)),
        event(6, 7, Write(2), Done),
        event(8, 9, Read, Value(7)),
    ];
    assert!(!accepts(&twice));
    assert!(!accepts(&[event(1, 2, Read, Value(7)), asked]));
}

#[test]
fn a_deadline_that_has_passed_is_no_verdict() {
    // So much is open that the clock is looked at before the end.
    let mut events: Vec<E> = (0..40).map(|value| unknown(1, Write(value + 1))).collect();
    events.push(event(2, 3, Read, Value(99)));
    assert_eq!(
        search(&Register, &events, Instant::now()),
        Linearizable::Undecided
    );
}

#[test]
fn the_complaint_names_what_cannot_follow() {
    let Linearizable::No(text) = judge(&[event(1, 2, Write(1), Done), event(3, 4, Read, Value(0))])
    else {
        panic!("accepted");
    };
    assert!(
        text.contains("in state 1") && text.contains("Read"),
        "{text}"
    );
}

/// A random history of a register that works: each client asks one thing at a time, each call takes effect at a moment
/// between its two ends.
fn good(dice: &mut Dice, operations: usize, clients: usize, values: u8, unknowns: bool) -> Vec<E> {
    let mut events: Vec<E> = Vec::new();
    // Per client: the open event, and whether it took effect already.
    let mut open: Vec<Option<(usize, bool)>> = vec![None; clients];
    let (mut state, mut now) = (0, 0);
    while events.len() < operations || open.iter().any(Option::is_some) {
        now += 1;
        let client = dice.below(clients);
        match open[client] {
            None if events.len() < operations => {
                open[client] = Some((events.len(), false));
                events.push(Event {
                    call: draw(dice, values),
                    answer: None,
                    invoked: now,
                    returned: u64::MAX,
                });
            }
            None => {}
            Some((at, false)) => {
                // It may never take effect, and nobody will know.
                if unknowns && dice.once_in(40) {
                    open[client] = None;
                    continue;
                }
                let (next, answer) = apply(state, events[at].call);
                state = next;
                events[at].answer = Some(answer);
                open[client] = Some((at, true));
            }
            Some((at, true)) => {
                events[at].returned = now;
                if unknowns && dice.once_in(40) {
                    events[at].answer = None;
                }
                open[client] = None;
            }
        }
    }
    events
}

fn draw(dice: &mut Dice, values: u8) -> Call {
    let mut value = || u8::try_from(dice.below(usize::from(values))).unwrap_or(0);
    let (one, other) = (value(), value());
    match dice.below(4) {
        0 => Write(one),
        1 => Swap(one, other),
        _ => Read,
    }
}

#[test]
fn every_history_of_a_working_register_is_accepted() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let clients = 1 + dice.below(8);
        let unknowns = dice.once_in(2);
        let events = good(&mut dice, 120, clients, 4, unknowns);
        assert_eq!(judge(&events), Linearizable::Yes, "seed {seed}");
    }
}

#[test]
fn ten_thousand_operations_of_eight_clients_are_decided() {
    let mut dice = Dice::new(1);
    let mut events = good(&mut dice, 10_000, 8, 200, false);
    assert_eq!(judge(&events), Linearizable::Yes);
    // A value that was never written, far into the history.
    let read = events.iter().rposition(|event| event.call == Read).unwrap();
    events[read].answer = Some(Value(250));
    assert!(matches!(judge(&events), Linearizable::No(_)));
}

/// Every order of every choice of the unknown ones, by brute force.
fn brute_force(events: &[E]) -> bool {
    fn extend(events: &[E], taken: u32, state: u8) -> bool {
        let left = |at: usize| taken & (1 << at) == 0;
        if (0..events.len()).all(|at| !left(at) || events[at].answer.is_none()) {
            return true;
        }
        (0..events.len()).filter(|at| left(*at)).any(|at| {
            let overtakes = |other: usize| {
                left(other)
                    && events[other].answer.is_some()
                    && events[other].returned < events[at].invoked
            };
            if (0..events.len()).any(overtakes) {
                return false;
            }
            let next = Register.step(&state, &events[at].call, events[at].answer.as_ref());
            next.is_some_and(|next| extend(events, taken | (1 << at), next))
        })
    }
    extend(events, 0, 0)
}

/// Something about one event is changed: an answer, a moment, or that it is known.
fn corrupt(dice: &mut Dice, events: &mut [E], values: u8) {
    let at = dice.below(events.len());
    let value = u8::try_from(dice.below(usize::from(values))).unwrap_or(0);
    let event = &mut events[at];
    match dice.below(4) {
        0 => {
            event.answer = Some(Value(value))
                .filter(|_| event.call == Read)
                .or(event.answer);
        }
        1 => {
            event.answer = match event.answer {
                Some(Done) if event.call != Write(value) => Some(Failed),
                Some(Failed) => Some(Done),
                other => other,
            }
        }
        2 => event.returned = event.invoked,
        _ => event.invoked = event.returned.min(1_000),
    }
}

#[test]
fn short_histories_are_judged_as_every_permutation_judges_them() {
    let (mut yes, mut no) = (0, 0);
    for seed in 0..6_000 {
        let mut dice = Dice::new(seed);
        let (operations, clients) = (2 + dice.below(6), 1 + dice.below(4));
        let unknowns = dice.once_in(2);
        let mut events = good(&mut dice, operations, clients, 3, unknowns);
        for _ in 0..dice.below(4) {
            corrupt(&mut dice, &mut events, 3);
        }
        let expected = brute_force(&events);
        assert_eq!(accepts(&events), expected, "seed {seed}: {events:?}");
        if expected { yes += 1 } else { no += 1 }
    }
    assert!(yes > 500 && no > 500, "{yes} good ones and {no} bad ones");
}

#[test]
fn a_corruption_that_shows_is_found_in_every_long_history() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        // Every value is written once, so that a read of an overwritten one has no excuse.
        let mut events = good(&mut dice, 200, 1, 2, false);
        for (at, event) in events.iter_mut().enumerate() {
            event.call = if at % 2 == 0 {
                Write(u8::try_from(at / 2 + 1).unwrap())
            } else {
                Read
            };
        }
        let mut state = 0;
        for event in &mut events {
            let (next, answer) = apply(state, event.call);
            state = next;
            event.answer = Some(answer);
        }
        assert!(accepts(&events), "seed {seed}");
        let at = 3 + 2 * dice.below(98);
        // The read shows what the one before it showed.
        events[at].answer = events[at - 2].answer;
        assert!(!accepts(&events), "seed {seed}, read {at}");
    }
}
