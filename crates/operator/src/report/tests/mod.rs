//! The status and the Events, sentence by sentence.

mod always;
mod conditions;
mod events;
mod fixture;
mod members;
