//! How members, messages and effects are written in transcripts.

use std::fmt::Write as _;

use dmq_raft::{
    AdminOutcome, AdminRefusal, AppendResult, Configuration, Effects, Entry, EntryId, EntryKind,
    IoSeq, LogIndex, MemberId, Message, MessageBody, Persist, Proposed, Refusal, Status,
};

/// `n3`; after a wipe `n3'`, under the next directory.
pub(crate) fn name(member: MemberId) -> String {
    let life = usize::try_from(member.directory.0 >> 64).unwrap();
    format!("n{}{}", member.node, "'".repeat(life - 1))
}

pub(crate) fn message(message: &Message) -> String {
    let (from, to) = (name(message.from), name(message.to));
    format!("{from}->{to} t{} {}", message.term, body(&message.body))
}

/// A message by the number and size of its entries.
pub(crate) fn length(message: &Message) -> String {
    let MessageBody::Append { entries, prev, .. } = &message.body else {
        return self::message(message);
    };
    let bytes: usize = entries.iter().map(Entry::size_bytes).sum();
    let (to, count) = (name(message.to), entries.len());
    format!("append to {to} behind {prev}: {count} entries, {bytes} bytes")
}

/// The word for a kind of message, as commands use it.
pub(crate) fn kind(body: &MessageBody) -> &'static str {
    match body {
        MessageBody::PreVote { .. } => "prevote",
        MessageBody::PreVoteReply { .. } => "prevote-reply",
        MessageBody::Vote { .. } => "vote",
        MessageBody::VoteReply { .. } => "vote-reply",
        MessageBody::Append { .. } => "append",
        MessageBody::AppendReply { .. } => "append-reply",
        MessageBody::Heartbeat { .. } => "heartbeat",
        MessageBody::HeartbeatReply { .. } => "heartbeat-reply",
        MessageBody::InstallSnapshot { .. } => "snapshot",
        MessageBody::InstallSnapshotReply { .. } => "snapshot-reply",
        MessageBody::TimeoutNow => "timeout-now",
        MessageBody::ReadIndex { .. } => "read-index",
        MessageBody::ReadIndexReply { .. } => "read-index-reply",
        MessageBody::Stopping => "stopping",
    }
}

fn body(body: &MessageBody) -> String {
    let kind = kind(body);
    match body {
        MessageBody::PreVote { last } => format!("{kind} last={last}"),
        MessageBody::PreVoteReply { asked, granted } => {
            format!("{kind} asked=t{asked} {}", verdict(*granted))
        }
        MessageBody::Vote { last, transfer } => {
            format!(
                "{kind} last={last}{}",
                if *transfer { " transfer" } else { "" }
            )
        }
        MessageBody::VoteReply { granted } => format!("{kind} {}", verdict(*granted)),
        MessageBody::Append {
            seq,
            prev,
            entries,
            commit,
            ..
        } => {
            let entries = self::entries(entries);
            format!("{kind} #{seq} prev={prev} entries=[{entries}] commit={commit}")
        }
        MessageBody::AppendReply {
            seq,
            result: AppendResult::Matched(index),
        } => {
            format!("{kind} #{seq} matched={index}")
        }
        MessageBody::AppendReply {
            seq,
            result: AppendResult::Conflict { refused, hint },
        } => {
            format!("{kind} #{seq} refused={refused} hint={hint}")
        }
        MessageBody::Heartbeat { round, commit } => {
            format!("{kind} round={round} commit={commit}")
        }
        MessageBody::HeartbeatReply { round, stopping } => {
            format!(
                "{kind} round={round}{}",
                if *stopping { " stopping" } else { "" }
            )
        }
        MessageBody::InstallSnapshot { seq, last, .. } => format!("{kind} #{seq} last={last}"),
        MessageBody::InstallSnapshotReply { seq, matched } => {
            format!("{kind} #{seq} matched={matched}")
        }
        // Numbers of questions begin at a random one: not worth a transcript.
        MessageBody::TimeoutNow | MessageBody::Stopping | MessageBody::ReadIndex { .. } => {
            kind.to_owned()
        }
        MessageBody::ReadIndexReply {
            index: Some(index), ..
        } => format!("{kind} index={index}"),
        MessageBody::ReadIndexReply { index: None, .. } => format!("{kind} refused"),
    }
}

