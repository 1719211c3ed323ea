//! What the planner did, counted; and what it must never do.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use crate::observed::{Identity, Observed};
use crate::plan::{Action, Again, Plan, Stage, plan};

/// What was done to one world.
#[derive(Clone, Debug, Default)]
pub(in crate::plan::tests) struct Watch {
    /// Voters that are down because the planner deleted their pod, until they are back.
    pub(in crate::plan::tests) by_our_hand: BTreeSet<i32>,
    /// How often the planner deleted the pod of an ordinal.
    pub(in crate::plan::tests) restarts: BTreeMap<i32, u32>,
    pub(in crate::plan::tests) transfers: u32,
    pub(in crate::plan::tests) elections: u32,
    /// The identity that was made, whoever deleted it since.
    pub(in crate::plan::tests) identity: Option<Identity>,
    /// A volume is gone.
    pub(in crate::plan::tests) data_was_lost: bool,
    /// The first thing that must not have happened.
    pub(in crate::plan::tests) violation: Option<String>,
}

/// What fired, over all worlds.
#[derive(Clone, Debug, Default)]
pub(in crate::plan::tests) struct Log {
    pub(in crate::plan::tests) fired: BTreeMap<String, u64>,
}

impl Log {
    pub(super) fn note(&mut self, plan: &Plan) {
        for action in &plan.actions {
            self.count(format!("action {}", name(action)));
        }
        let report = &plan.report;
        self.count(format!("stage {:?}", report.stage));
        self.count(format!("again {:?}", plan.again));
        for (kind, said) in [("stalled", &report.stalled), ("progress", &report.progress)] {
            if let Some(problem) = said {
                self.count(format!("{kind} {}", problem.reason));
            }
        }
        for problem in &report.rejected {
            self.count(format!("rejected {}", problem.reason));
        }
    }

    fn count(&mut self, what: String) {
        *self.fired.entry(what).or_default() += 1;
    }

    /// Adds another log.
    pub(in crate::plan::tests) fn add(&mut self, other: &Log) {
        for (what, count) in &other.fired {
            *self.fired.entry(what.clone()).or_default() += count;
        }
    }
}

/// The action's name.
pub(super) fn name(action: &Action) -> String {
    let text = format!("{action:?}");
    text.split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

impl World {
    pub(super) fn complain(&mut self, what: String) {
        self.watch.violation.get_or_insert(what);
    }

    /// What holds for every plan, whatever becomes of it.
    pub(super) fn check_plan(&mut self, observed: &Observed, made: &Plan) {
        if plan(observed) != *made {
            self.complain("the same observation gave two plans".to_owned());
        }
        let disruptive = made
            .actions
            .iter()
            .filter(|action| action.is_disruptive())
            .count();
        let last = made.actions.last().is_some_and(Action::is_disruptive);
        if disruptive > 1 || disruptive == 1 && !last {
            self.complain(format!(
                "more than one disruptive action, or not the last: {:?}",
                made.actions
            ));
        }
        if matches!(made.report.stage, Stage::Deleting | Stage::Suspended)
            && !made.actions.is_empty()
        {
            self.complain(format!(
                "{:?} does something: {:?}",
                made.report.stage, made.actions
            ));
        }
        let ended = made.actions.contains(&Action::EndOperation);
        if disruptive == 1 && ended {
            self.complain("ends one operation and begins another in one pass".to_owned());
        }
        let quiet = matches!(made.report.stage, Stage::Steady) && made.report.progress.is_none();
        if quiet && !ended && made.report.stalled.is_none() {
            self.check_quiet(observed, made);
        }
        let blind = observed.leader.is_none() && self.config.is_some() && self.voting().len() > 1;
        if disruptive == 1
            && blind
            && self
                .cluster
                .status
                .as_ref()
                .is_some_and(|known| known.term > Some(0))
        {
            self.complain(format!("acts without a controller: {:?}", made.actions));
        }
    }

    /// Nothing to say means that all is in place.
    fn check_quiet(&mut self, observed: &Observed, made: &Plan) {
        let writes: Vec<String> = made
            .actions
            .iter()
            .map(name)
            .filter(|name| {
                ![
                    "ApplyChildren",
                    "ApplyStatefulSet",
                    "LabelController",
                    "UnlabelController",
                    "CreateToken",
                ]
                .contains(&name.as_str())
            })
            .collect();
        if !writes.is_empty() {
            self.complain(format!("steady, but writes {writes:?}"));
        }
        if made.again != Again::Idle {
            self.complain("steady, but in a hurry".to_owned());
        }
        let replicas = crate::plan::replicas(observed);
        let present = (0..replicas).all(|ordinal| {
            observed
                .pods
                .get(&ordinal)
                .is_some_and(|pod| pod.ready && !pod.terminating)
        });
        if !present || made.report.updated != replicas || observed.leader.is_none() {
            self.complain("calls itself steady while members are missing or outdated".to_owned());
        }
    }

    /// Deleting this pod: what must be true of the world, beyond what was seen of it.
    pub(super) fn check_deletion(&mut self, ordinal: i32, fresh: bool) {
        let led = self
            .cluster
            .status
            .as_ref()
            .is_some_and(|known| known.term.is_some());
        if self.config.is_none() || !led && !self.up(ordinal) {
            // Nobody ever led, and what does not run is not missed.
            return;
        }
        let others: Vec<i32> = self
            .watch
            .by_our_hand
            .iter()
            .copied()
            .filter(|other| *other != ordinal)
            .collect();
        if self.up(ordinal) && !others.is_empty() {
            self.complain(format!(
                "stops voter {ordinal} while {others:?} are down by our hand"
            ));
        }
        let voting = self.voting();
        if !fresh || voting.len() == 1 || !voting.contains(&ordinal) {
            return;
        }
        let staying = voting
            .iter()
            .filter(|other| **other != ordinal && self.holds(**other))
            .count();
        if staying < self.majority() {
            self.complain(format!(
                "stops voter {ordinal}, {staying} caught-up voters stay"
            ));
        }
        let operation = self
            .cluster
            .status
            .as_ref()
            .and_then(|status| status.operation.clone());
        let given_up =
            operation.is_some_and(|operation| operation.reason.contains("could not be moved"));
        if self.leader == Some(ordinal) && !given_up {
            self.complain(format!("stops the leader {ordinal}"));
        }
        if self.doomed_claims.contains(&ordinal) {
            self.complain(format!("stops {ordinal}, whose claim is being deleted"));
        }
    }

    /// Voters that are back.
    pub(super) fn note_recoveries(&mut self) {
        let back: Vec<i32> = self
            .watch
            .by_our_hand
            .iter()
            .copied()
            .filter(|ordinal| {
                // Who leads is up, whatever its probe says so far.
                let ready = self
                    .pods
                    .get(ordinal)
                    .is_some_and(|pod| pod.ready_since.is_some());
                self.holds(*ordinal) && (ready || self.leader == Some(*ordinal))
            })
            .collect();
        for ordinal in back {
            self.watch.by_our_hand.remove(&ordinal);
        }
    }
}
