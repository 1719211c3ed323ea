//! Elections and replication, as far as an operator can tell.

use super::World;

/// A voter within this many entries of the leader counts as caught up.
pub(super) const CAUGHT_UP: u64 = 1_000;
/// Entries that a member catches up in a second.
const PACE: u64 = 800;

impl World {
    /// Its node runs: it answers, votes and replicates, also while it stops.
    pub(super) fn up(&self, ordinal: i32) -> bool {
        self.pods
            .get(&ordinal)
            .is_some_and(|pod| pod.up_since.is_some())
    }

    /// It was told to stop.
    pub(super) fn stopping(&self, ordinal: i32) -> bool {
        self.pods
            .get(&ordinal)
            .is_some_and(|pod| pod.stopping_since.is_some())
    }

    /// Ordinals of the voters of the first configuration.
    pub(in crate::plan::tests) fn voting(&self) -> Vec<i32> {
        let voters = self.config.as_deref().unwrap_or_default();
        voters
            .iter()
            .map(|voter| i32::try_from(voter.id).expect("small") - 1)
            .collect()
    }

    /// It runs with the directory that has the vote.
    pub(super) fn votes(&self, ordinal: i32) -> bool {
        let voters = self.config.as_deref().unwrap_or_default();
        let id = u32::try_from(ordinal + 1).expect("small");
        self.up(ordinal)
            && self.disks.get(&ordinal).is_some_and(|disk| {
                voters
                    .iter()
                    .any(|voter| voter.id == id && voter.directory_id == disk.directory)
            })
    }

    pub(super) fn lag(&self, ordinal: i32) -> u64 {
        self.disks.get(&ordinal).map_or(self.commit, |disk| {
            self.commit - disk.matched.min(self.commit)
        })
    }

    /// Votes, is caught up and stays.
    pub(super) fn holds(&self, ordinal: i32) -> bool {
        self.votes(ordinal) && !self.stopping(ordinal) && self.lag(ordinal) <= CAUGHT_UP
    }

    pub(super) fn majority(&self) -> usize {
        self.voting().len() / 2 + 1
    }

    /// A majority runs.
    pub(super) fn has_quorum(&self) -> bool {
        let voting = self.voting();
        let up = voting
            .iter()
            .filter(|ordinal| self.votes(**ordinal))
            .count();
        !voting.is_empty() && up >= self.majority()
    }

    pub(super) fn replicate(&mut self) {
        if self.config.is_none() {
            return;
        }
        if self.leader.is_some_and(|leader| !self.votes(leader)) || !self.has_quorum() {
            self.leader = None;
        }
        self.hand_over_if_stopping();
        self.elect();
        if self.leader.is_none() {
            return;
        }
        self.commit += 1;
        for ordinal in self.voting() {
            let (votes, leads) = (self.votes(ordinal), self.leader == Some(ordinal));
            let commit = self.commit;
            if let Some(disk) = self.disks.get_mut(&ordinal)
                && votes
            {
                disk.configured = true;
                disk.matched = if leads {
                    commit
                } else {
                    commit.min(disk.matched + PACE)
                };
            }
        }
    }

    fn hand_over_if_stopping(&mut self) {
        let Some(leader) = self.leader else { return };
        if !self.stopping(leader) {
            return;
        }
        let next = self
            .voting()
            .into_iter()
            .find(|ordinal| *ordinal != leader && self.holds(*ordinal));
        if let Some(next) = next {
            self.lead(next);
        }
    }

    /// After two seconds without a leader one of those that lack nothing is elected.
    fn elect(&mut self) {
        if self.leader.is_some() || !self.has_quorum() {
            self.electing = 0;
            return;
        }
        self.electing += 1;
        if self.electing < 2 {
            return;
        }
        let newest = self.commit;
        let able: Vec<i32> = self
            .voting()
            .into_iter()
            .filter(|ordinal| self.votes(*ordinal) && !self.stopping(*ordinal))
            .filter(|ordinal| self.disks[ordinal].matched >= newest)
            .collect();
        if able.is_empty() {
            return;
        }
        let lot = usize::try_from(self.term).expect("small") % able.len();
        self.lead(able[lot]);
    }

    /// It leads in the next term.
    pub(in crate::plan::tests) fn lead(&mut self, ordinal: i32) {
        self.leader = Some(ordinal);
        self.term += 1;
        self.electing = 0;
        self.watch.elections += 1;
        let commit = self.commit;
        if let Some(disk) = self.disks.get_mut(&ordinal) {
            disk.configured = true;
            disk.matched = commit;
        }
    }

    /// Leadership moves without anybody's asking.
    pub(in crate::plan::tests) fn upset(&mut self) {
        let Some(leader) = self.leader else { return };
        let next = self
            .voting()
            .into_iter()
            .rfind(|ordinal| *ordinal != leader && self.holds(*ordinal));
        if let Some(next) = next {
            self.lead(next);
        }
    }

    /// A follower falls far behind, if a majority without it has everything.
    pub(in crate::plan::tests) fn fall_behind(&mut self, ordinal: i32) {
        let others = self
            .voting()
            .into_iter()
            .filter(|other| *other != ordinal && self.lag(*other) == 0)
            .count();
        if self.leader.is_none() || self.leader == Some(ordinal) || others < self.majority() {
            return;
        }
        self.commit += 3_000;
        for other in self.voting() {
            let commit = self.commit;
            let keeps_up = other != ordinal && self.votes(other);
            if let Some(disk) = self.disks.get_mut(&other)
                && keeps_up
            {
                disk.matched = commit;
            }
        }
    }
}
