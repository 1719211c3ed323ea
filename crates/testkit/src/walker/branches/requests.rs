//! Ticks, proposals and changes of the membership: which branch of the core they took.

use dmq_raft::{
    AdminOutcome, AdminRefusal, Effects, MessageBody, Proposed, Raft, Refusal, Role, Sending,
};

use super::super::coverage::{Coverage, Event};
use super::{Before, sends};

pub(super) fn tick(before: &Before, raft: &Raft, fx: &Effects, to: &mut Coverage) {
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

pub(super) fn proposed(before: &Before, raft: &Raft, fx: &Effects, to: &mut Coverage) {
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

pub(super) fn changed(fx: &Effects, to: &mut Coverage) {
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
