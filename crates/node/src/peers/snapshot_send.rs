//! Streams the newest snapshot file to a peer, going on where a broken transfer ended.

use std::sync::Arc;
use std::time::Duration;

use dmq_api::peer as proto;
use dmq_log::{Disk, SnapshotInfo, SnapshotReader, SnapshotStore};
use dmq_raft::{Message, MessageBody};
use futures::{Stream, StreamExt, TryStreamExt};
use proto::snapshot_part::Part;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::convert::message_to_proto;
use super::outbound::Connection;
use super::{Addressee, SNAPSHOT_CHUNK_BYTES};

/// Chunks on their way: one in the socket, one read ahead.
const CHUNKS_AHEAD: usize = 2;
/// A peer that takes no chunk for so long is gone.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(15);
/// A peer may need so long to verify and sync the whole file once it has the last chunk.
const FINISH_TIMEOUT: Duration = Duration::from_mins(2);

/// What a peer says of its progress.
type Answered = Result<proto::SnapshotProgress, tonic::Status>;

/// Why a snapshot did not arrive. The core asks again, and the newest file is taken then.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no file at or past the position asked for.
    #[error("no snapshot at or past {0}")]
    NoSnapshot(dmq_raft::EntryId),
    /// The file cannot be read.
    #[error("cannot read the snapshot: {0}")]
    Read(String),
    /// The peer refused, or went away.
    #[error("the peer did not take the snapshot: {0}")]
    Peer(String),
}

/// Sends the newest snapshot and returns when the peer has it durable. `message` names the oldest one that
/// helps; it leaves with the position and configuration of the file that is sent.
pub async fn send<D: Disk + 'static>(
    mut connection: Connection,
    store: Arc<SnapshotStore<D>>,
    own: Arc<Addressee>,
    message: Message,
) -> Result<(), SendError> {
    let (reader, message) = open(store, message).await?;
    let total = reader.info().file_bytes;
    let header = header(&own, reader.info(), message);
    let (parts, stream) = mpsc::channel(CHUNKS_AHEAD);
    push(&parts, Part::Header(header)).await?;
    let call = connection
        .client
        .install_snapshot(ReceiverStream::new(stream));
    let mut progress = within(CHUNK_TIMEOUT, call).await?.into_inner();
    let offset = next(CHUNK_TIMEOUT, &mut progress).await?.offset;
    let chunks = chunks(reader, offset, total, &parts);
    deliver(chunks, &mut progress).await?;
    drop(parts);
    finish(FINISH_TIMEOUT, &mut progress).await
}

/// Sends the chunks. The whole may take any time, each chunk has its own limit; a peer that answers before
/// the last one will not take the others.
async fn deliver(
    chunks: impl Future<Output = Result<(), SendError>>,
    progress: &mut (impl Stream<Item = Answered> + Unpin),
) -> Result<(), SendError> {
    tokio::select! {
        sent = chunks => sent,
        early = progress.next() => Err(match early {
            Some(Err(status)) => SendError::Peer(status.message().to_owned()),
            Some(Ok(_)) | None => SendError::Peer("ended early".to_owned()),
        }),
    }
}

/// What the peer says once it has everything.
async fn finish(
    limit: Duration,
    progress: &mut (impl Stream<Item = Answered> + Unpin),
) -> Result<(), SendError> {
    if next(limit, progress).await?.done {
        Ok(())
    } else {
        Err(SendError::Peer("the file is not complete there".to_owned()))
    }
}

async fn open<D: Disk + 'static>(
    store: Arc<SnapshotStore<D>>,
    mut message: Message,
) -> Result<(SnapshotReader<D>, Message), SendError> {
    let MessageBody::InstallSnapshot {
        last,
        configuration,
        ..
    } = &mut message.body
    else {
        return Err(SendError::Read("not an InstallSnapshot message".to_owned()));
    };
    let least = *last;
    let reader = blocking(move || {
        let newest = store.list()?.into_iter().next();
        newest.map(|info| store.reader(info.meta.last)).transpose()
    })
    .await?;
    let reader = reader
        .filter(|reader| reader.info().meta.last.index >= least.index)
        .ok_or(SendError::NoSnapshot(least))?;
    *last = reader.info().meta.last;
    *configuration = reader.info().meta.configuration.clone();
    Ok((reader, message))
}

fn header(own: &Addressee, info: &SnapshotInfo, message: Message) -> proto::SnapshotHeader {
    proto::SnapshotHeader {
        address: Some(own.address(message.to)),
        total_bytes: info.file_bytes,
        install: Some(message_to_proto(message)),
        meta: info.offer().encode(),
    }
}

async fn chunks<D: Disk + 'static>(
    mut reader: SnapshotReader<D>,
    mut offset: u64,
    total: u64,
    parts: &mpsc::Sender<proto::SnapshotPart>,
) -> Result<(), SendError> {
    while offset < total {
        let (back, data) = blocking(move || {
            let data = reader.read_raw(offset, SNAPSHOT_CHUNK_BYTES)?;
            Ok::<_, dmq_log::SnapshotError>((reader, data))
        })
        .await?;
        reader = back;
        let crc32c = crc32c::crc32c(&data);
        let sent = data.len() as u64;
        push(
            parts,
            Part::Chunk(proto::SnapshotChunk {
                offset,
                data,
                crc32c,
            }),
        )
        .await?;
        offset += sent;
    }
    Ok(())
}

async fn push(parts: &mpsc::Sender<proto::SnapshotPart>, part: Part) -> Result<(), SendError> {
    match parts
        .send_timeout(proto::SnapshotPart { part: Some(part) }, CHUNK_TIMEOUT)
        .await
    {
        Ok(()) => Ok(()),
        Err(error) => Err(SendError::Peer(error.to_string())),
    }
}

async fn next(
    limit: Duration,
    progress: &mut (impl Stream<Item = Answered> + Unpin),
) -> Result<proto::SnapshotProgress, SendError> {
    within(limit, progress.try_next())
        .await?
        .ok_or_else(|| SendError::Peer("closed".to_owned()))
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T, SendError> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(status)) => Err(SendError::Peer(status.message().to_owned())),
        Err(_) => Err(SendError::Peer(format!("no answer within {limit:?}"))),
    }
}

/// Runs disk work on a thread that may block.
async fn blocking<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, SendError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| SendError::Read(error.to_string())),
        Err(error) => Err(SendError::Read(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done() -> proto::SnapshotProgress {
        proto::SnapshotProgress {
            done: true,
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn chunks_may_take_longer_than_the_end() {
        let limit = Duration::ZERO;
        let (answer, answers) = mpsc::unbounded_channel();
        let mut progress = tokio_stream::wrappers::UnboundedReceiverStream::new(answers);
        let chunks = async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            answer.send(Ok(done())).unwrap();
            Ok(())
        };
        deliver(chunks, &mut progress).await.unwrap();
        finish(limit, &mut progress).await.unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_refuses_in_the_middle_is_heard() {
        let refusal = tonic::Status::resource_exhausted("no space");
        let mut progress = futures::stream::iter([Err(refusal)]);
        let error = deliver(std::future::pending(), &mut progress).await;
        assert!(error.unwrap_err().to_string().contains("no space"));
    }

    #[tokio::test]
    async fn a_file_that_is_not_complete_there_is_not_done() {
        let mut progress = futures::stream::iter([Ok(proto::SnapshotProgress::default())]);
        assert!(finish(FINISH_TIMEOUT, &mut progress).await.is_err());
    }
}
