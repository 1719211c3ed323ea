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
    /// `OVERLOADED`. A driver that is gone answers `STOPPING`, or that the outcome is unknown if the request
    /// may have changed something before it went.
    pub async fn send(&self, build: impl FnOnce(Ticket) -> DriverInput) -> Answer {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        let input = build(ticket);
        let gone = without_answer(&input);
        let work = Work::Ask {
            input,
            ticket,
            answer: sender,
        };
        if let Err(Full(_)) = self.driver.push(work) {
            return Answer::Failed(RequestError::Overloaded);
        }
        receiver.await.unwrap_or(Answer::Failed(gone))
    }
}

/// What is known of a request that the driver took along and never answered.
const fn without_answer(input: &DriverInput) -> RequestError {
    match input {
        DriverInput::Propose(_) | DriverInput::Initialize { .. } | DriverInput::Transfer { .. } => {
            RequestError::OutcomeUnknown
        }
        _ => RequestError::Stopping,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(build: impl FnOnce(Ticket) -> DriverInput) -> RequestError {
        let (driver, queue) = crate::queue::bounded(8);
        let ask = Ask::new(driver);
        let ends = async {
            let mut taken = Vec::new();
            queue.drain_until(&mut taken, Some(std::time::Instant::now()));
            assert_eq!(taken.len(), 1, "the driver took the request");
        };
        let (answer, ()) = tokio::join!(biased; ask.send(build), ends);
        match answer {
            Answer::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_driver_that_ends_leaves_open_what_may_have_happened_and_nothing_else() {
        let transfer = |ticket| DriverInput::Transfer {
            ticket,
            to: None,
            expected_term: None,
        };
        assert_eq!(asked(transfer).await, RequestError::OutcomeUnknown);
        let snapshot = |ticket| DriverInput::TakeSnapshot { ticket };
        assert_eq!(asked(snapshot).await, RequestError::Stopping);
    }
}
