//! Checkers: pure functions from what clients saw, and what is there in the end, to what is wrong.

mod history;
mod reads;

pub use history::{Final, History, Write, exactly_once};
pub use reads::{Read, no_stale_reads};
