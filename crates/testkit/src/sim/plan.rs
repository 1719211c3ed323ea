//! The plan of a run: what goes wrong and when, drawn before it begins, so that a failing run can be told
//! again with parts of the plan left out.

use super::params::Params;
use super::rng::Rng;

/// One thing that is to go wrong, or that an administrator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// When, in simulated microseconds.
    pub(super) at: u64,
    /// What.
    pub(super) kind: Kind,
    /// Decides the rest: where, how long.
    pub(super) seed: u64,
}

/// What can be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `kill -9`.
    Kill,
    /// The power fails.
    LosePower,
    /// The power fails in the middle of some later write.
    CutPower,
    /// Every process ends.
    KillAll,
    /// A node is cut off.
    Isolate,
    /// One direction is cut.
    OneWay,
    /// Two groups do not reach each other, with or without one node that reaches both.
    Split,
    /// SIGSTOP, and SIGCONT later.
    Pause,
    /// SIGTERM.
    Stop,
    /// A transfer of leadership.
    HandOver,
    /// A database goes away.
    TakeStore,
    /// A commit of a database has no answer.
    BreakCommit,
    /// A disk is full.
    FillDisk,
    /// An operation of a disk fails.
    DiskError,
    /// A disk takes up to half a second for every write.
    SlowDisk,
    /// A bit of what lies on a disk is another one.
    Rot,
    /// The administrator wants other voters.
    Members,
    /// Cut links work again.
    Heal,
}

/// Kinds with their weights.
const KINDS: [(Kind, u64); 18] = [
    (Kind::Kill, 12),
    (Kind::LosePower, 12),
    (Kind::CutPower, 6),
    (Kind::KillAll, 3),
    (Kind::Isolate, 9),
    (Kind::OneWay, 6),
    (Kind::Split, 7),
    (Kind::Pause, 8),
    (Kind::Stop, 6),
    (Kind::HandOver, 6),
    (Kind::TakeStore, 6),
    (Kind::BreakCommit, 5),
    (Kind::FillDisk, 4),
    (Kind::DiskError, 14),
    (Kind::SlowDisk, 4),
    (Kind::Rot, 6),
    (Kind::Members, 16),
    (Kind::Heal, 3),
];

/// The plan of a setting. Every run has its own odds: some kinds are left out of it altogether, so that the
/// others come in longer rows.
pub(super) fn draw(params: &Params) -> Vec<Planned> {
    let mut rng = Rng::new(params.seed ^ 0x9_1a9);
    let odds = KINDS.map(|(kind, weight)| {
        let left_out = rng.chance(200) || !is_possible(params, kind);
        (kind, if left_out { 0 } else { weight })
    });
    let total: u64 = odds.iter().map(|(_, weight)| weight).sum();
    let mut plan = Vec::new();
    let mut at = params.fault_gap;
    while at < params.chaos && total > 0 {
        let kind = pick(&odds, rng.between(0, total - 1));
        let seed = rng.next();
        plan.push(Planned { at, kind, seed });
        at += rng.between(1, 2 * params.fault_gap);
    }
    plan
}

fn is_possible(params: &Params, kind: Kind) -> bool {
    match kind {
        Kind::LosePower | Kind::CutPower => params.power_loss,
        Kind::DiskError => params.disk_errors,
        Kind::Rot => params.rot,
        Kind::Members => params.membership,
        _ => true,
    }
}

fn pick(odds: &[(Kind, u64)], mut draw: u64) -> Kind {
    for (kind, weight) in odds {
        match draw.checked_sub(*weight) {
            Some(rest) => draw = rest,
            None => return *kind,
        }
    }
    Kind::Heal
}
