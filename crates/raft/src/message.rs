//! What members say to each other. The node adds cluster id and incarnation to every call and refuses
//! what is not addressed to it before the core sees it (DESIGN 6.1).

use crate::{Configuration, Entry, EntryId, LogIndex, MemberId, Term};

/// One message between two members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// The sender, with its directory.
    pub from: MemberId,
    /// The receiver, with the directory that the sender believes it to have.
    pub to: MemberId,
    /// The sender's term; for a pre-vote the term that it would campaign in.
    pub term: Term,
    /// The rest.
    pub body: MessageBody,
}

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MessageBody {
    /// "Would you vote for me?" Changes nothing at the receiver (dissertation 9.6).
    PreVote {
        /// Last entry of the candidate's log.
        last: EntryId,
    },
    /// Answer to a pre-vote. A refusal carries the receiver's term, which the asker adopts (openraft#1796).
    PreVoteReply {
        /// The term that was asked for.
        asked: Term,
        /// Whether the receiver would vote.
        granted: bool,
    },
    /// A request for a vote; leaves after the candidate's own vote is durable.
    Vote {
        /// Last entry of the candidate's log.
        last: EntryId,
        /// A leadership transfer: the receiver ignores leader stickiness (dissertation 3.10).
        transfer: bool,
    },
    /// Answer to a vote request; a grant leaves after it is durable.
    VoteReply {
        /// Whether the vote was given.
        granted: bool,
    },
    /// Entries for a follower. The core asks for a range; the sender fills `entries` from cache or disk.
    Append {
        /// Number of this append between this leader and this follower within the term, so that stale
        /// acknowledgements are recognised.
        seq: u64,
        /// The entry before the first of `entries`.
        prev: EntryId,
        /// The last of `entries`, as the core that made the message saw its log; `prev` if there are
        /// none. The receiver drops a message whose entries end elsewhere: a sender that reads the log
        /// later may find it truncated and rewritten, and one equal position proves the whole range.
        last: EntryId,
        /// Consecutive entries from `prev.index + 1` up to `last`; empty for a probe.
        entries: Vec<Entry>,
        /// The leader's commit index when the message was made.
        commit: LogIndex,
    },
    /// Answer to an append.
    AppendReply {
        /// The append that is answered.
        seq: u64,
        /// What became of it.
        result: AppendResult,
    },
    /// Keeps followers from campaigning and confirms leadership for reads; carries no entries.
    Heartbeat {
        /// Number of the round, monotonic within the leader's term; echoed.
        round: u64,
        /// What the follower may commit: min(leader's commit, what it is known to match).
        commit: LogIndex,
    },
    /// Answer to a heartbeat.
    HeartbeatReply {
        /// The round that is answered.
        round: u64,
        /// The sender is about to stop (see [`MessageBody::Stopping`]); false again after its restart.
        stopping: bool,
    },
    /// Sent when the follower has the leader's snapshot *file* durable (DESIGN 6.3, step 1): the node
    /// moves the file by its own chunked stream and hands this to the receiving core when that is done.
    InstallSnapshot {
        /// Number of the transfer, from the same counter as appends.
        seq: u64,
        /// Last entry that the snapshot covers.
        last: EntryId,
        /// The configuration in force at `last`, and its index.
        configuration: (LogIndex, Configuration),
    },
    /// Answer to a snapshot, after the log's start point is durable. `matched` is the snapshot's index,
    /// or the receiver's commit index if that is higher.
    InstallSnapshotReply {
        /// The transfer that is answered.
        seq: u64,
        /// The index up to which the receiver now matches the leader.
        matched: LogIndex,
    },
    /// "Campaign now, without pre-vote": the last step of a leadership transfer (dissertation 3.10).
    TimeoutNow,
    /// A follower forwards a linearizable read.
    ReadIndex {
        /// The asker's own number for it.
        seq: u64,
    },
    /// Answer to a forwarded read.
    ReadIndexReply {
        /// The asker's number.
        seq: u64,
        /// The index at which it may be served; `None`: the receiver could not confirm its leadership.
        index: Option<LogIndex>,
    },
    /// "I am about to stop": the receiver does not choose the sender as target of a transfer.
    Stopping,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendResult {
    /// The follower matches the leader up to here, durably.
    Matched(LogIndex),
    /// The follower has no entry like `prev`. The hint lets the leader skip whole terms on both sides.
    Conflict {
        /// The index that was refused, `prev.index`.
        refused: LogIndex,
        /// The highest position at or below `refused` that the follower's log may share with the leader:
        /// its index and the follower's term there.
        hint: EntryId,
    },
}
