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
//! | `world` | time, the queue of events |
//! | `node`, `work`, `store`, `transfer` | a process, its parts at work, its projector, its snapshots |
//! | `client`, `requests`, `birth` | what clients and the administrator want, and their calls |
//! | `network`, `faults` | what goes wrong |
//! | `history`, `checks` | what must hold |

mod birth;
mod checks;
mod client;
mod faults;
mod history;
mod network;
mod node;
mod params;
mod report;
mod requests;
mod rng;
mod store;
mod transfer;
mod work;
mod world;

pub use params::{Params, SECOND};
pub use report::{Failure, Faults, Report};

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
    let seed = params.seed;
    let nodes = params.nodes;
    let fail = |at: u64, violation: String| Failure {
        seed,
        nodes,
        at_micros: at,
        violation,
    };
    let mut world = World::new(params).map_err(|violation| fail(0, violation))?;
    match world.live() {
        Ok(()) => Ok(world.report()),
        Err(violation) => Err(fail(world.now, violation)),
    }
}
