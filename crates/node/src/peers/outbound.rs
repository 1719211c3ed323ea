//! The connections to one peer: opened again whenever they break, drained from its [`Outbox`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dmq_api::peer::{self as proto, raft_client::RaftClient};
use dmq_raft::{Entry, LogIndex, MemberId, Message, MessageBody, NodeId};
use dmq_replica::DriverInput;
use futures::Stream;
use tokio::sync::Notify;
use tokio::sync::watch;
use tonic::transport::Channel;

use super::convert::message_to_proto;
use super::handshake::check_hello_reply;
use super::journal::{Journal, LinkError};
use super::outbox::{Lane, Outbox, Parcel};
use super::reach::{dial, fallback, first_of, within};
use super::report::report_to_proto;
use super::{Addressee, PeerBook, PeerInfo, RECONNECT_PAUSE, RECONNECT_PAUSE_MAX};
use crate::queue::Sender;
use crate::threads::Work;

/// A frame is closed when its entries have reached this many bytes.
const FRAME_BYTES: usize = 1 << 20;

/// Completes an append from the log whose entries the driver's cache did not hold; `None` when they are
/// gone, or are not those that the core meant: it has cut its log since.
pub type Filler =
    Arc<dyn Fn(Message, &std::ops::RangeInclusive<LogIndex>) -> Option<Message> + Send + Sync>;

/// What all links of a node share.
#[derive(Clone)]
pub struct LinkContext {
    /// Our side of every handshake.
    pub own: Arc<Addressee>,
    /// The address book.
    pub book: PeerBook,
    /// The driver's queue.
    pub driver: Sender<Work>,
    /// The log.
    pub filler: Filler,
}

/// The way to one peer.
pub struct PeerLink {
    /// What goes there.
    pub outbox: Arc<Outbox>,
    connection: Arc<Mutex<Option<Connection>>>,
    wake: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

/// An open connection whose peer is known.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who is at the other end.
    pub member: MemberId,
    /// For calls and snapshots; apart from the control stream's connection.
    pub client: RaftClient<Channel>,
}

impl PeerLink {
    /// The connection, if there is one at the moment.
    pub fn connection(&self) -> Option<Connection> {
        lock(&self.connection).clone()
    }

    /// The peer was heard: it is there, try at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for PeerLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the task that keeps the peer connected.
pub(super) fn connect(node: NodeId, context: LinkContext) -> PeerLink {
    let outbox = Arc::new(Outbox::default());
    let connection = Arc::new(Mutex::new(None));
    let wake = Arc::new(Notify::new());
    let link = Link {
        node,
        context,
        outbox: Arc::clone(&outbox),
        connection: Arc::clone(&connection),
        sessions: AtomicU64::new(0),
    };
    let task = tokio::spawn(keep_connected(link, Arc::clone(&wake)));
    PeerLink {
        outbox,
        connection,
        wake,
        task,
    }
}

struct Link {
    node: NodeId,
    context: LinkContext,
    outbox: Arc<Outbox>,
    connection: Arc<Mutex<Option<Connection>>>,
    sessions: AtomicU64,
}

async fn keep_connected(link: Link, wake: Arc<Notify>) {
    let mut journal = Journal::default();
    let mut pause = RECONNECT_PAUSE;
    loop {
        let error = match Box::pin(link.session(&mut journal)).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        link.ended();
        if journal.failed(link.node, &error) {
            pause = RECONNECT_PAUSE;
        }
        // A peer that is heard is there: try at once.
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(RECONNECT_PAUSE_MAX),
            () = wake.notified() => {
                pause = RECONNECT_PAUSE;
                tokio::time::sleep(RECONNECT_PAUSE / 10).await;
            }
        }
    }
}

impl Link {
    /// Connects and stays until something breaks.
    async fn session(&self, journal: &mut Journal) -> Result<std::convert::Infallible, LinkError> {
        let mut addresses = self.context.book.addresses();
        let authority = self
            .context
            .book
            .authority(self.node)
            .ok_or(LinkError::NoAddress);
        let authority = match authority {
            Ok(authority) => authority,
            Err(error) => {
                // Nothing to try until the book changes.
                let _ = tokio::time::timeout(Duration::from_secs(1), addresses.changed()).await;
                return Err(error);
            }
        };
        let mut sources = self.context.book.sources();
        let source = sources.borrow_and_update().get(&self.node).copied();
        let (mut control, at, info) = self.reach(&authority, source).await?;
        let mut data = dial(&at).await?;
        let member = info.member;
        self.context.driver.push_always(info.features_input());
        self.context.book.note(info);
        let mut probe = control.clone();
        let session = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        self.outbox.open(session);
        let (mut control, mut append) = tokio::try_join!(
            within(control.control(self.frames(member, Lane::Control, session))),
            within(data.append(self.frames(member, Lane::Append, session))),
        )?;
        *lock(&self.connection) = Some(Connection {
            member,
            client: data,
        });
        journal.connected(self.node, &at);
        tokio::select! {
            end = control.get_mut().message() => Err(broken(end)),
            end = append.get_mut().message() => Err(broken(end)),
            () = moved(&mut addresses, self.node, &authority) => Err(LinkError::Moved),
            error = self.moved_away(&mut sources, source, &mut probe) => Err(error),
        }
    }

    /// Whoever answers as this peer: at its address, or where it called from if it is not there.
    async fn reach(
        &self,
        authority: &str,
        source: Option<IpAddr>,
    ) -> Result<(RaftClient<Channel>, String, PeerInfo), LinkError> {
        let hello = |at: String| {
            Box::pin(async move {
                let mut client = dial(&at).await?;
                let info = self.hello(&mut client).await?;
                Ok((client, at, info))
            })
        };
        let fallback = fallback(authority, source).map(hello);
        first_of(hello(authority.to_owned()), fallback).await
    }

