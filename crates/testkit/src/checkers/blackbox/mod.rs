//! The black-box check: for every topic and every broker by itself, is there an order of what was asked that explains what
//! was answered? It reads bodies and clocks only: no index, no term, no log. (Linearizability is local: a history is
//! linearizable if that of every object is.)
//!
//! Attempts with one key are one operation here: asked when the first was sent, answered when the first answer was
//! there, with one effect. Topics are told apart by the mark that their creation gave them.

mod broker;
mod objects;
mod topic;

use std::time::{Duration, Instant};

use self::objects::Objects;
use super::wgl::{Event, Linearizable, Model, search};
use crate::chaos::operation::Operation;

/// What the check found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Objects whose histories no order explains, and answers to repeated requests that differ.
    pub violations: Vec<String>,
    /// Objects that were not decided in time. Not a yes: whoever asked treats it as a failure.
    pub undecided: Vec<String>,
    /// Objects that were looked at.
    pub objects: usize,
    /// Operations on them, all together.
    pub operations: usize,
}

/// Checks all objects of a history, for `budget` at most.
pub fn check(history: &[Operation], budget: Duration) -> Verdict {
    let deadline = Instant::now() + budget;
    let objects = Objects::of(history);
    let mut verdict = Verdict {
        violations: objects.wrong,
        ..Verdict::default()
    };
    for (name, events) in &objects.topics {
        verdict.judge(&format!("topic {name}"), &topic::Topics, events, deadline);
    }
    for (id, events) in &objects.brokers {
        verdict.judge(&format!("broker {id}"), &broker::Racks, events, deadline);
    }
    verdict
}

impl Verdict {
    fn judge<M: Model>(
        &mut self,
        object: &str,
        model: &M,
        events: &[Event<M::Call, M::Answer>],
        deadline: Instant,
    ) {
        self.objects += 1;
        self.operations += events.len();
        match search(model, events, deadline) {
            Linearizable::Yes => {}
            Linearizable::No(text) => self.violations.push(format!("{object}: {text}")),
            Linearizable::Undecided => {
                let unknown = events.iter().filter(|event| event.answer.is_none()).count();
                self.undecided.push(format!(
                    "{object}: {} operations, {unknown} of them with an unknown outcome",
                    events.len()
                ));
            }
        }
    }
}
