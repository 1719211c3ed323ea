//! What an operator must see, and why a process ends.

/// Something an operator must see; `raised` false ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// Whether it begins or ends.
    pub raised: bool,
    /// The details, one sentence.
    pub detail: String,
}

/// The kinds of alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// The log cannot get space.
    NoSpace,
    /// Members disagree about a state hash, and no majority says who is right.
    Diverged,
    /// This member's state differs from that of the majority.
    Corrupt,
    /// The projector stopped.
    ProjectionStopped,
    /// An entry that this binary does not understand; the image stands before it.
    UnknownEntry,
    /// A snapshot could not be written.
    SnapshotFailed,
}

/// Why the process is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The stop sequence is over.
    Stopped,
    /// The log could not be written or read; retrying could lose data.
    LogFailed(String),
    /// More than half of the voters have another state hash (DESIGN 6.8).
    Corrupt(String),
}
