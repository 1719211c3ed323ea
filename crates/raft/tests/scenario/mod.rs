//! The parts of the scenario runner.

pub(crate) mod command;
pub(crate) mod inject;
pub(crate) mod node;
pub(crate) mod script;
pub(crate) mod show;
pub(crate) mod world;
