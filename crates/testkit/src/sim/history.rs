//! What everybody saw, and the properties that must hold over it. A broken one ends the run.
//!
//! The check is a witness check (Raft makes one log): every write and read names an index, and what they
//! say is compared with the one history of applied entries that all members share.

use std::collections::BTreeMap;

use bytes::Bytes;
use dmq_metadata::{Change, Envelope, IdempotencyKey, Outcome, RequestId, StateHash};
use dmq_raft::{Entry, EntryKind, LogIndex, Term};
use dmq_replica::{AppliedEntry, ChangeSet, CommittedWrite, View};

/// A property that does not hold.
pub(super) type Violation = String;

/// Everything that is checked against.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The shared history, by index.
    applied: BTreeMap<LogIndex, Applied>,
    /// Commands by the place that a leader gave them.
    appended: BTreeMap<(LogIndex, Term), Command>,
    /// Where each attempt of a client was put into a log.
    places: BTreeMap<RequestId, Vec<(LogIndex, Term)>>,
    /// What became of each attempt of a client.
    attempts: BTreeMap<RequestId, Fate>,
    /// Entries that changed rows on behalf of a key.
    effects: BTreeMap<IdempotencyKey, LogIndex>,
    /// Who led a term.
    leaders: BTreeMap<Term, usize>,
    /// Highest index that any client was told.
    told: LogIndex,
    /// Outcomes that clients got.
    pub(super) acknowledged: u64,
}

#[derive(Clone, Debug)]
struct Applied {
    term: Term,
    hash: StateHash,
    outcome: Option<Outcome>,
}

#[derive(Clone, Debug)]
struct Command {
    request_id: RequestId,
    key: Option<IdempotencyKey>,
}

/// What a client knows about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Acknowledged at this place.
    Done(LogIndex),
    /// It was told that this attempt did not and will not happen.
    Never,
}

