//! The topics that all clients work on at the same time: a few names, each used for a while and then left for a new one,
//! so that the history of every name stays short enough for a search.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::walker::dice::Dice;

/// Names in use at a time.
const SLOTS: usize = 10;
/// Operations on one name, about.
const USES_MAX: u32 = 150;
/// Writes on one name that were given up with an unknown outcome: each of them doubles what a search has to look at.
const UNKNOWN_MAX: u32 = 3;

/// The names in use and what clients last heard of them.
#[derive(Debug)]
pub(super) struct Topics {
    prefix: String,
    generation: u64,
    slots: Vec<Slot>,
    /// Epochs of the brokers' registrations.
    pub(super) broker_epochs: BTreeMap<u32, u64>,
}

/// One name.
#[derive(Debug)]
struct Slot {
    name: Arc<str>,
    uses: u32,
    unknown: u32,
    seen: Option<Seen>,
}

/// What a client last heard of a topic; it may be old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) leader: u32,
    pub(super) leader_epoch: u32,
    pub(super) partition_epoch: u32,
    pub(super) isr: Vec<u32>,
}

impl Topics {
    pub(super) fn new(prefix: &str) -> Self {
        let mut topics = Self {
            prefix: prefix.to_owned(),
            generation: 0,
            slots: Vec::new(),
            broker_epochs: BTreeMap::new(),
        };
        for number in 0..SLOTS {
            let slot = topics.new_slot(number);
            topics.slots.push(slot);
        }
        topics
    }

    /// A name to work on and what is known of it. Half of all operations meet at one name.
    pub(super) fn draw(&mut self, dice: &mut Dice) -> (Arc<str>, Option<Seen>) {
        let number = if dice.once_in(2) {
            0
        } else {
            dice.below(SLOTS)
        };
        let slot = &mut self.slots[number];
        slot.uses += 1;
        let drawn = (Arc::clone(&slot.name), slot.seen.clone());
        if slot.uses >= USES_MAX || slot.unknown >= UNKNOWN_MAX {
            self.slots[number] = self.new_slot(number);
        }
        drawn
    }

    /// The beginning of the names that one of the slots has had.
    pub(super) fn draw_prefix(&self, dice: &mut Dice) -> Arc<str> {
        format!("{}-{}-", self.prefix, dice.below(SLOTS)).into()
    }

    /// A client heard of a topic: `None` if there is none.
    pub(super) fn heard(&mut self, name: &str, seen: Option<Seen>) {
        if let Some(slot) = self.slot(name) {
            slot.seen = seen;
        }
    }

    /// A client gave up a write whose outcome it does not know.
    pub(super) fn gave_up(&mut self, name: &str) {
        if let Some(slot) = self.slot(name) {
            slot.unknown += 1;
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| &*slot.name == name)
    }

    fn new_slot(&mut self, number: usize) -> Slot {
        self.generation += 1;
        Slot {
            name: format!("{}-{number}-{}", self.prefix, self.generation).into(),
            uses: 0,
            unknown: 0,
            seen: None,
        }
    }
}

impl Seen {
    /// What a partition's JSON shows.
    pub(super) fn of(partition: &Value) -> Option<Self> {
        let number = |field: &str| u32::try_from(partition[field].as_u64()?).ok();
        let isr = partition["isr"].as_array()?.iter();
        Some(Self {
            leader: number("leaderId")?,
            leader_epoch: number("leaderEpoch")?,
            partition_epoch: number("partitionEpoch")?,
            isr: isr
                .filter_map(|id| u32::try_from(id.as_u64()?).ok())
                .collect(),
        })
    }
}
