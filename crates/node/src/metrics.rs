//! Everything that `/metrics` shows. Names follow Kafka's controller and Raft metrics in snake case, with
//! the prefix `dmq_`.

mod families;
mod routes;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dmq_metadata::Counts;
use dmq_replica::Counters;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::families::StatusGauges;
use self::routes::RouteFamilies;
pub use self::routes::RouteMetrics;
use crate::handle::NodeStatus;

/// Media type of the text format that [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one node. Counters and histograms are fed where the work is done; gauges of state are
/// taken from the status when somebody asks.
pub struct Metrics {
    registry: Registry,
    /// Consensus.
    pub raft: RaftMetrics,
    /// The log on disk.
    pub log: LogMetrics,
    /// The image.
    pub apply: ApplyMetrics,
    /// The database.
    pub projection: ProjectionMetrics,
    status: StatusGauges,
    routes: RouteFamilies,
}

/// Consensus, as far as it is not state.
#[derive(Debug)]
pub struct RaftMetrics {
    /// Time of a group of entries from the log to its commit.
    pub commit: Histogram,
    /// Time from queueing a command to its answer, on the controller.
    pub propose: Histogram,
    election: Histogram,
    campaigning_since: Mutex<Option<Instant>>,
    elections: Counter,
    elected: Counter,
    proposals: Counter,
    leader_changed: Counter,
    outcome_unknown: Counter,
    snapshots_taken: Counter,
    snapshots_installed: Counter,
    poll_idle_ratio: Gauge<f64, AtomicU64>,
    loop_idle: Counter<f64, AtomicU64>,
    loop_busy: Counter<f64, AtomicU64>,
}

/// The log on disk.
#[derive(Debug)]
pub struct LogMetrics {
    /// Time of one durable write: a group commit.
    pub fsync: Histogram,
    /// Entries in one group commit.
    pub append_entries: Histogram,
    /// Bytes written to the log.
    pub append_bytes: Counter,
    /// Time to write one snapshot.
    pub snapshot: Histogram,
}

/// The image.
#[derive(Debug)]
pub struct ApplyMetrics {
    /// Time to apply one batch.
    pub batch: Histogram,
    /// Entries in one batch.
    pub batch_entries: Histogram,
    /// Entries applied.
    pub entries: Counter,
    /// Entries that could not be applied (Kafka's `MetadataErrorCount`).
    pub errors: Counter,
}

/// The database.
#[derive(Debug)]
pub struct ProjectionMetrics {
    /// Time of one transaction.
    pub batch: Histogram,
    /// Entries in one transaction.
    pub batch_entries: Histogram,
    /// Times that the whole image was written anew.
    pub rebuilds: Counter,
    /// Transactions that failed.
    pub errors: Counter,
}

impl Metrics {
    /// Fresh metrics, all zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("dmq");
        Self {
            raft: RaftMetrics::new(registry.sub_registry_with_prefix("raft")),
            log: LogMetrics::new(registry.sub_registry_with_prefix("log")),
            apply: ApplyMetrics::new(registry.sub_registry_with_prefix("apply")),
            projection: ProjectionMetrics::new(registry.sub_registry_with_prefix("projection")),
            status: StatusGauges::new(&mut registry),
            routes: RouteFamilies::new(registry.sub_registry_with_prefix("rest")),
            registry,
        }
    }

    /// Sets the gauges of state.
    pub fn observe_status(&self, status: &NodeStatus, counts: Counts) {
        self.status.observe(status, counts);
    }

    /// The counters of a path template, looked up once.
    pub fn route(&self, path: &str) -> RouteMetrics {
        self.routes.route(path)
    }

    /// Counts a request that no route took.
    pub fn unmatched(&self, method: &http::Method, status: http::StatusCode) {
        self.routes.unmatched(method, status);
    }

    /// All metrics in the `OpenMetrics` text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl RaftMetrics {
    fn new(registry: &mut Registry) -> Self {
        Self {
            commit: seconds(
                registry,
                "commit_latency",
                "From the log to the commit, by group",
            ),
            propose: seconds(
                registry,
                "propose_latency",
                "From queueing a command to its answer",
            ),
            election: seconds(
                registry,
                "election_latency",
                "From campaigning to a known leader",
            ),
            campaigning_since: Mutex::default(),
            elections: counter(registry, "elections", "Elections begun by this node"),
            elected: counter(registry, "elected", "Times this node became the controller"),
            proposals: counter(registry, "proposals", "Commands appended as the controller"),
            leader_changed: counter(registry, "leader_changed", "Writes lost to another leader"),
            outcome_unknown: counter(registry, "outcome_unknown", "Writes with unknown outcome"),
            snapshots_taken: counter(registry, "snapshots_taken", "Snapshots written"),
            snapshots_installed: counter(registry, "snapshots_installed", "Snapshots installed"),
            poll_idle_ratio: {
                let gauge = Gauge::default();
                let help = "Share of time that the event loop waited since the start";
                registry.register("poll_idle_ratio", help, gauge.clone());
                gauge
            },
            loop_idle: float_counter(registry, "loop_idle", "Time the event loop waited"),
            loop_busy: float_counter(registry, "loop_busy", "Time the event loop worked"),
        }
    }

    /// Takes over what the driver has counted since its start.
    pub fn observe_counters(&self, counted: &Counters) {
        let set = |counter: &Counter, value| counter.inner().store(value, Ordering::Relaxed);
        set(&self.elections, counted.elections);
        set(&self.elected, counted.elected);
        set(&self.proposals, counted.proposed);
        set(&self.leader_changed, counted.leader_changed);
        set(&self.outcome_unknown, counted.outcome_unknown);
        set(&self.snapshots_taken, counted.snapshots_taken);
        set(&self.snapshots_installed, counted.snapshots_installed);
    }

    /// Notes that the node campaigns or not, and whether it knows a leader: an election is over when it does.
    pub fn observe_election(&self, campaigning: bool, leader_known: bool) {
        let mut since = self
            .campaigning_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if campaigning {
            since.get_or_insert_with(Instant::now);
        } else if leader_known && let Some(began) = since.take() {
            self.election.observe(began.elapsed().as_secs_f64());
        }
    }

    /// One round of the event loop.
    pub fn observe_turn(&self, waited: Duration, worked: Duration) {
        let idle = self.loop_idle.inc_by(waited.as_secs_f64()) + waited.as_secs_f64();
        let busy = self.loop_busy.inc_by(worked.as_secs_f64()) + worked.as_secs_f64();
        self.poll_idle_ratio
            .set(idle / (idle + busy).max(f64::MIN_POSITIVE));
    }
}

