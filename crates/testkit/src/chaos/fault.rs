//! The faults: what each is called, where it makes sense, and whether the quorum must go on during it.

use std::fmt;

/// What the projections are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// A file in each node's directory.
    Sqlite,
    /// A server for each node.
    Postgres,
}

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// `kill -9` of one node.
    Kill,
    /// `kill -9` of all nodes at once.
    KillAll,
    /// SIGSTOP of one node, longer than an election takes.
    Pause,
    /// One node neither hears nor is heard.
    CutOff,
    /// What one node sends does not arrive.
    Mute,
    /// What is sent to one node does not arrive.
    Deaf,
    /// Two halves that only one node joins.
    Bridge,
    /// Every node hears its two neighbours only.
    Ring,
    /// Half of the packets from and to one node are lost.
    Loss,
    /// All packets come 25 to 125 ms late, and in another order.
    Delay,
    /// The disk of one node is full.
    DiskFull,
    /// Every sync of one node takes half a second longer.
    SlowDisk,
    /// All database servers are killed.
    DatabaseKilled,
    /// The database of one node is dropped.
    DatabaseEmptied,
    /// All databases stand still.
    DatabaseSlow,
    /// A further node joins as a learner and becomes a voter; one voter leaves and comes back; the further node leaves.
    Membership,
    /// A node loses its disk and is replaced by itself under a new directory id.
    Wiped,
    /// All nodes are stopped in order and started, one after the other.
    RollingRestart,
}

impl Fault {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 18] = [
        Self::Kill,
        Self::KillAll,
        Self::Pause,
        Self::CutOff,
        Self::Mute,
        Self::Deaf,
        Self::Bridge,
        Self::Ring,
        Self::Loss,
        Self::Delay,
        Self::DiskFull,
        Self::SlowDisk,
        Self::DatabaseKilled,
        Self::DatabaseEmptied,
        Self::DatabaseSlow,
        Self::Membership,
        Self::Wiped,
        Self::RollingRestart,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillAll => "kill-all",
            Self::Pause => "pause",
            Self::CutOff => "cut-off",
            Self::Mute => "mute",
            Self::Deaf => "deaf",
            Self::Bridge => "bridge",
            Self::Ring => "ring",
            Self::Loss => "loss",
            Self::Delay => "delay",
            Self::DiskFull => "disk-full",
            Self::SlowDisk => "slow-disk",
            Self::DatabaseKilled => "database-killed",
            Self::DatabaseEmptied => "database-emptied",
            Self::DatabaseSlow => "database-slow",
            Self::Membership => "membership",
            Self::Wiped => "wiped",
            Self::RollingRestart => "rolling-restart",
        }
    }

    /// Whether there is such a thing with so many nodes and this store: three nodes in a ring hear each other, and `SQLite` has
    /// no server that could be killed.
    pub fn fits(self, nodes: u32, store: StoreKind) -> bool {
        match self {
            Self::Ring => nodes > 3,
            Self::DatabaseKilled => store == StoreKind::Postgres,
            _ => true,
        }
    }

    /// Whether it strikes one node, which may or may not be the controller.
    pub fn has_victim(self) -> bool {
        match self {
            Self::Kill
            | Self::Pause
            | Self::CutOff
            | Self::Mute
            | Self::Deaf
            | Self::Bridge
            | Self::Loss
            | Self::DiskFull
            | Self::SlowDisk
            | Self::DatabaseEmptied
            | Self::Membership
            | Self::Wiped => true,
            Self::KillAll
            | Self::Ring
            | Self::Delay
            | Self::DatabaseKilled
            | Self::DatabaseSlow
            | Self::RollingRestart => false,
        }
    }

    /// Whether it is over once it has been made to happen, some seconds later.
    pub fn ends_by_itself(self) -> bool {
        matches!(self, Self::Membership | Self::Wiped | Self::RollingRestart)
    }

    /// Whether a healthy majority is left, so that writes must be acknowledged while it lasts.
    pub fn leaves_majority(self) -> bool {
        self != Self::KillAll
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_fault_is_in_the_table_under_the_name_that_the_command_line_takes() {
        assert_eq!(Fault::value_variants(), Fault::ALL);
        for fault in Fault::ALL {
            assert_eq!(Fault::from_str(fault.name(), false), Ok(fault));
        }
        assert_eq!(BTreeSet::from(Fault::ALL).len(), Fault::ALL.len());
    }
}