    async fn hello(&self, client: &mut RaftClient<Channel>) -> Result<PeerInfo, LinkError> {
        let reply = within(client.hello(self.context.own.hello(self.node)))
            .await?
            .into_inner();
        Ok(check_hello_reply(&self.context.own, self.node, &reply)?)
    }

    /// Ends when the peer has called from another address than before and no longer answers on this connection:
    /// its pod is gone, without a word, and so is the machine that could have refused what we send there.
    async fn moved_away(
        &self,
        sources: &mut watch::Receiver<BTreeMap<NodeId, IpAddr>>,
        mut source: Option<IpAddr>,
        probe: &mut RaftClient<Channel>,
    ) -> LinkError {
        loop {
            let other = |now: &BTreeMap<NodeId, IpAddr>| now.get(&self.node).copied() != source;
            match sources
                .wait_for(other)
                .await
                .map(|now| now.get(&self.node).copied())
            {
                Ok(now) => source = now,
                Err(_) => return std::future::pending().await,
            }
            if let Err(error) = self.hello(probe).await {
                return error;
            }
        }
    }

    /// The frames of one lane for as long as the session lasts; the first one says who speaks to whom.
    fn frames(
        &self,
        member: MemberId,
        lane: Lane,
        session: u64,
    ) -> impl Stream<Item = proto::PeerFrame> + use<> {
        let address = Some(self.context.own.address(member));
        let first = proto::PeerFrame {
            address,
            ..proto::PeerFrame::default()
        };
        let source = Frames {
            outbox: Arc::clone(&self.outbox),
            filler: Arc::clone(&self.context.filler),
            driver: self.context.driver.clone(),
            member,
            lane,
            session,
            waiting: std::collections::VecDeque::new(),
        };
        let rest = futures::stream::unfold(source, |mut source| async {
            let frame = source.next().await?;
            Some((frame, source))
        });
        futures::StreamExt::chain(futures::stream::iter([first]), rest)
    }

    fn ended(&self) {
        self.outbox.close();
        if let Some(connection) = lock(&self.connection).take() {
            let unreachable = DriverInput::Unreachable(connection.member);
            self.context.driver.push_always(Work::Input(unreachable));
        }
    }
}

struct Frames {
    outbox: Arc<Outbox>,
    filler: Filler,
    driver: Sender<Work>,
    member: MemberId,
    lane: Lane,
    session: u64,
    waiting: std::collections::VecDeque<Parcel>,
}

impl Frames {
    /// The next frame: what waits on the lane, up to [`FRAME_BYTES`].
    async fn next(&mut self) -> Option<proto::PeerFrame> {
        let mut frame = proto::PeerFrame::default();
        while frame.messages.is_empty() && frame.rows.is_empty() {
            if self.waiting.is_empty() {
                self.waiting = self.outbox.take(self.lane, self.session).await?;
            }
            let mut bytes = 0;
            while bytes < FRAME_BYTES {
                let Some(parcel) = self.waiting.pop_front() else {
                    break;
                };
                bytes += self.add(&mut frame, parcel).await;
            }
        }
        Some(frame)
    }

    /// Adds a parcel; returns the bytes of its entries. What is for another directory of the node goes
    /// nowhere: that disk does not exist any more.
    async fn add(&self, frame: &mut proto::PeerFrame, parcel: Parcel) -> usize {
        match parcel {
            Parcel::Report(report) => frame.rows = report_to_proto(report),
            Parcel::Message(message) if message.to == self.member => {
                let bytes = entry_bytes(&message);
                frame.messages.push(message_to_proto(message));
                return bytes;
            }
            Parcel::Fill { message, range } if message.to == self.member => {
                if let Some(message) = self.fill(message, range).await {
                    let bytes = entry_bytes(&message);
                    frame.messages.push(message_to_proto(message));
                    return bytes;
                }
                self.driver
                    .push_always(Work::Input(DriverInput::Unreachable(self.member)));
            }
            Parcel::Message(_) | Parcel::Fill { .. } => {}
        }
        0
    }

    /// Reads the entries on a thread that may block.
    async fn fill(
        &self,
        message: Message,
        range: std::ops::RangeInclusive<LogIndex>,
    ) -> Option<Message> {
        let filler = Arc::clone(&self.filler);
        tokio::task::spawn_blocking(move || filler(message, &range))
            .await
            .ok()?
    }
}

fn entry_bytes(message: &Message) -> usize {
    match &message.body {
        MessageBody::Append { entries, .. } => entries.iter().map(Entry::size_bytes).sum(),
        _ => 0,
    }
}

fn broken(end: Result<Option<proto::StreamReply>, tonic::Status>) -> LinkError {
    match end {
        Ok(_) => LinkError::Broken("closed by the peer".to_owned()),
        Err(status) => LinkError::Broken(status.message().to_owned()),
    }
}

/// Ends when the address book names another address for the node.
async fn moved(
    addresses: &mut watch::Receiver<Arc<BTreeMap<NodeId, crate::config::NodeAddress>>>,
    node: NodeId,
    authority: &str,
) {
    let other = |book: &Arc<BTreeMap<NodeId, crate::config::NodeAddress>>| {
        book.get(&node)
            .is_none_or(|entry| entry.authority() != authority)
    };
    if addresses.wait_for(other).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn lock(connection: &Mutex<Option<Connection>>) -> std::sync::MutexGuard<'_, Option<Connection>> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
