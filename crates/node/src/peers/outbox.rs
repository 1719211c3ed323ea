//! Where the driver leaves what goes to one peer. Leaving something never waits: a lane that is full loses
//! its oldest message, as a network would, and the core repeats itself.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use dmq_raft::{LogIndex, Message, MessageBody};
use dmq_replica::MemberReport;
use futures::task::AtomicWaker;

/// Messages that wait on the control lane, at most: a heartbeat, its answer, votes and reads of one turn are
/// a few; a peer that takes none of 256 is not there.
const CONTROL_PARCELS_MAX: usize = 256;
/// Messages that wait on the append lane, at most: the core keeps no more appends in flight than its window
/// (256), and answers as many of the peer's.
const APPEND_PARCELS_MAX: usize = 1024;
/// Control messages that are kept while the peer is not connected: the last round of an election.
const CONTROL_PARCELS_OFFLINE: usize = 8;

/// One thing for a peer.
#[derive(Debug)]
pub enum Parcel {
    /// A message, ready to go.
    Message(Message),
    /// An append whose entries are read from the log on the way out.
    Fill {
        /// The message, without entries.
        message: Message,
        /// The entries to put in.
        range: RangeInclusive<LogIndex>,
    },
    /// A report beside the messages.
    Report(MemberReport),
}

/// Which stream a parcel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Votes, heartbeats, reads, reports: never behind entries.
    Control,
    /// Appends and their acknowledgements.
    Append,
}

/// What is waiting for one peer.
#[derive(Debug, Default)]
pub struct Outbox {
    control: LaneQueue,
    append: LaneQueue,
}

#[derive(Debug, Default)]
struct LaneQueue {
    state: Mutex<LaneState>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct LaneState {
    parcels: VecDeque<Parcel>,
    /// Number of the connection that drains the lane; `None`: the peer is not connected.
    session: Option<u64>,
}

impl Outbox {
    /// Leaves something. `false`: a message that waited was lost, the peer takes none.
    pub fn push(&self, parcel: Parcel) -> bool {
        match lane_of(&parcel) {
            Lane::Control => {
                self.control
                    .push(parcel, CONTROL_PARCELS_MAX, CONTROL_PARCELS_OFFLINE)
            }
            Lane::Append => self.append.push(parcel, APPEND_PARCELS_MAX, 0),
        }
    }

    /// Begins a connection: both lanes are drained by it from now on.
    pub fn open(&self, session: u64) {
        self.control.set_session(Some(session));
        self.append.set_session(Some(session));
    }

    /// Ends the connection; what was meant for it on the append lane is gone.
    pub fn close(&self) {
        self.control.set_session(None);
        self.append.set_session(None);
        self.append.lock().parcels.clear();
    }

    /// Everything that waits on a lane, as soon as there is something; `None` once `session` is over.
    pub async fn take(&self, lane: Lane, session: u64) -> Option<VecDeque<Parcel>> {
        let queue = match lane {
            Lane::Control => &self.control,
            Lane::Append => &self.append,
        };
        std::future::poll_fn(|context| queue.poll_take(session, context)).await
    }
}

impl LaneQueue {
    /// A panic elsewhere left the queue whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, parcel: Parcel, online: usize, offline: usize) -> bool {
        let mut state = self.lock();
        let connected = state.session.is_some();
        let bound = if connected { online } else { offline };
        state.parcels.push_back(parcel);
        let lost = state.parcels.len().saturating_sub(bound);
        state.parcels.drain(..lost);
        drop(state);
        self.waker.wake();
        lost == 0 || !connected
    }

    fn set_session(&self, session: Option<u64>) {
        self.lock().session = session;
        self.waker.wake();
    }

    fn poll_take(&self, session: u64, context: &mut Context<'_>) -> Poll<Option<VecDeque<Parcel>>> {
        self.waker.register(context.waker());
        let mut state = self.lock();
        if state.session != Some(session) {
            Poll::Ready(None)
        } else if state.parcels.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(Some(std::mem::take(&mut state.parcels)))
        }
    }
}

