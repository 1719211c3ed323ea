//! One node of the simulation: what outlives its process, and the process with its queues.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dmq_log::sim::SimDisk;
use dmq_log::{
    DataDir, FormatOptions, Identity, Incarnation, LogOptions, LogReader, SnapshotStore,
};
use dmq_raft::{Config, DirectoryId, MemberId, NodeId};
use dmq_replica::{
    Applier, Driver, DriverInput, FeedInput, FeedWork, HeldImage, LogInput, LogWriter, Member,
    ProjectorFeed, Settings, Ticket, View,
};
use dmq_store::{MemoryDatabase, MemoryStore, Owner};

use super::params::{MS, Pace, Params};
use super::rng::Rng;

/// Name of the simulated cluster.
pub(super) const CLUSTER: &str = "sim";

/// A queue between parts, or between a part and the shell: who empties it is woken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    /// The driver.
    Driver,
    /// The log writer.
    Log,
    /// The applier.
    Applier,
    /// The projector feed.
    Feed,
    /// The projector with its store.
    Store,
    /// The snapshot thread.
    Snapshot,
}

/// A node: its disk and database, and the process that runs on them at times.
pub(super) struct SimNode {
    /// Who it is.
    pub(super) identity: Identity,
    /// Its disk.
    pub(super) disk: SimDisk,
    /// Its database server.
    pub(super) database: MemoryDatabase,
    /// Counts the processes; events of an earlier one are void.
    pub(super) life: u32,
    /// The process, if one runs.
    pub(super) process: Option<Process>,
    /// A stopped (SIGSTOP) process goes on at this time.
    pub(super) paused_until: u64,
    /// Until then nothing may be expected of it.
    pub(super) slow_until: u64,
    /// Until then every write of its log takes long.
    pub(super) slow_disk_until: u64,
    /// When it was last seen leading.
    pub(super) led_at: u64,
    /// The stop sequence runs.
    pub(super) stopping: bool,
    /// Its disk is refused: it does not start any more, until it is replaced.
    pub(super) damaged: bool,
    /// Its image is made wrong by a test: what it says is not believed.
    pub(super) spoiled: bool,
    /// The life in which an operation of its disk last failed.
    pub(super) struck_in: Option<u32>,
    /// When its log was first seen to have failed in this life.
    pub(super) log_failed_at: Option<u64>,
    /// Decides how long its parts let their queues wait, and the like.
    pub(super) rng: Rng,
}

/// A running process.
pub(super) struct Process {
    /// Owner of the core.
    pub(super) driver: Driver,
    /// What waits for it.
    pub(super) driver_inbox: VecDeque<DriverInput>,
    /// Owner of the log.
    pub(super) writer: LogWriter<SimDisk>,
    /// What waits for it.
    pub(super) log_inbox: VecDeque<LogInput>,
    /// Ticks that the log writer has taken with nothing else to do.
    pub(super) log_idle: u32,
    /// The log writer waits for space.
    pub(super) log_starved: bool,
    /// Owner of the image, with its own queue.
    pub(super) applier: Applier<SimDisk>,
    /// The feed.
    pub(super) feed: ProjectorFeed,
    /// What waits for it.
    pub(super) feed_inbox: VecDeque<FeedInput>,
    /// The connection to the database, and whether it is ready.
    pub(super) store: MemoryStore,
    /// The store was prepared and the feed told so.
    pub(super) store_open: bool,
    /// What the store is doing.
    pub(super) store_work: Option<FeedWork>,
    /// Images to write.
    pub(super) snapshot_jobs: VecDeque<HeldImage>,
    /// The directory.
    pub(super) dir: DataDir<SimDisk>,
    /// Readers of the log.
    pub(super) reader: LogReader<SimDisk>,
    /// Snapshot files.
    pub(super) snapshots: SnapshotStore<SimDisk>,
    /// The published view.
    pub(super) view: View,
    /// Parts that have a wake-up on its way.
    pub(super) woken: BTreeSet<Part>,
    /// Peers' calls that wait for a pin: who asked.
    pub(super) pin_calls: BTreeMap<Ticket, usize>,
}

/// Ticks after which a log writer without work has nothing to do until there is some: it has confirmed its last
/// frame by then.
const LOG_IDLE_TICKS: u32 = 64;

impl Process {
    /// Whether a tick means anything to the log writer.
    pub(super) fn log_wants_tick(&mut self) -> bool {
        self.log_idle += 1;
        self.log_starved || self.log_idle <= LOG_IDLE_TICKS
    }

    /// Whether a tick means anything to the projector.
    pub(super) fn store_wants_tick(&self) -> bool {
        !self.store_open || self.store_work.is_some()
    }
}

