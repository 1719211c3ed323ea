//! Real `dmq-metadata` processes on this machine: started, killed, paused, cut off from each other, asked over REST.
//!
//! Reading order: [`Quorum`] (three or five nodes), [`Node`] (one of them), [`Rest`] (what a client does), [`Links`]
//! (the network between nodes), [`Postgres`] (a database server of a test's own), [`wait_until`] (the only way to wait).

mod crash_points;
mod links;
mod members;
mod node;
mod ports;
mod postgres;
mod process;
mod quorum;
mod rest;
mod verdict;
mod wait;
mod workload;

pub use crash_points::{CRASH_POINTS, CrashPoint, OnError, Passage, chosen_crash_points};
pub use links::Links;
pub use node::{Node, Place, server_binary};
pub use ports::{free_port, free_ports_in_a_row};
pub use postgres::Postgres;
pub use process::Process;
pub use quorum::{Quorum, QuorumOptions};
pub use rest::{Answer, Rest};
pub use verdict::{check_exactly_once, check_exactly_once_before_recovery};
pub use wait::{PATIENCE, wait_until};
pub use workload::{Load, play_brokers};
