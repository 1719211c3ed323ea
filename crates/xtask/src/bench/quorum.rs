//! `bench quorum`: our three nodes beside three nodes of etcd, in alternating rounds on one machine and one disk.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::disk;
use super::etcd::{Etcd, Keys};
use super::load::{Duty, Sample, closed_loop};
use super::ours::{self, Partition, Quorum};
use super::postgres::Postgres;
use super::table::Table;
use super::workload::{Ack, Creator, Updater, not_projected};
use crate::process::say;

/// Partitions that `update` changes, and keys that etcd overwrites.
const PARTITIONS: u64 = 1_000;

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measured seconds of a round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds of every cell; the table has their medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Numbers of clients, with one connection each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    clients: Vec<usize>,
    /// What is written.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Workload::Update, Workload::Create])]
    writes: Vec<Workload>,
    /// Columns.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Side::ALL)]
    sides: Vec<Side>,
    /// Folder for all data, on the disk that is to be measured.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Workload {
    /// Changes of partitions; etcd overwrites keys.
    Update,
    /// New topics; etcd puts new keys.
    Create,
}

impl Workload {
    fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Create => "create",
        }
    }
}

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Side {
    /// etcd, `Put` over gRPC.
    Etcd,
    /// Ours at defaults: REST, `SQLite`, `ack: projected`.
    Default,
    /// Ours with `ack: applied`.
    Applied,
    /// Ours with PostgreSQL, `ack: projected`.
    Postgres,
}

impl Side {
    const ALL: [Self; 4] = [Self::Etcd, Self::Default, Self::Applied, Self::Postgres];

    fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd gRPC Put",
            Self::Default => "REST, SQLite, ack projected",
            Self::Applied => "REST, SQLite, ack applied",
            Self::Postgres => "REST, PostgreSQL, ack projected",
        }
    }
}

/// One of our quorums with the state of its bench topic.
struct Ours {
    quorum: Quorum,
    partitions: Vec<Partition>,
}

/// Everything that runs during the measurement. Fields are dropped in this order: nodes before their database.
struct Machine {
    etcd: Option<Etcd>,
    sqlite: Option<Ours>,
    postgres: Option<Ours>,
    _server: Option<Postgres>,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    let folder = disk::folder(options.dir.as_deref())?;
    let mut machine = Machine::start(folder.path(), &options.sides).await?;
    let mut table = Table::default();
    for (round, workload, clients, side) in options.cells() {
        let sample = machine
            .measure(side, workload, clients, options.duty())
            .await?;
        say(&progress(round, workload, clients, side, sample));
        match not_projected() {
            0 => {}
            late => say(&format!("  {late} answers did not wait for the database")),
        }
        table.add(workload.name(), clients, side.name(), sample);
    }
    let sides: Vec<&'static str> = options.sides.iter().map(|side| side.name()).collect();
    say(&format!("\n{}", options.caption(&machine)));
    say(&table.markdown(Side::Etcd.name(), &sides));
    Ok(())
}

fn progress(
    round: usize,
    workload: Workload,
    clients: usize,
    side: Side,
    sample: Sample,
) -> String {
    format!(
        "round {round} {} {clients} clients, {}: {:.0}/s p50 {:?} p99 {:?}",
        workload.name(),
        side.name(),
        sample.per_second,
        sample.p50,
        sample.p99
    )
}

impl Options {
    /// Every cell of every round, in the order in which they are measured: the sides take turns.
    fn cells(&self) -> Vec<(usize, Workload, usize, Side)> {
        let mut cells = Vec::new();
        for round in 1..=self.rounds {
            for &workload in &self.writes {
                for &clients in &self.clients {
                    cells.extend(
                        self.sides
                            .iter()
                            .map(|side| (round, workload, clients, *side)),
                    );
                }
            }
        }
        cells
    }

    fn duty(&self) -> Duty {
        Duty {
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs(self.seconds),
        }
    }

    fn caption(&self, machine: &Machine) -> String {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let etcd = machine
            .etcd
            .as_ref()
            .map_or("without etcd", |etcd| etcd.version());
        format!(
            "Three nodes a side and the clients on one machine with {cores} cores and one disk; {etcd}; every write \
             durable on a majority before its answer; medians of {} alternating rounds of {} s; \
             ratios are writes per second against etcd.\n",
            self.rounds, self.seconds
        )
    }
}

