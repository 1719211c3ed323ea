//! The parts of a running member: threads, tasks, queues and what they share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dmq_log::{FileDisk, LogReader, SnapshotStore, SpareMaker};
use dmq_metadata::{FeatureLevel, MetadataIndex};
use dmq_replica::{ApplierInput, ExitReason, HeldImage, LogInput, Member};
use tokio::sync::{mpsc, watch};

use super::data::Opened;
use crate::config::{Config, TICK};
use crate::exit::{Exit, Failure};
use crate::handle::{Handle, NodeState};
use crate::member::{Patience, RunningMember};
use crate::metrics::Metrics;
use crate::peers::{Addressee, Inbound, LinkContext, Links, PeerBook, RaftService, Receiving};
use crate::projector::{self, Demand, ProjectorContext};
use crate::queue::{self, Receiver, Sender};
use crate::shell::NodeShell;
use crate::status::StatusView;
use crate::threads::{
    self, ApplierPorts, Ask, Beat, CATCH_UP_TICKS_DIVISOR, DRIVER_QUEUE_MAX, DriverPorts,
    FEED_QUEUE_MAX, HashRing, SnapshotWork, Work,
};

/// How often the spare segments are looked at.
const SPARES_INTERVAL: Duration = Duration::from_secs(1);
/// Parts that end get this long; the log's last sync is one of them.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running member.
pub(super) struct Parts {
    /// What REST uses.
    pub(super) handle: Handle,
    /// Counted by all.
    pub(super) metrics: Arc<Metrics>,
    /// Our side of every peer call.
    pub(super) own: Arc<Addressee>,
    /// The address book.
    pub(super) book: PeerBook,
    /// The ways to the peers.
    pub(super) links: Arc<Links>,
    /// The driver's queue.
    pub(super) driver: Sender<Work>,
    ask: Ask,
    receiving: Arc<Receiving<FileDisk>>,
    data_dir: dmq_log::DataDir<FileDisk>,
    log: Sender<LogInput>,
    applier: Sender<ApplierInput>,
    snapshots: Sender<HeldImage>,
    spares: Sender<()>,
    threads: Vec<std::thread::JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    ends: mpsc::UnboundedReceiver<Ended>,
    told: mpsc::UnboundedReceiver<ExitReason>,
}

/// Why a node ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// The driver says so.
    Told(ExitReason),
    /// The database knows of entries that the log lost.
    LostEntries(String),
    /// A part ended that never should.
    Defect(&'static str),
}

/// The queues between the threads.
struct Queues {
    driver: (Sender<Work>, Receiver<Work>),
    log: (Sender<LogInput>, Receiver<LogInput>),
    applier: (Sender<ApplierInput>, Receiver<ApplierInput>),
    snapshots: (Sender<HeldImage>, Receiver<HeldImage>),
    spares: (Sender<()>, Receiver<()>),
}

impl Queues {
    /// Only the driver's queue takes items from outside; the others carry what the driver has bounded.
    fn new() -> Self {
        Self {
            driver: queue::bounded(DRIVER_QUEUE_MAX),
            log: queue::bounded(0),
            applier: queue::bounded(0),
            snapshots: queue::bounded(0),
            spares: queue::bounded(0),
        }
    }
}

