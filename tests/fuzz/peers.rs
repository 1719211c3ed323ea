//! What a peer may send: messages of the consensus, frames of a stream, the addresses of calls.

use dmq_api::peer as proto;
use dmq_metadata::{ClusterId, FeatureLevel, Incarnation};
use dmq_node::identity::NodeIdentity;
use dmq_node::peers::{
    Addressee, check_address, check_hello, member_from_proto, message_from_proto, message_to_proto,
    report_from_proto, report_to_proto,
};
use dmq_testkit::fuzz::{Answer, Form, Target};
use prost::Message as _;
use proto::message::Body;

/// The decoders of the peer protocol.
pub(super) const TARGET: Target = Target {
    name: "peer",
    form: Form::Protobuf,
    run,
    seeds,
    memory_base: 256 << 10,
    memory_factor: 256,
};

/// Protobuf takes most bytes for most messages, so all decoders see the input.
fn run(input: &[u8]) -> Answer {
    frame(input)
        .or(message(input))
        .or(hello(input))
        .or(address(input))
        .or(part(input))
}

fn member(node_id: u32) -> proto::Member {
    proto::Member {
        node_id,
        directory_id: vec![7; 16].into(),
    }
}

fn refused(error: &prost::DecodeError) -> Answer {
    Answer::refused(error)
}

fn message(input: &[u8]) -> Answer {
    match proto::Message::decode(input) {
        Ok(message) => of_message(message),
        Err(error) => refused(&error),
    }
}

/// What becomes a message becomes the same message again on the way through its own bytes.
fn of_message(message: proto::Message) -> Answer {
    let (from, to) = (
        member_from_proto(Some(&member(1))),
        member_from_proto(Some(&member(2))),
    );
    let (from, to) = (from.unwrap(), to.unwrap());
    match message_from_proto(from, to, message) {
        Err(error) => Answer::refused(&error),
        Ok(message) => {
            let bytes = message_to_proto(message.clone()).encode_to_vec();
            let again = proto::Message::decode(bytes.as_slice()).unwrap();
            assert_eq!(message_from_proto(from, to, again).as_ref(), Ok(&message));
            Answer::taken(&message)
        }
    }
}

fn frame(input: &[u8]) -> Answer {
    let frame = match proto::PeerFrame::decode(input) {
        Ok(frame) => frame,
        Err(error) => return refused(&error),
    };
    let from = member_from_proto(Some(&member(1))).unwrap();
    let mut answer = match report_from_proto(from, &frame.rows) {
        Err(error) => Answer::refused(&error),
        Ok(report) => {
            let again = report_to_proto(report.clone());
            assert_eq!(report_from_proto(from, &again).as_ref(), Ok(&report));
            Answer::taken(&report)
        }
    };
    if let Some(address) = &frame.address {
        answer = answer.or(of_address(address));
    }
    frame
        .messages
        .into_iter()
        .map(of_message)
        .fold(answer, Answer::or)
}

fn own() -> Addressee {
    Addressee {
        identity: NodeIdentity {
            cluster: ClusterId::parse("dmq").unwrap(),
            incarnation: Incarnation {
                number: 1,
                nonce: 0,
            },
            member: member_from_proto(Some(&member(2))).unwrap(),
        },
        url: "http://localhost:8080".to_owned(),
        features: (FeatureLevel(0), FeatureLevel(1)),
    }
}

fn address(input: &[u8]) -> Answer {
    match proto::PeerAddress::decode(input) {
        Ok(address) => of_address(&address),
        Err(error) => refused(&error),
    }
}

fn of_address(address: &proto::PeerAddress) -> Answer {
    match check_address(&own(), address) {
        Ok(info) => Answer::taken(&info),
        Err(refusal) => Answer::refused(&refusal),
    }
}

fn hello(input: &[u8]) -> Answer {
    match proto::HelloRequest::decode(input) {
        Err(error) => refused(&error),
        Ok(hello) => match check_hello(&own(), &hello) {
            Ok(info) => Answer::taken(&info),
            Err(refusal) => Answer::refused(&refusal),
        },
    }
}