impl Machine {
    async fn start(folder: &std::path::Path, sides: &[Side]) -> anyhow::Result<Self> {
        let has = |side: Side| sides.contains(&side);
        let etcd = if has(Side::Etcd) {
            Some(Etcd::start(folder)?)
        } else {
            None
        };
        let mut sqlite = None;
        if has(Side::Default) || has(Side::Applied) {
            sqlite = Some(Ours::start(folder.join("sqlite"), Vec::new()).await?);
        }
        let (mut server, mut postgres) = (None, None);
        if has(Side::Postgres) {
            let started = Postgres::start(folder).await?;
            let urls = (1..=ours::NODES).map(|id| started.create_database(&format!("node{id}")));
            let urls = urls.collect::<anyhow::Result<_>>()?;
            say(&started.version()?);
            postgres = Some(Ours::start(folder.join("ours-postgres"), urls).await?);
            server = Some(started);
        }
        Ok(Self {
            etcd,
            sqlite,
            postgres,
            _server: server,
        })
    }

    async fn measure(
        &mut self,
        side: Side,
        workload: Workload,
        clients: usize,
        duty: Duty,
    ) -> anyhow::Result<Sample> {
        let (ours, ack) = match side {
            Side::Etcd => return self.measure_etcd(workload, clients, duty).await,
            Side::Default => (&mut self.sqlite, Ack::Projected),
            Side::Applied => (&mut self.sqlite, Ack::Applied),
            Side::Postgres => (&mut self.postgres, Ack::Projected),
        };
        match ours {
            Some(ours) => ours.measure(workload, clients, ack, duty).await,
            None => anyhow::bail!("{} was not started", side.name()),
        }
    }

    async fn measure_etcd(
        &mut self,
        workload: Workload,
        clients: usize,
        duty: Duty,
    ) -> anyhow::Result<Sample> {
        let Some(etcd) = &mut self.etcd else {
            anyhow::bail!("etcd was not started")
        };
        let keys = match workload {
            Workload::Update => Keys::Again(PARTITIONS),
            Workload::Create => Keys::New,
        };
        let writers = etcd.writers(clients, keys).await?;
        Ok(closed_loop(writers, duty).await?.1)
    }
}

impl Ours {
    async fn start(folder: PathBuf, store_urls: Vec<String>) -> anyhow::Result<Self> {
        let mut quorum = Quorum::start(folder, store_urls)?;
        let controller = quorum.controller().await?;
        let port = quorum.rest_port(controller);
        let brokers = ours::play_brokers(port).await?;
        let partitions = ours::create_topic(port, "bench", PARTITIONS, &brokers).await?;
        Ok(Self { quorum, partitions })
    }

    async fn measure(
        &mut self,
        workload: Workload,
        clients: usize,
        ack: Ack,
        duty: Duty,
    ) -> anyhow::Result<Sample> {
        let controller = self.quorum.controller().await?;
        let port = self.quorum.rest_port(controller);
        match workload {
            Workload::Update => self.update(port, clients, ack, duty).await,
            Workload::Create => {
                let mut writers = Vec::new();
                for _ in 0..clients {
                    writers.push(Creator::new(port, ack).await?);
                }
                Ok(closed_loop(writers, duty).await?.1)
            }
        }
    }

    /// Deals the partitions out to the clients and takes them back with their new epochs.
    async fn update(
        &mut self,
        port: u16,
        clients: usize,
        ack: Ack,
        duty: Duty,
    ) -> anyhow::Result<Sample> {
        let mut hands = vec![Vec::new(); clients];
        for (at, partition) in std::mem::take(&mut self.partitions).into_iter().enumerate() {
            hands[at % clients].push(partition);
        }
        let mut writers = Vec::new();
        for hand in hands {
            writers.push(Updater::new(port, hand, ack).await?);
        }
        let (writers, sample) = closed_loop(writers, duty).await?;
        self.partitions = writers
            .into_iter()
            .flat_map(Updater::into_partitions)
            .collect();
        Ok(sample)
    }
}
