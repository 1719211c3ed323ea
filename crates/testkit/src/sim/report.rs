//! What a run amounts to, and how a failure is shown.

use std::fmt;
use std::ops::AddAssign;

/// One run that held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// Simulated time in microseconds.
    pub simulated_micros: u64,
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
    /// Its seed.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// When, in simulated microseconds.
    pub at_micros: u64,
    /// What.
    pub violation: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            nodes,
            at_micros,
            violation,
        } = self;
        writeln!(
            f,
            "seed {seed:#x}, {nodes} nodes, at {at_micros} us: {violation}"
        )?;
        write!(f, "replay: cargo xtask sim --seed {seed:#x}")
    }
}

impl std::error::Error for Failure {}

/// Defines the counters with their sum and their names.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Faults {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Faults {
            /// What never happened.
            #[must_use]
            pub fn never(&self) -> Vec<&'static str> {
                let counts = [$((stringify!($name), self.$name)),*];
                counts
                    .into_iter()
                    .filter(|(_, count)| *count == 0)
                    .map(|(name, _)| name)
                    .collect()
            }
        }

        impl AddAssign for Faults {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl fmt::Display for Faults {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                $(
                    write!(f, "{separator}{} {}", stringify!($name), self.$name)?;
                    separator = ", ";
                )*
                let _ = separator;
                Ok(())
            }
        }
    };
}

counters! {
    /// Processes killed.
    kills,
    /// Nodes that lost their power.
    power_losses,
    /// Nodes cut off.
    partitions,
    /// Links cut in one direction.
    one_way_cuts,
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
    /// Disks that were full for a while.
    full_disks,
    /// Writes with an unknown outcome.
    unknown,
    /// Writes whose place another controller's entry took.
    replaced,
    /// Requests refused because a disk was full.
    refused_for_space,
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
        self.events += other.events;
        self.commits += other.commits;
        self.acknowledged += other.acknowledged;
        self.terms += other.terms;
        self.faults += other.faults;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
             {acknowledged} acknowledged; {faults}"
        )
    }
}
