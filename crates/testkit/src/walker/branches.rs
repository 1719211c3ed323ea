//! Which branch of the core a step took, told from its input, its effects and what it knew before.

use dmq_raft::{
    AdminOutcome, AdminRefusal, AppendResult, Configuration, Effects, EntryId, Input, LogIndex,
    MemberId, Message, MessageBody, Proposed, Raft, Refusal, Role, Sending, Term,
};

use super::coverage::{Coverage, Event};

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
    Change,
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
            Input::ChangeMembership { .. } => Self::Change,
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
        Seen::Change => changed(fx, to),
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

fn tick(before: &Before, raft: &Raft, fx: &Effects, to: &mut Coverage) {
    if before.led() {
        let same_term = raft.term() == before.term;
        to.note(same_term && raft.role() != Role::Leader, Event::CheckQuorum);
        let empty = |body: &MessageBody| matches!(body, MessageBody::Append { prev, last, .. } if prev == last);
        to.note(sends(fx, empty), Event::EmptyAppend);
    } else if !fx.send.is_empty() {
        to.note(
            sends(fx, |body| matches!(body, MessageBody::PreVote { .. })),
            Event::PreVoteBegun,
        );
        to.note(
            sends(fx, |body| matches!(body, MessageBody::ReadIndex { .. })),
            Event::ReadRepeated,
        );
    }
    to.note(
        fx.admin == Some(AdminOutcome::TransferAborted),
        Event::TransferTimedOut,
    );
}

