//! Picks the store that a URL names.

use std::path::{Path, PathBuf};

use crate::{Credentials, PostgresStore, SqliteStore, StateStore, StoreError};

/// File of the embedded store in the node's directory.
const SQLITE_FILE: &str = "metadata.db";

/// The store of `url`: `sqlite:` (a file in `directory`), `sqlite:<path>` or `postgres://...`
/// ([`PostgresStore::new`]). Nothing is opened yet.
///
/// # Errors
/// `Invalid` if the URL is none of these.
pub fn open(url: &str, directory: &Path) -> Result<Box<dyn StateStore>, StoreError> {
    open_as(url, directory, &Credentials::default())
}

/// [`open`] with what the URL does not say of who we are.
///
/// # Errors
/// `Invalid` if the URL is none of these, or the two contradict each other.
pub fn open_as(
    url: &str,
    directory: &Path,
    credentials: &Credentials,
) -> Result<Box<dyn StateStore>, StoreError> {
    if url.starts_with("sqlite:") && *credentials != Credentials::default() {
        let rule = "store.user and store.password-file are for 'postgres://...' only";
        return Err(StoreError::Invalid(format!("store.url is '{url}': {rule}")));
    }
    if let Some(path) = url.strip_prefix("sqlite:") {
        return Ok(Box::new(SqliteStore::new(sqlite_path(
            path, url, directory,
        )?)));
    }
    let postgres = ["postgres://", "postgresql://"];
    let shown = redact(url);
    if let Some(place) = postgres.iter().find_map(|scheme| url.strip_prefix(scheme)) {
        if !names_a_host(place) {
            let rule = "'postgres://<host>/<database>', or a socket's folder as '?host=/<folder>'";
            return Err(StoreError::Invalid(format!(
                "store.url is '{shown}': it names no server: {rule}"
            )));
        }
        let store = PostgresStore::with_credentials(url, credentials.clone())?;
        return Ok(Box::new(store));
    }
    Err(StoreError::Invalid(format!(
        "store.url is '{shown}': 'sqlite:', 'sqlite:<path>' or 'postgres://...'"
    )))
}

/// A default would be the server of whoever happens to run one on this machine.
fn names_a_host(place: &str) -> bool {
    let (base, query) = place.split_once('?').unwrap_or((place, ""));
    let authority = base.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let by_parameter = |pair: &str| pair.strip_prefix("host=").is_some_and(|h| !h.is_empty());
    !(host.is_empty() || host.starts_with(':')) || query.split('&').any(by_parameter)
}

/// `sqlite://<path>` is what other tools write.
fn sqlite_path(path: &str, url: &str, directory: &Path) -> Result<PathBuf, StoreError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.contains(['?', ':']) {
        let rule = "a plain path, without parameters; ':memory:' would lose the rows";
        return Err(StoreError::Invalid(format!("store.url is '{url}': {rule}")));
    }
    let file = if path.is_empty() { SQLITE_FILE } else { path };
    Ok(directory.join(file))
}

/// The URL with `***` in place of its password, for logs and errors.
pub fn redact(url: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let base = redact_authority(base).unwrap_or_else(|| base.to_owned());
    let hide = |pair: &str| match pair.split_once('=') {
        Some(("password", _)) => "password=***".to_owned(),
        _ => pair.to_owned(),
    };
    match query {
        Some(query) => {
            let pairs: Vec<String> = query.split('&').map(hide).collect();
            format!("{base}?{}", pairs.join("&"))
        }
        None => base,
    }
}

fn redact_authority(base: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let (credentials, place) = rest.rsplit_once('@')?;
    let (user, _) = credentials.split_once(':')?;
    Some(format!("{scheme}://{user}:***@{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_a_url_may_hold_them() {
        let cases = [
            ("postgres://u:p@h:1/d", "postgres://u:***@h:1/d"),
            (
                "postgres://u:p@ss@h/d?sslmode=disable",
                "postgres://u:***@h/d?sslmode=disable",
            ),
            (
                "postgres:///d?host=/run&password=x",
                "postgres:///d?host=/run&password=***",
            ),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("sqlite:", "sqlite:"),
        ];
        for (url, shown) in cases {
            assert_eq!(redact(url), shown);
        }
    }

    #[test]
    fn the_url_picks_the_store() {
        let directory = Path::new("/data/node-1");
        let described = |url: &str| open(url, directory).map(|store| store.describe());
        assert_eq!(
            described("sqlite:").unwrap(),
            "sqlite:/data/node-1/metadata.db"
        );
        assert_eq!(described("sqlite:/x/y.db").unwrap(), "sqlite:/x/y.db");
        assert_eq!(described("sqlite:///x/y.db").unwrap(), "sqlite:/x/y.db");
        assert_eq!(
            described("postgres://u:p@h/d").unwrap(),
            "postgres://u:***@h/d"
        );
        assert!(described("postgres:///d?host=/run/postgresql").is_ok());
    }

    #[test]
    fn a_bad_url_is_refused_with_its_value_and_the_rule() {
        for url in [
            "",
            "mysql://h/d",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
            "/path",
            "postgres://",
            "postgres:///d",
            "postgres://:5432/d",
        ] {
            let error = open(url, Path::new("/data"))
                .err()
                .map(|error| error.to_string());
            let text = error.unwrap_or_default();
            assert!(
                text.starts_with(&format!("store.url is '{url}': ")),
                "{text}"
            );
        }
    }
}
