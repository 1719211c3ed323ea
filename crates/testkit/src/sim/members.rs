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
                let place = (entry.index, entry.id());
                self.configurations.insert(place, configuration);
            }
        }
    }

    /// The newest committed configuration that any running member knows, with its index.
    pub(super) fn membership(&self) -> Option<(LogIndex, Configuration)> {
        let known = self.nodes.iter().filter_map(|node| {
            let status = node.process.as_ref()?.driver.status();
            let (index, configuration) = status.configuration;
            (status.membership_index == index).then(|| (index, configuration.as_ref().clone()))
        });
        known.max_by_key(|(index, _)| *index)
    }

    /// Whether every configuration that may be in force keeps its majorities without this node's disk.
    pub(super) fn can_lose(&self, node: usize) -> bool {
        let Some((committed, _)) = self.membership() else {
            return false;
        };
        let lost = self.nodes[node].member();
        let whole = |member: &MemberId| {
            *member != lost
                && self
                    .position(*member)
                    .is_some_and(|at| !self.nodes[at].damaged)
        };
        let mut in_force = self
            .configurations
            .iter()
            .filter(|((index, _), _)| *index >= committed)
            .map(|(_, configuration)| configuration);
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
        self.tell(node, || "is wiped".into());
        let params = self.params.clone();
        self.nodes[node].wipe(&params);
        self.start_node(node)
    }
}
