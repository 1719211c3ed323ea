//! The sans-io consensus core: inputs in, effects out. No I/O, clock, task, randomness or `unsafe`.
//!
//! Reading order: [`Input`] and [`Effects`] (the seam), [`Raft::step`], then `election`, `replication`
//! with `progress`, `follower`, `read_index`, `snapshot`, `transfer`, `membership`. `OVERVIEW.md` beside the
//! manifest is the tour.

mod birth;
mod config;
mod configuration;
mod configurations;
mod durability;
mod effects;
mod election;
mod entry;
mod follower;
mod ids;
mod input;
mod leadership;
mod log_view;
mod membership;
mod message;
mod mutant;
mod progress;
mod raft;
mod read_index;
mod receive;
mod replication;
mod restored;
mod rng;
mod sending;
mod snapshot;
mod status;
mod transfer;

pub use config::*;
pub use configuration::*;
pub use effects::*;
pub use entry::*;
pub use ids::*;
pub use input::*;
pub use message::*;
pub use raft::*;
pub use restored::*;
pub use sending::*;
pub use status::*;
