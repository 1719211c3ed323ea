//! `raft::Message` to its protobuf form and back. Sender and receiver are those of the stream.

use dmq_api::peer as proto;
use dmq_raft::{
    AppendResult, Configuration, DirectoryId, Entry, EntryId, EntryKind, LogIndex, MemberId,
    Message, MessageBody, NodeId, Term,
};
use proto::message::Body;

/// Why bytes of a peer are not a message. The stream that they came on is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A field that must be there is not.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field has a value that breaks its rule.
    #[error("field `{field}`: {rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: &'static str,
    },
}

/// A member as peers name it.
pub fn member_to_proto(member: MemberId) -> proto::Member {
    proto::Member {
        node_id: member.node.0,
        directory_id: member.directory.0.to_be_bytes().to_vec().into(),
    }
}

/// The member that a peer names.
pub fn member_from_proto(member: Option<&proto::Member>) -> Result<MemberId, ConvertError> {
    let member = member.ok_or(ConvertError::Missing("member"))?;
    if member.node_id == 0 {
        return Err(ConvertError::Invalid {
            field: "node_id",
            rule: "at least 1",
        });
    }
    let bytes: [u8; 16] =
        member
            .directory_id
            .as_ref()
            .try_into()
            .map_err(|_| ConvertError::Invalid {
                field: "directory_id",
                rule: "a UUID of 16 bytes",
            })?;
    let directory = DirectoryId(u128::from_be_bytes(bytes));
    Ok(MemberId {
        node: NodeId(member.node_id),
        directory,
    })
}

/// The protobuf form of a message; takes the entries' payloads without copying them.
pub fn message_to_proto(message: Message) -> proto::Message {
    proto::Message {
        term: message.term.0,
        body: Some(body_to_proto(message.body)),
    }
}

fn body_to_proto(body: MessageBody) -> Body {
    match body {
        MessageBody::PreVote { last } => Body::PreVote(proto::PreVote {
            last: Some(id(last)),
        }),
        MessageBody::PreVoteReply { asked, granted } => Body::PreVoteReply(proto::PreVoteReply {
            asked: asked.0,
            granted,
        }),
        MessageBody::Vote { last, transfer } => Body::Vote(proto::Vote {
            last: Some(id(last)),
            transfer,
        }),
        MessageBody::VoteReply { granted } => Body::VoteReply(proto::VoteReply { granted }),
        MessageBody::Append {
            seq,
            prev,
            last: _,
            entries,
            commit,
        } => Body::Append(proto::Append {
            seq,
            prev: Some(id(prev)),
            entries: entries.into_iter().map(entry_to_proto).collect(),
            commit: commit.0,
        }),
        MessageBody::AppendReply { seq, result } => Body::AppendReply(proto::AppendReply {
            seq,
            result: Some(result_to_proto(result)),
        }),
        MessageBody::Heartbeat { round, commit } => Body::Heartbeat(proto::Heartbeat {
            round,
            commit: commit.0,
        }),
        MessageBody::HeartbeatReply { round, stopping } => {
            Body::HeartbeatReply(proto::HeartbeatReply { round, stopping })
        }
        MessageBody::InstallSnapshot {
            seq,
            last,
            configuration: (index, configuration),
        } => Body::InstallSnapshot(proto::InstallSnapshot {
            seq,
            last: Some(id(last)),
            configuration_index: index.0,
            configuration: configuration.encode(),
        }),
        MessageBody::InstallSnapshotReply { seq, matched } => {
            Body::InstallSnapshotReply(proto::InstallSnapshotReply {
                seq,
                matched: matched.0,
            })
        }
        MessageBody::TimeoutNow => Body::TimeoutNow(proto::TimeoutNow {}),
        MessageBody::ReadIndex { seq } => Body::ReadIndex(proto::ReadIndex { seq }),
        MessageBody::ReadIndexReply { seq, index } => Body::ReadIndexReply(proto::ReadIndexReply {
            seq,
            index: index.map(|index| index.0),
        }),
        MessageBody::Stopping => Body::Stopping(proto::Stopping {}),
    }
}

fn id(id: EntryId) -> proto::EntryId {
    proto::EntryId {
        term: id.term.0,
        index: id.index.0,
    }
}

fn entry_to_proto(entry: Entry) -> proto::Entry {
    let kind = match entry.kind {
        EntryKind::Noop => proto::EntryKind::Noop,
        EntryKind::Command => proto::EntryKind::Command,
        EntryKind::Configuration => proto::EntryKind::Configuration,
    };
    proto::Entry {
        term: entry.term.0,
        index: entry.index.0,
        kind: kind.into(),
        payload: entry.payload,
    }
}

fn result_to_proto(result: AppendResult) -> proto::append_reply::Result {
    match result {
        AppendResult::Matched(index) => proto::append_reply::Result::Matched(index.0),
        AppendResult::Conflict { refused, hint } => {
            proto::append_reply::Result::Conflict(proto::AppendConflict {
                refused: refused.0,
                hint: Some(id(hint)),
            })
        }
    }
}

/// The message that came on a stream from `from` to `to`.
pub fn message_from_proto(
    from: MemberId,
    to: MemberId,
    message: proto::Message,
) -> Result<Message, ConvertError> {
    let body = message.body.ok_or(ConvertError::Missing("body"))?;
    Ok(Message {
        from,
        to,
        term: term(message.term)?,
        body: body_from_proto(body)?,
    })
}

