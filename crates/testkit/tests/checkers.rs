//! The checkers of histories, checked: good histories pass, and whatever is broken in one is found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "checkers/blackbox.rs"]
mod blackbox;
#[path = "checkers/dice.rs"]
mod dice;
#[path = "checkers/generated.rs"]
mod generated;
#[path = "checkers/service.rs"]
mod service;
#[path = "checkers/wgl.rs"]
mod wgl;
#[path = "checkers/witness.rs"]
mod witness;