impl Parts {
    /// Starts every part of the member.
    pub(super) fn start(config: &Config, opened: Opened) -> Result<Self, Failure> {
        let Opened {
            data_dir,
            identity,
            member,
        } = opened;
        let book = PeerBook::new(&config.nodes);
        let own = Arc::new(Addressee {
            identity: identity.clone(),
            url: config.server.advertised_url.clone(),
            features: (FeatureLevel::ZERO, FeatureLevel::MAX),
        });
        let queues = Queues::new();
        let (ends, ended) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let status_view = StatusView::new(identity, own.url.clone(), book.clone());
        let published = watch::Sender::new(Arc::new(status_view.initial()));
        let snapshots = Arc::new(member.snapshots.clone());
        let metrics = Arc::new(Metrics::new());
        let running = RunningMember {
            ask: Ask::new(queues.driver.0.clone()),
            view: Arc::new(ArcSwap::from_pointee(threads::published(&member.view))),
            status: published.subscribe(),
            hashes: Arc::new(HashRing::default()),
            snapshots: Arc::clone(&snapshots),
            metrics: Arc::clone(&metrics),
            demand: Demand::default(),
            patience: Patience::of_election(config.raft.election_timeout),
            driver_beat: Arc::new(Beat::default()),
            log_beat: Arc::new(Beat::default()),
        };
        let shell = NodeShell {
            links: Arc::new(Links::default()),
            own: Arc::clone(&own),
            data_dir: data_dir.clone(),
            snapshots: Arc::clone(&snapshots),
            driver: queues.driver.0.clone(),
            runtime: tokio::runtime::Handle::current(),
            view: status_view,
            published,
            snapshot_index: watch::Sender::new(MetadataIndex(0)),
            demand: running.demand.clone(),
            metrics: Arc::clone(&metrics),
            exits: tell,
        };
        let parts = Self {
            handle: Handle::new(Arc::new(running.clone()), running.status.clone()),
            metrics,
            own,
            book,
            links: Arc::clone(&shell.links),
            driver: queues.driver.0.clone(),
            ask: running.ask.clone(),
            receiving: Arc::new(Receiving::new(snapshots)),
            data_dir,
            log: queues.log.0.clone(),
            applier: queues.applier.0.clone(),
            snapshots: queues.snapshots.0.clone(),
            spares: queues.spares.0.clone(),
            threads: Vec::new(),
            tasks: Vec::new(),
            ends: ended,
            told,
        };
        parts.run(config, member, running, shell, queues, &ends)
    }

    /// Gives each part its thread, and the projector its task.
    fn run(
        mut self,
        config: &Config,
        member: Member<FileDisk>,
        running: RunningMember<FileDisk>,
        shell: NodeShell,
        queues: Queues,
        ends: &mpsc::UnboundedSender<Ended>,
    ) -> Result<Self, Failure> {
        let Member {
            driver,
            writer,
            applier,
            feed,
            reader,
            spares,
            image_from,
            ..
        } = member;
        let (feed_sender, feed_receiver) = mpsc::channel(FEED_QUEUE_MAX);
        let durable = watch::Sender::new(reader.last().index);
        let following = durable.subscribe();
        let projector = self.projector(config, &reader, image_from, &shell, following, ends);
        self.tasks
            .push(tokio::spawn(projector::run(projector, feed, feed_receiver)));
        self.tasks.push(self.follow_peers(reader));

        let catch_up = dmq_replica::ticks(TICK, as_millis(config.raft.election_timeout));
        let catch_up = u32::try_from(catch_up).unwrap_or(u32::MAX) / CATCH_UP_TICKS_DIVISOR;
        let ports = DriverPorts {
            log: queues.log.0,
            applier: queues.applier.0,
            snapshots: queues.snapshots.0,
            durable,
            own: self.driver.clone(),
            shell: Box::new(shell),
            beat: running.driver_beat,
            metrics: Arc::clone(&self.metrics),
        };
        let inbox = queues.driver.1;
        self.spawn("driver", ends, move || {
            threads::run_driver(driver, &inbox, ports, catch_up);
        })?;

        let (inbox, to, beat) = (queues.log.1, self.driver.clone(), running.log_beat);
        let metrics = Arc::clone(&self.metrics);
        self.spawn("log-writer", ends, move || {
            threads::run_log_writer(writer, &inbox, &to, &beat, &metrics.log);
        })?;

        let inbox = queues.applier.1;
        let driver = self.driver.clone();
        let (view, hashes) = (running.view, running.hashes);
        let metrics = Arc::clone(&self.metrics);
        let ports = ApplierPorts {
            view,
            hashes,
            feed: feed_sender,
            driver,
            metrics,
        };
        self.spawn("applier", ends, move || {
            threads::run_applier(applier, &inbox, &ports);
        })?;

        let inbox = queues.snapshots.1;
        let work = self.snapshot_work(running.snapshots);
        self.spawn("snapshots", ends, move || {
            threads::run_snapshots(&work, &inbox);
        })?;
        let inbox = queues.spares.1;
        self.spawn("spares", ends, move || prepare_spares(&spares, &inbox))?;
        Ok(self)
    }

