//! What must hold of one member and the others at certain moments: the core's view of its log, how it was
//! elected, where what it commits is kept.

use dmq_raft::{MemberId, Raft};

use super::world::World;

impl World {
    /// The core knows its log as it is.
    pub(crate) fn check_view(&self, at: usize) {
        let member = &self.members[at];
        if let Some(raft) = &member.raft {
            let same = raft.last() == member.memory.last() && raft.start() == member.memory.start;
            assert!(
                same,
                "ViewOfLog: {} sees another log than it has",
                raft.id()
            );
            let (index, active) = raft.configuration();
            let (placed, number) = member.memory.active();
            assert!(
                *index == placed && active == self.book.configuration(number),
                "ConfigurationOfLog: {} counts with {index}, its log says {placed}",
                raft.id()
            );
        }
    }

    /// Who leads was elected by a quorum of the configuration of its log, its own durable vote included.
    pub(crate) fn check_election(&self, at: usize) {
        let member = &self.members[at];
        let (id, hard) = (member.id(), member.disk.hard);
        let Some(term) = member.raft.as_ref().map(Raft::term) else {
            return;
        };
        let own = hard.term == term && hard.vote == Some(id);
        let configuration = self.book.configuration(member.memory.active().1);
        let elected = configuration.has_quorum(|voter| {
            if *voter == id {
                own
            } else {
                self.ghost.voted(*voter, term, id)
            }
        });
        assert!(
            own && elected,
            "ElectedByQuorum: {id} leads term {term} without a quorum of its configuration"
        );
    }

    /// What a leader commits is durable on a quorum of the configuration that its log says. Members
    /// whose directory is lost do not come back, and so cannot outvote anybody.
    pub(crate) fn check_durable(&self, at: usize) {
        let frontier = self.ghost.frontier();
        let configuration = self.book.configuration(self.members[at].memory.active().1);
        let keeps = |voter: &MemberId| match self.find(*voter) {
            Some(alive) => self.members[alive].keeps(frontier),
            None => true,
        };
        assert!(
            configuration.has_quorum(keeps),
            "CommittedOnQuorum: {frontier} is not on a quorum of disks"
        );
    }

    /// A leader takes no more than so many uncommitted bytes.
    pub(crate) fn check_admission(&self, at: usize) {
        let member = &self.members[at];
        let (id, limit) = (member.id(), member.config.uncommitted_bytes_max);
        let Some(raft) = &member.raft else { return };
        let bytes = member.memory.bytes_after(raft.commit(), &self.book);
        assert!(
            bytes <= limit,
            "Admission: {id} took {bytes} uncommitted bytes, its bound is {limit}"
        );
    }
}
