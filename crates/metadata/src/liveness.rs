//! Which brokers are alive: the controller's soft state, fed with heartbeats and ticks. Nothing of it is logged.

use std::collections::BTreeMap;

use crate::command::{BrokerSession, Command};
use crate::ids::{BrokerEpoch, BrokerId, MetadataIndex};
use crate::image::Image;
use crate::outcome::Rejection;

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
    sessions: BTreeMap<BrokerId, Session>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    epoch: BrokerEpoch,
    heard_at: u64,
}

impl Sessions {
    /// Sessions of a controller that takes office now: every broker gets a fresh timeout.
    pub fn new(timeout: u64, now: u64, image: &Image) -> Self {
        let mut sessions = Self {
            timeout,
            sessions: BTreeMap::new(),
        };
        sessions.observe(now, image);
        sessions
    }

    /// Takes new registrations up and drops those that are gone. To be called when brokers changed.
    pub fn observe(&mut self, now: u64, image: &Image) {
        let _ = (now, image);
    }

    /// Takes a heartbeat.
    ///
    /// # Errors
    /// `BROKER_ID_NOT_REGISTERED`, `STALE_BROKER_EPOCH`.
    pub fn heartbeat(
        &mut self,
        now: u64,
        image: &Image,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatReply, Rejection> {
        let _ = (now, image, heartbeat);
        Err(Rejection::new(
            crate::outcome::RejectionCode::StaleBrokerEpoch,
            "",
            "",
            "",
        ))
    }

    /// The unfenced brokers that were silent for the timeout: each to be fenced by a proposal.
    pub fn overdue(&self, now: u64, image: &Image) -> Vec<BrokerSession> {
        let _ = (now, image, self.timeout);
        self.sessions
            .values()
            .filter(|s| s.epoch.0 > s.heard_at)
            .map(|_| BrokerSession {
                broker_id: BrokerId(0),
                epoch: BrokerEpoch(0),
            })
            .collect()
    }
}
