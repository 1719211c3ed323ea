//! Where the applied state is kept for people and tools: one trait, PostgreSQL, SQLite and a map in
//! memory.
//!
//! A store *executes* change sets and decides nothing. It is never read into the image. Reading
//! order: [`store`] (the trait and what it speaks of), [`changes`] (last write per row),
//! [`restart`] (what to do with the database that is found: pure), [`prepare`] (does it),
//! [`sqlite`], [`postgres`], [`memory`]; [`open`] picks one by URL; [`local_postgres`] starts a
//! server for development and tests.
//!
//! Invariant: rows and position change in one transaction, and only while this writer owns the
//! database.

mod audit;
pub mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod local_postgres;
pub mod memory;
mod mutant;
mod open;
pub mod postgres;
mod prepare;
mod rebuild;
pub mod restart;
mod row;
mod schema;
pub mod sqlite;
mod store;

pub use changes::RowChanges;
pub use error::StoreError;
pub use memory::{MemoryDatabase, MemoryStore};
pub use open::{open, open_as, redact};
pub use postgres::{Credentials, PostgresStore, ensure_database};
pub use prepare::{Prepared, prepare};
pub use restart::{Decision, LogView, RebuildReason, Refusal, StopReason, WipeReason, decide};
pub use sqlite::SqliteStore;
pub use store::{
    Audit, Batch, Checkpoint, Found, Owner, Position, StateStore, StoredConfiguration,
};

/// Version of the tables that this binary writes: the number of the newest file in `migrations/`.
pub const SCHEMA_VERSION: u32 = 1;
