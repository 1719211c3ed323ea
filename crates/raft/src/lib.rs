//! The sans-io consensus core: inputs in, effects out. No I/O, clock, task, randomness or `unsafe`.

mod configuration;
mod effects;
mod entry;
mod ids;
mod input;
mod message;

pub use configuration::*;
pub use effects::*;
pub use entry::*;
pub use ids::*;
pub use input::*;
pub use message::*;
