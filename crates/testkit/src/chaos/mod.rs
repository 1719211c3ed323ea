//! Real processes under faults: what clients do meanwhile, and what they saw.
//!
//! Reading order: [`operation`] (what a client asked and was answered), [`client`] (clients that never stop asking).

pub mod client;
pub mod operation;