fn part(input: &[u8]) -> Answer {
    use proto::snapshot_part::Part;
    match proto::SnapshotPart::decode(input) {
        Err(error) => refused(&error),
        Ok(proto::SnapshotPart {
            part: Some(Part::Header(header)),
        }) => {
            let message = header
                .install
                .map_or(Answer::refused(&"nothing to install"), of_message);
            header
                .address
                .as_ref()
                .map_or(message, |address| message.or(of_address(address)))
        }
        Ok(other) => Answer::taken(&other.part.is_some()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
fn id(term: u64, index: u64) -> Option<proto::EntryId> {
    Some(proto::EntryId { term, index })
}

fn entry(index: u64, kind: proto::EntryKind) -> proto::Entry {
    proto::Entry {
        term: 3,
        index,
        kind: kind.into(),
        payload: b"payload".to_vec().into(),
    }
}

fn elections() -> Vec<Body> {
    vec![
        Body::PreVote(proto::PreVote { last: id(2, 9) }),
        Body::PreVoteReply(proto::PreVoteReply {
            asked: 3,
            granted: true,
        }),
        Body::Vote(proto::Vote {
            last: id(2, 9),
            transfer: true,
        }),
        Body::VoteReply(proto::VoteReply { granted: true }),
    ]
}

fn replication() -> Vec<Body> {
    // A configuration of one voter, as the core encodes it.
    let mut configuration = vec![8, 1, 18, 20, 8, 1, 18, 16];
    configuration.extend([7; 16]);
    vec![
        Body::Append(proto::Append {
            seq: 5,
            prev: id(2, 9),
            entries: vec![
                entry(10, proto::EntryKind::Noop),
                entry(11, proto::EntryKind::Command),
                entry(12, proto::EntryKind::Configuration),
            ],
            commit: 9,
        }),
        Body::AppendReply(proto::AppendReply {
            seq: 5,
            result: Some(proto::append_reply::Result::Matched(12)),
        }),
        Body::AppendReply(proto::AppendReply {
            seq: 5,
            result: Some(proto::append_reply::Result::Conflict(
                proto::AppendConflict {
                    refused: 9,
                    hint: id(1, 4),
                },
            )),
        }),
        Body::Heartbeat(proto::Heartbeat {
            round: 4,
            commit: 9,
        }),
        Body::HeartbeatReply(proto::HeartbeatReply {
            round: 4,
            stopping: true,
        }),
        Body::InstallSnapshot(proto::InstallSnapshot {
            seq: 6,
            last: id(2, 9),
            configuration_index: 1,
            configuration: configuration.into(),
        }),
        Body::InstallSnapshotReply(proto::InstallSnapshotReply { seq: 6, matched: 9 }),
        Body::TimeoutNow(proto::TimeoutNow {}),
        Body::ReadIndex(proto::ReadIndex { seq: 8 }),
        Body::ReadIndexReply(proto::ReadIndexReply {
            seq: 8,
            index: Some(9),
        }),
        Body::Stopping(proto::Stopping {}),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let message = |body| proto::Message {
        term: 3,
        body: Some(body),
    };
    let bodies = elections().into_iter().chain(replication());
    let messages: Vec<proto::Message> = bodies.map(message).collect();
    let mut seeds: Vec<Vec<u8>> = messages.iter().map(proto::Message::encode_to_vec).collect();
    seeds.extend(seeds_of_calls(messages));
    seeds
}

fn seeds_of_calls(messages: Vec<proto::Message>) -> [Vec<u8>; 4] {
    let (incarnation, features) = (
        Some(proto::Incarnation {
            number: 1,
            nonce: 0,
        }),
        Some(proto::FeatureRange { min: 0, max: 1 }),
    );
    let address = proto::PeerAddress {
        cluster_id: "dmq".to_owned(),
        incarnation,
        from: Some(member(1)),
        to: Some(member(2)),
        advertised_url: "http://localhost:8081".to_owned(),
        features,
    };
    let hello = proto::HelloRequest {
        cluster_id: "dmq".to_owned(),
        incarnation,
        from: Some(member(1)),
        to_node_id: 2,
        advertised_url: "http://localhost:8081".to_owned(),
        features,
    };
    let row = proto::ReportRow {
        member: Some(member(1)),
        hashes: vec![proto::StateHashNote {
            index: 1024,
            state_hash: vec![3; 16].into(),
            feature_level: 1,
        }],
        features,
        projection_healthy: true,
    };
    let install = messages.get(9).cloned();
    let header = proto::SnapshotPart {
        part: Some(proto::snapshot_part::Part::Header(proto::SnapshotHeader {
            address: Some(address.clone()),
            meta: vec![1, 2, 3].into(),
            total_bytes: 900,
            install,
        })),
    };
    let frame = proto::PeerFrame {
        address: Some(address.clone()),
        messages,
        rows: vec![row],
    };
    [
        frame.encode_to_vec(),
        address.encode_to_vec(),
        hello.encode_to_vec(),
        header.encode_to_vec(),
    ]
}
