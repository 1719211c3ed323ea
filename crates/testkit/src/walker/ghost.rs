//! What an all-seeing observer knows, and the properties of Raft that it checks (dissertation,
//! figure 3.2). A broken property is a panic that names it; the walk adds its seed.

use dmq_raft::{EntryId, LogIndex, MemberId, Term};

use super::book::Slot;
use super::disk::{Disk, Placed};
use super::ids::life;

/// The facts of a walk, gathered from all members.
#[derive(Debug, Default)]
pub(crate) struct Ghost {
    /// Who led which term, by term.
    leaders: Vec<Option<MemberId>>,
    /// Whom each life of a member voted for, by life and term, as far as others were told; a candidate is
    /// its life plus 1.
    votes: Vec<Vec<u16>>,
    /// Every entry that any log ever held, with the term of the one before it.
    seen: Seen,
    /// What was committed, by index from 1: the entry's term, and the term of the leader that first
    /// committed it.
    committed: Vec<(Term, Term)>,
    /// The configurations among them, as their numbers in the book.
    configurations: Vec<Placed>,
    /// Reads that wait for an answer, with what was committed when they were asked.
    reads: Vec<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    member: MemberId,
    seq: u64,
    floor: LogIndex,
}

/// Entries by index; those of one index are a chain.
#[derive(Debug, Default)]
struct Seen {
    /// By index: one more than the place of the newest fact, or 0.
    heads: Vec<u32>,
    facts: Vec<Fact>,
}

#[derive(Clone, Copy, Debug)]
struct Fact {
    slot: Slot,
    before: Term,
    /// One more than the place of the next fact, or 0.
    next: u32,
}

impl Seen {
    /// What is known of the entry of this index and the slot's term, which is noted if it is new.
    fn note(&mut self, index: LogIndex, before: Term, slot: Slot) -> Fact {
        let at = by_number(index.0);
        if self.heads.len() <= at {
            self.heads.resize(at + 1, 0);
        }
        let mut next = self.heads[at];
        while let Some(fact) = (next as usize)
            .checked_sub(1)
            .map(|place| self.facts[place])
        {
            if fact.slot.term == slot.term {
                return fact;
            }
            next = fact.next;
        }
        let fact = Fact {
            slot,
            before,
            next: self.heads[at],
        };
        self.facts.push(fact);
        self.heads[at] = u32::try_from(self.facts.len()).unwrap_or(u32::MAX);
        fact
    }
}

