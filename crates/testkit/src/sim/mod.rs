//! The whole-node simulator: members as they are, on simulated disks, a simulated network and simulated
//! time, under faults; one seed is one run.
//!
//! What runs is `replica` over the real `log` and `metadata`, and the restart matrix of `store`. What is
//! simulated are the threads (each part takes its queue at a moment that the seed picks), the disk
//! (unsynced writes are lost, torn or kept), the network (loss, duplication, delay, cuts of each way), the
//! database, and the clients. A run has two parts: safety under faults, then the faults end and the quorum
//! must converge and serve.
//!
//! | file | has |
//! |---|---|
//! | `world`, `queue` | time, the queue of events |
//! | `node`, `work`, `store`, `transfer` | a process, its parts at work, its projector, its snapshots |
//! | `client`, `requests`, `birth`, `steward` | what clients and administrators want, and their calls |
//! | `members` | which configurations there are, and whose loss they survive |
//! | `plan`, `mail`, `network`, `faults`, `disk_faults`, `rot` | what goes wrong |
//! | `history`, `checks`, `corruption` | what must hold |
//! | `story`, `shrink` | a failing run in words, and the shortest that still fails |

mod birth;
mod checks;
mod client;
mod corruption;
mod disk_faults;
mod faults;
mod history;
mod mail;
mod members;
mod network;
mod node;
mod params;
mod plan;
mod queue;
mod report;
mod requests;
mod rng;
mod rot;
mod shrink;
mod steward;
mod store;
mod story;
mod transfer;
mod work;
mod world;

pub use corruption::{Findings, Who, run_spoiled};
pub use params::{Pace, Params, SECOND};
pub use report::{Failure, Faults, Report};
pub use shrink::{Cuts, shrink};

use world::World;

/// Runs one seed to its end.
///
/// # Errors
/// The first property that does not hold, with the seed and the command that replays it.
pub fn run(seed: u64) -> Result<Report, Failure> {
    run_with(Params::from_seed(seed))
}

/// Runs a setting to its end.
///
/// # Errors
/// As [`run`].
pub fn run_with(params: Params) -> Result<Report, Failure> {
    let told = params.clone();
    let mut world = World::new(params).map_err(|violation| Failure::early(&told, violation))?;
    match world.live() {
        Ok(()) => Ok(world.report()),
        Err(violation) => Err(Failure::late(&told, violation, &world)),
    }
}
