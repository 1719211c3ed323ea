//! Checkers: pure functions from what clients saw, and what is there in the end, to what is wrong.
//!
//! Of the histories of `chaos`: [`witness`] holds every answer against the log, in which the answers' indexes say where
//! to look; [`blackbox`] does not look at indexes or logs and searches, object by object, for an order that explains the
//! answers ([`wgl`]). Of the other loads: [`exactly_once`], [`no_stale_reads`].

mod answers;
pub mod blackbox;
mod history;
mod judge;
mod log;
mod reads;
mod realtime;
mod requested;
pub mod shown;
pub mod wgl;
pub mod witness;

pub use history::{Final, History, Write, exactly_once};
pub use judge::{Judgement, judge};
pub use log::{CommittedLog, SeenLogs};
pub use reads::{Read, no_stale_reads};
