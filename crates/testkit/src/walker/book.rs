//! What entries say, each content once: logs of the model hold numbers, so that copying one is cheap.

use bytes::Bytes;
use dmq_raft::{Configuration, Entry, EntryKind, LogIndex, Term};

/// An entry of a log of the model; its index is its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) term: Term,
    pub(crate) kind: EntryKind,
    /// The number of a command, or of a configuration in the [`Book`].
    pub(crate) content: u32,
}

/// Every configuration of a walk; number 0 is the empty one.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    configurations: Vec<(Bytes, Configuration)>,
}

/// Commands of one walk at most; numbers beyond begin anew.
const COMMANDS: usize = 4096;

/// Payloads that need no memory of their own.
static NUMBERS: [u8; COMMANDS * 4] = numbers();

const fn numbers() -> [u8; COMMANDS * 4] {
    let mut bytes = [0; COMMANDS * 4];
    let mut at = 0;
    while at < COMMANDS {
        let [.., high, low] = at.to_be_bytes();
        bytes[at * 4 + 2] = high;
        bytes[at * 4 + 3] = low;
        at += 1;
    }
    bytes
}

/// The payload of a command.
pub(crate) fn command(number: u32) -> Bytes {
    let at = (number as usize % COMMANDS) * 4;
    Bytes::from_static(&NUMBERS[at..at + 4])
}

/// A payload beyond every walk's bound.
pub(crate) fn oversized() -> Bytes {
    Bytes::from_static(&NUMBERS)
}

impl Book {
    pub(crate) fn new() -> Self {
        let empty = Configuration::default();
        Self {
            configurations: vec![(empty.encode(), empty)],
        }
    }

    /// The number of a configuration; a new one if nobody has seen it yet.
    pub(crate) fn note(&mut self, configuration: &Configuration) -> u32 {
        let known = self
            .configurations
            .iter()
            .position(|(_, known)| known == configuration);
        let at = known.unwrap_or_else(|| {
            self.configurations
                .push((configuration.encode(), configuration.clone()));
            self.configurations.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// The number of a known configuration.
    pub(crate) fn find(&self, payload: &Bytes) -> Option<u32> {
        let known = self
            .configurations
            .iter()
            .position(|(bytes, _)| bytes == payload)?;
        u32::try_from(known).ok()
    }

    fn note_bytes(&mut self, payload: &Bytes) -> u32 {
        if let Some(number) = self.find(payload) {
            return number;
        }
        // Bytes that are none give the empty one, and the next check says that it is not the core's.
        self.note(&Configuration::decode(payload).unwrap_or_default())
    }

    pub(crate) fn configuration(&self, number: u32) -> &Configuration {
        &self.configurations[number as usize].1
    }

    pub(crate) fn slot(&mut self, entry: &Entry) -> Slot {
        let Entry {
            term,
            kind,
            ref payload,
            ..
        } = *entry;
        let content = match kind {
            EntryKind::Noop => 0,
            EntryKind::Command => payload
                .first_chunk()
                .map_or(u32::MAX, |b| u32::from_be_bytes(*b)),
            EntryKind::Configuration => self.note_bytes(payload),
        };
        Slot {
            term,
            kind,
            content,
        }
    }

    pub(crate) fn entry(&self, index: LogIndex, slot: Slot) -> Entry {
        let payload = match slot.kind {
            EntryKind::Noop => Bytes::new(),
            EntryKind::Command => command(slot.content),
            EntryKind::Configuration => self.configurations[slot.content as usize].0.clone(),
        };
        Entry {
            index,
            term: slot.term,
            kind: slot.kind,
            payload,
        }
    }
}
