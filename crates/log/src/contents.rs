//! The log as a value: what its records add up to. The writer and recovery apply the same changes here, so a
//! log that was read back cannot differ from the one that was written.

use std::collections::{BTreeMap, VecDeque};

use dmq_raft::{
    Configuration, ENTRY_OVERHEAD_BYTES, EntryId, EntryKind, EntryMeta, HardState, LogIndex, Term,
};

/// Where an entry's record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Term of the entry.
    pub(crate) term: Term,
    /// Sequence of the segment.
    pub(crate) segment: u64,
    /// Offset of the record in the segment, in bytes.
    pub(crate) offset: u32,
    /// Bytes of the payload.
    pub(crate) payload_bytes: u32,
    /// CRC32C of the record when it was known to be good.
    pub(crate) crc: u32,
    /// Kind of the entry.
    pub(crate) kind: EntryKind,
}

/// One record's effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An entry behind the last one; the configuration that it brings, if it does.
    Entry(LogIndex, Slot, Option<Configuration>),
    /// Term and vote.
    HardState(HardState),
    /// This entry and all behind it are gone.
    Truncate(LogIndex),
    /// The log holds this position: cut behind it. Else: it begins here.
    StartAt(EntryId),
    /// The configuration in force at the start point just set.
    Configuration(LogIndex, Configuration),
}

/// What a log holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// Term and vote.
    pub(crate) hard_state: HardState,
    start: EntryId,
    /// `slots[0]` is the entry behind `start`.
    slots: VecDeque<Slot>,
    /// The one in force at `start`, and those behind it, by the index of their entry.
    configurations: BTreeMap<LogIndex, Configuration>,
    entries_bytes: u64,
}

impl Contents {
    /// Position before the first entry.
    pub(crate) fn start(&self) -> EntryId {
        self.start
    }

    /// Position of the last entry; the start point if there is none.
    pub(crate) fn last(&self) -> EntryId {
        let index = LogIndex(self.start.index.0 + self.slots.len() as u64);
        EntryId::new(
            self.slots.back().map_or(self.start.term, |slot| slot.term),
            index,
        )
    }

    /// Size of the entries as `raft` counts them, in bytes.
    pub(crate) fn entries_bytes(&self) -> u64 {
        self.entries_bytes
    }

    /// The entry at this index.
    pub(crate) fn slot(&self, index: LogIndex) -> Option<&Slot> {
        let position = index.0.checked_sub(self.start.index.0)?.checked_sub(1)?;
        self.slots.get(usize::try_from(position).ok()?)
    }

