//! One client: draws a call, asks a node, follows the controller, and repeats some writes with the same key.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::NodeAddress;
use super::attempt::{Attempted, Scene};
use super::topics::Seen;
use crate::chaos::operation::{Call, Freshness, Outcome, REPLICAS};
use crate::walker::dice::Dice;

/// Pause before another node is asked: a quorum without a controller is not to be drowned in questions.
const PAUSE: Duration = Duration::from_millis(10);
/// Attempts of one write before the client turns to something else.
const ATTEMPTS_MAX: u32 = 40;
/// One write in so many is repeated with the same key although it was answered.
const REPEAT_ONCE_IN: usize = 10;
/// One write in so many with an unknown outcome is left alone; the others are repeated until they are answered.
const GIVE_UP_ONCE_IN: usize = 4;

pub(super) struct Actor {
    number: u32,
    scene: Arc<Scene>,
    dice: Dice,
    /// Node id of the controller, as far as this client knows.
    controller: Option<u32>,
    /// The highest index that an answer named.
    seen_index: u64,
}

impl Actor {
    pub(super) fn new(number: u32, scene: Arc<Scene>) -> Self {
        let seed = scene
            .options
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(u64::from(number));
        Self {
            number,
            scene,
            dice: Dice::new(seed),
            controller: None,
            seen_index: 0,
        }
    }

    /// One operation after the other until `stopped`, at a pace.
    pub(super) async fn run(mut self, stopped: watch::Receiver<bool>) {
        let options = &self.scene.options;
        let period =
            Duration::from_secs(1) * options.clients / options.operations_per_second.max(1);
        let mut due = interval(period.max(Duration::from_micros(100)));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stopped.borrow() {
            due.tick().await;
            let call = self.draw();
            if call.is_write() {
                self.write(&call, &stopped).await;
            } else {
                self.read(&call).await;
            }
        }
    }

    /// The next call: three writes to five reads.
    fn draw(&mut self) -> Call {
        let (topic, seen) = self.scene.topics().draw(&mut self.dice);
        match self.dice.weighted(&[36, 2, 38, 12, 6, 2, 4]) {
            0 => self.draw_write(topic, seen),
            1 => Call::RegisterBroker {
                id: self.draw_broker(),
                mark: self.scene.fresh(),
            },
            2 => Call::GetTopic {
                topic,
                freshness: Freshness::Linearizable,
            },
            3 => Call::GetTopic {
                topic,
                freshness: self.local(),
            },
            4 => self.list(Freshness::Linearizable),
            5 => self.list(Freshness::Local { min_index: 0 }),
            _ => Call::GetBroker {
                id: self.draw_broker(),
                freshness: Freshness::Linearizable,
            },
        }
    }

    fn draw_write(&mut self, topic: Arc<str>, seen: Option<Seen>) -> Call {
        let create = |mark| Call::CreateTopic {
            topic: Arc::clone(&topic),
            mark,
        };
        let Some(seen) = seen else {
            return match self.dice.weighted(&[8, 1, 1]) {
                0 => create(self.scene.fresh()),
                1 => Call::DeleteTopic { topic },
                _ => Call::ElectLeader {
                    topic,
                    broker: self.draw_broker(),
                },
            };
        };
        match self.dice.weighted(&[10, 3, 3, 2]) {
            0 => self.draw_update(topic, &seen),
            1 => Call::ElectLeader {
                topic,
                broker: self.draw_broker(),
            },
            2 => Call::DeleteTopic { topic },
            _ => create(self.scene.fresh()),
        }
    }

    /// The in-sync replicas become the leader alone, or all of them.
    fn draw_update(&mut self, topic: Arc<str>, seen: &Seen) -> Call {
        let shrinks = (seen.isr.len() > 1) != self.dice.once_in(8);
        let isr = if shrinks {
            vec![seen.leader]
        } else {
            REPLICAS.to_vec()
        };
        let broker_epoch = self.scene.topics().broker_epochs.get(&seen.leader).copied();
        Call::UpdatePartition {
            topic,
            leader: seen.leader,
            broker_epoch: broker_epoch.unwrap_or_default(),
            leader_epoch: seen.leader_epoch,
            partition_epoch: seen.partition_epoch,
            isr,
        }
    }

