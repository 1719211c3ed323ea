//! PostgreSQL against the conformance suite, each case in a database of its own on one real server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed"
)]

mod server;

use server::backend;

dmq_store::conformance_tests!(backend());
