//! Why a configuration is refused: always the key, the value and the rule.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// The configuration file.
    File(String),
    /// An environment variable.
    Environment(String),
    /// A command line flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A refusal of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// The file is not YAML.
    #[error("configuration file {path} is not valid YAML: {reason}")]
    NotYaml {
        /// The file.
        path: String,
        /// What the parser says, with its line.
        reason: String,
    },
    /// There is no such key.
    #[error("unknown key `{key}` ({origin}); the rule: only documented keys{hint}")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// Where it was written.
        origin: Origin,
        /// The nearest known key, as a phrase.
        hint: String,
    },
    /// A key that has no default was not given.
    #[error("`{key}` is not set; the rule: {rule}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// A value breaks its rule.
    #[error("`{key}` = `{value}` ({origin}); the rule: {rule}")]
    Invalid {
        /// The key.
        key: String,
        /// The value as written.
        value: String,
        /// Where it was written.
        origin: Origin,
        /// What it must be.
        rule: String,
    },
}
