//! What an all-seeing observer knows, and the properties of Raft that it checks (dissertation,
//! figure 3.2). A broken property is a panic that names it; the walk adds its seed.

use std::collections::BTreeMap;

use bytes::Bytes;
use dmq_raft::{Entry, EntryId, EntryKind, LogIndex, MemberId, Term};

use super::disk::Disk;

/// The facts of a walk, gathered from all members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ghost {
    /// Who led which term.
    leaders: BTreeMap<Term, MemberId>,
    /// Whom each member voted for, as far as others were told.
    votes: BTreeMap<(MemberId, Term), MemberId>,
    /// Every entry that any log ever held, with the term of the one before it.
    seen: BTreeMap<EntryId, (Term, EntryKind, Bytes)>,
    /// What was committed, by index from 1: the entry's term, and the term of the leader that first
    /// committed it.
    committed: Vec<(Term, Term)>,
    /// Reads that wait for an answer, with what was committed when they were asked.
    reads: BTreeMap<(MemberId, u64), LogIndex>,
}

impl Ghost {
    /// Highest index that anybody knows to be committed.
    pub(crate) fn frontier(&self) -> EntryId {
        let (term, _) = self.committed.last().copied().unwrap_or_default();
        EntryId::new(term, LogIndex(self.committed.len() as u64))
    }

    /// Election Safety: at most one leader in a term. Leader Completeness: its log has every entry
    /// that was committed in an earlier term.
    pub(crate) fn leads(&mut self, member: MemberId, term: Term, log: &Disk) {
        let known = *self.leaders.entry(term).or_insert(member);
        assert!(
            known == member,
            "ElectionSafety: {known} and {member} lead term {term}"
        );
        let earlier = self
            .committed
            .iter()
            .rposition(|(_, in_term)| *in_term < term);
        let Some((at, entry_term)) = earlier.map(|at| (at, self.committed[at].0)) else {
            return;
        };
        let id = EntryId::new(entry_term, LogIndex(at as u64 + 1));
        let complete = log.start.index >= id.index || log.term_at(id.index) == Some(id.term);
        assert!(
            complete,
            "LeaderCompleteness: {member} leads term {term} without {id}"
        );
    }

    /// One vote per member and term, whoever was told.
    pub(crate) fn votes(&mut self, voter: MemberId, term: Term, candidate: MemberId) {
        let known = *self.votes.entry((voter, term)).or_insert(candidate);
        assert!(
            known == candidate,
            "VoteOnce: {voter} gave term {term} to {known} and to {candidate}"
        );
    }

    /// Log Matching, by induction: an entry of this index and term has the same content and the same
    /// predecessor wherever it appears.
    pub(crate) fn appended(&mut self, before: EntryId, entry: &Entry) {
        assert!(
            before.index.next() == entry.index,
            "LogMatching: a gap before {}",
            entry.id()
        );
        let fact = (before.term, entry.kind, entry.payload.clone());
        let known = self.seen.entry(entry.id()).or_insert_with(|| fact.clone());
        assert!(
            *known == fact,
            "LogMatching: {} follows different entries",
            entry.id()
        );
    }

    /// State Machine Safety: nobody ever commits another entry at this index. Returns whether the
    /// entry was not known to be committed.
    pub(crate) fn commits(&mut self, member: MemberId, in_term: Term, id: EntryId) -> bool {
        let at = usize::try_from(id.index.0).unwrap_or(usize::MAX);
        assert!(
            at <= self.committed.len() + 1,
            "{member} commits {id} before what precedes it"
        );
        let Some((term, _)) = self.committed.get(at - 1) else {
            self.committed.push((id.term, in_term));
            return true;
        };
        let safe = *term == id.term;
        assert!(
            safe,
            "StateMachineSafety: {member} commits {id}, others term {term}"
        );
        false
    }

    /// A snapshot says what is committed up to its index.
    pub(crate) fn installs(&self, member: MemberId, last: EntryId) {
        let at = usize::try_from(last.index.0).unwrap_or(usize::MAX);
        let known = self.committed.get(at - 1).map(|(term, _)| *term);
        assert!(
            known == Some(last.term),
            "StateMachineSafety: {member} installs {last}"
        );
    }

    /// Everything committed is durable on a majority of the voters.
    pub(crate) fn check_durable<'a>(&self, voters: impl Iterator<Item = &'a Disk>) {
        let frontier = self.frontier();
        if frontier.index == LogIndex(0) {
            return;
        }
        let (mut all, mut keep) = (0, 0);
        for disk in voters {
            all += 1;
            keep += usize::from(disk.keeps(frontier));
        }
        assert!(
            keep > all / 2,
            "CommittedOnQuorum: {frontier} is on {keep} of {all} disks"
        );
    }

    pub(crate) fn asks(&mut self, member: MemberId, seq: u64) {
        self.reads.insert((member, seq), self.frontier().index);
    }

    /// Linearizable reads: at or above everything that was committed when the read began.
    pub(crate) fn reads(&mut self, member: MemberId, seq: u64, index: Option<LogIndex>) {
        let floor = self.reads.remove(&(member, seq));
        let floor = floor.unwrap_or_else(|| unreachable_read(member, seq));
        let stale = index.is_some_and(|index| index < floor);
        assert!(
            !stale,
            "StaleRead: {member} serves read {seq} at {index:?}, committed was {floor}"
        );
    }

    /// A crashed member's clients ask somebody else.
    pub(crate) fn forget_reads(&mut self, member: MemberId) {
        self.reads.retain(|(asker, _), _| *asker != member);
    }

    /// Reads that were never answered.
    pub(crate) fn open_reads(&self) -> usize {
        self.reads.len()
    }
}

fn unreachable_read(member: MemberId, seq: u64) -> LogIndex {
    let known = false;
    assert!(
        known,
        "ReadOnce: {member} answers read {seq} twice, or one that nobody asked"
    );
    LogIndex(0)
}
