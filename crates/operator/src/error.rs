//! Why a pass failed, in words for people and in one word for metrics.

use std::fmt::Write as _;
use std::time::Duration;

use dmq_api::client::ClientError;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API refused or was not reached.
    #[error("{what}: {}", kubernetes(.source))]
    Kube {
        /// What was tried.
        what: String,
        /// Its answer.
        source: kube::Error,
    },
    /// A node refused or was not reached.
    #[error("{what}: {}", chain(.source))]
    Node {
        /// What was tried.
        what: String,
        /// Its answer.
        source: ClientError,
    },
    /// The world moved on between looking and acting: look again.
    #[error("{0}")]
    Changed(String),
    /// A create-only object says something else than what it would have been created with.
    #[error("{0}")]
    Latch(String),
    /// Something that must be there is not, or cannot be read.
    #[error("{0}")]
    Unusable(String),
    /// A pass took too long.
    #[error("the pass did not end within {0:?}")]
    TimedOut(Duration),
}

impl Error {
    /// One word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kube { source, .. } => match source {
                kube::Error::Api(status) if status.is_conflict() => "conflict",
                kube::Error::Api(status) if status.is_forbidden() => "forbidden",
                kube::Error::Api(status) if status.is_invalid() => "invalid",
                kube::Error::Api(_) => "kubernetes-refused",
                _ => "kubernetes-unreachable",
            },
            Self::Node { .. } => "node",
            Self::Changed(_) => "changed",
            Self::Latch(_) => "latch",
            Self::Unusable(_) => "unusable",
            Self::TimedOut(_) => "timeout",
        }
    }

    /// Whether it stays until somebody changes something: Kubernetes refused what it was given, or what is there is wrong.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Kube {
                source: kube::Error::Api(status),
                ..
            } => (400..500).contains(&status.code) && ![404, 409, 429].contains(&status.code),
            Self::Latch(_) | Self::Unusable(_) => true,
            _ => false,
        }
    }

    /// Whether somebody else was faster: normal, and the next pass sees it.
    pub fn is_race(&self) -> bool {
        matches!(self.reason(), "changed" | "conflict")
    }
}

/// Says what was tried.
pub trait Doing<T> {
    /// Adds what was tried.
    fn doing(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Kube {
            what: what.into(),
            source,
        })
    }
}

impl<T> Doing<T> for Result<T, ClientError> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Node {
            what: what.into(),
            source,
        })
    }
}

/// What the Kubernetes API says, without the document that it says it in.
pub fn kubernetes(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// An error with all of its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
