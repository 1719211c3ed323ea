//! Names that people choose, checked where they are made: a value of these types keeps its rule.

use std::fmt;
use std::sync::Arc;

use crate::outcome::{Rejection, RejectionCode};

/// Longest topic name, in characters (Kafka's `Topic.MAX_NAME_LENGTH`).
pub const TOPIC_NAME_LENGTH_MAX: usize = 249;
/// Longest cluster id, in characters.
pub const CLUSTER_ID_LENGTH_MAX: usize = 64;
/// Longest principal, in bytes.
pub const PRINCIPAL_LENGTH_MAX: usize = 255;
/// Longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 255;
/// Longest host name, in characters (RFC 1123).
pub const HOST_LENGTH_MAX: usize = 253;
/// Longest rack name, in bytes.
pub const RACK_LENGTH_MAX: usize = 249;

/// Defines a cheaply cloned, validated string.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The characters of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Rejection;

            fn from_str(text: &str) -> Result<Self, Rejection> {
                Self::parse(text)
            }
        }
    };
}

name! {
    /// Name of a DMQ cluster: 1 to 64 of `[A-Za-z0-9_-]`. Never changes.
    ClusterId
}
name! {
    /// Name of a topic by Kafka's rules: 1 to 249 of `[A-Za-z0-9._-]`, neither `.` nor `..`.
    TopicName
}
name! {
    /// Who sent a request, as authentication named them: 1 to 255 bytes without control characters.
    Principal
}
name! {
    /// A client's `Idempotency-Key`: 1 to 255 visible ASCII characters.
    IdempotencyKey
}
name! {
    /// Host name or IP address that a broker advertises: 1 to 253 of `[A-Za-z0-9.:_%[]-]`.
    Host
}
name! {
    /// Rack of a broker: 1 to 249 bytes without control characters.
    Rack
}

impl ClusterId {
    /// Checks and takes a cluster id.
    ///
    /// # Errors
    /// `INVALID_REQUEST` on field `clusterId`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let fits = fits(text, CLUSTER_ID_LENGTH_MAX) && text.chars().all(allowed);
        take(
            text,
            fits,
            RejectionCode::InvalidRequest,
            "clusterId",
            "1 to 64 of [A-Za-z0-9_-]",
        )
        .map(Self)
    }
}

impl TopicName {
    /// Checks and takes a topic name.
    ///
    /// # Errors
    /// `INVALID_TOPIC` on field `topicName`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = fits(text, TOPIC_NAME_LENGTH_MAX)
            && text.chars().all(allowed)
            && !matches!(text, "." | "..");
        let rule = "1 to 249 of [a-zA-Z0-9._-], and neither \".\" nor \"..\"";
        take(text, fits, RejectionCode::InvalidTopic, "topicName", rule).map(Self)
    }

    /// The form in which two names collide: metric names turn `.` into `_`, as Kafka's do.
    pub fn collision_form(&self) -> String {
        self.0.replace('.', "_")
    }

    /// Whether the name holds a character that can make it collide with another one.
    pub fn can_collide(&self) -> bool {
        self.0.contains(['.', '_'])
    }
}

impl Principal {
    /// Checks and takes a principal.
    ///
    /// # Errors
    /// `INVALID_REQUEST` on field `principal`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let rule = "1 to 255 bytes without control characters";
        let fits = fits(text, PRINCIPAL_LENGTH_MAX) && !text.chars().any(char::is_control);
        take(text, fits, RejectionCode::InvalidRequest, "principal", rule).map(Self)
    }

    /// Who acts when nobody was authenticated.
    pub fn anonymous() -> Self {
        Self(Arc::from("anonymous"))
    }

    /// The controller itself: fencing and unfencing of brokers.
    pub fn controller() -> Self {
        Self(Arc::from("controller"))
    }
}

impl IdempotencyKey {
    /// Checks and takes an idempotency key.
    ///
    /// # Errors
    /// `INVALID_REQUEST` on field `Idempotency-Key`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let rule = "1 to 255 visible ASCII characters";
        let fits = fits(text, IDEMPOTENCY_KEY_LENGTH_MAX)
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        take(
            text,
            fits,
            RejectionCode::InvalidRequest,
            "Idempotency-Key",
            rule,
        )
        .map(Self)
    }
}

impl Host {
    /// Checks and takes a host name or address.
    ///
    /// # Errors
    /// `INVALID_REGISTRATION` on field `host`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let allowed = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '%' | '[' | ']' | '-')
        };
        let rule = "a host name or IP address of 1 to 253 characters of [A-Za-z0-9.:_%[]-]";
        let fits = fits(text, HOST_LENGTH_MAX) && text.chars().all(allowed);
        take(text, fits, RejectionCode::InvalidRegistration, "host", rule).map(Self)
    }
}

impl Rack {
    /// Checks and takes a rack name.
    ///
    /// # Errors
    /// `INVALID_REGISTRATION` on field `rack`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let rule = "1 to 249 bytes without control characters";
        let fits = fits(text, RACK_LENGTH_MAX) && !text.chars().any(char::is_control);
        take(text, fits, RejectionCode::InvalidRegistration, "rack", rule).map(Self)
    }
}

fn fits(text: &str, length_max: usize) -> bool {
    !text.is_empty() && text.len() <= length_max
}

fn take(
    text: &str,
    fits: bool,
    code: RejectionCode,
    field: &str,
    rule: &str,
) -> Result<Arc<str>, Rejection> {
    if fits {
        Ok(Arc::from(text))
    } else {
        Err(Rejection::new(code, field, text, rule))
    }
}
