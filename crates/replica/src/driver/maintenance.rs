//! Snapshots and purging, as inputs and outputs of the driver.

use dmq_raft::{EntryId, Input, LogIndex, MemberId, Role};

use super::Driver;
use crate::{AlarmKind, Answer, DriverOutput, RequestError, Ticket};

impl Driver {
    /// `POST /quorum/snapshots`. Without an applied entry there is nothing to take, and nobody knows
    /// when there will be.
    pub(super) fn take_snapshot(&mut self, ticket: Ticket) {
        if self.applied.index > LogIndex(0) {
            return self.upkeep.request(ticket, self.applied.index);
        }
        let error = if self.role.role == Role::Uninitialized {
            RequestError::Uninitialized
        } else {
            RequestError::Unavailable("nothing is applied yet: there is nothing to keep".into())
        };
        self.fail(ticket, error);
    }

    /// Takes the next step of a snapshot, and purges what may go.
    pub(super) fn maintain(&mut self) {
        self.note_durable();
        if let Some((last, tickets)) = self.upkeep.already_covered() {
            for ticket in tickets {
                self.answer(ticket, Answer::SnapshotTaken { last });
            }
        }
        if self.upkeep.start(self.now, self.applied.index) {
            self.out.push(DriverOutput::HoldImage);
        }
        if let Some(image) = self.upkeep.write(self.durable) {
            self.out.push(DriverOutput::WriteSnapshot(image));
        }
        if let Some(up_to) = self.upkeep.purge(self.raft.purgeable()) {
            self.out.push(DriverOutput::Purge(up_to));
        }
    }

    pub(super) fn snapshot_written(&mut self, last: EntryId, result: Result<u64, String>) {
        let detail = result.as_ref().err().cloned();
        let tickets = self.upkeep.written(last, result.ok(), self.now);
        self.alarm(
            AlarmKind::SnapshotFailed,
            detail.is_some(),
            detail.clone().unwrap_or_default(),
        );
        if let Some(reason) = detail {
            let error = RequestError::Unavailable(format!("the snapshot failed: {reason}"));
            for ticket in tickets {
                self.fail(ticket, error.clone());
            }
            return;
        }
        self.counters.snapshots_taken += 1;
        self.step(Input::SnapshotTaken { last });
        for ticket in tickets {
            self.answer(ticket, Answer::SnapshotTaken { last });
        }
    }

    /// The receiving core answers a transfer that succeeded; a failed one is for the core to repeat.
    pub(super) fn snapshot_sent(&mut self, to: MemberId, ok: bool) {
        if !ok {
            self.step(Input::SnapshotFailed { to });
        }
    }
}
