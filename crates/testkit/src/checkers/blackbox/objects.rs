//! From attempts at nodes to operations on objects.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::{broker, topic};
use crate::chaos::operation::{Call, Freshness, Operation, Outcome, PAGE};
use crate::checkers::wgl::Event;

pub(super) type TopicEvent = Event<topic::Call, topic::Answer>;
pub(super) type BrokerEvent = Event<broker::Call, broker::Answer>;

/// Everything that was asked, by object.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) topics: BTreeMap<Arc<str>, Vec<TopicEvent>>,
    pub(super) brokers: BTreeMap<u32, Vec<BrokerEvent>>,
    /// Answers that nobody can read, and answers to one key that differ.
    pub(super) wrong: Vec<String>,
}

/// An operation: what all attempts with one key were together.
struct Whole<'a> {
    call: &'a Call,
    invoked: u64,
    /// When it was answered, and by which attempt.
    answered: Option<(u64, &'a Operation)>,
    /// An attempt without an answer may still take effect, or have done so.
    unknown: bool,
}

impl Objects {
    pub(super) fn of(history: &[Operation]) -> Self {
        let mut objects = Self::default();
        for whole in objects.wholes(history) {
            objects.add(&whole);
        }
        objects.add_lists(history);
        objects.leave_out_unseen_racks();
        objects
    }

    /// Joins attempts with one key. What was refused before the log, or concerns no object, is left out.
    fn wholes<'a>(&mut self, history: &'a [Operation]) -> Vec<Whole<'a>> {
        let mut wholes: Vec<Whole<'a>> = Vec::new();
        let mut by_key: HashMap<&str, usize> = HashMap::new();
        for attempt in history.iter().filter(|attempt| concerns_an_object(attempt)) {
            let whole = Whole {
                call: &attempt.call,
                invoked: attempt.invoked.0,
                answered: attempt
                    .returned
                    .filter(|_| attempt.is_decided())
                    .map(|at| (at.0, attempt)),
                unknown: attempt.is_unknown(),
            };
            let known = attempt
                .key
                .as_deref()
                .and_then(|key| by_key.get(key).copied());
            if let Some(at) = known {
                self.join(&mut wholes[at], &whole);
                continue;
            }
            if let Some(key) = attempt.key.as_deref() {
                by_key.insert(key, wholes.len());
            }
            wholes.push(whole);
        }
        wholes
    }

    fn join<'a>(&mut self, whole: &mut Whole<'a>, other: &Whole<'a>) {
        whole.invoked = whole.invoked.min(other.invoked);
        whole.unknown |= other.unknown;
        whole.answered = match (whole.answered, other.answered) {
            (Some(one), Some(two)) => {
                if !is_same_answer(one.1, two.1) {
                    self.wrong
                        .push(format!("one key, two answers:\n  {}\n  {}", one.1, two.1));
                }
                Some(if one.0 <= two.0 { one } else { two })
            }
            (one, two) => one.or(two),
        };
    }

    fn add(&mut self, whole: &Whole<'_>) {
        if whole.answered.is_none() && (!whole.unknown || !whole.call.is_write()) {
            return;
        }
        let returned = whole.answered.map_or(u64::MAX, |(at, _)| at);
        let answer = whole.answered.map(|(_, attempt)| attempt);
        if let Call::RegisterBroker { id, .. } | Call::GetBroker { id, .. } = whole.call {
            let event = BrokerEvent {
                call: broker_call(whole.call),
                answer: answer.and_then(|attempt| self.read(attempt, broker_answer)),
                invoked: whole.invoked,
                returned,
            };
            self.brokers.entry(*id).or_default().push(event);
        } else if let Some((name, call)) = topic_call(whole.call) {
            let answer = answer.and_then(|attempt| self.read(attempt, topic_answer));
            let event = TopicEvent {
                call,
                answer,
                invoked: whole.invoked,
                returned,
            };
            self.topics.entry(Arc::clone(name)).or_default().push(event);
        }
    }

    fn read<A>(&mut self, attempt: &Operation, reader: fn(&Operation) -> Option<A>) -> Option<A> {
        let answer = reader(attempt);
        if answer.is_none() {
            self.wrong
                .push(format!("an answer that cannot be read: {attempt}"));
        }
        answer
    }

    /// A linearizable list says of every name with its prefix whether it exists. Long after a name was left nobody asks.
    fn add_lists(&mut self, history: &[Operation]) {
        let spans: Vec<(Arc<str>, u64, u64)> = self
            .topics
            .iter()
            .map(|(name, events)| {
                let known = |event: &&TopicEvent| event.answer.is_some();
                let last = events
                    .iter()
                    .filter(known)
                    .map(|event| event.returned)
                    .max();
                let first = events.iter().map(|event| event.invoked).min();
                (
                    Arc::clone(name),
                    first.unwrap_or(0),
                    last.unwrap_or(u64::MAX),
                )
            })
            .collect();
        // Few prefixes are asked for, again and again.
        let mut with_prefix: HashMap<&str, Vec<usize>> = HashMap::new();
        for list in history {
            let Some((prefix, shown, returned)) = shown_by(list) else {
                continue;
            };
            let names = with_prefix.entry(prefix).or_insert_with(|| {
                let fits = |at: &usize| spans[*at].0.starts_with(prefix);
                (0..spans.len()).filter(fits).collect()
            });
            for (name, first, last) in names.iter().map(|at| &spans[*at]) {
                if *first > returned || list.invoked.0 > *last {
                    continue;
                }
                let event = TopicEvent {
                    call: topic::Call::Exists,
                    answer: Some(topic::Answer::Exists(shown.contains(&**name))),
                    invoked: list.invoked.0,
                    returned,
                };
                self.topics.entry(Arc::clone(name)).or_default().push(event);
            }
        }
    }

    /// A registration with an unknown outcome whose rack nobody ever saw may as well not be: nothing depends on it.
    fn leave_out_unseen_racks(&mut self) {
        for events in self.brokers.values_mut() {
            let seen: HashSet<u64> = events
                .iter()
                .filter_map(|event| match event.answer {
                    Some(broker::Answer::Mark(mark)) => mark,
                    _ => None,
                })
                .collect();
            events.retain(|event| match event.call {
                broker::Call::Register { mark } => event.answer.is_some() || seen.contains(&mark),
                broker::Call::Read => true,
            });
        }
    }
}

