//! Random histories against a model: append, truncate, start points, purge, restarts and crashes,
//! each ending in a log that says the same as the model.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use dmq_log::Log;
use dmq_log::sim::{SimDisk, Survivors};
use dmq_raft::{LogIndex, Persist};
use proptest::prelude::*;
use support::*;

/// One step; numbers are made to fit the log when it is taken.
#[derive(Clone, Debug)]
enum Step {
    Append {
        batches: Vec<(u8, usize)>,
        new_term: bool,
    },
    Truncate {
        back: u64,
        then: u8,
    },
    Start {
        ahead: u64,
    },
    Purge {
        back: u64,
    },
    Configure {
        nodes: u32,
    },
    Idle,
    PrepareSpare,
    Restart,
    Crash {
        seed: u64,
    },
    CrashDuring {
        changes: u64,
        seed: u64,
        entries: u8,
        len: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![4 => 0..200usize, 2 => 1000..4000usize, 1 => 4000..9000usize];
    let batches = prop::collection::vec((0..6u8, len.clone()), 1..4);
    let step = prop_oneof![
        8 => (batches, any::<bool>()).prop_map(|(batches, new_term)| Step::Append { batches, new_term }),
        3 => (0..12u64, 0..4u8).prop_map(|(back, then)| Step::Truncate { back, then }),
        1 => (0..5u64).prop_map(|ahead| Step::Start { ahead }),
        3 => (0..10u64).prop_map(|back| Step::Purge { back }),
        2 => (1..4u32).prop_map(|nodes| Step::Configure { nodes }),
        1 => Just(Step::Idle),
        1 => Just(Step::PrepareSpare),
        2 => Just(Step::Restart),
        2 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
        2 => (0..14u64, any::<u64>(), 1..6u8, len)
            .prop_map(|(changes, seed, entries, len)| Step::CrashDuring { changes, seed, entries, len }),
    ];
    prop::collection::vec(step, 1..40)
}

struct World {
    disk: SimDisk,
    log: Option<Log<SimDisk>>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let disk = formatted(SEGMENT_BYTES);
        let log = Some(open_sim(&disk).0);
        Self {
            disk,
            log,
            model: Model::default(),
        }
    }

    fn log(&mut self) -> &mut Log<SimDisk> {
        self.log.as_mut().unwrap()
    }

    fn append(&mut self, batch: &[Persist]) {
        self.log().append(batch).unwrap();
        for persist in batch {
            self.model.append(persist);
        }
    }

    fn term(&self) -> u64 {
        self.model.hard_state.term.0.max(1)
    }

    fn next(&self) -> u64 {
        self.model.last().index.0 + 1
    }

    fn batch(&self, batches: &[(u8, usize)], new_term: bool) -> Vec<Persist> {
        let (mut next, term) = (self.next(), self.term() + u64::from(new_term));
        let persist = |(count, len): &(u8, usize)| {
            let persist = commands(next, next + u64::from(*count) - 1, term, *len);
            next += u64::from(*count);
            persist
        };
        batches
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(persist)
            .collect()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Append { batches, new_term } => {
                let batch = self.batch(batches, *new_term);
                self.append(&batch);
            }
            Step::Truncate { back, then } => self.truncate(*back, u64::from(*then)),
            Step::Start { ahead } => {
                let (index, term) = (self.model.last().index.0 + ahead, self.term() + 1);
                self.append(&[start_at(index, term, &[1, 2])]);
            }
            Step::Purge { back } => {
                let up_to = LogIndex(self.model.last().index.0.saturating_sub(*back));
                let start = self.log().purge(up_to).unwrap();
                self.model.purged = self.model.purged.max(up_to);
                assert!(start.index <= self.model.purged.max(self.model.start.index));
            }
            Step::Configure { nodes } => {
                let nodes: Vec<u32> = (1..=*nodes).collect();
                let (index, term) = (self.next(), self.term());
                let entries = vec![configuration(index, term, &nodes)];
                self.append(&[Persist {
                    entries,
                    ..commands(index, index - 1, term, 0)
                }]);
            }
            Step::Idle => self.log().idle().unwrap(),
            Step::PrepareSpare => {
                self.log().spares().prepare().unwrap();
            }
            Step::Restart => {
                self.log().close().unwrap();
                self.reopen();
            }
            Step::Crash { seed } => {
                self.log = None;
                self.disk.crash(Survivors::Seeded(*seed));
                self.reopen();
            }
            Step::CrashDuring {
                changes,
                seed,
                entries,
                len,
            } => {
                self.crash_during(*changes, *seed, (*entries, *len));
            }
        }
    }

    fn truncate(&mut self, back: u64, then: u64) {
        let start = self.log().start().index.0;
        let last = self.model.last().index.0;
        if last <= start {
            return;
        }
        let from = last.saturating_sub(back).max(start + 1);
        let term = self.term() + 1;
        let replaced = commands(from, from + then, term, 60);
        self.append(&[Persist {
            truncate_from: Some(LogIndex(from)),
            ..replaced
        }]);
    }

    fn crash_during(&mut self, changes: u64, seed: u64, write: (u8, usize)) {
        let batch = self.batch(&[write, write], true);
        self.disk.cut_power_after(changes);
        let done = self.log().append(&batch);
        let mut states = vec![self.model.clone()];
        for part in batch.iter().flat_map(parts) {
            self.model.append(&part);
            states.push(self.model.clone());
        }
        self.log = None;
        self.disk.crash(Survivors::Seeded(seed));
        let (log, recovered) = open_sim(&self.disk);
        let acknowledged = if done.is_ok() { states.len() - 1 } else { 0 };
        let mut found = states.drain(acknowledged..).rev();
        self.model = found
            .find(|state| state.difference(&log, &recovered).is_none())
            .unwrap();
        self.log = Some(log);
    }

    fn reopen(&mut self) {
        self.log = None;
        let (log, recovered) = open_sim(&self.disk);
        assert_eq!(self.model.difference(&log, &recovered), None);
        self.log = Some(log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_says_what_the_model_says(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            let log = world.log.as_ref().unwrap();
            prop_assert_eq!(log.last(), world.model.last());
            prop_assert_eq!(log.hard_state(), world.model.hard_state);
        }
        world.reopen();
    }
}