fn verdict(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

/// `2@1 3@1:a 4@1=conf`: index, term and content.
pub(crate) fn entries(entries: &[Entry]) -> String {
    let shown = entries.iter().map(|entry| match entry.kind {
        EntryKind::Noop => entry.id().to_string(),
        EntryKind::Command => format!("{}:{}", entry.id(), content(&entry.payload)),
        EntryKind::Configuration => format!("{}=conf", entry.id()),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn content(payload: &[u8]) -> String {
    match payload.len() {
        0..20 => String::from_utf8_lossy(payload).into_owned(),
        length => format!("({length} bytes)"),
    }
}

fn reason(refusal: Refusal) -> String {
    match refusal {
        Refusal::NotLeader { leader: Some(node) } => format!("{refusal}, node {node} is"),
        _ => refusal.to_string(),
    }
}

pub(crate) fn write(write: &Persist) -> String {
    let mut line = format!("write {}", io(write.io));
    if let Some(hard) = write.hard_state {
        let vote = hard.vote.map_or("nobody".to_owned(), name);
        write!(line, " term={} vote={vote}", hard.term).unwrap();
    }
    if let Some(start) = &write.start {
        write!(line, " start={}", start.last).unwrap();
    }
    if let Some(from) = write.truncate_from {
        write!(line, " truncate-from={from}").unwrap();
    }
    if !write.entries.is_empty() {
        write!(line, " entries=[{}]", entries(&write.entries)).unwrap();
    }
    line
}

pub(crate) fn io(io: IoSeq) -> String {
    format!("io{}", io.0)
}

/// What a step decided, beside writes and messages.
pub(crate) fn news(effects: &Effects) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(change) = &effects.role {
        let leader = change.leader.map_or("none".to_owned(), name);
        lines.push(format!(
            "is {:?} of term {}, leader {leader}",
            change.role, change.term
        ));
    }
    if let Some((index, configuration)) = &effects.configuration {
        lines.push(format!("configuration {}", placed(*index, configuration)));
    }
    if let Some(install) = &effects.install {
        lines.push(format!(
            "installs snapshot {} after {}",
            install.last,
            io(install.after)
        ));
    }
    if let Some(range) = &effects.committed {
        lines.push(format!("commits {}..{}", range.start(), range.end()));
    }
    match &effects.proposed {
        Some(Proposed::Refused(refusal)) => lines.push(format!("refuses: {}", reason(*refusal))),
        Some(Proposed::Appended { .. }) | None => {}
    }
    for read in &effects.reads {
        lines.push(match read.result {
            Ok(index) => format!("read {} may be served at {index}", read.seq),
            Err(refusal) => format!("read {} refused: {}", read.seq, reason(refusal)),
        });
    }
    if let Some(outcome) = effects.admin {
        lines.push(admin(outcome));
    }
    lines
}

fn admin(outcome: AdminOutcome) -> String {
    match outcome {
        AdminOutcome::MembershipChanging { index } => format!("changes membership by {index}"),
        AdminOutcome::MembershipUnchanged { index } => format!("has that membership by {index}"),
        AdminOutcome::Refused(AdminRefusal::NotCaughtUp { member, behind }) => {
            let behind = if behind == u64::MAX {
                "all".to_owned()
            } else {
                behind.to_string()
            };
            format!("Refused(NotCaughtUp {} behind={behind})", name(member))
        }
        AdminOutcome::Refused(AdminRefusal::StaleExpectation { actual }) => {
            format!("Refused(StaleExpectation actual={actual})")
        }
        _ => format!("{outcome:?}"),
    }
}

pub(crate) fn placed(index: LogIndex, configuration: &Configuration) -> String {
    let names = |members: &mut dyn Iterator<Item = &MemberId>| {
        members
            .map(|member| name(*member))
            .collect::<Vec<_>>()
            .join(",")
    };
    let optional = |title: &str, members: &mut dyn Iterator<Item = &MemberId>| {
        let names = names(members);
        if names.is_empty() {
            names
        } else {
            format!(" {title} {names}")
        }
    };
    let outgoing = optional("outgoing", &mut configuration.outgoing.iter());
    let learners = optional("learners", &mut configuration.learners.iter());
    format!(
        "of index {index}: voters {}{outgoing}{learners}",
        names(&mut configuration.voters.iter())
    )
}

pub(crate) fn status(status: &Status) -> String {
    let leader = status.leader.map_or("none".to_owned(), name);
    let (role, term, last) = (status.role, status.term, status.last);
    let (commit, durable) = (status.commit, status.durable);
    format!("{role:?} t{term} leader={leader} last={last} durable={durable} commit={commit}")
}

/// `2: 3@1 4@1` for a log that begins behind index 2.
pub(crate) fn log(start: EntryId, list: &[Entry]) -> String {
    let start = if start == EntryId::ZERO {
        String::new()
    } else {
        format!("({start}) ")
    };
    format!("{start}{}", entries(list)).trim_end().to_owned()
}