fn lane_of(parcel: &Parcel) -> Lane {
    match parcel {
        Parcel::Report(_) => Lane::Control,
        Parcel::Fill { .. } => Lane::Append,
        Parcel::Message(message) => match message.body {
            MessageBody::Append { .. }
            | MessageBody::AppendReply { .. }
            | MessageBody::InstallSnapshot { .. }
            | MessageBody::InstallSnapshotReply { .. } => Lane::Append,
            MessageBody::PreVote { .. }
            | MessageBody::PreVoteReply { .. }
            | MessageBody::Vote { .. }
            | MessageBody::VoteReply { .. }
            | MessageBody::Heartbeat { .. }
            | MessageBody::HeartbeatReply { .. }
            | MessageBody::TimeoutNow
            | MessageBody::ReadIndex { .. }
            | MessageBody::ReadIndexReply { .. }
            | MessageBody::Stopping => Lane::Control,
        },
    }
}

#[cfg(test)]
mod tests {
    use dmq_raft::{DirectoryId, MemberId, NodeId, Term};

    use super::*;

    fn message(body: MessageBody) -> Parcel {
        let member = |node| MemberId {
            node: NodeId(node),
            directory: DirectoryId(1),
        };
        Parcel::Message(Message {
            from: member(1),
            to: member(2),
            term: Term(1),
            body,
        })
    }

    fn heartbeat(round: u64) -> Parcel {
        message(MessageBody::Heartbeat {
            round,
            commit: LogIndex(0),
        })
    }

    fn append(seq: u64) -> Parcel {
        let prev = dmq_raft::EntryId::ZERO;
        message(MessageBody::Append {
            seq,
            prev,
            last: prev,
            entries: Vec::new(),
            commit: LogIndex(0),
        })
    }

    fn rounds(parcels: &VecDeque<Parcel>) -> Vec<u64> {
        let round = |parcel: &Parcel| match parcel {
            Parcel::Message(Message {
                body: MessageBody::Heartbeat { round, .. },
                ..
            }) => *round,
            other => panic!("{other:?}"),
        };
        parcels.iter().map(round).collect()
    }

    #[tokio::test]
    async fn the_lanes_are_drained_apart_and_in_order() {
        let outbox = Outbox::default();
        outbox.open(1);
        assert!(outbox.push(heartbeat(1)) && outbox.push(append(1)) && outbox.push(heartbeat(2)));
        let control = outbox.take(Lane::Control, 1).await.unwrap();
        assert_eq!(rounds(&control), [1, 2]);
        assert_eq!(outbox.take(Lane::Append, 1).await.unwrap().len(), 1);
    }

    #[test]
    fn a_hung_peer_loses_the_oldest_and_is_reported() {
        let outbox = Outbox::default();
        outbox.open(1);
        let told: Vec<bool> = (0..=CONTROL_PARCELS_MAX as u64)
            .map(|round| outbox.push(heartbeat(round)))
            .collect();
        assert_eq!(told.iter().filter(|queued| !**queued).count(), 1);
        let state = outbox.control.lock();
        assert_eq!(rounds(&state.parcels)[0], 1);
        assert_eq!(state.parcels.len(), CONTROL_PARCELS_MAX);
    }

    #[test]
    fn an_absent_peer_keeps_a_few_control_messages_and_no_appends() {
        let outbox = Outbox::default();
        for number in 0..20 {
            assert!(
                outbox.push(heartbeat(number)),
                "absence was reported before"
            );
            assert!(outbox.push(append(number)));
        }
        assert_eq!(outbox.control.lock().parcels.len(), CONTROL_PARCELS_OFFLINE);
        assert!(outbox.append.lock().parcels.is_empty());
    }

    #[tokio::test]
    async fn a_session_that_is_over_gets_nothing() {
        let outbox = Outbox::default();
        outbox.open(1);
        outbox.push(append(1));
        outbox.close();
        assert!(outbox.take(Lane::Append, 1).await.is_none());
        outbox.open(2);
        outbox.push(append(2));
        assert!(
            outbox.take(Lane::Append, 1).await.is_none(),
            "an older connection"
        );
        assert_eq!(outbox.take(Lane::Append, 2).await.unwrap().len(), 1);
    }
}
