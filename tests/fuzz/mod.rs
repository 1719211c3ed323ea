//! The server's own decoders: what peers send, what clients send, what the operator of a node writes.

mod config;
mod peers;
mod rest;

use dmq_testkit::fuzz::Target;

/// Their targets.
pub(crate) fn targets() -> Vec<Target> {
    vec![peers::TARGET, rest::TARGET, config::FILE, config::NODES]
}
