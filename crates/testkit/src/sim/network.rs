//! The network between members: it delays, loses, duplicates, reorders and cuts, each direction by itself.

use std::collections::BTreeSet;

use super::params::{MS, Params};
use super::rng::Rng;

/// Which ways are cut, and how the others behave.
#[derive(Debug)]
pub(super) struct Network {
    rng: Rng,
    cut: BTreeSet<(usize, usize)>,
    loss: u64,
    duplication: u64,
    late: u64,
    delay_max: u64,
    lost: u64,
    doubled: u64,
    delayed: u64,
}

impl Network {
    /// A network as the run's setting says.
    pub(super) fn new(params: &Params, rng: Rng) -> Self {
        let quiet = params.cuts.calm_network;
        Self {
            rng,
            cut: BTreeSet::new(),
            loss: if quiet { 0 } else { params.loss },
            duplication: if quiet { 0 } else { params.duplication },
            late: if quiet { 0 } else { params.late },
            delay_max: params.delay_max,
            lost: 0,
            doubled: 0,
            delayed: 0,
        }
    }

    /// The delays after which one message arrives: none if it is lost, several if it is duplicated.
    pub(super) fn delays(&mut self, from: usize, to: usize) -> impl Iterator<Item = u64> + use<> {
        let mut delays = [None, None];
        if !self.is_open(from, to) {
        } else if self.rng.chance(self.loss) {
            self.lost += 1;
        } else {
            delays[0] = Some(self.delay());
            if self.rng.chance(self.duplication) {
                self.doubled += 1;
                delays[1] = Some(self.delay());
            }
        }
        delays.into_iter().flatten()
    }

    /// Messages that were lost, doubled and late.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (self.lost, self.doubled, self.delayed)
    }

    fn delay(&mut self) -> u64 {
        let usual = self.rng.between(50, self.delay_max);
        if self.rng.chance(self.late) {
            self.delayed += 1;
            usual + self.rng.between(10, 900) * MS
        } else {
            usual
        }
    }

    /// Whether messages pass from one node to another.
    pub(super) fn is_open(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Cuts one direction.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Cuts a node off, both ways.
    pub(super) fn isolate(&mut self, node: usize, nodes: usize) {
        for other in (0..nodes).filter(|other| *other != node) {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    /// Ends all cuts.
    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Faults are over: nothing is lost, doubled or late any more.
    pub(super) fn calm(&mut self) {
        self.heal();
        self.loss = 0;
        self.duplication = 0;
        self.late = 0;
    }
}
