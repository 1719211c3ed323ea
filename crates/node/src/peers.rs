//! The members' own network: gRPC streams to every peer, and the service that takes theirs.
//!
//! Outgoing: [`Outbox`] is where the driver leaves messages; one task per peer keeps two streams open,
//! control messages apart from appends, so that a vote never waits behind entries. Incoming:
//! [`RaftService`] checks who speaks to whom before the core sees anything (DESIGN 6.1).

mod book;
mod convert;
#[cfg(test)]
mod convert_test;
mod handshake;
mod inbound;
mod journal;
mod links;
mod outbound;
mod outbox;
pub mod pins;
mod reach;
mod report;
mod server;
mod snapshot_receive;
pub mod snapshot_send;

use std::time::Duration;

pub use book::{PeerBook, PeerInfo};
pub use convert::{
    ConvertError, member_from_proto, member_to_proto, message_from_proto, message_to_proto,
    spoken_from_proto,
};
pub use handshake::{Addressee, Refusal, check_address, check_hello};
pub use inbound::{Inbound, RaftService};
pub use links::Links;
pub use outbound::{Connection, Filler, LinkContext, PeerLink};
pub use outbox::{Lane, Outbox, Parcel};
#[doc(hidden)]
pub use report::{report_from_proto, report_to_proto};
pub use server::serve;
pub use snapshot_receive::Receiving;

/// Largest message on a peer stream, in bytes: an append batch (1 MiB) with one entry that goes past it,
/// and a snapshot chunk (1 MiB), with room.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Bytes of a snapshot chunk.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;
/// A connection on which nothing was heard for so long is asked for a sign of life ...
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// ... and given up after this.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a TCP connection and for the answer to `Hello`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// First pause between two attempts to reach a peer; doubled up to [`RECONNECT_PAUSE_MAX`].
pub const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause. A refused connection costs next to nothing, a name that is looked up in vain costs a name server
/// some questions; a peer that comes back is found within this, and at once when it calls.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Streams that one peer connection may hold open: two message streams, a snapshot and calls, times plenty.
pub const STREAMS_MAX: u32 = 256;
