//! What another process may see of a metadata node.
//!
//! Reading order: [`peer`] (gRPC between members), [`rest`] (JSON shapes), [`status`] (the one table of
//! errors), [`problem`] (how an error looks on the wire), [`client`] (the typed REST client).

pub mod client;
mod object;
pub mod peer;
pub mod problem;
pub mod rest;
pub mod status;
mod unique_map;
