//! The peer service: checks who calls, then hands what it says to the driver.

use std::pin::Pin;
use std::sync::Arc;

use dmq_api::peer::{self as proto, raft_server::Raft};
use dmq_log::FileDisk;
use dmq_raft::MemberId;
use dmq_replica::{Answer, DriverInput};
use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::convert::{message_from_proto, spoken_from_proto};
use super::handshake::{Addressee, Refusal, check_address, check_hello};
use super::report::report_from_proto;
use super::snapshot_receive::{self, Receiving};
use super::{ConvertError, PeerBook, PeerInfo};
use crate::queue::Sender;
use crate::threads::{Ask, Work};

/// What the service needs of the node.
pub struct Inbound {
    /// Our side of every handshake.
    pub own: Arc<Addressee>,
    /// Where peers are noted.
    pub book: PeerBook,
    /// The driver's queue.
    pub driver: Sender<Work>,
    /// Asks of calls that wait for the driver.
    pub ask: Ask,
    /// Whether this node has a configuration.
    pub initialized: Box<dyn Fn() -> bool + Send + Sync>,
    /// The digest that this node is bound to.
    pub pinned: Box<dyn Fn() -> Option<[u8; 32]> + Send + Sync>,
    /// Where snapshot files go.
    pub snapshots: Arc<Receiving<FileDisk>>,
    /// Called with a node that was heard: it is there, so that a link to it may connect at once.
    pub heard: Box<dyn Fn(dmq_raft::NodeId) + Send + Sync>,
}

/// The gRPC service; clones share the node.
#[derive(Clone)]
pub struct RaftService(pub Arc<Inbound>);

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Raft for RaftService {
    type ControlStream = Replies<proto::StreamReply>;
    type AppendStream = Replies<proto::StreamReply>;
    type InstallSnapshotStream = Replies<proto::SnapshotProgress>;

    async fn hello(
        &self,
        request: Request<proto::HelloRequest>,
    ) -> Result<Response<proto::HelloReply>, Status> {
        let info = check_hello(&self.0.own, request.get_ref()).map_err(refused)?;
        if let Some(source) = request.remote_addr() {
            self.0
                .book
                .note_source(info.member.node, source.ip().to_canonical());
        }
        self.0.note(info);
        let reply = self
            .0
            .own
            .hello_reply((self.0.initialized)(), (self.0.pinned)());
        Ok(Response::new(reply))
    }

    async fn pin(
        &self,
        request: Request<proto::PinRequest>,
    ) -> Result<Response<proto::PinReply>, Status> {
        let proto::PinRequest { address, digest } = request.into_inner();
        self.0.check(address.as_ref())?;
        let digest = digest.as_ref().try_into().map_err(|_| {
            malformed(ConvertError::Invalid {
                field: "digest",
                rule: "32 bytes",
            })
        })?;
        let answer = self
            .0
            .ask
            .send(|ticket| DriverInput::PinRequest { ticket, digest })
            .await;
        match answer {
            Answer::Pinned => Ok(Response::new(proto::PinReply {})),
            Answer::Failed(error) if error.retriable() => {
                Err(Status::unavailable(error.to_string()))
            }
            Answer::Failed(error) => Err(Status::already_exists(error.to_string())),
            other => Err(Status::internal(format!(
                "unexpected answer of the driver: {other:?}"
            ))),
        }
    }

    async fn control(
        &self,
        request: Request<Streaming<proto::PeerFrame>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        self.0.clone().receive(request.into_inner()).await
    }

    async fn append(
        &self,
        request: Request<Streaming<proto::PeerFrame>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        self.0.clone().receive(request.into_inner()).await
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<proto::SnapshotPart>>,
    ) -> Result<Response<Self::InstallSnapshotStream>, Status> {
        let mut parts = request.into_inner();
        let header = snapshot_receive::header(&mut parts).await?;
        let from = self.0.check(header.address.as_ref())?;
        let install = header
            .install
            .clone()
            .ok_or_else(|| malformed(ConvertError::Missing("install")))?;
        let install =
            message_from_proto(from, self.0.own.identity.member, install).map_err(malformed)?;
        let driver = self.0.driver.clone();
        let hand_over = move |install| driver.push_always(Work::Input(DriverInput::Peer(install)));
        let progress = snapshot_receive::receive(
            Arc::clone(&self.0.snapshots),
            header,
            install,
            parts,
            hand_over,
        )
        .await?;
        Ok(Response::new(Box::pin(progress)))
    }
}

impl Inbound {
    /// Checks the address of a call; returns the caller.
    fn check(&self, address: Option<&proto::PeerAddress>) -> Result<MemberId, Status> {
        let address = address.ok_or_else(|| malformed(ConvertError::Missing("address")))?;
        let info = check_address(&self.own, address).map_err(refused)?;
        let member = info.member;
        self.note(info);
        Ok(member)
    }

    fn note(&self, info: PeerInfo) {
        let node = info.member.node;
        // If the queue is full, the peer's reports will say the same.
        drop(self.driver.push(info.features_input()));
        self.book.note(info);
        (self.heard)(node);
    }

    /// Checks the first frame, then hands over every message for as long as the stream lasts. The replies
    /// never carry anything: reading them is what drives the stream.
    async fn receive(
        self: Arc<Self>,
        mut frames: Streaming<proto::PeerFrame>,
    ) -> Result<Response<Replies<proto::StreamReply>>, Status> {
        let first = frames
            .message()
            .await?
            .ok_or_else(|| Status::cancelled("empty stream"))?;
        let from = self.check(first.address.as_ref())?;
        self.deliver(from, first)?;
        let replies = futures::stream::once(async move {
            while let Some(frame) = frames.message().await? {
                self.deliver(from, frame)?;
            }
            Err(Status::cancelled("the stream ended"))
        });
        Ok(Response::new(Box::pin(replies)))
    }

    /// Hands a frame to the driver. A driver that cannot follow loses messages, as a network would.
    fn deliver(&self, from: MemberId, frame: proto::PeerFrame) -> Result<(), Status> {
        let to = self.own.identity.member;
        for message in frame.messages {
            let message = spoken_from_proto(from, to, message).map_err(malformed)?;
            if self
                .driver
                .push(Work::Input(DriverInput::Peer(message)))
                .is_err()
            {
                tracing::debug!(
                    peer = from.node.0,
                    "the driver's queue is full: message dropped"
                );
            }
        }
        if !frame.rows.is_empty() {
            let report = report_from_proto(from, &frame.rows).map_err(malformed)?;
            drop(
                self.driver
                    .push(Work::Input(DriverInput::PeerReport(report))),
            );
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn refused(refusal: Refusal) -> Status {
    Status::failed_precondition(refusal.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn malformed(error: ConvertError) -> Status {
    Status::invalid_argument(error.to_string())
}
