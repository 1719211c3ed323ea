//! What must hold of one member and the others at certain moments: the core's view of its log, how it was
//! elected, where what it commits is kept.

use dmq_raft::{Effects, MemberId, MessageBody, Raft, Role, Sending};

use super::branches::Before;
use super::ids::place;
use super::rules::decides;
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
        let elected = decides(configuration, |voter| {
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
            decides(configuration, keeps),
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

    /// A leader that hears from no majority for longer than its limit leads no more. Called after each step of
    /// who led before it.
    pub(crate) fn check_hearing(&mut self, at: usize, before: &Before, effects: &Effects) {
        let member = &mut self.members[at];
        if effects.configuration.is_some() {
            for peer in &mut member.peers {
                peer.silent_ticks = 0;
            }
        }
        if let Some(from) = before.heard() {
            member.peers[place(from)].silent_ticks = 0;
        }
        if before.is_campaign() {
            let term = member.raft.as_ref().map(Raft::term);
            assert!(
                term == Some(before.term),
                "Sticky: {} gives its office up for a mere candidate",
                member.config.id
            );
        }
        if !before.is_tick() {
            return;
        }
        for peer in &mut member.peers {
            peer.silent_ticks += 1;
        }
        let limit = member.config.check_quorum_ticks + 1;
        let (id, peers) = (member.config.id, &member.peers);
        let Some(raft) = member
            .raft
            .as_ref()
            .filter(|raft| raft.role() == Role::Leader)
        else {
            return;
        };
        let hears = |voter: &MemberId| *voter == id || peers[place(*voter)].silent_ticks < limit;
        assert!(
            decides(&raft.configuration().1, hears),
            "CheckQuorum: {id} goes on leading without hearing from a majority"
        );
    }

    /// The log is kept behind every snapshot that is on its way to a peer.
    pub(crate) fn check_purgeable(&self, at: usize) {
        let member = &self.members[at];
        let Some(raft) = &member.raft else { return };
        let offered = member.peers.iter().filter_map(|peer| peer.offered);
        for (peer, last) in offered {
            let on_its_way = matches!(raft.sending(&peer), Some((Sending::Snapshot, _)));
            assert!(
                !on_its_way || raft.purgeable() <= last,
                "PurgeWaits: {} would purge beyond the snapshot of {last} on its way to {peer}",
                raft.id()
            );
        }
    }

    /// Who is told to take over has the whole log, durably.
    pub(crate) fn check_transfer(&self, at: usize, effects: &Effects) {
        let member = &self.members[at];
        let Some(raft) = member.raft.as_ref().filter(|_| member.transferring) else {
            return;
        };
        let signals = effects.send.iter().map(|outgoing| &outgoing.message);
        for message in signals.filter(|message| message.body == MessageBody::TimeoutNow) {
            let has_all = self.find(message.to).is_none_or(|target| {
                let target = &self.members[target];
                let disk = &target.disk;
                target.is_beyond(raft.term())
                    || (disk.reach() >= raft.last().index && disk.keeps(raft.last()))
            });
            assert!(
                has_all,
                "TransferWaits: {} hands over to {}, which lacks {}",
                raft.id(),
                message.to,
                raft.last()
            );
        }
    }
}
