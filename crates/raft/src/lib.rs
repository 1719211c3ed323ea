//! The sans-io consensus core: inputs in, effects out. No I/O, clock, task, randomness or `unsafe`.

mod config;
mod configuration;
mod effects;
mod entry;
mod ids;
mod input;
mod message;
mod raft;
mod restored;
mod status;

pub use config::*;
pub use configuration::*;
pub use effects::*;
pub use entry::*;
pub use ids::*;
pub use input::*;
pub use message::*;
pub use raft::*;
pub use restored::*;
pub use status::*;
