//! What one simulated run looks like: drawn from its seed, so that the seed is all that a replay needs.

use super::rng::Rng;

/// Milliseconds of simulated time, in microseconds.
pub(super) const MS: u64 = 1_000;
/// Seconds of simulated time, in microseconds.
pub const SECOND: u64 = 1_000 * MS;

/// The setting of one run. Times in microseconds, chances in permille.
#[derive(Clone, Debug)]
pub struct Params {
    /// Everything else is drawn from it.
    pub seed: u64,
    /// Members of the quorum: 1, 3 or 5.
    pub nodes: usize,
    /// Clients that write and read.
    pub clients: usize,
    /// How long faults happen.
    pub chaos: u64,
    /// How long the quorum has afterwards to converge and serve.
    pub recovery: u64,
    /// Mean time between two faults.
    pub fault_gap: u64,
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
}

impl Params {
    /// The run of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed);
        Self {
            seed,
            nodes: *rng.pick(&[3, 3, 3, 3, 5, 1]).unwrap_or(&3),
            clients: usize::try_from(rng.between(2, 8)).unwrap_or(2),
            chaos: rng.between(8, 30) * SECOND,
            recovery: 40 * SECOND,
            fault_gap: rng.between(200, 2_500) * MS,
            loss: *rng.pick(&[0, 5, 20, 60]).unwrap_or(&0),
            duplication: *rng.pick(&[0, 10, 50]).unwrap_or(&0),
            late: *rng.pick(&[0, 10, 50]).unwrap_or(&0),
            delay_max: rng.between(500, 5_000),
            disk_max: rng.between(200, 8_000),
            kept_entries: rng.between(0, 40),
            snapshot_bytes: rng.between(2, 32) << 10,
            cache_bytes: *rng.pick(&[0, 2 << 10, 64 << 10]).unwrap_or(&0),
            power_loss: rng.chance(700),
        }
    }
}
