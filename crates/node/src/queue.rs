//! A bounded queue between threads and tasks whose reader takes everything at once: batching comes from
//! draining, and no writer ever waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The queue is full, or its reader is gone; the item comes back.
#[derive(Debug)]
pub struct Full<T>(pub T);

/// The writing side; clones share the queue.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The reading side; one thread owns it. Dropping it closes the queue.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    bound: usize,
}

struct State<T> {
    items: VecDeque<T>,
    reader_waits: bool,
    closed: bool,
}

/// A queue of at most `bound` items that come from outside; see [`Sender::push_always`].
pub fn bounded<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        reader_waits: false,
        closed: false,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        filled: Condvar::new(),
        bound,
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Receiver { shared },
    )
}

impl<T> Sender<T> {
    /// Adds an item, or gives it back when the queue is full or closed. Never waits.
    pub fn push(&self, item: T) -> Result<(), Full<T>> {
        let state = self.shared.lock();
        if state.closed || state.items.len() >= self.shared.bound {
            return Err(Full(item));
        }
        self.shared.add(state, item);
        Ok(())
    }

    /// Adds an item past the bound: for messages between the parts of one member, of which only a bounded
    /// number exists, and which must not get lost. After the reader's end they vanish.
    pub fn push_always(&self, item: T) {
        let state = self.shared.lock();
        if !state.closed {
            self.shared.add(state, item);
        }
    }

    /// Adds several items past the bound, under one lock: the reader sees all of them or none.
    pub fn push_all_always(&self, items: impl IntoIterator<Item = T>) {
        let mut state = self.shared.lock();
        if !state.closed {
            state.items.extend(items);
            self.shared.wake(state);
        }
    }

    /// Number of waiting items.
    pub fn len(&self) -> usize {
        self.shared.lock().items.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the queue: the reader gets what is in it, then the end.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
    }
}

impl<T> Receiver<T> {
    /// Moves all waiting items into `batch`; waits for the first one until `deadline`. `false`: the queue
    /// is closed and empty.
    pub fn drain_until(&self, batch: &mut Vec<T>, deadline: Option<Instant>) -> bool {
        self.drain_some_until(batch, usize::MAX, deadline)
    }

    /// As [`Receiver::drain_until`], but at most `max` items.
    pub fn drain_some_until(
        &self,
        batch: &mut Vec<T>,
        max: usize,
        deadline: Option<Instant>,
    ) -> bool {
        let mut state = self.shared.lock();
        while state.items.is_empty() {
            if state.closed {
                return false;
            }
            let Some(wait) = remaining(deadline) else {
                return true;
            };
            state.reader_waits = true;
            state = self.shared.wait(state, wait);
            state.reader_waits = false;
        }
        let count = state.items.len().min(max);
        batch.extend(state.items.drain(..count));
        true
    }
}

impl<T> Shared<T> {
    /// A panic of another thread while it held the lock left the queue whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, mut state: MutexGuard<'_, State<T>>, item: T) {
        state.items.push_back(item);
        self.wake(state);
    }

    /// Wakes the reader, once per wait, after the lock is free.
    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let wake = std::mem::take(&mut state.reader_waits);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<T>>,
        wait: Duration,
    ) -> MutexGuard<'a, State<T>> {
        let (state, _) = self
            .filled
            .wait_timeout(state, wait)
            .unwrap_or_else(PoisonError::into_inner);
        state
    }
}

/// Time until the deadline; `None` once it has passed. Without a deadline: a long while.
fn remaining(deadline: Option<Instant>) -> Option<Duration> {
    match deadline {
        None => Some(Duration::from_hours(1)),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            (!left.is_zero()).then_some(left)
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.items.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_takes_everything_at_once() {
        let (sender, receiver) = bounded(8);
        for item in 0..5 {
            sender.push(item).unwrap();
        }
        let mut batch = Vec::new();
        assert!(receiver.drain_until(&mut batch, None));
        assert_eq!(batch, [0, 1, 2, 3, 4]);
        assert!(sender.is_empty());
    }

    #[test]
    fn a_full_queue_gives_the_item_back_but_takes_internal_ones() {
        let (sender, receiver) = bounded(1);
        sender.push(1).unwrap();
        let Full(back) = sender.push(2).unwrap_err();
        assert_eq!(back, 2);
        sender.push_always(3);
        let mut batch = Vec::new();
        receiver.drain_until(&mut batch, None);
        assert_eq!(batch, [1, 3]);
    }

    #[test]
    fn a_closed_queue_ends_after_its_content() {
        let (sender, receiver) = bounded(4);
        sender.push(1).unwrap();
        sender.close();
        assert!(sender.push(2).is_err());
        let mut batch = Vec::new();
        assert!(receiver.drain_until(&mut batch, None));
        assert_eq!(batch, [1]);
        assert!(!receiver.drain_until(&mut batch, None));
    }

    #[test]
    fn a_writer_in_another_thread_wakes_the_reader() {
        let (sender, receiver) = bounded(4);
        let writer = std::thread::spawn(move || sender.push(7).is_ok());
        let mut batch = Vec::new();
        while batch.is_empty() {
            receiver.drain_until(&mut batch, None);
        }
        assert_eq!(batch, [7]);
        assert!(writer.join().unwrap());
    }

    #[test]
    fn a_passed_deadline_returns_without_items() {
        let (_sender, receiver) = bounded::<u8>(4);
        let mut batch = Vec::new();
        assert!(receiver.drain_until(&mut batch, Some(Instant::now())));
        assert!(batch.is_empty());
    }
}
