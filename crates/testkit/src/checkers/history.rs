//! Acknowledged writes against the final state: none lost, none done twice, none from nowhere.

use std::collections::{BTreeMap, BTreeSet};

/// One acknowledged write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A topic that only this write makes.
    Created {
        /// Its name.
        topic: String,
        /// The metadata index at which it was created, as the answer said.
        index: u64,
    },
    /// A change of a partition that only one client changes.
    Changed {
        /// The topic.
        topic: String,
        /// Number of the partition.
        partition: u64,
        /// The partition epoch that the change was answered with.
        epoch: u64,
        /// The metadata index that the answer named.
        index: u64,
    },
}

impl Write {
    /// The metadata index that the answer named.
    pub fn index(&self) -> u64 {
        match self {
            Self::Created { index, .. } | Self::Changed { index, .. } => *index,
        }
    }
}

/// Everything that was acknowledged.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In no particular order.
    pub writes: Vec<Write>,
}

impl History {
    /// The highest index of an acknowledged write.
    pub fn last_index(&self) -> u64 {
        self.writes.iter().map(Write::index).max().unwrap_or(0)
    }
}

/// What a node says in the end.
#[derive(Debug, Clone, Default)]
pub struct Final {
    /// Index at which each topic was created, by name.
    pub topics: BTreeMap<String, u64>,
    /// Partition epochs by topic and number.
    pub epochs: BTreeMap<(String, u64), u64>,
    /// Partition epochs before the first change.
    pub first_epoch: u64,
}

/// What is wrong, nothing if all is well. `found` may hold more topics than the history made only if they are in
/// `expected`.
pub fn exactly_once(history: &History, found: &Final, expected: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = repeated_indexes(history);
    wrong.extend(lost_or_moved(history, found));
    wrong.extend(from_nowhere(history, found, expected));
    wrong.extend(miscounted(history, found));
    wrong
}

/// Two writes cannot have been done by one entry.
fn repeated_indexes(history: &History) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    for write in &history.writes {
        if let Some(other) = seen.insert(write.index(), write) {
            wrong.push(format!(
                "index {} answered {other:?} and {write:?}",
                write.index()
            ));
        }
    }
    wrong
}

fn lost_or_moved(history: &History, found: &Final) -> Vec<String> {
    let check = |write: &Write| {
        let Write::Created { topic, index } = write else {
            return None;
        };
        match found.topics.get(topic) {
            None => Some(format!("topic {topic}, acknowledged at {index}, is lost")),
            Some(at) if at != index => Some(format!(
                "topic {topic}, acknowledged at {index}, was created at {at}"
            )),
            Some(_) => None,
        }
    };
    history.writes.iter().filter_map(check).collect()
}

/// Every write was repeated until it was acknowledged, so nothing else may be there.
fn from_nowhere(history: &History, found: &Final, expected: &BTreeSet<String>) -> Vec<String> {
    let made: BTreeSet<&String> = history
        .writes
        .iter()
        .filter_map(|write| match write {
            Write::Created { topic, .. } => Some(topic),
            Write::Changed { .. } => None,
        })
        .collect();
    let unknown = found
        .topics
        .keys()
        .filter(|name| !made.contains(name) && !expected.contains(*name));
    unknown
        .map(|name| format!("topic {name} was acknowledged to nobody"))
        .collect()
}

/// Each acknowledged change raises its partition's epoch by one; a lost one leaves it lower, a repeated one higher.
fn miscounted(history: &History, found: &Final) -> Vec<String> {
    let mut changes: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for write in &history.writes {
        if let Write::Changed {
            topic, partition, ..
        } = write
        {
            *changes.entry((topic.clone(), *partition)).or_default() += 1;
        }
    }
    let mut wrong = Vec::new();
    for (partition, count) in changes {
        let expected = found.first_epoch + count;
        let epoch = found.epochs.get(&partition).copied();
        if epoch != Some(expected) {
            wrong.push(format!(
                "{partition:?}: {count} changes, epoch {epoch:?}, not {expected}"
            ));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(topic: &str, index: u64) -> Write {
        Write::Created {
            topic: topic.into(),
            index,
        }
    }

    fn changed(epoch: u64, index: u64) -> Write {
        Write::Changed {
            topic: "load".into(),
            partition: 0,
            epoch,
            index,
        }
    }

    fn history() -> History {
        History {
            writes: vec![
                created("a", 5),
                changed(1, 6),
                created("b", 7),
                changed(2, 8),
            ],
        }
    }

    fn good() -> Final {
        Final {
            topics: [("a".into(), 5), ("b".into(), 7), ("load".into(), 4)].into(),
            epochs: [(("load".into(), 0), 2)].into(),
            first_epoch: 0,
        }
    }

    fn wrong(history: &History, found: &Final) -> String {
        exactly_once(history, found, &["load".to_owned()].into()).join("\n")
    }

    #[test]
    fn a_faithful_state_passes() {
        assert_eq!(wrong(&history(), &good()), "");
    }

    #[test]
    fn a_lost_topic_is_found() {
        let mut found = good();
        found.topics.remove("a");
        assert!(wrong(&history(), &found).contains("a, acknowledged at 5, is lost"));
    }

    #[test]
    fn a_topic_made_by_a_second_entry_is_found() {
        let mut found = good();
        found.topics.insert("a".into(), 9);
        assert!(wrong(&history(), &found).contains("was created at 9"));
    }

    #[test]
    fn a_change_that_was_lost_or_done_twice_is_found() {
        for epoch in [1, 3] {
            let mut found = good();
            found.epochs.insert(("load".into(), 0), epoch);
            assert!(
                wrong(&history(), &found).contains("2 changes"),
                "epoch {epoch}"
            );
        }
    }

    #[test]
    fn a_topic_from_nowhere_is_found() {
        let mut found = good();
        found.topics.insert("ghost".into(), 10);
        assert!(wrong(&history(), &found).contains("ghost was acknowledged to nobody"));
    }

    #[test]
    fn one_index_for_two_writes_is_found() {
        let mut history = history();
        history.writes.push(created("c", 8));
        assert!(wrong(&history, &good()).contains("index 8 answered"));
    }
}
