//! Reads that cannot be served at once: linearizable ones first need a confirmed index, all need the
//! image to reach an index.

use std::collections::BTreeMap;

use dmq_raft::LogIndex;

use crate::mutant;
use crate::{ReadRequest, RequestError, Ticket};

/// One confirmation by the controller, for all reads that arrived in one turn.
#[derive(Clone, Debug)]
struct Round {
    reads: Vec<Waiting>,
    deadline: u64,
}

/// A read, and the tick at which its wait ends.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    read: ReadRequest,
    until: u64,
}

/// All waiting reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    next_seq: u64,
    arrived: Vec<Waiting>,
    rounds: BTreeMap<u64, Round>,
    by_index: BTreeMap<(LogIndex, Ticket), u64>,
}

/// Times that reads go by, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadTimes {
    pub(super) now: u64,
    /// How long a round may take.
    pub(super) confirm: u64,
    /// How long the image may take.
    pub(super) apply: u64,
}

impl ReadTimes {
    /// When a read that arrives now ends: at the time that it names, else after a round and the image's time.
    fn until(self, read: &ReadRequest) -> u64 {
        let confirm = if read.linearizable { self.confirm } else { 0 };
        let wait = read.wait_ticks.unwrap_or(confirm + self.apply);
        self.now.saturating_add(wait)
    }
}

/// The time is over and no majority has confirmed the controller.
fn unconfirmed(waiting: &Waiting) -> (Ticket, RequestError) {
    (waiting.read.ticket, RequestError::NoQuorum)
}

impl Reads {
    /// A read arrived; it joins the round of this turn or waits for its index.
    pub(super) fn arrive(&mut self, read: ReadRequest, times: ReadTimes) {
        let waiting = Waiting {
            read,
            until: times.until(&read),
        };
        if read.linearizable {
            self.arrived.push(waiting);
        } else {
            self.wait_for(waiting, LogIndex(0));
        }
    }

    /// Starts a round for what arrived, and returns its number for the core.
    pub(super) fn start_round(&mut self, times: ReadTimes) -> Option<u64> {
        if self.arrived.is_empty() {
            return None;
        }
        let round = Round {
            reads: std::mem::take(&mut self.arrived),
            deadline: times.now + times.confirm,
        };
        let seq = self.number();
        self.rounds.insert(seq, round);
        Some(seq)
    }

