//! Which brokers are alive: the controller's soft state, fed with heartbeats and ticks. Nothing of it is logged.
//!
//! A session is lost by silence only: [`Sessions::overdue`] names the brokers that the controller should fence. A
//! fenced broker that reports that it has read its own registration is to be unfenced. What comes of either is
//! decided at apply, by the epoch in the proposal.

use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::command::{BrokerSession, Command};
use crate::ids::{BrokerEpoch, BrokerId, MetadataIndex};
use crate::image::Image;
use crate::outcome::{Rejection, RejectionCode};

/// A broker's sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Number of the broker.
    pub broker_id: BrokerId,
    /// Epoch of its registration; `None` from brokers that do not know epochs.
    pub epoch: Option<BrokerEpoch>,
    /// How far it has read the metadata; `None` counts as caught up.
    pub metadata_index: Option<MetadataIndex>,
    /// It wants to be fenced, or to stay so.
    pub want_fence: bool,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Epoch of the registration in force.
    pub epoch: BrokerEpoch,
    /// The broker has seen its own registration.
    pub is_caught_up: bool,
    /// The broker is fenced at the image's index.
    pub is_fenced: bool,
    /// What the controller should propose on account of it: to fence or to unfence the broker.
    pub propose: Option<Command>,
}

/// The sessions of all brokers on one controller. Time is counted in whatever unit the caller ticks in.
#[derive(Clone, Debug)]
pub struct Sessions {
    timeout: u64,
    heard: BTreeMap<BrokerId, Heard>,
}

/// When a registration was last heard of.
#[derive(Clone, Copy, Debug)]
struct Heard {
    epoch: BrokerEpoch,
    at: u64,
}

impl Sessions {
    /// Sessions of a controller that takes office now: every broker gets a fresh timeout, whatever the one before knew.
    pub fn new(timeout: u64, now: u64, image: &Image) -> Self {
        let mut sessions = Self {
            timeout,
            heard: BTreeMap::new(),
        };
        sessions.observe(now, image);
        sessions
    }

    /// Takes new registrations up, with a fresh timeout, and drops those that are gone.
    /// To be called when brokers changed; a call too many does nothing.
    pub fn observe(&mut self, now: u64, image: &Image) {
        self.heard.retain(|id, heard| {
            image
                .broker(*id)
                .is_some_and(|broker| broker.epoch == heard.epoch)
        });
        for broker in image.brokers() {
            self.heard.entry(broker.id).or_insert(Heard {
                epoch: broker.epoch,
                at: now,
            });
        }
    }

    /// Takes a heartbeat.
    ///
    /// # Errors
    /// `BROKER_ID_NOT_REGISTERED`, `STALE_BROKER_EPOCH`: the broker must register (again).
    pub fn heartbeat(
        &mut self,
        now: u64,
        image: &Image,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatReply, Rejection> {
        let broker = find(image, heartbeat)?;
        self.heard.insert(
            broker.id,
            Heard {
                epoch: broker.epoch,
                at: now,
            },
        );
        let is_caught_up = heartbeat
            .metadata_index
            .is_none_or(|index| index >= broker.registered_index);
        Ok(HeartbeatReply {
            epoch: broker.epoch,
            is_caught_up,
            is_fenced: broker.fenced,
            propose: proposal(broker, is_caught_up, heartbeat.want_fence),
        })
    }

    /// The unfenced brokers that were silent for the timeout, by number: each to be fenced by a proposal.
    /// A broker without a session is not among them; [`Sessions::observe`] gives it one.
    pub fn overdue(&self, now: u64, image: &Image) -> Vec<BrokerSession> {
        let is_silent = |heard: &Heard| now.saturating_sub(heard.at) >= self.timeout;
        let silent = self.heard.iter().filter(|(_, heard)| is_silent(heard));
        let sessions = silent.map(|(id, heard)| BrokerSession {
            broker_id: *id,
            epoch: heard.epoch,
        });
        sessions.filter(|session| serves(image, *session)).collect()
    }
}

fn find<'a>(image: &'a Image, heartbeat: &Heartbeat) -> Result<&'a Broker, Rejection> {
    let id = heartbeat.broker_id;
    let broker = image.broker(id).ok_or_else(|| {
        let rule = "no broker of that number is registered; register first";
        Rejection::new(RejectionCode::BrokerIdNotRegistered, "brokerId", id, rule)
    })?;
    match heartbeat.epoch.filter(|epoch| *epoch != broker.epoch) {
        None => Ok(broker),
        Some(epoch) => {
            let rule = format!("the registration in force has epoch {}", broker.epoch);
            Err(Rejection::new(
                RejectionCode::StaleBrokerEpoch,
                "brokerEpoch",
                epoch,
                &rule,
            ))
        }
    }
}

fn proposal(broker: &Broker, is_caught_up: bool, want_fence: bool) -> Option<Command> {
    let session = BrokerSession {
        broker_id: broker.id,
        epoch: broker.epoch,
    };
    match (broker.fenced, want_fence) {
        (false, true) => Some(Command::FenceBroker(session)),
        (true, false) if is_caught_up => Some(Command::UnfenceBroker(session)),
        (true, _) | (false, false) => None,
    }
}

fn serves(image: &Image, session: BrokerSession) -> bool {
    let broker = image.broker(session.broker_id);
    broker.is_some_and(|broker| broker.epoch == session.epoch && !broker.fenced)
}
