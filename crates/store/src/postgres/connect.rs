//! Connections to PostgreSQL: options, schema, database.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tracing::info;

use super::credentials::Credentials;
use super::error::{DATABASE_EXISTS, NO_SUCH_DATABASE, classify, sql_state};
use crate::{StoreError, redact};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Database that is there on every server, to create others from.
const MAINTENANCE_DATABASE: &str = "postgres";
/// Longest identifier of PostgreSQL, in bytes.
const IDENTIFIER_LENGTH_MAX: usize = 63;

/// Settings of the projector's sessions.
///
/// `synchronous_commit = off` lets the server lose the last commits in a crash, never half of one;
/// the log brings them again. The limits end waits on readers' locks and on a server that does not
/// move; the keep-alives let the server find out within 20 s that this node is gone, so that the
/// writer lock goes to the next one.
const SETTINGS: [(&str, &str); 9] = [
    ("synchronous_commit", "off"),
    ("lock_timeout", "5s"),
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("client_min_messages", "warning"),
    ("timezone", "UTC"),
];

/// Where to connect, from a URL.
#[derive(Clone)]
pub(super) struct Target {
    options: PgConnectOptions,
    /// Schema of this node in a database that several share; the user's default one if not given.
    schema: Option<String>,
    /// Where the password comes from, if not from the URL.
    credentials: Credentials,
    /// The URL without its password.
    shown: String,
}

/// The options would show a password that the URL holds.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.shown).finish()
    }
}

impl Target {
    /// Reads `postgres://[user[:password]@][host][:port]/database[?parameters]`. Beside libpq's
    /// parameters (`host=/dir` for a Unix socket, `sslmode`, `options`, ...) there is `schema`: the
    /// node's own schema, created when missing.
    pub(super) fn parse(url: &str, credentials: Credentials) -> Result<Self, StoreError> {
        credentials.check(url)?;
        let (url_plain, schema) = take_schema(url)?;
        let options: PgConnectOptions = url_plain.parse().map_err(|error| {
            StoreError::Invalid(format!("store.url is '{}': {error}", redact(url)))
        })?;
        let search_path = schema.iter().map(|schema| ("search_path", schema.as_str()));
        let options = options
            .options(SETTINGS.into_iter().chain(search_path))
            .application_name("dmq-metadata")
            .disable_statement_logging();
        let options = match &credentials.user {
            Some(user) => options.username(user),
            None => options,
        };
        Ok(Self {
            options,
            schema,
            credentials,
            shown: redact(url),
        })
    }

    /// The URL without its password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Connects; `None` if the database does not exist.
    pub(super) async fn connect(&self) -> Result<Option<PgConnection>, StoreError> {
        match connect(&self.credentials.apply(self.options.clone()).await?).await {
            Ok(connection) => Ok(Some(connection)),
            Err(Trouble::Sql(error)) if sql_state(&error).as_deref() == Some(NO_SUCH_DATABASE) => {
                Ok(None)
            }
            Err(trouble) => Err(trouble.into_error(&self.shown)),
        }
    }

    /// Connects; a database and a schema that do not exist are created.
    pub(super) async fn connect_or_create(&self) -> Result<PgConnection, StoreError> {
        let mut connection = match self.connect().await? {
            Some(connection) => connection,
            None => self.create_and_connect().await?,
        };
        self.ensure_schema(&mut connection)
            .await
            .map_err(classify)?;
        Ok(connection)
    }

    async fn create_and_connect(&self) -> Result<PgConnection, StoreError> {
        let options = self.options.clone().database(MAINTENANCE_DATABASE);
        let options = self.credentials.apply(options).await?;
        let connected = connect(&options).await;
        let mut maintenance = connected.map_err(|trouble| trouble.into_error(&self.shown))?;
        self.create_database(&mut maintenance).await?;
        maintenance.close().await.map_err(classify)?;
        let dropped = || StoreError::Unavailable(format!("{}: dropped again", self.shown));
        self.connect().await?.ok_or_else(dropped)
    }

    /// Text sorts byte by byte in it, and it holds every character.
    async fn create_database(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let name = self
            .options
            .get_database()
            .unwrap_or(self.options.get_username());
        let quoted = name.replace('"', "\"\"");
        let sql =
            format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
        match sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
            Ok(_) => info!(database = name, "created the database"),
            Err(error)
                if sql_state(&error).is_some_and(|s| DATABASE_EXISTS.contains(&s.as_str())) => {}
            Err(error) => {
                let text =
                    format!("database '{name}' does not exist and cannot be created: {error}");
                return Err(StoreError::Unavailable(text));
            }
        }
        Ok(())
    }

    /// Creates the node's schema if it does not exist.
    async fn ensure_schema(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let Some(schema) = &self.schema else {
            return Ok(());
        };
        let sql = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(connection)
            .await
            .map(drop)
    }
}

enum Trouble {
    Sql(sqlx::Error),
    Timeout,
}

impl Trouble {
    fn into_error(self, shown: &str) -> StoreError {
        StoreError::Unavailable(match self {
            Self::Sql(error) => format!("{shown}: {error}"),
            Self::Timeout => format!("{shown}: no connection within {CONNECT_TIMEOUT:?}"),
        })
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Trouble> {
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connected) => connected.map_err(Trouble::Sql),
        Err(_) => Err(Trouble::Timeout),
    }
}

/// Takes the parameter `schema` out of a URL.
fn take_schema(url: &str) -> Result<(String, Option<String>), StoreError> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };
    let (schemas, others): (Vec<&str>, Vec<&str>) = query
        .split('&')
        .partition(|pair| pair.starts_with("schema="));
    let schema = schemas
        .last()
        .map(|pair| pair.trim_start_matches("schema="));
    if let Some(schema) = schema.filter(|schema| !is_identifier(schema)) {
        return Err(StoreError::Invalid(format!(
            "store.url has schema={schema}: 1 to 63 of [a-z0-9_], not beginning with a digit or 'pg_'"
        )));
    }
    Ok((
        format!("{base}?{}", others.join("&")),
        schema.map(str::to_owned),
    ))
}

/// Whether the name needs no quotes anywhere.
fn is_identifier(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty()
        && name.len() <= IDENTIFIER_LENGTH_MAX
        && name.chars().all(allowed)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("pg_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_taken_out_of_the_url() {
        let (url, schema) =
            take_schema("postgres:///d?host=/run&schema=node_1&sslmode=disable").unwrap();
        assert_eq!(url, "postgres:///d?host=/run&sslmode=disable");
        assert_eq!(schema.as_deref(), Some("node_1"));
    }

    #[test]
    fn a_schema_that_needs_quotes_is_refused_by_name_value_and_rule() {
        for schema in ["", "1a", "Node", "a-b", "pg_x", "a;drop", &"x".repeat(64)] {
            let error = take_schema(&format!("postgres:///d?schema={schema}")).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&format!("schema={schema}: 1 to 63 of")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_target_that_is_printed_shows_no_password() {
        let url = "postgres://user:secret@host/d";
        let target = Target::parse(url, Credentials::default()).unwrap();
        let printed = format!("{target:?}");
        assert!(
            printed.contains("user") && printed.contains("host/d"),
            "{printed}"
        );
        assert!(!printed.contains("secret"), "{printed}");
    }

    #[test]
    fn an_unparsable_url_is_refused_without_showing_its_password() {
        let url = "postgres://user:secret@host:notaport/d";
        let error = Target::parse(url, Credentials::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("store.url is"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
