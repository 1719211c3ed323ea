//! The listening side: the gRPC server with its limits.

use dmq_api::peer::raft_server::RaftServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MESSAGE_BYTES_MAX, RaftService, STREAMS_MAX};

/// Headers of a call are a few names; more is not a peer.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Room for appends in flight on one stream, so that a batch of 1 MiB is not cut into round trips ...
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// ... and for the streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Serves peers until `stop` ends.
pub async fn serve(
    listener: TcpListener,
    service: RaftService,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let service = RaftServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(service)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await
}
