//! Tests of the planner: tables that read like sentences, and walks through a model of Kubernetes and of the quorum.

mod bootstrap;
mod exhaustive;
mod model;
mod operations;
mod refusals;
mod rolls;
mod scene;
mod trouble;
mod undisturbed;
mod walk;
mod words;