    fn projector(
        &self,
        config: &Config,
        reader: &LogReader<FileDisk>,
        image_from: dmq_raft::LogIndex,
        shell: &NodeShell,
        durable: watch::Receiver<dmq_raft::LogIndex>,
        ends: &mpsc::UnboundedSender<Ended>,
    ) -> ProjectorContext<FileDisk> {
        let identity = &self.own.identity;
        let ends = ends.clone();
        ProjectorContext {
            owner: dmq_store::Owner {
                cluster_id: identity.cluster.clone(),
                incarnation: identity.incarnation,
                node: identity.node(),
                directory: identity.directory(),
            },
            url: config.store_url.clone(),
            credentials: config.store_credentials.clone(),
            directory: config.node_dir(),
            reader: reader.clone(),
            changes_after: MetadataIndex(image_from.0),
            snapshot_index: shell.snapshot_index.subscribe(),
            driver: self.driver.clone(),
            demand: shell.demand.clone(),
            durable,
            metrics: Arc::clone(&self.metrics),
            lost_entries: Box::new(move |reason| {
                drop(ends.send(Ended::LostEntries(reason.to_string())));
            }),
        }
    }

    fn follow_peers(&self, reader: LogReader<FileDisk>) -> tokio::task::JoinHandle<()> {
        let context = LinkContext {
            own: Arc::clone(&self.own),
            book: self.book.clone(),
            driver: self.driver.clone(),
            filler: Arc::new(move |message, range| dmq_replica::fill(&reader, message, range)),
        };
        tokio::spawn(Arc::clone(&self.links).follow(context))
    }

    fn snapshot_work(&self, store: Arc<SnapshotStore<FileDisk>>) -> SnapshotWork<FileDisk> {
        let identity = self.data_dir.identity().clone();
        let metrics = Arc::clone(&self.metrics);
        SnapshotWork {
            store,
            identity,
            driver: self.driver.clone(),
            metrics,
        }
    }

    /// A thread whose end, unless it was asked for, ends the process: a member without one of its parts
    /// must not look alive.
    fn spawn(
        &mut self,
        name: &'static str,
        ends: &mpsc::UnboundedSender<Ended>,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), Failure> {
        let guard = EndGuard {
            name,
            ends: ends.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _guard = guard;
                run();
            })
            .map_err(|error| Failure::new(Exit::Failed, format!("thread {name}: {error}")))?;
        self.threads.push(thread);
        Ok(())
    }

    /// The service that takes the peers' calls.
    pub(super) fn service(&self) -> RaftService {
        let status = self.handle.watch_status();
        let data_dir = self.data_dir.clone();
        let links = Arc::clone(&self.links);
        RaftService(Arc::new(Inbound {
            own: Arc::clone(&self.own),
            book: self.book.clone(),
            driver: self.driver.clone(),
            ask: self.ask.clone(),
            initialized: Box::new(move || status.borrow().state != NodeState::Uninitialized),
            pinned: Box::new(move || data_dir.pinned().ok().flatten()),
            snapshots: Arc::clone(&self.receiving),
            heard: Box::new(move |node| links.wake(node)),
        }))
    }

    /// Waits until a part or the driver ends the node. What the driver says goes first: the threads end
    /// because of it.
    pub(super) async fn ended(&mut self) -> Ended {
        tokio::select! {
            biased;
            Some(reason) = self.told.recv() => Ended::Told(reason),
            Some(ended) = self.ends.recv() => self.told.try_recv().map_or(ended, Ended::Told),
        }
    }

    /// Ends the parts in the order in which they feed each other. A log that failed is left alone.
    pub(super) fn stop(self, ended: &Ended) {
        self.links.clear();
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.driver.close();
        if !matches!(ended, Ended::Told(ExitReason::Stopped)) {
            return;
        }
        self.applier.close();
        self.snapshots.close();
        self.spares.close();
        self.log.close();
        let deadline = Instant::now() + JOIN_TIMEOUT;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Tells that a thread ended, by return or by panic.
struct EndGuard {
    name: &'static str,
    ends: mpsc::UnboundedSender<Ended>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        drop(self.ends.send(Ended::Defect(self.name)));
    }
}

/// Keeps one spare segment ready, so that the log does not wait for zeros at a switch.
fn prepare_spares(spares: &SpareMaker<FileDisk>, inbox: &Receiver<()>) {
    let mut nothing = Vec::new();
    let mut failing = false;
    while inbox.drain_until(&mut nothing, Some(Instant::now() + SPARES_INTERVAL)) {
        match spares.prepare() {
            Ok(_) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "no spare log segment");
            }
            Err(_) => {}
        }
    }
}

fn as_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
