//! Settings of topics: which exist, what values they take, and the map of those that differ from the defaults.

use std::collections::BTreeMap;

use crate::outcome::{Rejection, RejectionCode};

/// `min.insync.replicas`.
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// `unclean.leader.election.enable`.
const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";

/// A setting that a topic may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigSpec {
    /// Kafka's name, under which it is kept.
    pub name: &'static str,
    /// Its name as a field of the create request.
    pub field: &'static str,
    /// What values it takes.
    pub kind: ConfigKind,
    /// The value in force when it is not set.
    pub default: &'static str,
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// A whole number of this range, both ends included, in decimal.
    Integer {
        /// Lowest value.
        min: i64,
        /// Highest value.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Every setting of a topic, sorted by name.
pub const TOPIC_CONFIGS: &[ConfigSpec] = &[
    ConfigSpec {
        name: "cleanup.policy",
        field: "cleanupPolicy",
        kind: ConfigKind::Word(&["delete", "compact", "compact,delete"]),
        default: "delete",
    },
    ConfigSpec {
        name: "compression.type",
        field: "compressionType",
        kind: ConfigKind::Word(&[
            "none",
            "producer",
            "gzip",
            "snappy",
            "lz4",
            "zstd",
            "uncompressed",
        ]),
        default: "none",
    },
    ConfigSpec {
        name: "max.message.bytes",
        field: "maxMessageBytes",
        kind: ConfigKind::Integer {
            min: 0,
            max: i32::MAX as i64,
        },
        default: "1048588",
    },
    ConfigSpec {
        name: MIN_INSYNC_REPLICAS,
        field: "minInsyncReplicas",
        kind: ConfigKind::Integer {
            min: 1,
            max: i32::MAX as i64,
        },
        default: "1",
    },
    ConfigSpec {
        name: "retention.bytes",
        field: "retentionBytes",
        kind: ConfigKind::Integer {
            min: -1,
            max: i64::MAX,
        },
        default: "-1",
    },
    ConfigSpec {
        name: "retention.ms",
        field: "retentionMs",
        kind: ConfigKind::Integer {
            min: -1,
            max: i64::MAX,
        },
        default: "604800000",
    },
    ConfigSpec {
        name: "segment.bytes",
        field: "segmentBytes",
        kind: ConfigKind::Integer {
            min: 14,
            max: i32::MAX as i64,
        },
        default: "1073741824",
    },
    ConfigSpec {
        name: UNCLEAN_LEADER_ELECTION,
        field: "uncleanLeaderElectionEnable",
        kind: ConfigKind::Boolean,
        default: "false",
    },
];

/// The settings of a topic that differ from the defaults: known names with valid values only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicConfigs(BTreeMap<&'static str, String>);

impl ConfigSpec {
    /// The setting of that name or request field.
    pub fn find(name: &str) -> Option<&'static Self> {
        TOPIC_CONFIGS
            .iter()
            .find(|spec| spec.name == name || spec.field == name)
    }
}

impl TopicConfigs {
    /// Checks and takes settings by name or request field. The last value of a name counts.
    ///
    /// # Errors
    /// `INVALID_CONFIG` on the first field with an unknown name or a bad value.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Rejection> {
        let mut configs = Self::default();
        for (name, value) in pairs {
            configs.set(name, value)?;
        }
        Ok(configs)
    }

    /// The settings that were set, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The value in force, set or default; `None` for an unknown name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let spec = ConfigSpec::find(name)?;
        Some(self.0.get(spec.name).map_or(spec.default, String::as_str))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In-sync replicas that a write with `acks=all` needs. Range: 1 and up.
    pub fn min_insync_replicas(&self) -> u32 {
        self.get(MIN_INSYNC_REPLICAS)
            .and_then(|value| value.parse().ok())
            .unwrap_or(1)
    }

    /// Whether a replica that is not in sync may lead when no other can.
    pub fn unclean_leader_election(&self) -> bool {
        self.get(UNCLEAN_LEADER_ELECTION) == Some("true")
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Rejection> {
        let spec = ConfigSpec::find(name).ok_or_else(|| unknown(name))?;
        let canonical = spec.kind.canonical(value).ok_or_else(|| {
            let rule = format!("{} takes {}", spec.name, spec.kind.rule());
            Rejection::new(RejectionCode::InvalidConfig, name, value, &rule)
        })?;
        self.0.insert(spec.name, canonical);
        Ok(())
    }
}

impl ConfigKind {
    /// The one spelling of a valid value; `None` for a bad one.
    fn canonical(self, value: &str) -> Option<String> {
        match self {
            Self::Integer { min, max } => {
                let number = value.parse::<i64>().ok()?;
                (min..=max).contains(&number).then(|| number.to_string())
            }
            Self::Boolean => matches!(value, "true" | "false").then(|| value.to_owned()),
            Self::Word(words) => words.contains(&value).then(|| value.to_owned()),
        }
    }

    fn rule(self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Boolean => "true or false".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
        }
    }
}

fn unknown(name: &str) -> Rejection {
    let names: Vec<&str> = TOPIC_CONFIGS.iter().map(|spec| spec.name).collect();
    let rule = format!("no such setting; there are {}", names.join(", "));
    Rejection::new(RejectionCode::InvalidConfig, "configs", name, &rule)
}
