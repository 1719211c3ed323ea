//! The operator: turns one `DmqMetadataCluster` into a running quorum and keeps it safe.
//!
//! Every pass goes the same way: [`observe`] (live reads) -> [`plan`] (pure) -> [`act`] (at most one disruptive step) -> [`report`].
//!
//! Pure: [`observed`], [`plan`], [`desired`] (children as they should be), [`report`] (status and Events).
//! Doing: [`observe`], [`act`], [`nodes`] (REST of the members), [`streams`] (their events), [`process`] (lease, health, metrics, wiring).

pub mod act;
pub mod args;
pub mod context;
pub mod desired;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod key;
pub mod nodes;
pub mod observe;
pub mod observed;
pub mod plan;
pub mod process;
pub mod report;
pub mod settings;
pub mod streams;
