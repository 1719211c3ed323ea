//! An untimed random walk over a cluster of cores: at each step chance delivers, drops or repeats any
//! message, completes or loses writes, crashes, proposes, reads, transfers, snapshots or purges, changes the
//! membership or loses a disk, and an observer who sees everything checks Raft's properties. It finds what
//! timed simulations miss.
//!
//! A seed is a walk: [`walk`] with the number that a failure prints does the same again, and [`shrink`] finds
//! the shortest part of it that still fails.

mod action;
mod book;
mod branches;
mod checks;
mod choice;
mod coverage;
pub(crate) mod dice;
mod disk;
mod ghost;
mod ids;
mod liveness;
mod membership;
mod network;
mod process;
mod rules;
mod run;
mod setup;
mod shrink;
mod story;
mod world;

pub use coverage::{Coverage, Event};
pub use run::{Budget, Failure, Totals, walk, walk_many, walk_on};
pub use shrink::{Shrunk, shrink};

/// Actions of one walk.
pub const STEPS: usize = 400;
