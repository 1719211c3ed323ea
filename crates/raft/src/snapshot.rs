//! Snapshots: taking over a leader's, keeping what is needed to send one, and forgetting the rest.

use crate::configurations::{Configurations, Placed};
use crate::election::Standing;
use crate::log_view::LogView;
use crate::mutant;
use crate::progress::ProgressState;
use crate::{Effects, EntryId, InstallSnapshot, LogIndex, MemberId, MessageBody, Raft, StartPoint};

impl Raft {
    /// The file of the leader's snapshot is durable here (DESIGN 6.3, steps 2 and 3).
    pub(crate) fn on_install_snapshot(
        &mut self,
        from: MemberId,
        seq: u64,
        last: EntryId,
        configuration: Placed,
        fx: &mut Effects,
    ) {
        let from_the_future = last.term > self.hard.term;
        if configuration.1.validate().is_err() || configuration.0 > last.index || from_the_future {
            self.ignored_messages += 1;
            return;
        }
        self.follow(from, fx);
        if last.index > self.commit || mutant::is("snapshot-below-commit") {
            if self.log.holds(last) {
                // The log has all that the snapshot says; being in one, it is committed.
                self.commit_to(last.index);
                self.snapshot = Some(last);
            } else {
                self.install(last, configuration, fx);
            }
        }
        // A snapshot at or below the commit index is not installed, whatever its term: the leader
        // goes on from the commit index (openraft#1892).
        let body = MessageBody::InstallSnapshotReply {
            seq,
            matched: self.commit,
        };
        let promise = self.durability.promise();
        let after = promise.filter(|_| !mutant::is("snapshot-acked-before-persist"));
        self.send(from, body, after, fx);
    }

    /// Replaces log and membership by the snapshot's start point.
    fn install(&mut self, last: EntryId, configuration: Placed, fx: &mut Effects) {
        self.durability.truncated(self.commit);
        self.log = LogView::new(last);
        if !mutant::is("snapshot-keeps-configuration") {
            self.configurations = Configurations::new(configuration.clone());
        }
        self.snapshot = Some(last);
        self.commit_to(last.index);
        self.handed = last.index;
        self.durability.write(fx).start = Some(StartPoint {
            last,
            configuration: configuration.clone(),
        });
        fx.install = Some(InstallSnapshot {
            last,
            after: self.durability.issued(),
        });
        fx.configuration = Some(configuration);
    }

    /// A peer has the snapshot, or something newer.
    pub(crate) fn on_install_snapshot_reply(
        &mut self,
        from: MemberId,
        seq: u64,
        matched: LogIndex,
        fx: &mut Effects,
    ) {
        let Some((lead, source)) = self.leading() else {
            return;
        };
        let Some(progress) = lead.peers.get_mut(&from) else {
            return;
        };
        let awaited = matches!(progress.state, ProgressState::Snapshot { seq: s, .. } if s == seq);
        if !awaited || matched > source.log.last().index {
            return;
        }
        progress.acknowledge(seq, matched, source.log.start().index);
        if matches!(progress.state, ProgressState::Snapshot { .. }) {
            // The log was purged beyond that snapshot meanwhile: the next one, at once.
            progress.probe(matched.next(), false);
        }
        self.acknowledged(from, fx);
    }

    /// The node could not deliver the file: try again at the next heartbeat.
    pub(crate) fn on_snapshot_failed(&mut self, to: MemberId) {
        if let Some((lead, _)) = self.leading()
            && let Some(progress) = lead.peers.get_mut(&to)
            && matches!(progress.state, ProgressState::Snapshot { .. })
        {
            progress.probe(progress.matched.next(), true);
        }
    }

    /// A snapshot of the own state machine is durable.
    pub(crate) fn on_snapshot_taken(&mut self, last: EntryId) {
        assert!(
            last.index <= self.applied,
            "a snapshot covers what was applied: {last}"
        );
        let newer = self.snapshot.is_none_or(|known| known.index < last.index);
        if newer && last.index >= self.log.start().index {
            assert!(
                self.log.holds(last),
                "the snapshot's position {last} is one of the log"
            );
            self.snapshot = Some(last);
        }
    }

    /// The log forgot the entries up to `start`.
    pub(crate) fn on_purged(&mut self, start: EntryId) {
        if start.index <= self.log.start().index {
            return;
        }
        let covered = self.snapshot.map_or(LogIndex(0), |snapshot| snapshot.index);
        assert!(
            start.index <= covered,
            "purged {start} beyond the newest snapshot, {covered}"
        );
        self.log.purge(start);
        self.configurations.purge(start.index);
    }

    /// Highest index that the log may be purged to: what the newest snapshot covers, the image
    /// contains and the disk holds, and no snapshot on its way to a peer still needs behind it.
    pub fn purgeable(&self) -> LogIndex {
        let covered = self.snapshot.map_or(LogIndex(0), |snapshot| snapshot.index);
        let here = covered.min(self.applied).min(self.durability.index());
        let needed = match &self.standing {
            Standing::Leader(lead) if !mutant::is("purge-during-transfer") => {
                lead.lowest_snapshot()
            }
            _ => None,
        };
        needed
            .map_or(here, |index| here.min(index))
            .max(self.log.start().index)
    }
}