impl History {
    /// A member wrote these entries to its log.
    pub(super) fn appended(&mut self, entries: &[Entry]) {
        for entry in entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Command)
        {
            let place = (entry.index, entry.term);
            if !self.appended.contains_key(&place)
                && let Some(command) = decode(&entry.payload)
            {
                self.places
                    .entry(command.request_id)
                    .or_default()
                    .push(place);
                self.appended.insert(place, command);
            }
        }
    }

    /// A member applied entries: the same as every other member at these indexes.
    ///
    /// # Errors
    /// State machine safety, no lost write, no write twice.
    pub(super) fn applied(
        &mut self,
        node: usize,
        sets: &[ChangeSet],
        entries: &[AppliedEntry],
    ) -> Result<(), Violation> {
        for (set, entry) in sets.iter().zip(entries) {
            self.applied_one(node, set, entry)?;
        }
        Ok(())
    }

    fn applied_one(
        &mut self,
        node: usize,
        set: &ChangeSet,
        entry: &AppliedEntry,
    ) -> Result<(), Violation> {
        let (index, term) = (set.id.index, set.id.term);
        if let Some(known) = self.applied.get(&index) {
            if (known.term, known.hash) != (term, set.state_hash) || known.outcome != entry.outcome
            {
                return Err(format!(
                    "state machine safety: node {node} applied {index}@{term} with hash {}, but it \
                     is known as {known:?}",
                    set.state_hash
                ));
            }
            return Ok(());
        }
        let (hash, outcome) = (set.state_hash, entry.outcome.clone());
        self.applied.insert(
            index,
            Applied {
                term,
                hash,
                outcome,
            },
        );
        let Some(command) = self.appended.get(&(index, term)).cloned() else {
            return Ok(());
        };
        if self.attempts.get(&command.request_id) == Some(&Fate::Never) {
            return Err(format!(
                "an attempt that was told to be void was committed at {index}"
            ));
        }
        self.check_effect(index, set, command.key)
    }

    fn check_effect(
        &mut self,
        index: LogIndex,
        set: &ChangeSet,
        key: Option<IdempotencyKey>,
    ) -> Result<(), Violation> {
        let is_effect = |row: &Change| !matches!(row, Change::PutDedup(_) | Change::DeleteDedup(_));
        let Some(key) = key.filter(|_| set.changes.rows.iter().any(is_effect)) else {
            return Ok(());
        };
        match self.effects.insert(key.clone(), index) {
            Some(first) => Err(format!(
                "key {key} took effect at {first} and again at {index}"
            )),
            None => Ok(()),
        }
    }

    /// A member swapped its image for a snapshot.
    ///
    /// # Errors
    /// The image is not the one that others had there.
    pub(super) fn installed(&self, node: usize, view: &View) -> Result<(), Violation> {
        let (index, hash) = (view.last.index, view.image.state_hash());
        match self.applied.get(&index) {
            Some(known) if (known.term, known.hash) == (view.last.term, hash) => Ok(()),
            known => Err(format!(
                "node {node} installed {index} with {hash}, known: {known:?}"
            )),
        }
    }

    /// The hash that the history has at this index.
    pub(super) fn hash_at(&self, index: LogIndex) -> Option<StateHash> {
        if index == LogIndex(0) {
            return Some(dmq_store::Checkpoint::before_first().state_hash);
        }
        self.applied.get(&index).map(|applied| applied.hash)
    }

    /// The term of the entry that was applied at this index.
    pub(super) fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.applied.get(&index).map(|applied| applied.term)
    }

    /// A client was told the outcome of an attempt.
    ///
    /// # Errors
    /// The history says otherwise.
    pub(super) fn acknowledged(
        &mut self,
        id: RequestId,
        write: &CommittedWrite,
    ) -> Result<(), Violation> {
        let (index, term) = (write.id.index, write.id.term);
        self.acknowledged += 1;
        self.told = self.told.max(index);
        self.attempts.insert(id, Fate::Done(index));
        let place = self
            .appended
            .get(&(index, term))
            .map(|command| command.request_id);
        if place != Some(id) {
            return Err(format!(
                "attempt {id} was acknowledged at {index}@{term}: {place:?}"
            ));
        }
        match self.applied.get(&index) {
            Some(known) if known.term == term && known.outcome.as_ref() == Some(&write.outcome) => {
                Ok(())
            }
            known => Err(format!(
                "acknowledged {index}@{term} is {known:?}, not {write:?}"
            )),
        }
    }

    /// A client was told that this attempt is void.
    ///
    /// # Errors
    /// It was committed.
    pub(super) fn void(&mut self, id: RequestId) -> Result<(), Violation> {
        self.attempts.insert(id, Fate::Never);
        let places = self.places.get(&id).map_or(&[][..], |places| places);
        let committed = places.iter().find(|(index, term)| {
            self.applied
                .get(index)
                .is_some_and(|applied| applied.term == *term)
        });
        match committed {
            Some((index, _)) => Err(format!(
                "attempt {id} is told to be void, but is committed at {index}"
            )),
            None => Ok(()),
        }
    }

    /// The index that a linearizable read which begins now must reach.
    pub(super) fn told(&self) -> LogIndex {
        self.told
    }

    /// A linearizable read was answered from this view.
    ///
    /// # Errors
    /// It is older than what somebody knew when it began.
    pub(super) fn read(
        &mut self,
        began_at: LogIndex,
        confirmed: LogIndex,
        view: &View,
    ) -> Result<(), Violation> {
        let seen = view.last.index;
        if confirmed < began_at || seen < confirmed {
            return Err(format!(
                "stale read: began when {began_at} was told, confirmed at {confirmed}, served at {seen}"
            ));
        }
        self.told = self.told.max(seen);
        Ok(())
    }

    /// A member says that it leads.
    ///
    /// # Errors
    /// Election safety: another one led this term.
    pub(super) fn leads(&mut self, node: usize, term: Term) -> Result<(), Violation> {
        match self.leaders.insert(term, node) {
            Some(other) if other != node => Err(format!(
                "election safety: nodes {other} and {node} lead term {term}"
            )),
            _ => Ok(()),
        }
    }

    /// Terms that had a leader.
    pub(super) fn terms_led(&self) -> usize {
        self.leaders.len()
    }

    /// The last index that anybody applied.
    pub(super) fn last(&self) -> LogIndex {
        self.applied
            .last_key_value()
            .map_or(LogIndex(0), |(index, _)| *index)
    }
}

fn decode(payload: &Bytes) -> Option<Command> {
    let envelope = Envelope::decode(payload).ok()?;
    let key = envelope.idempotency.map(|given| given.key);
    // The controller's own commands have no id of their own.
    (envelope.request_id != RequestId::default()).then_some(Command {
        request_id: envelope.request_id,
        key,
    })
}
