//! The way of a request to the driver and of its answer back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmq_replica::{Answer, DriverInput, RequestError, Ticket};
use tokio::sync::oneshot;

use super::Work;
use crate::queue::{Full, Sender};

/// Puts requests to the driver; clones share the counter of tickets.
#[derive(Clone, Debug)]
pub struct Ask {
    driver: Sender<Work>,
    tickets: Arc<AtomicU64>,
}

impl Ask {
    /// Requests go into this queue.
    pub fn new(driver: Sender<Work>) -> Self {
        Self {
            driver,
            tickets: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Sends the request that `build` makes of its ticket, and waits for the answer. A full queue answers
    /// `OVERLOADED`, a driver that is gone `STOPPING`.
    pub async fn send(&self, build: impl FnOnce(Ticket) -> DriverInput) -> Answer {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        let work = Work::Ask {
            input: build(ticket),
            ticket,
            answer: sender,
        };
        if let Err(Full(_)) = self.driver.push(work) {
            return Answer::Failed(RequestError::Overloaded);
        }
        receiver
            .await
            .unwrap_or(Answer::Failed(RequestError::Stopping))
    }
}
