//! What tests share: real processes under a harness, checkers of what they did, the simulator and the walkers. Never a
//! normal dependency of a shipped crate.

pub mod chaos;
pub mod checkers;
pub mod fuzz;
pub mod harness;
pub mod image;
pub mod kube;
pub mod load;
pub mod mutants;
pub mod sim;
pub mod walker;
