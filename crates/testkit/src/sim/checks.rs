//! The run as a whole: properties that are checked at intervals, and what must come true after the faults.

use dmq_raft::{LogIndex, Role};

use super::client::BROKERS;
use super::history::Violation;
use super::params::MS;
use super::world::{Event, World};

impl World {
    /// Faults until their time is over; then the quorum must converge and serve.
    ///
    /// # Errors
    /// The first violation.
    pub(super) fn live(&mut self) -> Result<(), Violation> {
        self.run(self.params.chaos + MS, |_| false)?;
        let tasks: Vec<u64> = self.clients.iter().map(|client| client.done).collect();
        let end = self.now + self.params.recovery;
        let served = |world: &Self| {
            world
                .clients
                .iter()
                .zip(&tasks)
                .all(|(client, before)| client.done > before + 2)
        };
        if !self.run(end, served)? {
            return Err(format!("no progress after the faults: {}", self.describe()));
        }
        // Clients fall silent, so that there is a last index.
        self.quiet = true;
        if !self.run(end, Self::has_converged)? {
            return Err(format!(
                "no convergence after the faults: {}",
                self.describe()
            ));
        }
        (0..self.nodes.len()).try_for_each(|node| self.audit(node))
    }

    /// Whether a node is a member, on the disk that the others know.
    pub(super) fn takes_part(&self, node: usize) -> bool {
        if self.nodes[node].damaged {
            return false;
        }
        let member = self.nodes[node].member();
        self.membership()
            .is_some_and(|(_, configuration)| configuration.is_member(&member))
    }

    /// Every member has applied and projected everything.
    fn has_converged(&self) -> bool {
        let last = self.history.last();
        let settled = self
            .membership()
            .is_some_and(|(_, configuration)| !configuration.is_joint());
        settled
            && self.calls.is_empty()
            && (0..self.nodes.len())
                .filter(|node| self.takes_part(*node))
                .all(|node| {
                    let process = self.nodes[node].process.as_ref();
                    process.is_some_and(|process| process.view.last.index == last)
                        && self.projected(node) == last
                })
    }

    /// What is checked at intervals.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        let gap = self
            .rng
            .between(self.params.check_gap / 10, self.params.check_gap);
        self.after(gap, Event::Check);
        self.check_answers()?;
        self.parts = (0..self.nodes.len())
            .map(|node| self.takes_part(node))
            .collect();
        for node in 0..self.nodes.len() {
            self.check_disk(node)?;
            self.check_projection(node)?;
            self.check_indexes(node)?;
            if self.rng.chance(10) {
                self.audit(node)?;
            }
        }
        Ok(())
    }

    /// What a member says about itself fits together.
    fn check_indexes(&self, node: usize) -> Result<(), Violation> {
        let Some(process) = &self.nodes[node].process else {
            return Ok(());
        };
        let status = process.driver.status();
        let published = process.view.last;
        let image = process.view.image.index().0;
        // Until an install is done the core is ahead of the disk and the image.
        let installing = status.start.index > status.durable;
        let fits = status.applied.index <= status.commit
            && status.commit <= status.last.index
            && status.durable <= status.last.index
            && (installing || status.start.index <= status.applied.index.max(status.durable))
            && status.applied.index <= published.index
            && image == published.index.0
            && (status.role != Role::Leader || status.leader.is_some());
        if !fits {
            return Err(format!(
                "node {node} contradicts itself: {status:?}, view {published}"
            ));
        }
        match self.history.hash_at(published.index) {
            _ if self.nodes[node].spoiled => Ok(()),
            Some(hash) if hash == process.view.image.state_hash() => Ok(()),
            known => Err(format!(
                "node {node}'s view at {published} has not the hash {known:?}"
            )),
        }
    }

    /// Where everybody is, for a failure.
    pub(super) fn describe(&self) -> String {
        let nodes: Vec<String> = (0..self.nodes.len())
            .map(|node| {
                let projected: LogIndex = self.projected(node);
                self.nodes[node].process.as_ref().map_or_else(
                    || format!("{node}: down"),
                    |process| {
                        let status = process.driver.status();
                        format!(
                            "{node}: {:?} term {} last {} commit {} applied {} durable {} projected \
                             {projected} {:?} stop {}",
                            status.role,
                            status.term,
                            status.last,
                            status.commit,
                            status.applied,
                            status.durable,
                            status.projection,
                            status.stopping,
                        )
                    },
                )
            })
            .collect();
        let idle: Vec<_> = self
            .clients
            .iter()
            .map(|client| {
                format!(
                    "{}{}",
                    client.done,
                    if client.number < BROKERS { "b" } else { "" }
                )
            })
            .collect();
        format!(
            "{}; tasks done {}; {} calls",
            nodes.join("; "),
            idle.join(" "),
            self.calls.len()
        )
    }
}
