//! Adds up the hashes of rows as they are read back, for both SQL backends.

use dmq_metadata::{Row, Settings, StateHash, row_hash};

use crate::row::{BrokerColumns, Damage, DedupColumns, PartitionColumns, TopicColumns};
use crate::{Audit, Checkpoint};

/// Why a row could not be hashed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The database did not give it.
    Sql(sqlx::Error),
    /// It is no valid metadata.
    Damage(Damage),
}

/// The sum so far of the rows that belong to a checkpoint.
#[derive(Debug)]
pub(crate) struct RowsHash {
    at: Checkpoint,
    sum: StateHash,
}

impl RowsHash {
    /// Begins with the settings, which `node_meta` holds.
    pub(crate) fn new(at: Checkpoint) -> Self {
        let settings = Settings {
            feature_level: at.feature_level,
            log_time: at.log_time,
        };
        let sum = row_hash(Row::Settings(&settings), at.feature_level);
        Self { at, sum }
    }

    pub(crate) fn topic(&mut self, columns: TopicColumns) -> Result<(), Damage> {
        columns.into_row().map(|row| self.add(Row::Topic(&row)))
    }

    pub(crate) fn partition(&mut self, columns: PartitionColumns) -> Result<(), Damage> {
        columns.into_row().map(|row| self.add(Row::Partition(&row)))
    }

    pub(crate) fn broker(&mut self, columns: BrokerColumns) -> Result<(), Damage> {
        columns.into_row().map(|row| self.add(Row::Broker(&row)))
    }

    pub(crate) fn dedup(&mut self, columns: DedupColumns) -> Result<(), Damage> {
        columns.into_row().map(|row| self.add(Row::Dedup(&row)))
    }

    /// The finding: `read` says whether all rows were read. Only the database's own trouble is an
    /// error.
    pub(crate) fn finding(self, read: Result<(), Trouble>) -> sqlx::Result<Audit> {
        match read {
            Ok(()) => Ok(Audit {
                at: self.at,
                rows_hash: Ok(self.sum),
            }),
            Err(Trouble::Damage(damage)) => Ok(Audit {
                at: self.at,
                rows_hash: Err(damage),
            }),
            Err(Trouble::Sql(error)) => Err(error),
        }
    }

    fn add(&mut self, row: Row<'_>) {
        self.sum += row_hash(row, self.at.feature_level);
    }
}

impl From<sqlx::Error> for Trouble {
    /// A value of another type than expected is damage; all else is the database's trouble.
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::ColumnDecode { .. }) {
            Self::Damage(error.to_string())
        } else {
            Self::Sql(error)
        }
    }
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}