impl LogMetrics {
    /// One durable write of so many entries and payload bytes.
    pub fn observe_write(&self, took: Duration, entries: usize, bytes: usize) {
        self.fsync.observe(took.as_secs_f64());
        self.append_entries.observe(count(entries));
        self.append_bytes.inc_by(bytes as u64);
    }
}

impl ApplyMetrics {
    /// One batch of entries.
    pub fn observe_batch(&self, took: Duration, entries: usize) {
        self.batch.observe(took.as_secs_f64());
        self.batch_entries.observe(count(entries));
        self.entries.inc_by(entries as u64);
    }
}

impl ProjectionMetrics {
    /// One transaction of so many entries.
    pub fn observe_batch(&self, took: Duration, entries: usize) {
        self.batch.observe(took.as_secs_f64());
        self.batch_entries.observe(count(entries));
    }
}

/// A count as histograms take it.
fn count(entries: usize) -> f64 {
    f64::from(u32::try_from(entries).unwrap_or(u32::MAX))
}

fn float_counter(registry: &mut Registry, name: &str, help: &str) -> Counter<f64, AtomicU64> {
    let counter = Counter::default();
    registry.register_with_unit(name, help, Unit::Seconds, counter.clone());
    counter
}

impl LogMetrics {
    fn new(registry: &mut Registry) -> Self {
        Self {
            fsync: seconds(registry, "fsync", "One durable write"),
            append_entries: sizes(registry, "append_entries", "Entries in one durable write"),
            append_bytes: counter(registry, "append_bytes", "Bytes written to the log"),
            snapshot: seconds(registry, "snapshot", "Writing one snapshot"),
        }
    }
}

impl ApplyMetrics {
    fn new(registry: &mut Registry) -> Self {
        Self {
            batch: seconds(registry, "batch", "Applying one batch"),
            batch_entries: sizes(registry, "batch_entries", "Entries in one batch"),
            entries: counter(registry, "entries", "Entries applied"),
            errors: counter(
                registry,
                "metadata_errors",
                "Entries that could not be applied",
            ),
        }
    }
}

impl ProjectionMetrics {
    fn new(registry: &mut Registry) -> Self {
        Self {
            batch: seconds(registry, "batch", "One transaction"),
            batch_entries: sizes(registry, "batch_entries", "Entries in one transaction"),
            rebuilds: counter(registry, "rebuilds", "Times the database was written anew"),
            errors: counter(registry, "errors", "Transactions that failed"),
        }
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

/// From 50 microseconds to 26 s.
fn seconds(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let histogram = Histogram::new(exponential_buckets(0.000_05, 2.0, 20));
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

/// From 1 to 16384.
fn sizes(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let histogram = Histogram::new(exponential_buckets(1.0, 2.0, 15));
    registry.register(name, help, histogram.clone());
    histogram
}
