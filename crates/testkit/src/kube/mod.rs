//! A real Kubernetes as its users have it: `kubectl` and `helm` as processes, `KUBECONFIG`, and nothing else. No test
//! knows which Kubernetes it runs on.
//!
//! Reading order: [`kubectl`] and [`helm`] (one call each), [`until`] (the only way to wait), [`Namespace`] (a place of
//! its own for each test), [`Operator`] (installed once), [`Quorum`] (the object and its pods), [`Load`] (clients that
//! write all the time), [`Columns`] (what `kubectl get --watch` prints, and when).

mod columns;
mod load;
mod namespace;
mod operator;
mod quorum;
mod tools;
mod wait;

pub use columns::{Columns, Row};
pub use load::{Load, Report};
pub use namespace::Namespace;
pub use operator::Operator;
pub use quorum::Quorum;
pub use tools::{apply, apply_refused, chart, evict, get, helm, kubectl, kubectl_refused};
pub use wait::{PATIENCE, until};
