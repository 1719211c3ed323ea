//! Broker sessions on the controller: soft state counted in ticks, never in the log. What follows from
//! it (fencing, unfencing) goes through the log, each command once until it is decided.

use std::collections::{BTreeMap, BTreeSet};

use dmq_metadata::{BrokerSession, Command, Image, liveness};

use crate::{Heartbeat, RequestError, Ticket};

/// The sessions of a controller, over the newest image in which a broker changed.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    image: Image,
    timeout: u64,
    /// `None` while this member does not lead.
    alive: Option<liveness::Sessions>,
    /// What is in the log already for this image.
    proposed: BTreeSet<BrokerSession>,
    /// Commands on account of heartbeats, to be proposed at the end of the turn.
    due: Vec<Command>,
    /// Heartbeats that this image would reject: they wait until a majority has confirmed the controller.
    doubted: BTreeMap<Ticket, Heartbeat>,
}

/// What a broker is told, before the driver adds where it stands itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) epoch: dmq_metadata::BrokerEpoch,
    pub(super) caught_up: bool,
    pub(super) fenced: bool,
}

impl Sessions {
    /// No sessions yet.
    pub(super) fn new(image: Image, timeout: u64) -> Self {
        Self {
            image,
            timeout,
            alive: None,
            proposed: BTreeSet::new(),
            due: Vec::new(),
            doubted: BTreeMap::new(),
        }
    }

    /// A broker changed: this is the image now.
    pub(super) fn observe(&mut self, image: Image, now: u64) {
        if let Some(alive) = &mut self.alive {
            alive.observe(now, &image);
        }
        self.image = image;
        self.proposed.clear();
    }

    /// This member became the controller: every broker gets a fresh session.
    pub(super) fn take_office(&mut self, now: u64) {
        self.alive = Some(liveness::Sessions::new(self.timeout, now, &self.image));
        self.proposed.clear();
        self.due.clear();
    }

    /// This member is no longer the controller.
    pub(super) fn leave_office(&mut self) {
        self.alive = None;
        self.due.clear();
    }

    /// A sign of life; `None` if this member does not lead.
    pub(super) fn beat(
        &mut self,
        beat: &Heartbeat,
        now: u64,
    ) -> Option<Result<Verdict, RequestError>> {
        let heartbeat = liveness::Heartbeat {
            broker_id: beat.broker,
            epoch: beat.epoch,
            metadata_index: beat.seen,
            want_fence: beat.want_fence || beat.want_shut_down,
        };
        let answer = match self.alive.as_mut()?.heartbeat(now, &self.image, &heartbeat) {
            Ok(reply) => {
                self.due.extend(reply.propose);
                let (epoch, caught_up) = (reply.epoch, reply.is_caught_up);
                Ok(Verdict {
                    epoch,
                    caught_up,
                    fenced: reply.is_fenced,
                })
            }
            Err(rejection) => Err(RequestError::Rejected(rejection)),
        };
        Some(answer)
    }

    /// A heartbeat waits under its ticket.
    pub(super) fn doubt(&mut self, beat: Heartbeat) {
        self.doubted.insert(beat.ticket, beat);
    }

    /// The heartbeat that waits under this ticket, which is about to be answered.
    pub(super) fn take_doubted(&mut self, ticket: Ticket) -> Option<Heartbeat> {
        self.doubted.remove(&ticket)
    }

    /// Silent brokers are to be fenced.
    pub(super) fn tick(&mut self, now: u64) {
        if let Some(alive) = &self.alive {
            self.due.extend(
                alive
                    .overdue(now, &self.image)
                    .into_iter()
                    .map(Command::FenceBroker),
            );
        }
    }

    /// The commands to propose now; none that is in the log already.
    pub(super) fn take_due(&mut self) -> Vec<Command> {
        let mut due = std::mem::take(&mut self.due);
        due.retain(|command| match command {
            Command::FenceBroker(session) | Command::UnfenceBroker(session) => {
                self.proposed.insert(*session)
            }
            _ => true,
        });
        due
    }

    /// What was given out did not get into the log: it may be given out again.
    pub(super) fn retry(&mut self) {
        self.proposed.clear();
    }
}
