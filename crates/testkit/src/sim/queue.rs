//! The queue of events: by time, and by the order in which they were scheduled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events to come. They lie still in slots; only their times are moved about.
#[derive(Debug)]
pub(super) struct Queue<T> {
    order: u64,
    times: BinaryHeap<Reverse<(u64, u64, usize)>>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            order: 0,
            times: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Schedules an event.
    pub(super) fn push(&mut self, at: u64, event: T) {
        self.order += 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot] = Some(event);
            slot
        } else {
            self.slots.push(Some(event));
            self.slots.len() - 1
        };
        self.times.push(Reverse((at, self.order, slot)));
    }

    /// The next event, unless it comes after `end`.
    pub(super) fn pop_until(&mut self, end: u64) -> Option<(u64, T)> {
        let Reverse((at, _, slot)) = *self.times.peek()?;
        if at > end {
            return None;
        }
        self.times.pop();
        self.free.push(slot);
        self.slots[slot].take().map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_order() {
        let mut queue = Queue::default();
        for (at, name) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b'), (9, 'e')] {
            queue.push(at, name);
        }
        let mut seen = Vec::new();
        while let Some((_, name)) = queue.pop_until(5) {
            seen.push(name);
            if name == 'a' {
                queue.push(4, 'x');
            }
        }
        assert_eq!(seen, ['a', 'b', 'x', 'c', 'd']);
        assert_eq!(queue.pop_until(9), Some((9, 'e')));
        assert_eq!(queue.pop_until(u64::MAX), None);
    }
}
