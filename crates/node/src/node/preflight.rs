//! What must hold on this machine before a node touches anything: wrong files and a quorum that can never
//! be born are refused at once, not found out later.

use std::path::Path;

use crate::auth;
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// Numbers of voters that a quorum is born with: an even one tolerates no more failures than one less.
const VOTERS: [usize; 4] = [1, 3, 5, 7];

/// Refuses a configuration that does not fit what is there.
pub(super) fn check(config: &Config, bootstrap: bool) -> Result<(), Failure> {
    check_token_file(config)?;
    check_database_directory(config)?;
    if bootstrap && is_empty(&config.node_dir()) {
        check_voters(config)?;
    }
    Ok(())
}

/// `--bootstrap` makes all nodes of the address book voters.
pub(super) fn check_voters(config: &Config) -> Result<(), Failure> {
    let count = config.nodes.len();
    if VOTERS.contains(&count) {
        return Ok(());
    }
    let value = format!("{count} nodes");
    let rule = "--bootstrap begins a quorum of 1, 3, 5 or 7 nodes; a node that joins an existing quorum \
                starts without it";
    Err(refused("dmq.kraft.cluster.nodes", &value, rule))
}

/// A file that disappears later admits nobody, which is logged; one that never was is a mistake.
fn check_token_file(config: &Config) -> Result<(), Failure> {
    let Some(file) = &config.admin_token_file else {
        return Ok(());
    };
    auth::check_token_file(file).map_err(|reason| {
        let rule = format!("a readable file with one token a line ({reason})");
        refused("auth.admin-token-file", &file.display().to_string(), &rule)
    })
}

/// The database file is created, its directory is not: a mistyped one would take the rows elsewhere.
fn check_database_directory(config: &Config) -> Result<(), Failure> {
    let path = config
        .store_url
        .strip_prefix("sqlite:")
        .map(|path| path.strip_prefix("//").unwrap_or(path));
    let Some(directory) = path.map(Path::new).filter(|path| path.is_absolute()) else {
        return Ok(());
    };
    match directory.parent() {
        Some(parent) if !parent.is_dir() => {
            let rule = format!("the directory of the file exists ({})", parent.display());
            Err(refused("store.url", &config.store_url, &rule))
        }
        _ => Ok(()),
    }
}

fn refused(key: &str, value: &str, rule: &str) -> Failure {
    let message = format!("`{key}` = `{value}`; the rule: {rule}");
    Failure::new(Exit::Usage, message)
}

fn is_empty(directory: &Path) -> bool {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    /// A configuration of `nodes` nodes in `directory`, with these flags.
    fn config(directory: &Path, nodes: u32, flags: &[(&str, &str)]) -> Config {
        let nodes: Vec<String> = (1..=nodes)
            .map(|id| format!("{{id: {id}, host: localhost, port: {}}}", 9000 + id))
            .collect();
        let log_dir = directory.display().to_string();
        let nodes = format!("[{}]", nodes.join(", "));
        let fixed = [
            ("dmq.kraft.node-id", "1"),
            ("dmq.kraft.cluster.nodes", &nodes),
            ("dmq.kraft.raft.log-dir", &log_dir),
        ];
        let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        load(&Sources {
            flags: fixed.iter().chain(flags).map(owned).collect(),
            ..Sources::default()
        })
        .unwrap()
    }

    fn refusal(result: Result<(), Failure>, parts: &[&str]) {
        let failure = result.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        for part in parts {
            assert!(
                failure.message.contains(part),
                "`{part}` is not in: {failure}"
            );
        }
    }

    #[test]
    fn a_quorum_that_can_never_be_born_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for count in [2, 4, 6, 8] {
            let config = config(dir.path(), count, &[]);
            let value = format!("`{count} nodes`");
            refusal(
                check(&config, true),
                &["dmq.kraft.cluster.nodes", &value, "1, 3, 5 or 7"],
            );
            assert!(check(&config, false).is_ok());
        }
        for count in [1, 3, 5, 7] {
            assert!(check(&config(dir.path(), count, &[]), true).is_ok());
        }
        assert!(is_empty(dir.path()));
    }

    #[test]
    fn a_node_with_a_history_may_have_any_address_book() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("node-1").join("log")).unwrap();
        assert!(check(&config(dir.path(), 4, &[]), true).is_ok());
    }

    #[test]
    fn a_token_file_that_cannot_be_used_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let name = file.display().to_string();
        let config = config(dir.path(), 1, &[("auth.admin-token-file", &name)]);
        let key = "`auth.admin-token-file`";
        refusal(check(&config, false), &[key, &name, "one token a line"]);
        std::fs::write(&file, "\n \n").unwrap();
        refusal(check(&config, false), &[key, &name, "holds no token"]);
        std::fs::write(&file, "secret\n").unwrap();
        assert!(check(&config, false).is_ok());
    }

    #[test]
    fn a_database_in_a_directory_that_is_not_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/none/x.db", dir.path().display());
        let missing = config(dir.path(), 1, &[("store.url", &url)]);
        refusal(
            check(&missing, false),
            &["`store.url`", &url, "directory of the file exists"],
        );
        let url = format!("sqlite:{}/x.db", dir.path().display());
        assert!(check(&config(dir.path(), 1, &[("store.url", &url)]), false).is_ok());
        assert!(check(&config(dir.path(), 1, &[("store.url", "sqlite:")]), false).is_ok());
    }
}
