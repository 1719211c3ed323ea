//! The checkers of histories, checked: good histories pass, and whatever is broken in one is found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "checkers/dice.rs"]
mod dice;
#[path = "checkers/wgl.rs"]
mod wgl;