fn by_number(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Ghost {
    /// Highest index that anybody knows to be committed.
    pub(crate) fn frontier(&self) -> EntryId {
        let (term, _) = self.committed.last().copied().unwrap_or_default();
        EntryId::new(term, LogIndex(self.committed.len() as u64))
    }

    /// The term that was committed at `index`.
    pub(crate) fn term_committed(&self, index: LogIndex) -> Option<Term> {
        let at = by_number(index.0).checked_sub(1)?;
        self.committed.get(at).map(|(term, _)| *term)
    }

    /// Election Safety: at most one leader in a term. Leader Completeness: its log has every entry
    /// that was committed in an earlier term.
    pub(crate) fn leads(&mut self, member: MemberId, term: Term, log: &Disk) {
        let at = by_number(term.0);
        if self.leaders.len() <= at {
            self.leaders.resize(at + 1, None);
        }
        let known = *self.leaders[at].get_or_insert(member);
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
        let (who, at) = (life(voter), by_number(term.0));
        if self.votes.len() <= who {
            self.votes.resize_with(who + 1, Vec::new);
        }
        let given = &mut self.votes[who];
        if given.len() <= at {
            given.resize(at + 8, 0);
        }
        let named = u16::try_from(life(candidate) + 1).unwrap_or(u16::MAX);
        let known = if given[at] == 0 { named } else { given[at] };
        given[at] = known;
        assert!(
            known == named,
            "VoteOnce: {voter} gave term {term} to another member and to {candidate}"
        );
    }

    /// Whether the member told somebody that it votes for this candidate.
    pub(crate) fn voted(&self, voter: MemberId, term: Term, candidate: MemberId) -> bool {
        let given = self.votes.get(life(voter));
        given
            .and_then(|given| given.get(by_number(term.0)))
            .is_some_and(|named| usize::from(*named) == life(candidate) + 1)
    }

    /// Log Matching, by induction: an entry of this index and term has the same content and the same
    /// predecessor wherever it appears.
    pub(crate) fn appended(&mut self, before: EntryId, index: LogIndex, slot: Slot) {
        assert!(
            before.index.next() == index,
            "LogMatching: a gap before {index}"
        );
        let known = self.seen.note(index, before.term, slot);
        assert!(
            known.slot == slot && known.before == before.term,
            "LogMatching: {} follows different entries, or has two contents",
            EntryId::new(slot.term, index)
        );
    }

    /// Whoever follows a leader of the term in which an entry was committed, or of a later one, keeps it.
    /// (A leader of an earlier term may still cut it off a log that nobody counted.)
    pub(crate) fn truncates(&self, member: MemberId, term: Term, from: LogIndex, log: &Disk) {
        let at = by_number(from.0).checked_sub(1);
        let decided = at.and_then(|at| self.committed.get(at));
        let cut = decided.is_some_and(|(committed, in_term)| {
            *in_term <= term && log.term_at(from) == Some(*committed)
        });
        assert!(
            !cut,
            "CommittedIsKept: {member} cuts off {from} and what follows in term {term}"
        );
    }

    /// State Machine Safety: nobody ever commits another entry at this index. Returns whether the
    /// entry was not known to be committed.
    pub(crate) fn commits(&mut self, member: MemberId, in_term: Term, id: EntryId) -> bool {
        let at = by_number(id.index.0);
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

    /// A configuration among what was just committed; the first one is so by birth.
    pub(crate) fn decides(&mut self, placed: Placed) {
        if placed.0 > self.configuration_index() {
            self.configurations.push(placed);
        }
    }

    /// The committed configuration in force at `index`, if anybody saw one being committed.
    pub(crate) fn configuration_at(&self, index: LogIndex) -> Option<Placed> {
        let until = |placed: &&Placed| placed.0 <= index;
        self.configurations.iter().rev().find(until).copied()
    }

    /// Index of the last committed configuration.
    pub(crate) fn configuration_index(&self) -> LogIndex {
        self.configurations
            .last()
            .map_or(LogIndex(0), |(index, _)| *index)
    }

    /// A snapshot says what is committed up to its index.
    pub(crate) fn installs(&self, member: MemberId, last: EntryId) {
        assert!(
            self.term_committed(last.index) == Some(last.term),
            "StateMachineSafety: {member} installs {last}"
        );
    }

    pub(crate) fn asks(&mut self, member: MemberId, seq: u64) {
        let floor = self.frontier().index;
        self.reads.push(Asked { member, seq, floor });
    }

    /// Linearizable reads: at or above everything that was committed when the read began.
    pub(crate) fn reads(&mut self, member: MemberId, seq: u64, index: Option<LogIndex>) {
        let asked = |read: &Asked| read.member == member && read.seq == seq;
        let at = self.reads.iter().position(asked);
        assert!(
            at.is_some(),
            "ReadOnce: {member} answers read {seq} twice, or one that nobody asked"
        );
        let floor = at.map_or(LogIndex(0), |at| self.reads.swap_remove(at).floor);
        let stale = index.is_some_and(|index| index < floor);
        assert!(
            !stale,
            "StaleRead: {member} serves read {seq} at {index:?}, committed was {floor}"
        );
    }

    /// A crashed member's clients ask somebody else.
    pub(crate) fn forget_reads(&mut self, member: MemberId) {
        self.reads.retain(|asked| asked.member != member);
    }

    /// Reads that were never answered.
    pub(crate) fn open_reads(&self) -> usize {
        self.reads.len()
    }
}