/// Local reads may be old and are the witness check's business; lists are taken apart.
fn concerns_an_object(attempt: &Operation) -> bool {
    let local = matches!(attempt.call.freshness(), Some(Freshness::Local { .. }));
    let list = matches!(attempt.call, Call::ListTopics { .. });
    let elsewhere = match &attempt.outcome {
        // Not remembered, unlike every other decision: the same key may still be executed.
        Outcome::Refused { code, at, .. } => at.is_none() || &**code == "TOO_MANY_REQUESTS",
        Outcome::Done { .. } | Outcome::Unknown | Outcome::Broken { .. } => false,
    };
    !local && !list && !elsewhere
}

/// A creation shows the topic as it is a moment later; all else is remembered to the letter.
fn is_same_answer(one: &Operation, two: &Operation) -> bool {
    match (&one.outcome, &two.outcome) {
        (Outcome::Done { body: one_body, .. }, Outcome::Done { body: two_body, .. }) => {
            let id = |body: &str| {
                let body: Value = serde_json::from_str(body).unwrap_or_default();
                body["topicId"].clone()
            };
            match one.call {
                Call::CreateTopic { .. } => id(one_body) == id(two_body),
                _ => one_body == two_body,
            }
        }
        (Outcome::Refused { code: one, .. }, Outcome::Refused { code: two, .. }) => one == two,
        _ => false,
    }
}

/// Prefix and names of a whole linearizable list, and when it was answered.
fn shown_by(list: &Operation) -> Option<(&str, HashSet<String>, u64)> {
    let Call::ListTopics {
        prefix,
        freshness: Freshness::Linearizable,
    } = &list.call
    else {
        return None;
    };
    let Outcome::Done { body, .. } = &list.outcome else {
        return None;
    };
    let body: Value = serde_json::from_str(body).ok()?;
    let topics = body["topics"].as_array()?;
    if topics.len() >= PAGE as usize {
        return None;
    }
    let name = |topic: &Value| topic["topicName"].as_str().map(str::to_owned);
    Some((
        prefix,
        topics.iter().filter_map(name).collect(),
        list.returned?.0,
    ))
}

fn topic_call(call: &Call) -> Option<(&Arc<str>, topic::Call)> {
    Some(match call {
        Call::CreateTopic { topic, mark } => (topic, topic::Call::Create { mark: *mark }),
        Call::DeleteTopic { topic } => (topic, topic::Call::Delete),
        Call::UpdatePartition {
            topic,
            leader,
            leader_epoch,
            partition_epoch,
            isr,
            ..
        } => (
            topic,
            topic::Call::Update {
                leader: *leader,
                leader_epoch: *leader_epoch,
                epoch: *partition_epoch,
                isr: isr.iter().copied().collect(),
            },
        ),
        Call::ElectLeader { topic, broker } => (topic, topic::Call::Elect { broker: *broker }),
        Call::GetTopic { topic, .. } => (topic, topic::Call::Read),
        Call::RegisterBroker { .. } | Call::GetBroker { .. } | Call::ListTopics { .. } => {
            return None;
        }
    })
}

fn topic_answer(attempt: &Operation) -> Option<topic::Answer> {
    match &attempt.outcome {
        Outcome::Refused { code, .. } => Some(topic::Answer::Refused(code.to_string())),
        Outcome::Done { body, .. } => {
            let json = || serde_json::from_str::<Value>(body).ok();
            match attempt.call {
                Call::CreateTopic { .. } | Call::DeleteTopic { .. } => Some(topic::Answer::Done),
                Call::GetTopic { .. } => topic::Topic::read(&json()?).map(topic::Answer::Topic),
                _ => topic::Partition::read(&json()?).map(topic::Answer::Partition),
            }
        }
        Outcome::Unknown | Outcome::Broken { .. } => None,
    }
}

fn broker_call(call: &Call) -> broker::Call {
    match call {
        Call::RegisterBroker { mark, .. } => broker::Call::Register { mark: *mark },
        _ => broker::Call::Read,
    }
}

fn broker_answer(attempt: &Operation) -> Option<broker::Answer> {
    match &attempt.outcome {
        Outcome::Refused { code, .. } if &**code == "BROKER_ID_NOT_REGISTERED" => {
            Some(broker::Answer::Mark(None))
        }
        Outcome::Refused { .. } => Some(broker::Answer::Refused),
        Outcome::Done { body, .. } => {
            let json: Value = serde_json::from_str(body).ok()?;
            Some(broker::Answer::Mark(json["rack"].as_str()?.parse().ok()))
        }
        Outcome::Unknown | Outcome::Broken { .. } => None,
    }
}
