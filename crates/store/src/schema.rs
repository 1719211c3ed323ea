//! Which tables are ours, in which version, and what a database is that holds them: the same for
//! both SQL backends.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};

use crate::{Found, Owner, Position, SCHEMA_VERSION, StoreError};

/// Table in which the migrator notes what it ran.
pub(crate) const MIGRATIONS_TABLE: &str = "dmq_migrations";

/// Our tables, as of [`SCHEMA_VERSION`].
pub(crate) const TABLES: [&str; 6] = [
    "node_meta",
    "topics",
    "topic_configs",
    "partitions",
    "brokers",
    "request_dedup",
];

/// What a look at a database's catalogue and at `node_meta` gave.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// Existing tables of our names, and whether they bear our mark.
    pub(crate) tables: Vec<(String, bool)>,
    /// Version, checksum and success of the migrations that were run.
    pub(crate) migrations: Vec<(i64, Vec<u8>, bool)>,
    /// The row of `node_meta`.
    pub(crate) meta: Meta,
}

/// The row of `node_meta`, as far as it can be read.
#[derive(Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "one value, looked at once")]
pub(crate) enum Meta {
    /// There is no row.
    #[default]
    Missing,
    /// There is one, of another shape.
    Unreadable,
    /// Identity and schema version, which keep their columns in every version, and the whole row if
    /// it makes sense.
    Row {
        version: u32,
        owner: Owner,
        position: Option<Position>,
    },
}

impl Inspection {
    /// Whether the table exists and no table that could have been mistaken for ours does.
    pub(crate) fn is_ours(&self, table: &str) -> bool {
        self.tables.iter().all(|(_, ours)| *ours)
            && self.tables.iter().any(|(name, _)| name == table)
    }

    /// What the database is. `migrator` holds the migrations that this binary knows.
    pub(crate) fn verdict(self, migrator: &Migrator) -> Found {
        if self.tables.is_empty() {
            return Found::Empty;
        }
        if let Some((name, _)) = self.tables.iter().find(|(_, ours)| !ours) {
            return Found::Foreign(format!(
                "table {name} exists, and DMQ Metadata did not make it"
            ));
        }
        let known = self.known_version(migrator);
        match self.meta {
            Meta::Missing if known.is_some() => Found::Empty,
            Meta::Missing | Meta::Unreadable => Found::UnknownSchema {
                version: None,
                owner: None,
            },
            Meta::Row {
                position: Some(position),
                version,
                ..
            } if known == Some(version) => Found::At(position),
            Meta::Row { version, owner, .. } => Found::UnknownSchema {
                version: Some(version),
                owner: Some(owner),
            },
        }
    }

    /// The schema version, if the migrations that were run are the first ones of ours, unchanged
    /// and to their end, and no table of the newest version is missing.
    fn known_version(&self, migrator: &Migrator) -> Option<u32> {
        let mut ours = migrator.iter();
        let same = |(version, checksum, success): &(i64, Vec<u8>, bool)| {
            *success
                && ours.next().is_some_and(|ours| {
                    ours.version == *version && ours.checksum.as_ref() == checksum.as_slice()
                })
        };
        let known = self.migrations.iter().all(same);
        let version = u32::try_from(self.migrations.len())
            .ok()
            .filter(|version| *version > 0)?;
        let exists = |name: &&str| self.tables.iter().any(|(found, _)| found == name);
        let complete = version < SCHEMA_VERSION || TABLES.iter().all(exists);
        (known && complete).then_some(version)
    }
}

/// A migrator over the files of one backend, given oldest first.
pub(crate) fn migrator(files: &[(&'static str, &'static str)]) -> Migrator {
    let migration = |(number, (description, sql)): (i64, &(&'static str, &'static str))| {
        let description = (*description).into();
        Migration::new(
            number,
            description,
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    let mut migrator = Migrator::with_migrations((1..).zip(files).map(migration).collect());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}

/// Runs the migrations that are missing. `run` itself is out of reach: its future is not `Send`
/// behind a trait.
pub(crate) async fn migrate(
    migrator: &Migrator,
    connection: &mut (impl Migrate + Send),
) -> Result<(), StoreError> {
    let done = migrator.run_direct(None, connection, false).await;
    done.map_err(|error| StoreError::Unavailable(error.to_string()))
}