fn proposed(before: &Before, raft: &Raft, fx: &Effects, to: &mut Coverage) {
    match fx.proposed {
        Some(Proposed::Refused(refusal)) => to.hit(match refusal {
            Refusal::NotLeader { .. } | Refusal::LeaderChanged => Event::ProposalNotLeader,
            Refusal::Transferring => Event::ProposalTransferring,
            Refusal::Overloaded => Event::ProposalOverloaded,
            Refusal::TooLarge { .. } => Event::ProposalTooLarge,
            Refusal::Uninitialized => Event::ProposalUninitialized,
        }),
        Some(Proposed::Appended { .. }) if before.led() => {
            for peer in raft.configuration().1.members() {
                match raft.sending(peer) {
                    Some((Sending::Paused, _)) => to.hit(Event::ProbePaused),
                    Some((Sending::Full, _)) => to.hit(Event::WindowFull),
                    Some((Sending::Snapshot, _)) => to.hit(Event::InTransfer),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn changed(fx: &Effects, to: &mut Coverage) {
    match fx.admin {
        Some(AdminOutcome::MembershipUnchanged { .. }) => to.hit(Event::ChangeUnchanged),
        Some(AdminOutcome::Refused(refusal)) => to.hit(match refusal {
            AdminRefusal::NotLeader => Event::ChangeNotLeader,
            AdminRefusal::Busy => Event::ChangeBusy,
            AdminRefusal::NotReady => Event::ChangeNotReady,
            AdminRefusal::ChangeInProgress => Event::ChangeInProgress,
            AdminRefusal::StaleExpectation { .. } => Event::ChangeStale,
            AdminRefusal::NotCaughtUp { .. } => Event::ChangeLags,
            AdminRefusal::AlreadyMember => Event::ChangeAlreadyMember,
            AdminRefusal::NotLearner => Event::ChangeNotLearner,
            _ => Event::ChangeInvalid,
        }),
        _ => {}
    }
}

fn message(
    before: &Before,
    from: MemberId,
    term: Term,
    body: Body,
    raft: &Raft,
    fx: &Effects,
    to: &mut Coverage,
) {
    let stale = term < before.term;
    match body {
        Body::PreVote { .. } | Body::PreVoteReply { .. } | Body::Vote { .. } | Body::VoteReply => {
            election(before, term, body, raft, fx, to);
        }
        Body::Append { .. } if stale => to.hit(Event::AppendStale),
        Body::Append {
            prev,
            last,
            commit,
            count,
        } => {
            append(before, (prev, last, commit, count), raft, fx, to);
        }
        Body::Heartbeat => to.note(raft.commit() > before.commit, Event::CommitByHeartbeat),
        Body::HeartbeatReply => {
            let again = sends(fx, |body| matches!(body, MessageBody::Heartbeat { .. }));
            to.note(again, Event::ReadRoundAgain);
        }
        Body::Matched(_) | Body::Conflict { .. } | Body::InstallReply => {
            if before.led() && term == before.term {
                answered(before, from, body, raft, fx, to);
            }
        }
        Body::Install { joint } => {
            to.note(fx.install.is_some(), Event::SnapshotInstalled);
            to.note(fx.install.is_some() && joint, Event::InstalledJoint);
        }
        Body::TimeoutNow => {
            let campaigns = raft.role() == Role::Candidate && raft.term() > before.term;
            to.hit(if campaigns {
                Event::TransferCampaign
            } else {
                Event::TimeoutNowIgnored
            });
        }
        Body::ReadReply => to.note(fx.reads.is_empty(), Event::ReadReplyStale),
        Body::Other => {}
    }
}

fn election(before: &Before, term: Term, body: Body, raft: &Raft, fx: &Effects, to: &mut Coverage) {
    let (role, same_term) = (raft.role(), raft.term() == before.term);
    let granted = sends(fx, |body| {
        use MessageBody::{PreVoteReply, VoteReply};
        matches!(
            body,
            PreVoteReply { granted: true, .. } | VoteReply { granted: true }
        )
    });
    match body {
        Body::PreVote { last } => to.hit(match granted {
            true => Event::PreVoteGranted,
            false if term <= before.term => Event::PreVoteOldTerm,
            false if last < before.last => Event::PreVoteOlderLog,
            false => Event::PreVoteSticky,
        }),
        Body::PreVoteReply { granted } => {
            to.note(!granted && !same_term, Event::PreVoteTermAdopted);
            if before.role == Role::PreCandidate && granted {
                to.note(role == Role::Candidate, Event::PreVoteWon);
            } else if before.role == Role::PreCandidate && same_term {
                to.note(role != Role::PreCandidate, Event::PreVoteLost);
            }
        }
        Body::Vote { .. } if term < before.term => to.hit(Event::VoteStale),
        Body::Vote {
            transfer: false, ..
        } if term > raft.term() => to.hit(Event::VoteSticky),
        Body::Vote { last, transfer } => {
            let led = before.leader.is_some() && term > before.term;
            to.note(transfer && led, Event::VoteInTransfer);
            to.hit(match granted {
                true => Event::VoteGranted,
                false if last < before.last => Event::VoteOlderLog,
                false => Event::VoteTaken,
            });
        }
        _ if before.role == Role::Candidate && same_term => {
            to.note(role == Role::Leader, Event::ElectedByAnswer);
            let gave_up = role != Role::Leader && role != Role::Candidate;
            to.note(gave_up, Event::ElectionLost);
        }
        _ => {}
    }
}

fn append(
    before: &Before,
    (prev, last, commit, count): (EntryId, EntryId, LogIndex, usize),
    raft: &Raft,
    fx: &Effects,
    to: &mut Coverage,
) {
    let candidate = matches!(before.role, Role::PreCandidate | Role::Candidate);
    to.note(
        candidate && raft.term() == before.term,
        Event::CandidateFollows,
    );
    let refused = sends(fx, |body| {
        let MessageBody::AppendReply { result, .. } = body else {
            return false;
        };
        matches!(result, AppendResult::Conflict { .. })
    });
    if refused {
        let beyond = prev.index > before.last.index;
        to.hit(if beyond {
            Event::ConflictBeyond
        } else {
            Event::ConflictTerm
        });
        return;
    }
    let wrote = fx
        .persist
        .as_ref()
        .is_some_and(|write| !write.entries.is_empty());
    to.note(count > 0 && !wrote, Event::AppendHeld);
    to.note(
        count > 0 && !wrote && last.index < before.last.index,
        Event::AppendDelayed,
    );
    to.note(prev.index < before.commit, Event::AppendBelowCommit);
    let advanced = raft.commit() > before.commit;
    to.note(advanced && commit > last.index, Event::CommitBounded);
}

fn answered(
    before: &Before,
    from: MemberId,
    body: Body,
    raft: &Raft,
    fx: &Effects,
    to: &mut Coverage,
) {
    to.note(raft.commit() > before.commit, Event::CommitByAck);
    let after = raft.sending(&from);
    match (body, before.peer) {
        (Body::Matched(matched), Some((_, known))) if matched > known => {
            to.note(
                matches!(after, Some((_, now)) if now == known),
                Event::AckStale,
            );
        }
        (Body::Conflict { refused, hint }, Some(_)) => {
            let again = fx.send.iter().any(|outgoing| {
                outgoing.message.to == from
                    && matches!(outgoing.message.body, MessageBody::Append { .. })
            });
            let taken = again || !fx.send_snapshots.is_empty();
            to.hit(if taken {
                Event::Backtracked
            } else {
                Event::ConflictIgnored
            });
            to.note(
                taken && hint.index.next() < refused,
                Event::BacktrackedByHint,
            );
        }
        (Body::InstallReply, Some((Sending::Snapshot, _))) => {
            let still = matches!(after, Some((Sending::Snapshot, _)));
            to.note(!still, Event::SnapshotDone);
            to.note(still, Event::SnapshotReplyStale);
        }
        (Body::InstallReply, Some(_)) => to.hit(Event::SnapshotReplyStale),
        _ => {}
    }
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
