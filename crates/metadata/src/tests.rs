//! Rules as sentences, then properties of random histories.

mod brokers;
mod dedup;
mod elections;
mod features;
pub(crate) mod fixtures;
mod golden;
mod history;
mod isr;
mod liveness;
mod names;
mod properties;
mod topics;
