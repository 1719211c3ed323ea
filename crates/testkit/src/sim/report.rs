//! What a run amounts to, and how a failure is shown.

use std::fmt;
use std::ops::AddAssign;

use super::history::Violation;
use super::world::World;
use super::{Pace, Params};

/// One run that held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How much happened in it.
    pub pace: Pace,
    /// Number of nodes.
    pub nodes: usize,
    /// Simulated time in microseconds.
    pub simulated_micros: u64,
    /// How long the quorum took to converge and serve once the faults were over, in microseconds; the longest.
    pub recovered_micros: u64,
    /// Events of the simulation.
    pub events: u64,
    /// Entries committed.
    pub commits: u64,
    /// Writes whose outcome clients were told.
    pub acknowledged: u64,
    /// Terms that had a leader.
    pub terms: u64,
    /// What happened, by kind.
    pub faults: Faults,
    /// Hash of all events: equal for equal seeds.
    pub trace: u64,
}

/// A run in which a property did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its setting.
    pub params: Box<Params>,
    /// When, in simulated microseconds.
    pub at_micros: u64,
    /// What.
    pub violation: String,
    /// What had gone wrong before, a line for each.
    pub story: Vec<String>,
    /// The same as numbers in the plan of the run.
    pub(super) numbers: Vec<usize>,
}

impl Failure {
    /// Of a world that did not begin.
    pub(super) fn early(params: &Params, violation: Violation) -> Self {
        Self {
            params: Box::new(params.clone()),
            at_micros: 0,
            violation,
            story: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Of a world that went on until now.
    pub(super) fn late(params: &Params, violation: Violation, world: &World) -> Self {
        Self {
            params: Box::new(params.clone()),
            at_micros: world.now,
            violation,
            story: world.lines(),
            numbers: world.numbers(),
        }
    }

    /// What kind of violation it is: its text without numbers, as far as it is the same whenever it happens.
    #[must_use]
    pub fn kind(&self) -> String {
        let words = self.violation.chars().filter(|c| !c.is_ascii_digit());
        words.take(40).collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            params,
            at_micros,
            violation,
            ..
        } = self;
        let Params {
            seed, nodes, pace, ..
        } = params.as_ref();
        writeln!(
            f,
            "seed {seed:#x}, {nodes} nodes, {pace:?}, at {at_micros} us: {violation}"
        )?;
        write!(f, "replay: {}cargo xtask sim --seed {seed:#x}", params.cuts)
    }
}

impl std::error::Error for Failure {}

/// Defines the counters with their sum and their names.
macro_rules! counters {
    (
        $($(#[$doc:meta])* $name:ident,)*;
        $($(#[$sight_doc:meta])* $sight:ident,)*
    ) => {
        /// How often what happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Faults {
            $($(#[$doc])* pub $name: u64,)*
            $($(#[$sight_doc])* pub $sight: u64,)*
        }

        impl Faults {
            /// Classes of faults that came up less than `times` times, and what was never seen to follow from them.
            #[must_use]
            pub fn rare(&self, times: u64) -> Vec<&'static str> {
                let classes = [$((stringify!($name), self.$name >= times)),*];
                let sights = [$((stringify!($sight), self.$sight > 0)),*];
                classes
                    .into_iter()
                    .chain(sights)
                    .filter(|(_, enough)| !enough)
                    .map(|(name, _)| name)
                    .collect()
            }
        }

        impl AddAssign for Faults {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
                $(self.$sight += other.$sight;)*
            }
        }

        impl fmt::Display for Faults {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let classes = [$(format!("{} {}", stringify!($name), self.$name)),*];
                let sights = [$(format!("{} {}", stringify!($sight), self.$sight)),*];
                write!(f, "faults: {}; seen: {}", classes.join(", "), sights.join(", "))
            }
        }
    };
}

counters! {
    /// Processes killed.
    kills,
    /// Every process killed, or without power, at once.
    blackouts,
    /// Nodes that lost their power.
    power_losses,
    /// Nodes that lost their power in the middle of a write.
    power_cuts,
    /// Losses of power that took all unsynced data.
    lost_writes,
    /// Losses of power that kept all unsynced data.
    kept_writes,
    /// Losses of power that kept a part of the unsynced data: torn writes, lost blocks.
    torn_writes,
    /// Writes that failed.
    failed_writes,
    /// Syncs that failed, and lost what they should have made durable.
    failed_syncs,
    /// Reads that failed.
    failed_reads,
    /// Names that could not be given or taken away.
    failed_names,
    /// Segments that could not be preallocated for want of space.
    no_space_spares,
    /// Other writes for which there was no space.
    no_space_writes,
    /// Disks that were full for a while.
    full_disks,
    /// Disks that were slow for a while.
    slow_disks,
    /// Bits that flipped on a disk.
    bit_flips,
    /// Nodes cut off.
    partitions,
    /// Links cut in one direction.
    one_way_cuts,
    /// Clusters cut into two groups.
    splits,
    /// The same, but one node reaches both.
    bridges,
    /// Messages lost.
    lost_messages,
    /// Messages that arrived twice.
    doubled,
    /// Messages that were overtaken.
    late,
    /// Snapshots broken off on their way.
    broken_transfers,
    /// Processes stopped for a while.
    pauses,
    /// Processes asked to stop.
    stops,
    /// Transfers of leadership asked for.
    handovers,
    /// Databases taken away.
    store_outages,
    /// Commits of a database without an answer.
    broken_commits,
    /// Changes of voters that kept the controller.
    voters_changed,
    ;
    /// Changes of voters that left the controller out.
    controllers_removed,
    /// Observers that were added.
    observers_added,
    /// Observers that were removed.
    observers_removed,
    /// Changes that were refused for their expectation.
    stale_refused,
    /// Members that came back on another disk.
    replaced_disks,
    /// Writes with an unknown outcome.
    unknown,
    /// Writes whose place another controller's entry took.
    replaced,
    /// Requests refused because a disk was full.
    refused_for_space,
    /// Processes that ended because their log could not be written.
    ended_by_disk,
    /// Starts that an error of the disk ended.
    failed_starts,
    /// Members that refused to start from a damaged disk.
    refused_disks,
    /// Transfers of leadership that arrived.
    moved,
    /// Reads answered.
    reads,
    /// Appends filled from the log.
    fills,
    /// Snapshots written.
    snapshots,
    /// Snapshot files that arrived.
    transfers,
    /// Snapshots installed.
    installs,
    /// Batches of a projector.
    batches,
    /// Images copied by a projector.
    rebuilds,
}

impl Report {
    /// Adds another run; seed and trace are those of the first.
    pub fn add(&mut self, other: &Self) {
        self.simulated_micros += other.simulated_micros;
        self.recovered_micros = self.recovered_micros.max(other.recovered_micros);
        self.events += other.events;
        self.commits += other.commits;
        self.acknowledged += other.acknowledged;
        self.terms += other.terms;
        self.faults += other.faults;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recovered = self.recovered_micros / 1_000;
        let seconds = self.simulated_micros / 1_000_000;
        let Self {
            events,
            commits,
            acknowledged,
            terms,
            faults,
            ..
        } = self;
        write!(
            f,
            "{seconds} simulated seconds, {events} events, {terms} terms, {commits} commits, \
             {acknowledged} acknowledged, recovered within {recovered} ms; {faults}"
        )
    }
}
