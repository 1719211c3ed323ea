//! The administrator who initialises the quorum, and tries until it is done.

use dmq_replica::{Answer, DriverInput, InitializeRequest, Ticket};

use super::history::Violation;
use super::node::{CLUSTER, SimNode};
use super::params::MS;
use super::world::{Event, World};

impl World {
    pub(super) fn initialize(&mut self) {
        if self.initialized {
            return;
        }
        self.after(700 * MS, Event::Initialize);
        let voters = self.nodes[..self.params.nodes]
            .iter()
            .map(SimNode::member)
            .collect();
        let request = InitializeRequest {
            cluster_id: CLUSTER.into(),
            incarnation: dmq_metadata::Incarnation::FIRST,
            voters,
        };
        let ticket = Ticket(0);
        let life = self.nodes[0].life;
        self.queue_driver(0, life, DriverInput::Initialize { ticket, request });
    }

    /// The answer to an `initialize`.
    ///
    /// # Errors
    /// It was refused for good.
    pub(super) fn initialized(&mut self, answer: &Answer) -> Result<(), Violation> {
        match answer {
            Answer::Initialized => self.initialized = true,
            Answer::Failed(error) if error.retriable() => {}
            Answer::Failed(error) => {
                let text = error.to_string();
                let again =
                    text.contains("another initialize") || text.contains("no storage space");
                if !again {
                    return Err(format!("initialize: {error}"));
                }
            }
            other => return Err(format!("initialize was answered by {other:?}")),
        }
        Ok(())
    }
}