    /// A number for the core that no other read of this process has.
    pub(super) fn number(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    /// The controller confirmed a round at this index.
    pub(super) fn confirmed(&mut self, seq: u64, index: LogIndex) {
        for waiting in self
            .rounds
            .remove(&seq)
            .map_or_else(Vec::new, |round| round.reads)
        {
            self.wait_for(waiting, index);
        }
    }

    /// The core refused a round. Returns who waited.
    pub(super) fn refused(&mut self, seq: u64) -> Vec<Ticket> {
        let reads = self
            .rounds
            .remove(&seq)
            .map_or_else(Vec::new, |round| round.reads);
        reads.iter().map(|waiting| waiting.read.ticket).collect()
    }

    fn wait_for(&mut self, waiting: Waiting, confirmed: LogIndex) {
        let Waiting { read, until } = waiting;
        let index = read
            .min_index
            .map_or(confirmed, |wanted| wanted.max(confirmed));
        self.by_index.insert((index, read.ticket), until);
    }

    /// The next read that the image can serve.
    pub(super) fn pop_ready(&mut self, applied: LogIndex) -> Option<(LogIndex, Ticket)> {
        let first = self.by_index.first_entry()?;
        let is_ready = first.key().0 <= applied || mutant::is("read-before-applied");
        is_ready.then(|| first.remove_entry().0)
    }

    /// Reads whose time is over.
    pub(super) fn expire(&mut self, now: u64, applied: LogIndex) -> Vec<(Ticket, RequestError)> {
        let mut over = Vec::new();
        for (_, round) in self.rounds.extract_if(.., |_, round| round.deadline <= now) {
            over.extend(round.reads.iter().map(unconfirmed));
        }
        for round in self.rounds.values_mut() {
            let late = round.reads.extract_if(.., |waiting| waiting.until <= now);
            over.extend(late.map(|waiting| unconfirmed(&waiting)));
        }
        let late = self.by_index.extract_if(.., |_, deadline| *deadline <= now);
        over.extend(
            late.map(|((wanted, ticket), _)| {
                (ticket, RequestError::NotApplied { wanted, applied })
            }),
        );
        over
    }

    /// The process ends.
    pub(super) fn drain(&mut self) -> Vec<Ticket> {
        let rounds = std::mem::take(&mut self.rounds)
            .into_values()
            .flat_map(|round| round.reads);
        let arrived = std::mem::take(&mut self.arrived);
        let waiting = std::mem::take(&mut self.by_index)
            .into_keys()
            .map(|(_, ticket)| ticket);
        rounds
            .chain(arrived)
            .map(|waiting| waiting.read.ticket)
            .chain(waiting)
            .collect()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        let rounds: usize = self.rounds.values().map(|round| round.reads.len()).sum();
        rounds + self.arrived.len() + self.by_index.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(now: u64) -> ReadTimes {
        ReadTimes {
            now,
            confirm: 8,
            apply: 20,
        }
    }

    fn read(ticket: u64, linearizable: bool, min_index: Option<u64>) -> ReadRequest {
        ReadRequest {
            ticket: Ticket(ticket),
            linearizable,
            min_index: min_index.map(LogIndex),
            wait_ticks: None,
        }
    }

    fn read_within(
        wait: u64,
        ticket: u64,
        linearizable: bool,
        min_index: Option<u64>,
    ) -> ReadRequest {
        ReadRequest {
            wait_ticks: Some(wait),
            ..read(ticket, linearizable, min_index)
        }
    }

    #[test]
    fn a_read_ends_at_the_time_that_it_names() {
        let mut reads = Reads::default();
        reads.arrive(read_within(90, 1, false, Some(50)), times(0));
        reads.arrive(read_within(3, 2, true, None), times(0));
        reads.arrive(read_within(90, 3, true, Some(60)), times(0));
        assert_eq!(reads.start_round(times(0)), Some(1));
        let late = vec![(Ticket(2), RequestError::NoQuorum)];
        assert_eq!(reads.expire(3, LogIndex(5)), late);
        reads.confirmed(1, LogIndex(5));
        assert_eq!(reads.pop_ready(LogIndex(49)), None);
        assert!(reads.expire(89, LogIndex(49)).is_empty());
        assert_eq!(reads.expire(90, LogIndex(49)).len(), 2);
        assert_eq!(reads.len(), 0);
    }

    #[test]
    fn one_round_confirms_all_reads_of_a_turn_and_each_waits_for_its_index() {
        let mut reads = Reads::default();
        reads.arrive(read(1, true, None), times(0));
        reads.arrive(read(2, true, Some(9)), times(0));
        reads.arrive(read(3, false, Some(4)), times(0));
        assert_eq!(reads.start_round(times(0)), Some(1));
        assert_eq!(reads.start_round(times(0)), None);
        reads.confirmed(1, LogIndex(6));
        assert_eq!(reads.pop_ready(LogIndex(5)), Some((LogIndex(4), Ticket(3))));
        assert_eq!(reads.pop_ready(LogIndex(5)), None);
        assert_eq!(reads.pop_ready(LogIndex(6)), Some((LogIndex(6), Ticket(1))));
        assert_eq!(reads.pop_ready(LogIndex(9)), Some((LogIndex(9), Ticket(2))));
        assert_eq!(reads.len(), 0);
    }

    #[test]
    fn a_round_without_an_answer_and_an_index_that_does_not_come_end_in_time() {
        let mut reads = Reads::default();
        reads.arrive(read(1, true, None), times(0));
        reads.arrive(read(2, false, Some(50)), times(0));
        assert_eq!(reads.start_round(times(0)), Some(1));
        assert!(reads.expire(7, LogIndex(3)).is_empty());
        assert_eq!(
            reads.expire(8, LogIndex(3)),
            vec![(Ticket(1), RequestError::NoQuorum)]
        );
        reads.confirmed(1, LogIndex(3));
        assert_eq!(reads.pop_ready(LogIndex(49)), None, "a late answer is void");
        let (wanted, applied) = (LogIndex(50), LogIndex(49));
        let over = vec![(Ticket(2), RequestError::NotApplied { wanted, applied })];
        assert_eq!(reads.expire(20, LogIndex(49)), over);
    }
}
