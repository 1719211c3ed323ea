//! Fuzzing: whatever bytes a decoder is given, it answers; it neither panics, nor asks for memory beyond a multiple
//! of what it was given, nor says one thing and writes another.
//!
//! Reading order: [`Target`] (a decoder with its promises, a plain function), `answer` (what it said), `mutate` (how
//! inputs are made of inputs), `corpus` (where they lie), `coverage` (which code ran), `engine` (the loop), `targets`
//! (those that need nothing but the libraries; the server's own are in `tests/fuzz`).
//!
//! What is worth keeping is decided by two signs: the decoder answered in a way that it had not yet answered in, or,
//! in a build with coverage counters (`cargo xtask fuzz`), it ran code that had not run yet.

mod answer;
mod chance;
mod corpus;
mod coverage;
mod engine;
mod mutate;
mod session;
pub mod targets;

use std::path::Path;

pub use answer::Answer;
pub use corpus::Corpus;
pub use engine::{Crash, Engine, Figures, Meter};
pub use session::{Found, fuzz, grow, replay, try_input};

/// How inputs of a target are built, so that mutations respect it now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Fields of fixed places.
    Binary,
    /// Protobuf.
    Protobuf,
    /// Words and punctuation.
    Text,
}

/// A decoder with its promises.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// How its inputs are built.
    pub form: Form,
    /// Feeds the decoder and checks the promises; panics if one is broken.
    pub run: fn(&[u8]) -> Answer,
    /// Inputs that real encoders write: each must be taken.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes of memory that it may have at once: so many in any case ...
    pub memory_base: usize,
    /// ... and so many for each byte of the input.
    pub memory_factor: usize,
}

impl Target {
    /// Most memory that an input of this length may cost, in bytes.
    pub fn memory_max(&self, input_bytes: usize) -> usize {
        self.memory_base + self.memory_factor * input_bytes
    }
}

/// Longest input that is made, in bytes: long enough for every limit that a decoder has in its form.
pub const INPUT_BYTES_MAX: usize = 16 << 10;

/// The corpus in the checkout.
pub fn corpus_root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}
