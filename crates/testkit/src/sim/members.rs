//! The members: which configurations there are, and whose loss they survive.

use dmq_raft::{Configuration, Entry, EntryKind, LogIndex, MemberId};

use super::history::Violation;
use super::world::World;

impl World {
    /// Remembers the configurations among entries that a member writes.
    pub(super) fn note_configurations(&mut self, entries: &[Entry]) {
        for entry in entries {
            if entry.kind == EntryKind::Configuration
                && let Ok(configuration) = Configuration::decode(&entry.payload)
            {
                let place = (entry.index, entry.term);
                self.configurations.insert(place, configuration);
            }
        }
    }

    /// The newest committed configuration that any running member knows, with its index.
    pub(super) fn membership(&self) -> Option<(LogIndex, Configuration)> {
        let statuses = self
            .nodes
            .iter()
            .filter_map(|node| Some(node.process.as_ref()?.driver.status()));
        let newest = statuses.max_by_key(|status| status.membership_index)?;
        let (index, in_force) = newest.configuration;
        if newest.membership_index == index {
            return (index > LogIndex(0)).then(|| (index, in_force.as_ref().clone()));
        }
        let index = newest.membership_index;
        let term = self.history.term_at(index)?;
        let committed = self.configurations.get(&(index, term))?;
        Some((index, committed.clone()))
    }

    /// Whether a member's disk is what it was.
    pub(super) fn is_whole(&self, member: MemberId) -> bool {
        let position = self.position(member);
        position.is_some_and(|node| !self.nodes[node].damaged)
    }

    /// Whether every configuration that may be in force keeps its majorities without this node's disk.
    pub(super) fn can_lose(&self, node: usize) -> bool {
        let Some((committed, _)) = self.membership() else {
            return false;
        };
        let lost = self.nodes[node].member();
        let whole = |member: &MemberId| *member != lost && self.is_whole(*member);
        let wished = self.steward.wished_voters();
        let mut in_force = self
            .configurations
            .iter()
            .filter(|((index, _), _)| *index >= committed)
            .map(|(_, configuration)| configuration)
            .chain(&wished);
        !self.nodes[node].damaged && in_force.all(|configuration| configuration.has_quorum(whole))
    }

    /// A damaged node comes back on an empty disk, as another member.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn replace(&mut self, node: usize) -> Result<(), Violation> {
        if !self.params.membership || !self.nodes[node].damaged {
            return Ok(());
        }
        self.faults.replaced_disks += 1;
        self.tell(node, || "is wiped".into());
        let params = self.params.clone();
        self.nodes[node].wipe(&params);
        self.start_node(node)
    }
}
