//! What one simulated run looks like: drawn from its seed, so that the seed is all that a replay needs.

use super::rng::Rng;
use super::shrink::Cuts;

/// Milliseconds of simulated time, in microseconds.
pub(super) const MS: u64 = 1_000;
/// Seconds of simulated time, in microseconds.
pub const SECOND: u64 = 1_000 * MS;
/// How long a quorum has to converge and serve once the faults are over, in microseconds.
const RECOVERY: u64 = 10 * SECOND;

/// How much happens in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// Seconds full of requests and faults, with times that are shorter than usual.
    #[default]
    Busy,
    /// Up to hours with few requests and a fault now and then, with the times of a real cluster: what takes
    /// long happens here (answers that expire, sessions that run out, segments that go round).
    Quiet,
}

/// The setting of one run. Times in microseconds, chances in permille.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Params {
    /// Everything else is drawn from it.
    pub seed: u64,
    /// How much happens.
    pub pace: Pace,
    /// Voters at the beginning: 1, 3 or 5.
    pub nodes: usize,
    /// Nodes that are formatted and run, and wait to be made members.
    pub standby: usize,
    /// Clients that write and read.
    pub clients: usize,
    /// How long a client does nothing after an answer, shortest and longest.
    pub think: (u64, u64),
    /// Length of a tick.
    pub tick: u64,
    /// How long faults happen.
    pub chaos: u64,
    /// How long the quorum has afterwards to converge and serve.
    pub recovery: u64,
    /// Mean time between two faults.
    pub fault_gap: u64,
    /// Longest time between two looks at everything.
    pub check_gap: u64,
    /// Messages that are lost while faults happen.
    pub loss: u64,
    /// Messages that arrive twice.
    pub duplication: u64,
    /// Messages that are very late, so that others overtake them.
    pub late: u64,
    /// Usual longest delay of a message.
    pub delay_max: u64,
    /// Usual longest duration of a log write.
    pub disk_max: u64,
    /// Entries kept behind a snapshot.
    pub kept_entries: u64,
    /// Bytes of entries between snapshots.
    pub snapshot_bytes: u64,
    /// Bytes of the driver's entry cache.
    pub cache_bytes: usize,
    /// Whether loss of power is among the faults, or only kills.
    pub power_loss: bool,
    /// Whether operations of disks fail.
    pub disk_errors: bool,
    /// Whether bits rot on disks, never on more of them at a time than the quorum survives.
    pub rot: bool,
    /// Whether members come and go.
    pub membership: bool,
    /// Disks that acknowledge syncs and forget: no quorum survives this, and the simulator must find it.
    pub lying_disks: bool,
    /// What is left out of the run, to find the shortest that fails.
    pub cuts: Cuts,
}

impl Params {
    /// The run of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let busy = Self::busy(seed, &mut rng);
        if rng.chance(60) {
            Self::quiet(busy, &mut rng)
        } else {
            busy
        }
    }

    fn busy(seed: u64, rng: &mut Rng) -> Self {
        let membership = rng.chance(500);
        Self {
            seed,
            pace: Pace::Busy,
            nodes: *rng.pick(&[3, 3, 3, 3, 5, 1]).unwrap_or(&3),
            standby: if membership { rng.index(3) + 1 } else { 0 },
            clients: usize::try_from(rng.between(2, 8)).unwrap_or(2),
            think: (MS, 60 * MS),
            tick: 10 * MS,
            chaos: rng.between(8, 30) * SECOND,
            recovery: RECOVERY,
            fault_gap: rng.between(150, 2_000) * MS,
            check_gap: 200 * MS,
            loss: *rng.pick(&[0, 5, 20, 60]).unwrap_or(&0),
            duplication: *rng.pick(&[0, 10, 50]).unwrap_or(&0),
            late: *rng.pick(&[0, 10, 50]).unwrap_or(&0),
            delay_max: rng.between(500, 5_000),
            disk_max: rng.between(200, 8_000),
            kept_entries: rng.between(0, 40),
            snapshot_bytes: rng.between(2, 32) << 10,
            cache_bytes: *rng.pick(&[0, 2 << 10, 64 << 10]).unwrap_or(&0),
            power_loss: rng.chance(700),
            disk_errors: rng.chance(700),
            rot: rng.chance(700),
            membership,
            lying_disks: false,
            cuts: Cuts::default(),
        }
    }

    fn quiet(busy: Self, rng: &mut Rng) -> Self {
        Self {
            pace: Pace::Quiet,
            clients: usize::try_from(rng.between(1, 2)).unwrap_or(1),
            think: (SECOND, 10 * SECOND),
            tick: 50 * MS,
            chaos: rng.between(1_000, 7_200) * SECOND,
            fault_gap: rng.between(5, 60) * SECOND,
            check_gap: 4 * SECOND,
            ..busy
        }
    }
}
