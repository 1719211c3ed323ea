//! Random histories of a service that works, with everything that may happen between a client and a quorum.

use std::sync::Arc;

use dmq_metadata::TopicName;
use dmq_testkit::chaos::operation::{Call, Freshness, Operation, Outcome, REPLICAS, UNREACHABLE};

use crate::dice::Dice;
use crate::service::{Service, operation};

/// A history and the service that it is of.
pub(crate) struct Run {
    pub(crate) history: Vec<Operation>,
    pub(crate) service: Service,
}

/// What is going on at one client.
struct Open {
    call: Call,
    key: Option<Arc<str>>,
    invoked: u64,
    /// Set once it took effect.
    outcome: Option<Outcome>,
}

/// Chances of things that go wrong, once in so many operations each; 0 for never.
#[derive(Clone, Copy)]
pub(crate) struct Trouble {
    pub(crate) unknown: usize,
    pub(crate) refused: usize,
    pub(crate) election: usize,
}

pub(crate) const TROUBLE: Trouble = Trouble {
    unknown: 40,
    refused: 15,
    election: 50,
};
pub(crate) const PEACE: Trouble = Trouble {
    unknown: 0,
    refused: 0,
    election: 0,
};

struct Generator {
    dice: Dice,
    run: Run,
    trouble: Trouble,
    now: u64,
    mark: u64,
    /// Writes that nobody waits for any more; they may still take effect.
    adrift: Vec<(Call, Option<Arc<str>>)>,
    /// Answered writes, to be repeated.
    answered: Vec<(Call, Arc<str>)>,
}

/// A history of so many operations of so many clients.
pub(crate) fn run(seed: u64, operations: usize, clients: usize, trouble: Trouble) -> Run {
    let mut history = Vec::new();
    let service = Service::new(&mut history);
    let mut generator = Generator {
        dice: Dice::new(seed),
        run: Run { history, service },
        trouble,
        now: 100,
        mark: 1_000,
        adrift: Vec::new(),
        answered: Vec::new(),
    };
    let mut open: Vec<Option<Open>> = Vec::new();
    open.resize_with(clients, || None);
    let mut begun = 0;
    while begun < operations || open.iter().any(Option::is_some) {
        generator.now += 1;
        generator.drift();
        let client = generator.dice.below(clients);
        open[client] = match open[client].take() {
            None if begun < operations => {
                begun += 1;
                Some(generator.begin())
            }
            None => None,
            Some(going) => generator.go_on(client, going),
        };
    }
    generator.run
}

impl Generator {
    fn happens(&mut self, once_in: usize) -> bool {
        once_in > 0 && self.dice.once_in(once_in)
    }

    fn drift(&mut self) {
        if self.happens(self.trouble.election) {
            self.run.service.elect();
        }
        if !self.adrift.is_empty() && self.dice.once_in(10) {
            let (call, key) = self.adrift.remove(0);
            // Half of what is adrift never arrives.
            if self.dice.once_in(2) {
                self.run.service.write(&call, key.as_ref());
            }
        }
    }

    fn begin(&mut self) -> Open {
        let invoked = self.now;
        if !self.answered.is_empty() && self.dice.once_in(15) {
            let (call, key) = self.answered[self.dice.below(self.answered.len())].clone();
            return Open {
                call,
                key: Some(key),
                invoked,
                outcome: None,
            };
        }
        let call = self.draw();
        self.mark += 1;
        let key = call.is_write().then(|| format!("key-{}", self.mark).into());
        Open {
            call,
            key,
            invoked,
            outcome: None,
        }
    }

    fn go_on(&mut self, client: usize, mut open: Open) -> Option<Open> {
        let client = u32::try_from(client).unwrap();
        if let Some(outcome) = open.outcome.take() {
            let lost = self.happens(self.trouble.unknown);
            let outcome = if lost { Outcome::Unknown } else { outcome };
            if let (Some(key), false) = (&open.key, lost) {
                self.answered.push((open.call.clone(), Arc::clone(key)));
            }
            self.note(client, open, outcome);
            return None;
        }
        if self.happens(self.trouble.refused) {
            let outcome = Outcome::Refused {
                code: UNREACHABLE.into(),
                detail: "".into(),
                at: None,
            };
            self.note(client, open, outcome);
            return None;
        }
        if open.call.is_write() && self.happens(self.trouble.unknown) {
            self.adrift.push((open.call.clone(), open.key.clone()));
            self.note(client, open, Outcome::Unknown);
            return None;
        }
        open.outcome = Some(self.execute(&open));
        Some(open)
    }

    fn execute(&mut self, open: &Open) -> Outcome {
        let last = self.run.service.last();
        match open.call.freshness() {
            None => self.run.service.write(&open.call, open.key.as_ref()),
            Some(Freshness::Linearizable) => self.run.service.read(&open.call, last),
            Some(Freshness::Local { min_index }) => {
                let behind = self.dice.below(20) as u64;
                self.run
                    .service
                    .read(&open.call, last.saturating_sub(behind).max(min_index))
            }
        }
    }

    fn note(&mut self, client: u32, open: Open, outcome: Outcome) {
        let noted = operation(
            client,
            open.call,
            open.key.as_ref(),
            open.invoked,
            self.now,
            outcome,
        );
        self.run.history.push(noted);
    }

    fn draw(&mut self) -> Call {
        let topic: Arc<str> = format!("t-0-{}", self.dice.below(3)).into();
        let broker = REPLICAS[self.dice.below(3)];
        self.mark += 1;
        match self.dice.below(12) {
            0 | 1 => Call::CreateTopic {
                topic,
                mark: self.mark,
            },
            2 => Call::DeleteTopic { topic },
            3 | 4 => self.draw_update(topic),
            5 => Call::ElectLeader { topic, broker },
            6 => Call::RegisterBroker {
                id: broker,
                mark: self.mark,
            },
            7 => Call::GetBroker {
                id: broker,
                freshness: Freshness::Linearizable,
            },
            8 => Call::ListTopics {
                prefix: "t-0-".into(),
                freshness: Freshness::Linearizable,
            },
            9 => Call::GetTopic {
                topic,
                freshness: Freshness::Local {
                    min_index: self.run.service.last() / 2,
                },
            },
            _ => Call::GetTopic {
                topic,
                freshness: Freshness::Linearizable,
            },
        }
    }

    /// An update from a state that was in force a moment ago.
    fn draw_update(&mut self, topic: Arc<str>) -> Call {
        let images = &self.run.service.images;
        let behind = if self.dice.once_in(3) {
            1 + self.dice.below(4)
        } else {
            1
        };
        let image = &images[images.len().saturating_sub(behind)];
        let found = image.topic_by_name(&TopicName::parse(&topic).unwrap());
        let Some(row) = found.and_then(|found| image.partitions_of(found.id).next()) else {
            return Call::DeleteTopic { topic };
        };
        let leader = row.leader.unwrap();
        let isr = if row.isr.len() > 1 {
            vec![leader.0]
        } else {
            REPLICAS.to_vec()
        };
        Call::UpdatePartition {
            topic,
            leader: leader.0,
            broker_epoch: image.broker(leader).unwrap().epoch.0,
            leader_epoch: row.leader_epoch.0,
            partition_epoch: row.partition_epoch.0,
            isr,
        }
    }
}
