//! Messages: which branch of the core they took.

use dmq_raft::{
    AppendResult, Effects, EntryId, LogIndex, MemberId, MessageBody, Raft, Role, Sending, Term,
};

use super::super::coverage::{Coverage, Event};
use super::{Before, Body, sends};

pub(super) fn message(
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
