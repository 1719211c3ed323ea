//! The peer service: messages, client and server, generated from `proto/peer.proto`.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    clippy::pedantic,
    reason = "generated code; its documentation is in the .proto file"
)]

tonic::include_proto!("raft.v1");
