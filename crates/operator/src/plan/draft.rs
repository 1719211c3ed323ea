//! A plan while it is being made: actions in their order, and the first thing there is to say of each kind.

use super::view::View;
use super::{Action, Again, Plan, Report, Stage};
use crate::observed::Problem;

/// A plan while it is being made.
pub(super) struct Draft {
    actions: Vec<Action>,
    report: Report,
}

impl Draft {
    /// Nothing to do so far.
    pub(super) fn new(view: &View<'_>) -> Self {
        let report = Report {
            updated: view.updated(),
            ..Report::default()
        };
        Self {
            actions: Vec::new(),
            report,
        }
    }

    /// One more thing to do, after the others.
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// A human is needed. What was found first stands: later steps see its consequences.
    pub(super) fn stall(&mut self, problem: Problem) {
        self.report.stalled.get_or_insert(problem);
    }

    /// Why the pass waits or works. What was found first stands.
    pub(super) fn wait(&mut self, reason: &str, message: impl Into<String>) {
        self.report
            .progress
            .get_or_insert_with(|| Problem::new(reason, message));
    }

    /// A wish that is not granted.
    pub(super) fn reject(&mut self, problem: Problem) {
        self.report.rejected.push(problem);
    }

    /// Whether a human is needed.
    pub(super) fn is_stalled(&self) -> bool {
        self.report.stalled.is_some()
    }

    /// Whether something is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.report.progress.is_some()
    }

    /// The plan.
    pub(super) fn end(mut self, stage: Stage, again: Again) -> Plan {
        self.report.stage = stage;
        Plan {
            actions: self.actions,
            report: self.report,
            again,
        }
    }
}
