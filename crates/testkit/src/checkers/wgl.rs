//! The search of Wing and Gong with Lowe's memory: is there one order of the operations that respects real time and
//! explains every answer? It knows nothing of indexes, terms or logs, so that a lying index cannot mislead it.
//!
//! Three things keep it short. A read, or a refusal, that fits now is taken at once: taking it later cannot help. Unknown outcomes are tried last and only where they change the state. What was reached once (the set of
//! operations that were taken, and the state) is never looked at again; the set is remembered as 128 bits, the exclusive
//! or of a random number for each operation.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Instant;

use crate::walker::dice::Dice;

/// What an object does. Deterministic: a state, a call and an answer have one successor, or none.
pub trait Model {
    /// Its state.
    type State: Clone + Eq + Hash + std::fmt::Debug;
    /// What it is asked.
    type Call: std::fmt::Debug;
    /// What it answers.
    type Answer: std::fmt::Debug;

    /// The state before everything.
    fn initial(&self) -> Self::State;

    /// The state after the call, or none if it would not have been answered so. No answer: whatever it was.
    fn step(
        &self,
        state: &Self::State,
        call: &Self::Call,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;

    /// Whether a call with this answer changes no state at all, whichever it is.
    fn changes_nothing(&self, call: &Self::Call, answer: &Self::Answer) -> bool;
}

/// One operation on the object.
#[derive(Clone, Debug)]
pub struct Event<C, A> {
    /// What was asked.
    pub call: C,
    /// What was answered; `None`: unknown, done at some time after the invocation or never.
    pub answer: Option<A>,
    /// When it was asked.
    pub invoked: u64,
    /// When the answer was there; not looked at without an answer.
    pub returned: u64,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linearizable {
    /// There is such an order.
    Yes,
    /// There is none; in words, how far the best one goes and what cannot follow.
    No(String),
    /// The deadline came first. Whoever asked must not take it for a yes.
    Undecided,
}

/// Looks at the clock once in so many positions.
const LOOK_ONCE_IN: usize = 1_024;

/// Searches for an order until `deadline`.
pub fn search<M: Model>(
    model: &M,
    events: &[Event<M::Call, M::Answer>],
    deadline: Instant,
) -> Linearizable {
    let mut search = Search::new(model, events);
    let mut frames = Vec::new();
    let mut state = model.initial();
    let mut taken = Vec::new();
    for position in 1_usize.. {
        if position.is_multiple_of(LOOK_ONCE_IN) && Instant::now() > deadline {
            return Linearizable::Undecided;
        }
        search.take_what_changes_nothing(&state, &mut taken);
        if search.left == 0 {
            return Linearizable::Yes;
        }
        let options = if search.seen.insert((search.set, state.clone())) {
            search.options(&state)
        } else {
            Vec::new()
        };
        search.note_depth(&state);
        frames.push(Frame {
            state,
            taken: std::mem::take(&mut taken),
            options,
        });
        match search.next(&mut frames) {
            Some((option, next)) => {
                state = next;
                taken.push(option);
            }
            None => return Linearizable::No(search.complaint()),
        }
    }
    Linearizable::Undecided
}

/// A position on the way: the state, what was taken to come here from the one before, what can follow.
struct Frame<S> {
    state: S,
    taken: Vec<usize>,
    /// The best last.
    options: Vec<usize>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    events: &'a [Event<M::Call, M::Answer>],
    /// Events with an answer, by invocation.
    answered: Vec<usize>,
    /// Events without one, by invocation.
    unknown: Vec<usize>,
    /// The first of `answered` that was not taken.
    low: usize,
    /// Answered events that were not taken.
    left: usize,
    is_taken: Vec<bool>,
    numbers: Vec<u128>,
    /// The set of what was taken.
    set: u128,
    seen: HashSet<(u128, M::State)>,
    /// Fewest answered events that were ever left, in which state, and which could have been next.
    deepest: Option<(usize, M::State, Vec<usize>)>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, events: &'a [Event<M::Call, M::Answer>]) -> Self {
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|at| events[*at].invoked);
        let (answered, unknown): (Vec<_>, Vec<_>) = order
            .into_iter()
            .partition(|at| events[*at].answer.is_some());
        let mut dice = Dice::new(events.len() as u64);
        let number = || u128::from(dice.roll()) << 64 | u128::from(dice.roll());
        Self {
            model,
            events,
            low: 0,
            left: answered.len(),
            answered,
            unknown,
            is_taken: vec![false; events.len()],
            numbers: std::iter::repeat_with(number).take(events.len()).collect(),
            set: 0,
            seen: HashSet::new(),
            deepest: None,
        }
    }

