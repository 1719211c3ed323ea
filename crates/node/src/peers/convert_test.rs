//! Every message survives the way to its protobuf bytes and back; what is malformed is refused.

use bytes::Bytes;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use prost::Message as _;

use super::convert::*;
use dmq_api::peer as proto;
use dmq_raft::{
    AppendResult, Configuration, DirectoryId, Entry, EntryId, EntryKind, LogIndex, MemberId,
    Message, MessageBody, NodeId, Term,
};
use proto::message::Body;

fn member() -> impl Strategy<Value = MemberId> {
    (1..9u32, any::<u128>()).prop_map(|(node, directory)| MemberId {
        node: NodeId(node),
        directory: DirectoryId(directory),
    })
}

fn entry_id() -> impl Strategy<Value = EntryId> {
    (0..1000u64, 0..1_000_000u64)
        .prop_map(|(term, index)| EntryId::new(Term(term), LogIndex(index)))
}

fn kind() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        Just(EntryKind::Noop),
        Just(EntryKind::Command),
        Just(EntryKind::Configuration)
    ]
}

/// Voters, outgoing ones and learners that do not overlap.
fn configuration() -> impl Strategy<Value = Configuration> {
    let sets = (
        btree_set(member(), 1..5),
        btree_set(member(), 0..3),
        btree_set(member(), 0..3),
    );
    sets.prop_map(|(voters, outgoing, learners)| {
        let nodes: Vec<NodeId> = voters.iter().map(|voter| voter.node).collect();
        let distinct = |members: std::collections::BTreeSet<MemberId>, taken: &[NodeId]| {
            let mut seen = taken.to_vec();
            let fresh = |member: &MemberId| {
                let new = !seen.contains(&member.node);
                seen.push(member.node);
                new
            };
            members.into_iter().filter(fresh).collect()
        };
        Configuration {
            learners: distinct(learners, &nodes),
            outgoing: distinct(outgoing, &nodes),
            voters: distinct(voters, &[]),
        }
    })
}

fn index() -> impl Strategy<Value = LogIndex> {
    (0..=LogIndex::MAX.0).prop_map(LogIndex)
}

fn term() -> impl Strategy<Value = Term> {
    (0..=Term::MAX.0).prop_map(Term)
}

fn append() -> impl Strategy<Value = MessageBody> {
    let contents = vec((kind(), vec(any::<u8>(), 0..64), 0..3u64), 0..6);
    (any::<u64>(), entry_id(), contents, index()).prop_map(|(seq, prev, contents, commit)| {
        let mut last = prev;
        let mut entries = Vec::new();
        for (kind, payload, step) in contents {
            last = EntryId::new(Term(last.term.0 + step), last.index.next());
            let payload = Bytes::from(payload);
            entries.push(Entry {
                index: last.index,
                term: last.term,
                kind,
                payload,
            });
        }
        MessageBody::Append {
            seq,
            prev,
            last,
            entries,
            commit,
        }
    })
}

fn append_reply() -> impl Strategy<Value = MessageBody> {
    let matched = index().prop_map(AppendResult::Matched);
    let conflict =
        (index(), entry_id()).prop_map(|(refused, hint)| AppendResult::Conflict { refused, hint });
    (any::<u64>(), prop_oneof![matched, conflict])
        .prop_map(|(seq, result)| MessageBody::AppendReply { seq, result })
}

fn body() -> impl Strategy<Value = MessageBody> {
    prop_oneof![
        entry_id().prop_map(|last| MessageBody::PreVote { last }),
        (term(), any::<bool>())
            .prop_map(|(asked, granted)| MessageBody::PreVoteReply { asked, granted }),
        (entry_id(), any::<bool>())
            .prop_map(|(last, transfer)| MessageBody::Vote { last, transfer }),
        any::<bool>().prop_map(|granted| MessageBody::VoteReply { granted }),
        append(),
        append_reply(),
        (any::<u64>(), index())
            .prop_map(|(round, commit)| MessageBody::Heartbeat { round, commit }),
        (any::<u64>(), any::<bool>())
            .prop_map(|(round, stopping)| MessageBody::HeartbeatReply { round, stopping }),
        (any::<u64>(), entry_id(), index(), configuration()).prop_map(
            |(seq, last, index, configuration)| MessageBody::InstallSnapshot {
                seq,
                last,
                configuration: (index, configuration)
            }
        ),
        (any::<u64>(), index())
            .prop_map(|(seq, matched)| MessageBody::InstallSnapshotReply { seq, matched }),
        Just(MessageBody::TimeoutNow),
        any::<u64>().prop_map(|seq| MessageBody::ReadIndex { seq }),
        (any::<u64>(), proptest::option::of(index()))
            .prop_map(|(seq, index)| MessageBody::ReadIndexReply { seq, index }),
        Just(MessageBody::Stopping),
    ]
}

