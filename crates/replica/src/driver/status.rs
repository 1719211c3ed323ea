//! What the driver shows: status on request, events on change.

use super::{Driver, Ready};
use crate::{DriverOutput, QuorumEvent, Status};

impl Driver {
    /// The member at this moment. Cheap enough for every tick.
    pub fn status(&self) -> Status {
        let raft = self.raft.status();
        Status {
            identity: self.identity.clone(),
            role: raft.role,
            term: raft.term,
            leader: raft.leader,
            commit: raft.commit,
            last: raft.last,
            durable: raft.durable,
            start: raft.start,
            applied: self.applied,
            projected: self.projected,
            projection: self.projection.clone(),
            configuration: self.configuration.clone(),
            membership_index: raft.committed_configuration_index,
            log_time: self.office.log_time(self.now, self.settings.tick),
            feature_level: self.feature_level,
            snapshot: self.upkeep.newest(),
            ready: self.ready == Ready::Yes,
            no_space: self.no_space,
            stopping: self.stop.is_stopping(),
            transferring: raft.transferring,
            peers: raft.peers,
            rows: self.reports.rows(&self.configuration.1),
            alarms: self.alarms.clone(),
            waiting: self.waiting(),
            counters: self.counters,
        }
    }

    /// Requests that wait for an answer, but for a few of administrators.
    pub(super) fn waiting(&self) -> usize {
        let writes = self.waiters.len() + self.awaiting.len() + self.held.len();
        writes + self.reads.len() + self.changes.len()
    }

    /// Publishes an event if what events are about has changed.
    pub(super) fn publish(&mut self) {
        let event = QuorumEvent {
            role: self.role.role,
            term: self.role.term,
            leader: self.leader_node(),
            membership_index: self.configuration.0,
            incarnation: self.identity.incarnation,
            stopping: self.stop.is_stopping(),
        };
        if self.last_event.as_ref() != Some(&event) {
            self.last_event = Some(event.clone());
            self.out.push(DriverOutput::Event(event));
        }
    }
}