    /// Term at this index, the start point's included.
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        self.slot(index).map(|slot| slot.term)
    }

    /// The configuration in force at this index, and the index of its entry; empty before the first.
    pub(crate) fn configuration_at(&self, index: LogIndex) -> (LogIndex, Configuration) {
        let found = self.configurations.range(..=index).next_back();
        found
            .map(|(at, configuration)| (*at, configuration.clone()))
            .unwrap_or_default()
    }

    /// What `raft` wants to know of every entry.
    pub(crate) fn entry_metas(&self) -> Vec<EntryMeta> {
        let mut index = self.start.index;
        let meta = |slot: &Slot| {
            index = index.next();
            let configuration = match slot.kind {
                EntryKind::Configuration => self.configurations.get(&index).cloned(),
                EntryKind::Noop | EntryKind::Command => None,
            };
            let size_bytes = slot.payload_bytes as usize + ENTRY_OVERHEAD_BYTES;
            EntryMeta {
                term: slot.term,
                kind: slot.kind,
                size_bytes,
                configuration,
            }
        };
        self.slots.iter().map(meta).collect()
    }

    /// Takes one change. An error names the rule that it breaks; nothing changed then.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), &'static str> {
        match change {
            Change::Entry(index, slot, configuration) => self.push(index, slot, configuration),
            Change::HardState(state) => self.set_hard_state(state),
            Change::Truncate(from) => self.truncate(from),
            Change::StartAt(at) => {
                self.start_at(at);
                Ok(())
            }
            Change::Configuration(index, configuration) => {
                if index > self.last().index {
                    return Err("a configuration from behind the start point");
                }
                self.configurations.insert(index, configuration);
                Ok(())
            }
        }
    }

    fn push(
        &mut self,
        index: LogIndex,
        slot: Slot,
        configuration: Option<Configuration>,
    ) -> Result<(), &'static str> {
        let last = self.last();
        check_entry(last, self.hard_state, EntryId::new(slot.term, index))?;
        if let Some(configuration) = configuration {
            self.configurations.insert(index, configuration);
        }
        self.entries_bytes += slot_bytes(&slot);
        self.slots.push_back(slot);
        Ok(())
    }

    fn set_hard_state(&mut self, state: HardState) -> Result<(), &'static str> {
        check_hard_state(self.hard_state, state)?;
        self.hard_state = state;
        Ok(())
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), &'static str> {
        if from <= self.start.index || from > self.last().index {
            return Err("a truncation outside the log");
        }
        self.cut_behind(from.previous());
        Ok(())
    }

    fn start_at(&mut self, at: EntryId) {
        if self.term_at(at.index) == Some(at.term) {
            self.cut_behind(at.index);
        } else {
            *self = Self {
                hard_state: self.hard_state,
                start: at,
                ..Self::default()
            };
        }
    }

    fn cut_behind(&mut self, last: LogIndex) {
        while self.last().index > last {
            if let Some(slot) = self.slots.pop_back() {
                self.entries_bytes -= slot_bytes(&slot);
            }
        }
        self.configurations.split_off(&last.next());
    }

    /// Where the log begins once all segments before this sequence are gone.
    pub(crate) fn start_without(&self, first_kept: u64) -> EntryId {
        let gone = self.slots.partition_point(|slot| slot.segment < first_kept);
        match gone.checked_sub(1).and_then(|last| self.slots.get(last)) {
            Some(slot) => EntryId::new(slot.term, LogIndex(self.start.index.0 + gone as u64)),
            None => self.start,
        }
    }

    /// The last entry that lies in this segment or an older one.
    pub(crate) fn last_within(&self, sequence: u64) -> Option<LogIndex> {
        let last = self.start_without(sequence + 1).index;
        (last > self.start.index).then_some(last)
    }

    /// Forgets the entries up to a position that [`Self::start_without`] named.
    pub(crate) fn forget(&mut self, start: EntryId) {
        debug_assert_eq!(self.term_at(start.index), Some(start.term));
        let (index, configuration) = self.configuration_at(start.index);
        while self.start.index < start.index {
            let Some(slot) = self.slots.pop_front() else {
                break;
            };
            self.entries_bytes -= slot_bytes(&slot);
            self.start = EntryId::new(slot.term, self.start.index.next());
        }
        self.configurations = self.configurations.split_off(&start.index.next());
        self.configurations.insert(index, configuration);
    }
}

/// Whether an entry may follow `last`. Its term must be durable before it is (dissertation figure 3.1).
pub(crate) fn check_entry(
    last: EntryId,
    hard_state: HardState,
    entry: EntryId,
) -> Result<(), &'static str> {
    if entry.index != last.index.next() {
        return Err("an entry that does not follow the last one");
    }
    if entry.term < last.term {
        return Err("an entry of an older term than the one before it");
    }
    if entry.term > hard_state.term {
        return Err("an entry of a term that was not made durable before");
    }
    Ok(())
}

/// Whether one hard state may follow another: terms only grow, and a vote is given once per term.
pub(crate) fn check_hard_state(old: HardState, new: HardState) -> Result<(), &'static str> {
    if new.term < old.term {
        return Err("a hard state of an older term");
    }
    if new.term == old.term && old.vote.is_some() && new.vote != old.vote {
        return Err("a second vote in one term");
    }
    Ok(())
}

fn slot_bytes(slot: &Slot) -> u64 {
    u64::from(slot.payload_bytes) + ENTRY_OVERHEAD_BYTES as u64
}