proptest! {
    #[test]
    fn every_message_survives_the_wire(
        from in member(),
        to in member(),
        term in term(),
        body in body(),
    ) {
        let message = Message { from, to, term, body };
        let bytes = message_to_proto(message.clone()).encode_to_vec();
        let decoded = proto::Message::decode(&bytes[..]).unwrap();
        prop_assert_eq!(message_from_proto(from, to, decoded).unwrap(), message);
    }

    #[test]
    fn every_member_survives_the_wire(member in member()) {
        prop_assert_eq!(member_from_proto(Some(&member_to_proto(member))).unwrap(), member);
    }

    #[test]
    fn no_bytes_make_the_conversion_panic(bytes in vec(any::<u8>(), 0..256)) {
        let member = MemberId { node: NodeId(1), directory: DirectoryId(1) };
        if let Ok(message) = proto::Message::decode(&bytes[..]) {
            let _ = message_from_proto(member, member, message);
        }
    }
}

fn refusal(body: Option<Body>) -> String {
    let member = MemberId {
        node: NodeId(1),
        directory: DirectoryId(1),
    };
    let message = proto::Message { term: 1, body };
    message_from_proto(member, member, message)
        .unwrap_err()
        .to_string()
}

fn append_of(entries: Vec<proto::Entry>) -> Body {
    let prev = Some(proto::EntryId { term: 1, index: 4 });
    Body::Append(proto::Append {
        seq: 1,
        prev,
        entries,
        commit: 0,
    })
}

fn entry(term: u64, index: u64, kind: i32) -> proto::Entry {
    proto::Entry {
        term,
        index,
        kind,
        payload: Bytes::new(),
    }
}

#[test]
fn missing_fields_are_named() {
    assert_eq!(refusal(None), "field `body` is missing");
    assert_eq!(
        refusal(Some(Body::Vote(proto::Vote::default()))),
        "field `last` is missing"
    );
    assert_eq!(
        refusal(Some(Body::Append(proto::Append::default()))),
        "field `prev` is missing"
    );
    let reply = Body::AppendReply(proto::AppendReply::default());
    assert_eq!(refusal(Some(reply)), "field `result` is missing");
}

#[test]
fn appends_with_gaps_falling_terms_or_unknown_kinds_are_refused() {
    let command = proto::EntryKind::Command.into();
    for entries in [
        vec![entry(1, 6, command)],
        vec![entry(1, 5, command), entry(1, 7, command)],
        vec![entry(1, 5, command), entry(1, 5, command)],
        vec![entry(0, 5, command)],
        vec![entry(2, 5, command), entry(1, 6, command)],
    ] {
        assert!(refusal(Some(append_of(entries))).contains("consecutive"));
    }
    for kind in [0, 99] {
        assert!(refusal(Some(append_of(vec![entry(1, 5, kind)]))).contains("kind"));
    }
}

/// A number at the end of its type would end the node at the next addition, and one peer could end them all.
#[test]
fn terms_and_indexes_that_nothing_can_be_added_to_are_refused() {
    let far = LogIndex::MAX.0 + 1;
    let at = |term, index| Some(proto::EntryId { term, index });
    let append = |prev, entries, commit| {
        Body::Append(proto::Append {
            seq: 1,
            prev,
            entries,
            commit,
        })
    };
    let noop = proto::EntryKind::Noop.into();
    let conflict = |refused, hint| {
        let conflict = proto::AppendConflict { refused, hint };
        Body::AppendReply(proto::AppendReply {
            seq: 1,
            result: Some(proto::append_reply::Result::Conflict(conflict)),
        })
    };
    let vote = |last| {
        Body::Vote(proto::Vote {
            last,
            transfer: false,
        })
    };
    for (field, body) in [
        ("last", vote(at(1, far))),
        ("term", vote(at(u64::MAX, 1))),
        ("prev", append(at(1, u64::MAX), vec![entry(1, 0, noop)], 0)),
        ("entries", append(at(1, 4), vec![entry(1, far, noop)], 0)),
        ("commit", append(at(1, 4), Vec::new(), far)),
        ("refused", conflict(far, at(1, 1))),
        ("hint", conflict(1, at(1, far))),
        (
            "commit",
            Body::Heartbeat(proto::Heartbeat {
                round: 1,
                commit: far,
            }),
        ),
        (
            "matched",
            Body::InstallSnapshotReply(proto::InstallSnapshotReply {
                seq: 1,
                matched: far,
            }),
        ),
        (
            "index",
            Body::ReadIndexReply(proto::ReadIndexReply {
                seq: 1,
                index: Some(far),
            }),
        ),
    ] {
        let text = refusal(Some(body));
        assert_eq!(
            text,
            format!("field `{field}`: at most 9223372036854775807")
        );
    }
}

#[test]
fn a_snapshot_without_its_file_is_refused_in_a_stream_of_messages() {
    let member = MemberId {
        node: NodeId(1),
        directory: DirectoryId(1),
    };
    let body = MessageBody::InstallSnapshot {
        seq: 1,
        last: EntryId::new(Term(1), LogIndex(4)),
        configuration: (LogIndex(1), Configuration::of_voters([member])),
    };
    let message = |body| Message {
        from: member,
        to: member,
        term: Term(1),
        body,
    };
    let offer = message_to_proto(message(body));
    assert!(message_from_proto(member, member, offer.clone()).is_ok());
    let refused = spoken_from_proto(member, member, offer).unwrap_err();
    assert!(refused.to_string().contains("with its file"), "{refused}");
    let spoken = message_to_proto(message(MessageBody::TimeoutNow));
    assert!(spoken_from_proto(member, member, spoken).is_ok());
}
