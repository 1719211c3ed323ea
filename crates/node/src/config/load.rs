//! Reads the three sources into one flat table of values and hands it to validation.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::keys::{KEYS, Key, Kind};
use super::{Config, ConfigError, Origin, validate};

/// Where values come from, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The YAML file, if one was named.
    pub file: Option<PathBuf>,
    /// The environment variables of the process.
    pub environment: BTreeMap<String, String>,
    /// `(key path, value)` of the flags.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The file and flags given, and this process's environment. Variables that are not Unicode cannot
    /// name a key and are left out.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let unicode = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            file,
            environment: std::env::vars_os().filter_map(unicode).collect(),
            flags,
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The values by key path; only keys of the table.
pub(super) type Table = BTreeMap<&'static str, Given>;

/// Reads and validates the configuration.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    validate::validate(&table(sources)?, sources.file.clone())
}

/// Reads and validates what a file of this text would say by itself; `name` is what errors call it.
pub fn of_text(name: &str, text: &str) -> Result<Config, ConfigError> {
    let mut table = Table::new();
    read_text(name.to_owned(), text, &mut table)?;
    validate::validate(&table, None)
}

/// Reads the sources, the strongest last, and checks only that their keys are known.
pub(super) fn table(sources: &Sources) -> Result<Table, ConfigError> {
    let mut table = Table::new();
    if let Some(path) = &sources.file {
        read_file(path, &mut table)?;
    }
    read_environment(&sources.environment, &mut table)?;
    read_flags(&sources.flags, &mut table)?;
    Ok(table)
}

fn read_file(path: &Path, table: &mut Table) -> Result<(), ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: name.clone(),
        reason: error.to_string(),
    })?;
    read_text(name, &text, table)
}

fn read_text(name: String, text: &str, table: &mut Table) -> Result<(), ConfigError> {
    let tree: Value = serde_yaml::from_str(text).map_err(|error| ConfigError::NotYaml {
        path: name.clone(),
        reason: error.to_string(),
    })?;
    flatten("", tree, &Origin::File(name), table)
}

/// Walks the tree down to the keys of the table; whatever lies beside them is an unknown key.
fn flatten(path: &str, tree: Value, origin: &Origin, table: &mut Table) -> Result<(), ConfigError> {
    if let Some(key) = find(path) {
        if !tree.is_null() {
            table.insert(
                key.path,
                Given {
                    value: tree,
                    origin: origin.clone(),
                },
            );
        }
        return Ok(());
    }
    match tree {
        Value::Null if path.is_empty() || is_section(path) => Ok(()),
        Value::Object(members) if path.is_empty() || is_section(path) => {
            members.into_iter().try_for_each(|(name, value)| {
                let below = if path.is_empty() {
                    name
                } else {
                    format!("{path}.{name}")
                };
                flatten(&below, value, origin, table)
            })
        }
        value if path.is_empty() || is_section(path) => Err(ConfigError::Invalid {
            key: if path.is_empty() {
                "(top level)".to_owned()
            } else {
                path.to_owned()
            },
            value: display(&value),
            origin: origin.clone(),
            rule: "a section with keys below it".to_owned(),
        }),
        _ => Err(unknown(path, origin.clone())),
    }
}

fn read_environment(
    environment: &BTreeMap<String, String>,
    table: &mut Table,
) -> Result<(), ConfigError> {
    for key in KEYS {
        let variable = key.environment_variable();
        if let Some(text) = environment.get(&variable) {
            let origin = Origin::Environment(variable);
            table.insert(
                key.path,
                Given {
                    value: parse(key, text, &origin)?,
                    origin,
                },
            );
        }
    }
    Ok(())
}

fn read_flags(flags: &[(String, String)], table: &mut Table) -> Result<(), ConfigError> {
    for (path, text) in flags {
        let origin = Origin::Flag(format!("--{path}"));
        let key = find(path).ok_or_else(|| unknown(path, origin.clone()))?;
        table.insert(
            key.path,
            Given {
                value: parse(key, text, &origin)?,
                origin,
            },
        );
    }
    Ok(())
}

/// The text of a flag or variable as the value that the file would hold.
fn parse(key: &Key, text: &str, origin: &Origin) -> Result<Value, ConfigError> {
    match key.kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Number => Ok(text
            .trim()
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from)),
        Kind::Nodes => serde_yaml::from_str(text).map_err(|error| ConfigError::Invalid {
            key: key.path.to_owned(),
            value: text.to_owned(),
            origin: origin.clone(),
            rule: format!("a YAML list of {{id, host, port}} ({error})"),
        }),
    }
}

fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn unknown(path: &str, origin: Origin) -> ConfigError {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_lowercase();
    let wanted = last(path).replace(['-', '_'], "");
    let hint = KEYS
        .iter()
        .find(|key| last(key.path).replace('-', "") == wanted)
        .map_or_else(String::new, |key| format!("; did you mean `{}`?", key.path));
    ConfigError::UnknownKey {
        key: path.to_owned(),
        origin,
        hint,
    }
}

/// A value as a person would write it.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
