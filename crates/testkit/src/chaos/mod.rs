//! Real processes under faults: what happens to the nodes, what clients do meanwhile, and what they saw.
//!
//! Reading order: [`fault`] and [`plan`] (what happens, drawn from a seed), [`stage`] (nodes in namespaces: `network` with its
//! `rules` and `delay`, `volume`, `databases`), [`strike`] (making a fault happen and undoing it), [`runner`] (one run),
//! [`report`], `audit` (what clients saw, held against the log), `program` (the whole as a program, which `contain` starts again inside of namespaces). Then [`operation`]
//! (what a client asked and was answered) and [`client`] (clients that never stop asking).

mod audit;
pub mod client;
mod contain;
mod databases;
mod delay;
pub mod fault;
mod members;
mod network;
pub mod operation;
mod options;
pub mod plan;
mod program;
pub mod report;
mod rules;
pub mod runner;
mod shell;
pub mod stage;
pub mod strike;
mod volume;

pub use options::Options;
pub use program::main;
pub use report::say;
