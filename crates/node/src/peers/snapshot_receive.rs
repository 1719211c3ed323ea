//! Takes a snapshot file from the controller: chunk by chunk into a temporary file that survives a broken
//! connection, verified and durable before the core hears of it (DESIGN 6.3, step 1).

use std::sync::Arc;

use dmq_api::peer as proto;
use dmq_log::{Disk, Incoming, SnapshotInfo, SnapshotOffer, SnapshotStore, crash_point};
use dmq_raft::{Message, MessageBody};
use proto::snapshot_part::Part;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Progress replies that wait for the sender; there are two per transfer.
const PROGRESS_MAX: usize = 4;

/// The receiving side of a node: one transfer at a time.
pub struct Receiving<D: Disk> {
    store: Arc<SnapshotStore<D>>,
    one: Arc<Semaphore>,
}

impl<D: Disk> Receiving<D> {
    /// Files go into this store.
    pub fn new(store: Arc<SnapshotStore<D>>) -> Self {
        Self {
            store,
            one: Arc::new(Semaphore::new(1)),
        }
    }
}

/// The first part of a transfer.
pub(super) async fn header(
    parts: &mut Streaming<proto::SnapshotPart>,
) -> Result<proto::SnapshotHeader, Status> {
    match parts.message().await?.and_then(|part| part.part) {
        Some(Part::Header(header)) => Ok(header),
        _ => Err(Status::invalid_argument(
            "a snapshot begins with its header",
        )),
    }
}

/// Receives the file that `install` speaks of, and hands `install` over once the file is durable.
pub(super) async fn receive<D: Disk + 'static>(
    receiving: Arc<Receiving<D>>,
    header: proto::SnapshotHeader,
    install: Message,
    parts: Streaming<proto::SnapshotPart>,
    hand_over: impl FnOnce(Message) + Send + 'static,
) -> Result<ReceiverStream<Result<proto::SnapshotProgress, Status>>, Status> {
    let offer = offer(&header, &install)?;
    let permit = Arc::clone(&receiving.one)
        .try_acquire_owned()
        .map_err(|_| Status::aborted("another snapshot is being received"))?;
    let store = Arc::clone(&receiving.store);
    let incoming = blocking(move || store.receive(&offer)).await?;
    let (progress, replies) = mpsc::channel(PROGRESS_MAX);
    let transfer = Transfer {
        incoming,
        parts,
        total: header.total_bytes,
        _permit: permit,
    };
    tokio::spawn(async move {
        let end = transfer.run(&progress, install, hand_over).await;
        drop(progress.send(end).await);
    });
    Ok(ReceiverStream::new(replies))
}

fn offer(header: &proto::SnapshotHeader, install: &Message) -> Result<SnapshotOffer, Status> {
    let MessageBody::InstallSnapshot { last, .. } = &install.body else {
        return Err(Status::invalid_argument(
            "`install` is not an InstallSnapshot",
        ));
    };
    SnapshotOffer::decode(&header.meta)
        .filter(|offer| offer.last == *last && offer.file_bytes == header.total_bytes)
        .ok_or_else(|| Status::invalid_argument("`meta` does not describe what `install` names"))
}

struct Transfer<D: Disk> {
    incoming: Incoming<D>,
    parts: Streaming<proto::SnapshotPart>,
    total: u64,
    _permit: OwnedSemaphorePermit,
}

impl<D: Disk + 'static> Transfer<D> {
    async fn run(
        mut self,
        progress: &mpsc::Sender<Result<proto::SnapshotProgress, Status>>,
        install: Message,
        hand_over: impl FnOnce(Message) + Send,
    ) -> Result<proto::SnapshotProgress, Status> {
        let offset = self.incoming.offset();
        let begun = proto::SnapshotProgress {
            offset,
            done: false,
        };
        progress
            .send(Ok(begun))
            .await
            .map_err(|_| Status::cancelled("the sender is gone"))?;
        while self.incoming.offset() < self.total {
            self = self.chunk().await?;
        }
        let (total, incoming) = (self.total, self.incoming);
        let info = blocking(move || incoming.finish()).await?;
        fits(&info, &install)?;
        tracing::info!(snapshot = %info.meta.last, bytes = total, "snapshot received");
        crash_point::reach("receive-answered")
            .map_err(|error| Status::internal(error.to_string()))?;
        hand_over(install);
        Ok(proto::SnapshotProgress {
            offset: total,
            done: true,
        })
    }

    async fn chunk(mut self) -> Result<Self, Status> {
        let part = self.parts.message().await?.and_then(|part| part.part);
        let Some(Part::Chunk(proto::SnapshotChunk {
            offset,
            data,
            crc32c,
        })) = part
        else {
            return Err(Status::cancelled("the snapshot ended early"));
        };
        let mut incoming = self.incoming;
        let incoming = blocking(move || {
            incoming.write(offset, &data, crc32c)?;
            Ok::<_, dmq_log::SnapshotError>(incoming)
        })
        .await?;
        Ok(Self { incoming, ..self })
    }
}

/// The message must speak of the file that came.
fn fits(info: &SnapshotInfo, install: &Message) -> Result<(), Status> {
    match &install.body {
        MessageBody::InstallSnapshot {
            last,
            configuration,
            ..
        } if *last == info.meta.last && *configuration == info.meta.configuration => Ok(()),
        _ => Err(Status::invalid_argument(
            "`install` does not describe the file",
        )),
    }
}

/// Runs disk work on a thread that may block.
async fn blocking<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Status::internal(error.to_string())),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}
