//! The witness check: every answer names an index, so the log itself is the order in which everything happened, and only
//! has to be held against the answers and the clock. O(n log n), sound, for any number of operations.
//!
//! 1. The committed log, replayed through the state machine, gives exactly the answers that clients got, and every
//!    read shows exactly the state at its index.
//! 2. The order by index respects real time.
//! 3. Unknown outcomes are looked up in the log by their key: they may be there or not, but not before they were asked.
//! 4. No acknowledged command is missing, and nothing that was refused before the log, or never asked, is there.

use std::collections::{BTreeMap, HashMap};

use dmq_metadata::{
    Applied, ClusterId, Envelope, Image, MetadataIndex, Principal, Reply, advance, apply,
};
use dmq_raft::EntryKind;
use serde_json::Value;

use super::log::CommittedLog;
use super::realtime::{Floor, floors};
use super::{answers, requested};
use crate::chaos::operation::{Freshness, Operation, Outcome};

/// Most violations that are told: the first ones explain the others.
const VIOLATIONS_MAX: usize = 50;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Every sentence names the operations that contradict each other. Empty if all is well.
    pub violations: Vec<String>,
    /// How many more there were.
    pub more: usize,
    /// Operations whose answers were checked.
    pub checked: usize,
    /// Attempts with an unknown outcome that took effect, and that did not.
    pub unknown: (usize, usize),
    /// Attempts that were answered from memory: a repeated key.
    pub repeated: usize,
    /// Hash of the state after the last entry: every member must have it at that index.
    pub state_hash: String,
}

/// Checks a history against the log up to the index `commit`.
pub fn check(
    history: &[Operation],
    log: &CommittedLog,
    cluster: &ClusterId,
    commit: u64,
) -> Verdict {
    let mut witness = Witness::new(history, log, commit);
    witness.check_answers_are_allowed();
    witness.check_real_time();
    witness.replay(cluster);
    witness.verdict
}

struct Witness<'a> {
    history: &'a [Operation],
    log: &'a CommittedLog,
    commit: u64,
    floors: Vec<Option<Floor>>,
    /// Attempts by their key.
    attempts: HashMap<&'a str, Vec<usize>>,
    /// Decided operations by index: at most one write each, any number of reads.
    decided: BTreeMap<u64, Vec<usize>>,
    /// Entries of each key that no answer named.
    unclaimed: HashMap<&'a str, Vec<u64>>,
    /// Entries that changed something, by key.
    effects: HashMap<&'a str, u64>,
    /// Index at which each topic was created.
    created: answers::Created,
    verdict: Verdict,
}