    fn step(&self, state: &M::State, at: usize) -> Option<M::State> {
        let event = &self.events[at];
        self.model.step(state, &event.call, event.answer.as_ref())
    }

    fn changes_nothing(&self, at: usize) -> bool {
        let event = &self.events[at];
        let answer = event.answer.as_ref();
        answer.is_some_and(|answer| self.model.changes_nothing(&event.call, answer))
    }

    fn take(&mut self, at: usize) {
        self.is_taken[at] = true;
        self.set ^= self.numbers[at];
        if self.events[at].answer.is_some() {
            self.left -= 1;
        }
        while self
            .answered
            .get(self.low)
            .is_some_and(|at| self.is_taken[*at])
        {
            self.low += 1;
        }
    }

    fn give_back(&mut self, at: usize) {
        self.is_taken[at] = false;
        self.set ^= self.numbers[at];
        let event = &self.events[at];
        if event.answer.is_some() {
            self.left += 1;
            let invoked = |at: &usize| self.events[*at].invoked;
            let first = self
                .answered
                .partition_point(|other| invoked(other) < event.invoked);
            self.low = self.low.min(first);
        }
    }

    /// Answered events that may be next: asked before any other that is left was answered. Also the latest moment at
    /// which what is next may have been asked.
    fn candidates(&self) -> (Vec<usize>, u64) {
        let (mut found, mut first_return) = (Vec::new(), u64::MAX);
        for &at in &self.answered[self.low..] {
            let event = &self.events[at];
            if event.invoked > first_return {
                break;
            }
            if !self.is_taken[at] {
                first_return = first_return.min(event.returned);
                found.push(at);
            }
        }
        found.retain(|at| self.events[*at].invoked <= first_return);
        (found, first_return)
    }

    fn take_what_changes_nothing(&mut self, state: &M::State, taken: &mut Vec<usize>) {
        loop {
            let (candidates, _) = self.candidates();
            let idle = |at: &&usize| self.changes_nothing(**at) && self.step(state, **at).is_some();
            let idle: Vec<usize> = candidates.iter().filter(idle).copied().collect();
            if idle.is_empty() {
                return;
            }
            for at in idle {
                self.take(at);
                taken.push(at);
            }
        }
    }

    /// What can follow, the best last: answered events in the order of their answers, then unknown ones.
    fn options(&self, state: &M::State) -> Vec<usize> {
        let (mut answered, first_return) = self.candidates();
        answered.retain(|at| self.step(state, *at).is_some());
        answered.sort_by_key(|at| std::cmp::Reverse(self.events[*at].returned));
        let asked = |at: &&usize| self.events[**at].invoked <= first_return;
        let changes = |at: &usize| self.step(state, *at).is_some_and(|next| next != *state);
        let unknown = self.unknown.iter().take_while(asked).copied();
        let mut options: Vec<usize> = unknown
            .filter(|at| !self.is_taken[*at] && changes(at))
            .collect();
        options.append(&mut answered);
        options
    }

    /// Goes back to the last position at which something else can follow, and takes that.
    fn next(&mut self, frames: &mut Vec<Frame<M::State>>) -> Option<(usize, M::State)> {
        loop {
            let frame = frames.last_mut()?;
            if let Some(option) = frame.options.pop() {
                let next = self.step(&frame.state, option)?;
                self.take(option);
                return Some((option, next));
            }
            for at in frames.pop()?.taken {
                self.give_back(at);
            }
        }
    }

    fn note_depth(&mut self, state: &M::State) {
        if self
            .deepest
            .as_ref()
            .is_none_or(|(left, ..)| self.left < *left)
        {
            self.deepest = Some((self.left, state.clone(), self.candidates().0));
        }
    }

    fn complaint(&self) -> String {
        let Some((left, state, candidates)) = &self.deepest else {
            return "nothing fits".to_owned();
        };
        let next: Vec<String> = candidates
            .iter()
            .map(|at| format!("\n  {:?}", self.events[*at]))
            .collect();
        let done = self.answered.len() - left;
        format!(
            "after {done} operations, in state {state:?}, none of these can follow:{}",
            next.concat()
        )
    }
}
