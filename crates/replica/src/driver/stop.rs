//! The stop sequence of DESIGN 6.9 as a state machine without anything around it.

/// Where the stop sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopPhase {
    /// Not stopping.
    Running,
    /// Still the controller: proposals are held, and leadership is being moved.
    HandOver {
        /// When held proposals are refused and stopping goes on without a successor: whoever is not there
        /// by then is waited for by nobody.
        until: u64,
    },
    /// Not the controller (any more): answers as such so that clients find the new one.
    Linger {
        /// When it ends at the latest.
        until: u64,
    },
    /// The projector writes what it has.
    Flush {
        /// When it ends at the latest.
        until: u64,
    },
    /// The process may end.
    Done,
}

/// What the sequence looks at, once each turn.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct StopView {
    /// Ticks since the start.
    pub(super) now: u64,
    /// This member leads.
    pub(super) leads: bool,
    /// There is another voter that is not stopping.
    pub(super) has_successor: bool,
    /// Requests wait, or the shell still has open ones.
    pub(super) busy: bool,
    /// The projection has everything that was applied, or cannot go on.
    pub(super) flushed: bool,
}

/// Lengths of the phases, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopTimes {
    /// How long proposals are held; also the limit of the hand-over.
    pub(super) hold: u64,
    /// How long the member answers as a non-controller.
    pub(super) linger: u64,
    /// How long the projector may flush.
    pub(super) flush: u64,
}

impl StopPhase {
    /// SIGTERM. A second one changes nothing.
    pub(super) fn begin(self, now: u64, leads: bool, times: StopTimes) -> Self {
        match self {
            Self::Running if leads => Self::HandOver {
                until: now + times.hold,
            },
            Self::Running => Self::Linger {
                until: now + times.linger,
            },
            other => other,
        }
    }

    /// The phase after a look at the world; called until it no longer changes.
    pub(super) fn next(self, view: StopView, times: StopTimes) -> Self {
        match self {
            Self::HandOver { until } if !view.leads || !view.has_successor || view.now >= until => {
                Self::Linger {
                    until: view.now + times.linger,
                }
            }
            Self::Linger { until } if !view.busy || view.now >= until => Self::Flush {
                until: view.now + times.flush,
            },
            Self::Flush { until } if view.flushed || view.now >= until => Self::Done,
            same => same,
        }
    }

    /// Whether SIGTERM was received.
    pub(super) fn is_stopping(self) -> bool {
        self != Self::Running
    }

    /// Whether proposals are still held rather than refused.
    pub(super) fn holds(self, now: u64) -> bool {
        matches!(self, Self::HandOver { until } if now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: StopTimes = StopTimes {
        hold: 5,
        linger: 30,
        flush: 50,
    };

    fn view(now: u64, leads: bool, busy: bool, flushed: bool) -> StopView {
        StopView {
            now,
            leads,
            has_successor: true,
            busy,
            flushed,
        }
    }

    #[test]
    fn a_controller_hands_over_lingers_flushes_and_ends() {
        let phase = StopPhase::Running.begin(100, true, TIMES);
        assert!(phase.holds(104) && !phase.holds(105));
        assert_eq!(phase.next(view(101, true, true, false), TIMES), phase);
        let phase = phase.next(view(103, false, true, false), TIMES);
        assert_eq!(phase, StopPhase::Linger { until: 133 });
        let phase = phase.next(view(110, false, false, false), TIMES);
        assert_eq!(phase, StopPhase::Flush { until: 160 });
        assert_eq!(phase.next(view(159, false, false, false), TIMES), phase);
        assert_eq!(
            phase.next(view(111, false, false, true), TIMES),
            StopPhase::Done
        );
    }

    #[test]
    fn every_phase_ends_by_its_own_limit() {
        let mut phase = StopPhase::Running.begin(0, true, TIMES);
        let mut ends = Vec::new();
        for now in 0..200 {
            let next = phase.next(view(now, true, true, false), TIMES);
            if next != phase {
                ends.push(now);
            }
            phase = next;
        }
        assert_eq!(phase, StopPhase::Done);
        assert_eq!(ends, vec![5, 35, 85]);
    }

    #[test]
    fn nobody_to_hand_over_to_is_not_waited_for() {
        let phase = StopPhase::Running.begin(0, true, TIMES);
        let alone = StopView {
            has_successor: false,
            ..view(1, true, true, true)
        };
        assert_eq!(phase.next(alone, TIMES), StopPhase::Linger { until: 31 });
    }

    #[test]
    fn a_successor_that_does_not_answer_costs_no_more_than_the_hold() {
        let phase = StopPhase::Running.begin(0, true, TIMES);
        let nobody_connected = view(4, true, false, true);
        assert_eq!(phase.next(nobody_connected, TIMES), phase);
        let at_the_end = StopView {
            now: 5,
            ..nobody_connected
        };
        let phase = phase.next(at_the_end, TIMES);
        assert_eq!(phase, StopPhase::Linger { until: 35 });
        let phase = phase.next(at_the_end, TIMES);
        assert_eq!(phase, StopPhase::Flush { until: 55 });
        assert_eq!(phase.next(at_the_end, TIMES), StopPhase::Done);
    }

    #[test]
    fn a_second_signal_does_not_start_again() {
        let phase = StopPhase::Running.begin(0, false, TIMES);
        assert_eq!(phase.begin(20, false, TIMES), phase);
    }
}