impl<'a> Witness<'a> {
    fn new(history: &'a [Operation], log: &'a CommittedLog, commit: u64) -> Self {
        let mut attempts: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut decided: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, operation) in history.iter().enumerate() {
            if let Some(key) = &operation.key {
                attempts.entry(key).or_default().push(at);
            }
            if let Some(index) = operation.index() {
                decided.entry(index).or_default().push(at);
            }
        }
        let mut verdict = Verdict::default();
        verdict.violations.extend(log.wrong().iter().cloned());
        Self {
            history,
            log,
            commit,
            floors: floors(history),
            attempts,
            decided,
            unclaimed: HashMap::new(),
            effects: HashMap::new(),
            created: HashMap::new(),
            verdict,
        }
    }

    fn wrong(&mut self, text: String) {
        if self.verdict.violations.len() < VIOLATIONS_MAX {
            self.verdict.violations.push(text);
        } else {
            self.verdict.more += 1;
        }
    }

    fn check_answers_are_allowed(&mut self) {
        for operation in self.history {
            if let Outcome::Broken { .. } = operation.outcome {
                self.wrong(format!(
                    "an answer that the interface does not allow: {operation}"
                ));
            }
        }
    }

    /// What was answered before an operation began lies before it in the log; a local read alone may be older.
    fn check_real_time(&mut self) {
        for (at, operation) in self.history.iter().enumerate() {
            let (Some(index), Some(floor)) = (operation.index(), self.floors[at]) else {
                continue;
            };
            let least = match operation.call.freshness() {
                None => floor.index + 1,
                Some(Freshness::Linearizable) => floor.index,
                Some(Freshness::Local { min_index }) => min_index,
            };
            if index < least {
                let before = &self.history[floor.shown_by];
                self.wrong(format!(
                    "index {index} is too low: {operation}\n  began after {before}"
                ));
            }
        }
    }

    fn replay(&mut self, cluster: &ClusterId) {
        let mut image = Image::new(cluster.clone());
        self.check_reads(&image, 0, 0);
        for index in 1..=self.commit {
            let Some(entry) = self.log.get(index) else {
                return self.wrong(format!(
                    "entry {index} was in no log that was read, although {} is committed",
                    self.commit
                ));
            };
            if let Err(text) = self.step(&mut image, index) {
                return self.wrong(format!("entry {}: {text}", entry.id()));
            }
            self.check_reads(&image, index, entry.term.0);
        }
        self.check_beyond_the_log();
        self.check_keys();
        self.verdict.state_hash = image.state_hash().to_string();
    }

    /// Applies one entry and holds it against what was answered there.
    fn step(&mut self, image: &mut Image, index: u64) -> Result<(), String> {
        let Some(entry) = self.log.get(index) else {
            return Ok(());
        };
        if entry.kind != EntryKind::Command {
            self.check_write_at(index, None);
            return advance(image, MetadataIndex(index)).map_err(|error| error.to_string());
        }
        let envelope = Envelope::decode(&entry.payload).map_err(|error| error.to_string())?;
        let applied = apply(image, MetadataIndex(index), &envelope);
        let applied = applied.map_err(|error| error.to_string())?;
        if let Ok(Reply::TopicCreated { topic_id, .. }) = &applied.outcome {
            self.created.entry(topic_id.0).or_insert(index);
        }
        self.attribute(index, &envelope, &applied);
        self.check_write_at(index, Some((&envelope, &applied)));
        Ok(())
    }

    /// Every command was asked by somebody.
    fn attribute(&mut self, index: u64, envelope: &Envelope, applied: &Applied) {
        let key = envelope
            .idempotency
            .as_ref()
            .map(|idempotency| idempotency.key.as_str());
        let known = key.and_then(|key| self.attempts.get_key_value(key));
        let Some((key, attempts)) = known.map(|(key, attempts)| (*key, attempts[0])) else {
            if envelope.principal != Principal::controller() {
                self.wrong(format!(
                    "nobody asked for the command at {index}: {envelope:?}"
                ));
            }
            return;
        };
        let call = &self.history[attempts].call;
        if !requested::is_of(call, &envelope.command) {
            self.wrong(format!(
                "entry {index} is {:?}, asked was {call:?}",
                envelope.command
            ));
        }
        if applied.answered_at.is_some() {
            self.verdict.repeated += 1;
        } else if applied.outcome.is_ok() {
            *self.effects.entry(key).or_default() += 1;
        }
        let claims = |at: &usize| {
            let operation = &self.history[*at];
            operation.call.is_write() && operation.key.as_deref() == Some(key)
        };
        if !self
            .decided
            .get(&index)
            .is_some_and(|at| at.iter().any(claims))
        {
            self.unclaimed.entry(key).or_default().push(index);
        }
    }

    /// The writes that were answered with this index: one at most, and exactly as the state machine decided.
    fn check_write_at(&mut self, index: u64, entry: Option<(&Envelope, &Applied)>) {
        let term = self.log.get(index).map_or(0, |entry| entry.term.0);
        let here = self.decided.get(&index).cloned().unwrap_or_default();
        let writes = here
            .into_iter()
            .filter(|at| self.history[*at].call.is_write());
        for (nth, at) in writes.enumerate() {
            let operation = &self.history[at];
            self.verdict.checked += 1;
            let difference = match entry {
                _ if nth > 0 => {
                    Some("is the second write that was answered with this index".to_owned())
                }
                None => Some("names an entry that is no command".to_owned()),
                Some((envelope, applied)) => {
                    let key = envelope
                        .idempotency
                        .as_ref()
                        .map(|known| known.key.as_str());
                    if key == operation.key.as_deref() {
                        answers::difference(operation, term, &applied.outcome, &self.created)
                    } else {
                        Some(format!("names the entry of another request, {envelope:?}"))
                    }
                }
            };
            if let Some(text) = difference {
                self.wrong(format!("{operation}\n  {text}"));
            }
        }
    }

    /// Every read that names this index shows this state.
    fn check_reads(&mut self, image: &Image, index: u64, term: u64) {
        let here = self.decided.get(&index).cloned().unwrap_or_default();
        for at in here
            .into_iter()
            .filter(|at| !self.history[*at].call.is_write())
        {
            let operation = &self.history[at];
            self.verdict.checked += 1;
            let expected = answers::view(image, &operation.call);
            let right = match (&operation.outcome, &expected) {
                (
                    Outcome::Done {
                        term: named, body, ..
                    },
                    Ok(expected),
                ) => {
                    let body: Value = serde_json::from_str(body).unwrap_or_default();
                    *named == term && body == *expected
                }
                (
                    Outcome::Refused {
                        code,
                        at: Some((_, named)),
                        ..
                    },
                    Err(expected),
                ) => *named == term && code == expected,
                _ => false,
            };
            if !right {
                self.wrong(format!(
                    "{operation}\n  should show {expected:?} in term {term}"
                ));
            }
        }
    }

    /// No acknowledged write is missing.
    fn check_beyond_the_log(&mut self) {
        let beyond: Vec<usize> = self
            .decided
            .range(self.commit + 1..)
            .flat_map(|(_, at)| at.clone())
            .collect();
        for at in beyond {
            let operation = &self.history[at];
            self.wrong(format!(
                "lost: the log ends at {}: {operation}",
                self.commit
            ));
        }
    }

    /// Entries that no answer named belong to attempts with unknown outcomes, which were sent before; and all entries of
    /// a key together took effect once.
    fn check_keys(&mut self) {
        let attempts = std::mem::take(&mut self.attempts);
        for (key, attempts) in &attempts {
            let effects = self.effects.get(key).copied().unwrap_or(0);
            if effects > 1 {
                let first = &self.history[attempts[0]];
                self.wrong(format!("took effect {effects} times: {first}"));
            }
            self.match_unknown(key, attempts);
        }
    }

    fn match_unknown(&mut self, key: &str, attempts: &[usize]) {
        let mut entries = self.unclaimed.remove(key).unwrap_or_default();
        entries.sort_unstable();
        let unknown = attempts.iter().filter(|at| self.history[**at].is_unknown());
        let floor_of = |at: usize| self.floors[at].map_or(0, |floor| floor.index);
        let mut floors: Vec<(u64, usize)> = unknown.map(|at| (floor_of(*at), *at)).collect();
        floors.sort_unstable();
        self.verdict.unknown.0 += entries.len();
        self.verdict.unknown.1 += floors.len().saturating_sub(entries.len());
        for (nth, index) in entries.into_iter().enumerate() {
            let operation = &self.history[attempts[0]];
            match floors.get(nth) {
                None => self.wrong(format!(
                    "entry {index} is of a request that was refused, or of none: {operation}"
                )),
                Some((floor, _)) if *floor >= index => {
                    self.wrong(format!("entry {index} lies before {floor}, which was answered before it was asked: {operation}"));
                }
                Some(_) => {}
            }
        }
    }
}