    fn draw_broker(&mut self) -> u32 {
        REPLICAS[self.dice.below(REPLICAS.len())]
    }

    fn local(&mut self) -> Freshness {
        let min_index = if self.dice.once_in(2) {
            self.seen_index
        } else {
            0
        };
        Freshness::Local { min_index }
    }

    fn list(&mut self, freshness: Freshness) -> Call {
        let prefix = self.scene.topics().draw_prefix(&mut self.dice);
        Call::ListTopics { prefix, freshness }
    }

    /// Reads are spread over all nodes and never repeated.
    async fn read(&mut self, call: &Call) {
        let node = self.any_node();
        let attempted = self.scene.attempt(self.number, &node, call, None).await;
        self.learn(call, &attempted);
    }

    /// Writes go to the controller, and on until there is an answer, or the client gives up.
    async fn write(&mut self, call: &Call, stopped: &watch::Receiver<bool>) {
        let key: Arc<str> = format!(
            "{}-{}-{}",
            self.scene.options.prefix,
            self.number,
            self.scene.fresh()
        )
        .into();
        let mut repeats = self.dice.once_in(REPEAT_ONCE_IN);
        let mut unknown = false;
        for _ in 0..ATTEMPTS_MAX {
            let node = self.controller();
            let attempted = self
                .scene
                .attempt(self.number, &node, call, Some(&key))
                .await;
            self.learn(call, &attempted);
            let ends = match &attempted.outcome {
                Outcome::Done { .. } | Outcome::Refused { at: Some(_), .. } => {
                    unknown = false;
                    !std::mem::take(&mut repeats)
                }
                Outcome::Refused { at: None, .. } => {
                    sleep(PAUSE).await;
                    false
                }
                Outcome::Unknown | Outcome::Broken { .. } => {
                    unknown = true;
                    self.dice.once_in(GIVE_UP_ONCE_IN)
                }
            };
            if ends || *stopped.borrow() {
                break;
            }
        }
        if let Some(topic) = topic_of(call).filter(|_| unknown) {
            self.scene.topics().gave_up(topic);
        }
    }
}

/// What a client knows, and how it comes to know it.
impl Actor {
    fn any_node(&mut self) -> NodeAddress {
        let nodes = self.scene.nodes();
        nodes[self.dice.below(nodes.len())].clone()
    }

    fn controller(&mut self) -> NodeAddress {
        let known = self.controller;
        let mut nodes = self.scene.nodes().into_iter();
        let found = nodes.find(|node| Some(node.id) == known);
        found.unwrap_or_else(|| self.any_node())
    }

    fn learn(&mut self, call: &Call, attempted: &Attempted) {
        match &attempted.outcome {
            Outcome::Done { index, body, .. } => {
                self.seen_index = self.seen_index.max(*index);
                self.learn_state(call, body);
            }
            Outcome::Refused {
                code,
                at: Some((index, _)),
                ..
            } => {
                self.seen_index = self.seen_index.max(*index);
                if let (Some(topic), "UNKNOWN_TOPIC_OR_PARTITION") = (topic_of(call), &**code) {
                    self.scene.topics().heard(topic, None);
                }
            }
            Outcome::Refused { at: None, .. } | Outcome::Unknown | Outcome::Broken { .. } => {
                self.controller = attempted.controller;
            }
        }
    }

    /// What an answer shows of a topic. Local reads may be old, and are not learnt from.
    fn learn_state(&self, call: &Call, body: &str) {
        let local = matches!(call.freshness(), Some(Freshness::Local { .. }));
        let Some(topic) = topic_of(call).filter(|_| !local) else {
            return;
        };
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let seen = match call {
            Call::UpdatePartition { .. } | Call::ElectLeader { .. } => Seen::of(&body),
            _ => Seen::of(&body["partitions"][0]),
        };
        self.scene.topics().heard(topic, seen);
    }
}

fn topic_of(call: &Call) -> Option<&str> {
    match call {
        Call::CreateTopic { topic, .. }
        | Call::DeleteTopic { topic }
        | Call::UpdatePartition { topic, .. }
        | Call::ElectLeader { topic, .. }
        | Call::GetTopic { topic, .. } => Some(topic),
        Call::RegisterBroker { .. } | Call::ListTopics { .. } | Call::GetBroker { .. } => None,
    }
}
