//! Which branch of the core a step took, told from its input, its effects and what it knew before.

mod messages;
mod requests;

use dmq_raft::{
    AdminOutcome, AdminRefusal, AppendResult, Configuration, Effects, EntryId, Input, LogIndex,
    MemberId, Message, MessageBody, Raft, Role, Sending, Term,
};

use super::coverage::{Coverage, Event};
use messages::message;
use requests::{changed, proposed, tick};

/// A member before a step, and what the step is about.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    pub(crate) term: Term,
    pub(crate) role: Role,
    leader: Option<MemberId>,
    commit: LogIndex,
    last: EntryId,
    ignored: u64,
    /// How it sends to whom the input is from or about.
    peer: Option<(Sending, LogIndex)>,
    seen: Seen,
}

/// The input without its contents.
#[derive(Clone, Copy)]
enum Seen {
    Tick,
    Persisted,
    Propose,
    Transfer,
    Change {
        expected: LogIndex,
    },
    Unreachable(MemberId),
    Message {
        from: MemberId,
        term: Term,
        body: Body,
    },
    Other,
}

#[derive(Clone, Copy)]
enum Body {
    PreVote {
        last: EntryId,
    },
    PreVoteReply {
        granted: bool,
    },
    Vote {
        last: EntryId,
        transfer: bool,
    },
    VoteReply,
    Append {
        prev: EntryId,
        last: EntryId,
        commit: LogIndex,
        count: usize,
    },
    Matched(LogIndex),
    Conflict {
        refused: LogIndex,
        hint: EntryId,
    },
    Heartbeat,
    HeartbeatReply,
    Install {
        joint: bool,
    },
    InstallReply,
    TimeoutNow,
    ReadReply,
    Other,
}

impl Seen {
    fn of(input: &Input) -> Self {
        match input {
            Input::Tick => Self::Tick,
            Input::Persisted(_) => Self::Persisted,
            Input::Propose(_) => Self::Propose,
            Input::Transfer { .. } => Self::Transfer,
            Input::ChangeMembership { expected, .. } => Self::Change {
                expected: *expected,
            },
            Input::Unreachable { peer } => Self::Unreachable(*peer),
            Input::Message(Message {
                from, term, body, ..
            }) => Self::Message {
                from: *from,
                term: *term,
                body: Body::of(body),
            },
            _ => Self::Other,
        }
    }
}

impl Body {
    fn of(body: &MessageBody) -> Self {
        match *body {
            MessageBody::PreVote { last } => Self::PreVote { last },
            MessageBody::PreVoteReply { granted, .. } => Self::PreVoteReply { granted },
            MessageBody::Vote { last, transfer } => Self::Vote { last, transfer },
            MessageBody::VoteReply { .. } => Self::VoteReply,
            MessageBody::Append {
                prev,
                last,
                commit,
                ref entries,
                ..
            } => {
                let count = entries.len();
                Self::Append {
                    prev,
                    last,
                    commit,
                    count,
                }
            }
            MessageBody::AppendReply {
                result: AppendResult::Matched(matched),
                ..
            } => Self::Matched(matched),
            MessageBody::AppendReply {
                result: AppendResult::Conflict { refused, hint },
                ..
            } => Self::Conflict { refused, hint },
            MessageBody::Heartbeat { .. } => Self::Heartbeat,
            MessageBody::HeartbeatReply { .. } => Self::HeartbeatReply,
            MessageBody::InstallSnapshot {
                ref configuration, ..
            } => Self::Install {
                joint: configuration.1.is_joint(),
            },
            MessageBody::InstallSnapshotReply { .. } => Self::InstallReply,
            MessageBody::TimeoutNow => Self::TimeoutNow,
            MessageBody::ReadIndexReply { .. } => Self::ReadReply,
            MessageBody::ReadIndex { .. } | MessageBody::Stopping => Self::Other,
        }
    }
}

impl Before {
    #[inline]
    pub(crate) fn of(raft: &Raft, role: Role, input: &Input) -> Self {
        let seen = Seen::of(input);
        let peer = match seen {
            Seen::Unreachable(peer) => raft.sending(&peer),
            Seen::Message {
                from,
                body: Body::Matched(_) | Body::Conflict { .. } | Body::InstallReply,
                ..
            } => raft.sending(&from),
            _ => None,
        };
        Self {
            term: raft.term(),
            role,
            leader: raft.leader(),
            commit: raft.commit(),
            last: raft.last(),
            ignored: raft.ignored_messages(),
            peer,
            seen,
        }
    }

    /// The expectation of a change of the membership.
    pub(crate) fn expected(&self) -> Option<LogIndex> {
        match self.seen {
            Seen::Change { expected } => Some(expected),
            _ => None,
        }
    }