/// A message of the streams of messages. An offer of a snapshot is none of these: it comes with its file, and a member
/// that took it without would begin its log behind a snapshot that it does not have.
pub fn spoken_from_proto(
    from: MemberId,
    to: MemberId,
    message: proto::Message,
) -> Result<Message, ConvertError> {
    if matches!(message.body, Some(Body::InstallSnapshot(_))) {
        return Err(ConvertError::Invalid {
            field: "body",
            rule: "a snapshot is offered with its file, not in a stream of messages",
        });
    }
    message_from_proto(from, to, message)
}

fn body_from_proto(body: Body) -> Result<MessageBody, ConvertError> {
    Ok(match body {
        Body::PreVote(vote) => MessageBody::PreVote {
            last: need(vote.last, "last")?,
        },
        Body::PreVoteReply(reply) => MessageBody::PreVoteReply {
            asked: term(reply.asked)?,
            granted: reply.granted,
        },
        Body::Vote(vote) => MessageBody::Vote {
            last: need(vote.last, "last")?,
            transfer: vote.transfer,
        },
        Body::VoteReply(reply) => MessageBody::VoteReply {
            granted: reply.granted,
        },
        Body::Append(append) => append_from_proto(append)?,
        Body::AppendReply(reply) => MessageBody::AppendReply {
            seq: reply.seq,
            result: result_from_proto(reply.result)?,
        },
        Body::Heartbeat(beat) => MessageBody::Heartbeat {
            round: beat.round,
            commit: index(beat.commit, "commit")?,
        },
        Body::HeartbeatReply(reply) => MessageBody::HeartbeatReply {
            round: reply.round,
            stopping: reply.stopping,
        },
        Body::InstallSnapshot(install) => install_from_proto(&install)?,
        Body::InstallSnapshotReply(reply) => MessageBody::InstallSnapshotReply {
            seq: reply.seq,
            matched: index(reply.matched, "matched")?,
        },
        Body::TimeoutNow(_) => MessageBody::TimeoutNow,
        Body::ReadIndex(read) => MessageBody::ReadIndex { seq: read.seq },
        Body::ReadIndexReply(reply) => MessageBody::ReadIndexReply {
            seq: reply.seq,
            index: reply.index.map(|read| index(read, "index")).transpose()?,
        },
        Body::Stopping(_) => MessageBody::Stopping,
    })
}

fn need(id: Option<proto::EntryId>, field: &'static str) -> Result<EntryId, ConvertError> {
    let id = id.ok_or(ConvertError::Missing(field))?;
    Ok(EntryId::new(term(id.term)?, index(id.index, field)?))
}

/// Whatever a peer counts, this node may add to it: a term or an index near the end of its type must not end a node.
fn term(value: u64) -> Result<Term, ConvertError> {
    Term::checked(value).ok_or(too_large("term"))
}

pub(super) fn index(value: u64, field: &'static str) -> Result<LogIndex, ConvertError> {
    LogIndex::checked(value).ok_or(too_large(field))
}

fn too_large(field: &'static str) -> ConvertError {
    let rule = "at most 9223372036854775807";
    ConvertError::Invalid { field, rule }
}

fn append_from_proto(append: proto::Append) -> Result<MessageBody, ConvertError> {
    let prev = need(append.prev, "prev")?;
    let entries = append
        .entries
        .into_iter()
        .map(entry_from_proto)
        .collect::<Result<Vec<_>, _>>()?;
    let mut last = prev;
    for entry in &entries {
        if entry.index != last.index.next() || entry.term < last.term {
            let rule = "consecutive indexes from the one after `prev`, terms that never fall";
            return Err(ConvertError::Invalid {
                field: "entries",
                rule,
            });
        }
        last = entry.id();
    }
    Ok(MessageBody::Append {
        seq: append.seq,
        prev,
        last,
        entries,
        commit: index(append.commit, "commit")?,
    })
}

fn entry_from_proto(entry: proto::Entry) -> Result<Entry, ConvertError> {
    let kind = match entry.kind() {
        proto::EntryKind::Noop => EntryKind::Noop,
        proto::EntryKind::Command => EntryKind::Command,
        proto::EntryKind::Configuration => EntryKind::Configuration,
        proto::EntryKind::Unspecified => {
            return Err(ConvertError::Invalid {
                field: "kind",
                rule: "a kind this binary knows",
            });
        }
    };
    Ok(Entry {
        index: index(entry.index, "entries")?,
        term: term(entry.term)?,
        kind,
        payload: entry.payload,
    })
}

fn result_from_proto(
    result: Option<proto::append_reply::Result>,
) -> Result<AppendResult, ConvertError> {
    match result.ok_or(ConvertError::Missing("result"))? {
        proto::append_reply::Result::Matched(matched) => {
            Ok(AppendResult::Matched(index(matched, "matched")?))
        }
        proto::append_reply::Result::Conflict(conflict) => Ok(AppendResult::Conflict {
            refused: index(conflict.refused, "refused")?,
            hint: need(conflict.hint, "hint")?,
        }),
    }
}

fn install_from_proto(install: &proto::InstallSnapshot) -> Result<MessageBody, ConvertError> {
    let configuration =
        Configuration::decode(&install.configuration).map_err(|_| ConvertError::Invalid {
            field: "configuration",
            rule: "an encoded configuration",
        })?;
    Ok(MessageBody::InstallSnapshot {
        seq: install.seq,
        last: need(install.last, "last")?,
        configuration: (
            index(install.configuration_index, "configuration_index")?,
            configuration,
        ),
    })
}