impl SimNode {
    /// A formatted node that does not run yet.
    pub(super) fn new(index: usize, params: &Params, rng: &mut Rng) -> Self {
        let number = u32::try_from(index).unwrap_or(0) + 1;
        let identity = Identity {
            cluster_id: CLUSTER.into(),
            incarnation: Incarnation {
                number: 1,
                nonce: 0,
            },
            node: NodeId(number),
            directory: DirectoryId(rng.next_u128()),
        };
        let node = Self {
            identity,
            disk: new_disk(params, rng),
            database: MemoryDatabase::new(),
            life: 0,
            process: None,
            paused_until: 0,
            slow_until: 0,
            slow_disk_until: 0,
            led_at: 0,
            stopping: false,
            damaged: false,
            spoiled: false,
            struck_in: None,
            log_failed_at: None,
            rng: rng.split(),
        };
        node.format();
        node
    }

    /// A damaged member is wiped: another directory on an empty disk, the same node and database.
    pub(super) fn wipe(&mut self, params: &Params) {
        self.identity.directory = DirectoryId(self.rng.next_u128());
        self.disk = new_disk(params, &mut self.rng);
        self.damaged = false;
        self.format();
    }

    fn format(&self) {
        let options = FormatOptions {
            segment_bytes: 64 << 10,
            ..FormatOptions::default()
        };
        DataDir::format(&self.disk, &self.root(), &self.identity, &options).expect("format");
    }

    /// Its directory.
    pub(super) fn root(&self) -> PathBuf {
        Path::new("/").join(format!("node-{}", self.identity.node))
    }

    /// The member that runs here.
    pub(super) fn member(&self) -> MemberId {
        self.identity.member()
    }

    /// Who owns the rows in the database.
    pub(super) fn owner(&self) -> Owner {
        let Identity {
            incarnation,
            node,
            directory,
            ..
        } = &self.identity;
        Owner {
            cluster_id: dmq_metadata::ClusterId::parse(CLUSTER).expect("a legal name"),
            incarnation: dmq_metadata::Incarnation {
                number: incarnation.number,
                nonce: incarnation.nonce,
            },
            node: dmq_metadata::NodeId(node.0),
            directory: dmq_metadata::DirectoryId(uuid::Uuid::from_u128(directory.0)),
        }
    }

    /// Starts the process: the real recovery on the simulated disk.
    ///
    /// # Errors
    /// What keeps the member from starting.
    pub(super) fn start(&mut self, params: &Params, seed: u64) -> Result<(), String> {
        let dir = DataDir::open(&self.disk, &self.root()).map_err(|error| error.to_string())?;
        let settings = settings(params, self.member(), seed);
        let member = Member::open(&dir, settings, LogOptions::default())
            .map_err(|error| error.to_string())?;
        self.life += 1;
        self.paused_until = 0;
        self.stopping = false;
        self.log_failed_at = None;
        self.process = Some(Process {
            driver: member.driver,
            driver_inbox: VecDeque::new(),
            writer: member.writer,
            log_inbox: VecDeque::new(),
            log_idle: 0,
            log_starved: false,
            applier: member.applier,
            feed: member.feed,
            feed_inbox: VecDeque::new(),
            store: MemoryStore::new(self.database.clone()),
            store_open: false,
            store_work: None,
            snapshot_jobs: VecDeque::new(),
            dir,
            reader: member.reader,
            snapshots: member.snapshots,
            view: member.view,
            woken: BTreeSet::new(),
            pin_calls: BTreeMap::new(),
        });
        Ok(())
    }
}

fn new_disk(params: &Params, rng: &mut Rng) -> SimDisk {
    let disk = SimDisk::new(rng.next());
    if params.lying_disks {
        disk.set_lying();
    }
    disk
}

/// The settings of a member: bounds so small that every rule is met often, and times that are short in a busy
/// run and the usual ones in a quiet run.
pub(super) fn settings(params: &Params, id: MemberId, seed: u64) -> Settings {
    let tick = Duration::from_micros(params.tick);
    let ticks = |ms: u64| u32::try_from(ms * MS / params.tick).unwrap_or(1);
    let (election, heartbeat) = match params.pace {
        Pace::Busy => (500, 100),
        Pace::Quiet => (1_000, 150),
    };
    let raft = Config {
        election_ticks: ticks(election),
        heartbeat_ticks: ticks(heartbeat),
        check_quorum_ticks: ticks(election * 3 / 2),
        transfer_ticks: ticks(election),
        inflight_messages_max: 8,
        append_entries_max: 32,
        append_bytes_max: 16 << 10,
        ..Config::new(id, seed)
    };
    let mut settings = Settings::new(tick, raft);
    settings.kept_entries = params.kept_entries;
    settings.snapshot_bytes_min = params.snapshot_bytes;
    settings.cache_bytes = params.cache_bytes;
    if params.pace == Pace::Busy {
        settings.session_ticks = 300;
    }
    settings
}
