//! Whether anybody waits for the projector: without, it writes larger batches less often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the requests that wait for the database. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Demand(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    /// The node is stopping: what is left is to be written soon.
    stopping: AtomicBool,
    arrived: Notify,
}

/// One request that waits, until it is dropped.
#[derive(Debug)]
pub struct Waiting(Demand);

impl Demand {
    /// A request begins to wait.
    pub fn enter(&self) -> Waiting {
        if self.0.waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.0.arrived.notify_one();
        }
        Waiting(self.clone())
    }

    /// From now on everything is written at once.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.arrived.notify_one();
    }

    /// Whether somebody waits.
    pub(super) fn is_urgent(&self) -> bool {
        self.0.waiting.load(Ordering::Acquire) > 0 || self.0.stopping.load(Ordering::Acquire)
    }

    /// Ends when somebody began to wait since the last call.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        (self.0).0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_request_makes_it_urgent_and_the_last_one_ends_it() {
        let demand = Demand::default();
        assert!(!demand.is_urgent());
        let (first, second) = (demand.enter(), demand.enter());
        demand.arrived().await;
        drop(first);
        assert!(demand.is_urgent());
        drop(second);
        assert!(!demand.is_urgent());
    }

    #[tokio::test]
    async fn a_stopping_node_writes_what_is_left() {
        let demand = Demand::default();
        demand.stop();
        demand.arrived().await;
        assert!(demand.is_urgent());
    }
}