    pub(crate) fn is_tick(&self) -> bool {
        matches!(self.seen, Seen::Tick)
    }

    /// A vote is wanted in a later term, and not by a transfer.
    pub(crate) fn is_campaign(&self) -> bool {
        let transfer = match self.seen {
            Seen::Message {
                term,
                body: Body::Vote { transfer, .. },
                ..
            } => transfer || term <= self.term,
            _ => true,
        };
        !transfer
    }

    /// Whose message of the member's own term it was.
    pub(crate) fn heard(&self) -> Option<MemberId> {
        match self.seen {
            Seen::Message { from, term, .. } if term == self.term => Some(from),
            _ => None,
        }
    }

    fn led(&self) -> bool {
        self.role == Role::Leader
    }
}

/// Counts what the step did.
pub(crate) fn observe(before: &Before, raft: &Raft, fx: &Effects, to: &mut Coverage) {
    let ignored = raft.ignored_messages() > before.ignored;
    to.note(ignored, Event::Ignored);
    match before.seen {
        Seen::Tick => tick(before, raft, fx, to),
        Seen::Persisted => {
            let elected = before.role == Role::Candidate && raft.role() == Role::Leader;
            to.note(elected, Event::ElectedByOwnVote);
            to.note(
                before.led() && raft.commit() > before.commit,
                Event::CommitByOwnDisk,
            );
        }
        Seen::Propose => proposed(before, raft, fx, to),
        Seen::Transfer => {
            let waits = !sends(fx, |body| matches!(body, MessageBody::TimeoutNow));
            let started = matches!(fx.admin, Some(AdminOutcome::TransferStarted(_)));
            to.note(started && waits, Event::TransferBehind);
        }
        Seen::Change { .. } => changed(fx, to),
        Seen::Unreachable(peer) => {
            let flowed = matches!(before.peer, Some((Sending::Flowing | Sending::Full, _)));
            let probes = matches!(raft.sending(&peer), Some((Sending::Paused, _)));
            to.note(flowed && probes, Event::ProbeBegun);
        }
        Seen::Message {
            term,
            body: Body::Append { count, .. },
            ..
        } if ignored => {
            to.note(count > 0 && term == before.term, Event::AppendMalformed);
        }
        Seen::Message { from, term, body } if !ignored => {
            message(before, from, term, body, raft, fx, to);
        }
        Seen::Message { .. } | Seen::Other => {}
    }
    outcomes(before, raft, fx, to);
}

fn sends(fx: &Effects, wanted: impl Fn(&MessageBody) -> bool) -> bool {
    fx.send
        .iter()
        .any(|outgoing| wanted(&outgoing.message.body))
}

/// What any input may lead to.
fn outcomes(before: &Before, raft: &Raft, fx: &Effects, to: &mut Coverage) {
    let news = fx.role.is_some();
    if news && before.led() && raft.role() != Role::Leader {
        to.hit(Event::SteppedDown);
        let same_term = raft.term() == before.term;
        to.note(!same_term, Event::Deposed);
        to.note(
            same_term && !matches!(before.seen, Seen::Tick),
            Event::RemovedLeaderLeft,
        );
    }
    if let Some(outcome) = fx.admin {
        use AdminOutcome::{Refused, TransferAborted, TransferDone, TransferStarted};
        match outcome {
            TransferStarted(_) => to.hit(Event::TransferStarted),
            TransferDone => to.hit(Event::TransferDone),
            TransferAborted if !matches!(before.seen, Seen::Tick) => {
                to.hit(Event::TransferAborted);
            }
            Refused(refusal) if matches!(before.seen, Seen::Transfer) => to.hit(match refusal {
                AdminRefusal::NoTarget => Event::TransferNoTarget,
                AdminRefusal::Busy => Event::TransferBusy,
                _ => Event::TransferNotLeader,
            }),
            _ => {}
        }
    }
}

/// Counts what became of the membership: from the one in force before, by index and whether it is joint, to
/// the one in force now.
pub(crate) fn observe_configuration(
    before: &Before,
    raft: &Raft,
    (known, joint): (LogIndex, bool),
    (index, configuration): (LogIndex, &Configuration),
    to: &mut Coverage,
) {
    to.note(index < known, Event::ConfigurationReverted);
    to.note(index < known && joint, Event::JointReverted);
    let out = !configuration.is_member(&raft.id()) && known.0 > 0 && index > known;
    let learned = out
        && matches!(
            before.role,
            Role::Follower | Role::PreCandidate | Role::Candidate
        );
    to.note(learned, Event::RemovedLearned);
}
