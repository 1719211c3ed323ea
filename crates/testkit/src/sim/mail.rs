//! What travels between nodes, and how it arrives.

use dmq_metadata::FeatureLevel;
use dmq_raft::{MemberId, Message};
use dmq_replica::{DriverInput, MemberReport, PinDigest, PinError};

use super::world::{Event, World};

/// What travels between nodes.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    /// A raft message.
    Raft(Message),
    /// A report beside raft.
    Report(MemberReport),
    /// A call to pin.
    Pin {
        /// Who asks.
        from: usize,
        /// What to pin.
        digest: PinDigest,
    },
    /// Its answer.
    PinReply {
        /// Who answers.
        from: MemberId,
        /// The answer.
        result: Result<(), PinError>,
    },
}

impl World {
    /// Something arrives at a node.
    pub(super) fn arrive(&mut self, node: usize, delivery: Delivery) {
        let life = self.nodes[node].life;
        match delivery {
            // What is addressed to an earlier directory is refused by the shell.
            Delivery::Raft(message) if message.to != self.nodes[node].member() => {}
            Delivery::Raft(message) => self.queue_driver(node, life, DriverInput::Peer(message)),
            Delivery::Report(report) => {
                self.queue_driver(node, life, DriverInput::PeerReport(report));
            }
            Delivery::Pin { from, digest } => {
                let ticket = self.ticket();
                if let Some(process) = &mut self.nodes[node].process {
                    process.pin_calls.insert(ticket, from);
                }
                self.meet(node, self.nodes[from].member());
                self.queue_driver(node, life, DriverInput::PinRequest { ticket, digest });
            }
            Delivery::PinReply { from, result } => {
                self.meet(node, from);
                self.queue_driver(node, life, DriverInput::PinReply { from, result });
            }
        }
    }

    /// A node that was called has learned by the handshake what the caller supports, and the other way round.
    fn meet(&mut self, node: usize, member: MemberId) {
        let features = (FeatureLevel::ZERO, FeatureLevel::MAX);
        let input = DriverInput::PeerFeatures { member, features };
        self.queue_driver(node, self.nodes[node].life, input);
    }

    /// Sends something over the network.
    pub(super) fn send(&mut self, from: usize, to: usize, delivery: &Delivery) {
        for delay in self.network.delays(from, to) {
            self.after(delay, Event::Arrive(to, delivery.clone()));
        }
    }
}
