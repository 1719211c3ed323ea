//! Tests of the REST interface against a member without a quorum: a real image, scripted refusals.

mod auth;
mod connections;
mod errors;
mod events;
mod fake;
mod openapi;
mod probes;
mod shapes;
