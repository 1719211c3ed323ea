//! The trait of a store and the values that it takes and gives.

use async_trait::async_trait;
use dmq_metadata::{
    ClusterId, DirectoryId, FeatureLevel, Image, Incarnation, LogTime, MetadataIndex, NodeId, Row,
    Settings, StateHash, Term, row_hash,
};

use crate::{RowChanges, StoreError};

/// Keeps the rows of one node's image in a database, together with the position that they belong
/// to.
///
/// Order of calls: [`position`](Self::position), then [`claim`](Self::claim) or
/// [`wipe`](Self::wipe) (all three by [`prepare`](crate::prepare)), then [`rebuild`](Self::rebuild)
/// and [`apply`](Self::apply). After a retryable error the order begins anew. Dropping a future
/// leaves the database at the state before or after the call, never between.
#[async_trait]
pub trait StateStore: Send {
    /// What is written to, for logs: kind and place, without a password.
    fn describe(&self) -> String;

    /// Connects if need be and reads what is there. Writes nothing, so that a stranger's database
    /// stays as it is.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn position(&mut self) -> Result<Found, StoreError>;

    /// Takes the writer lock, brings an empty or older schema up to date and raises the owner
    /// epoch, which fences off whoever wrote before. Reads the position again, under the lock:
    /// nothing changes it from here on but this store. An empty database gets its `node_meta` row
    /// for `me` at index 0 and is reported as [`Found::Empty`].
    ///
    /// # Errors
    /// `Unavailable` while another process holds the lock; `Fenced` if a later owner came after an
    /// earlier claim of this store; `Invalid` if the schema is not one that can be claimed (wipe
    /// it, or leave it).
    async fn claim(&mut self, me: &Owner) -> Result<Found, StoreError>;

    /// Takes the writer lock, then deletes every row (and tables of an unknown schema), and claims
    /// what is left.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    async fn wipe(&mut self, me: &Owner) -> Result<(), StoreError>;

    /// Writes the rows of a batch and its position in one transaction.
    ///
    /// # Errors
    /// `Gap` if the batch does not begin right behind the position; `Fenced` if another owner came;
    /// `Poison` if the database refuses a row; `Unavailable`, nothing written; `CommitUnknown`.
    async fn apply(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Replaces all rows by those of `image`, whose position is `at`, in one transaction: readers
    /// see the old rows or the new ones.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), without `Gap`.
    async fn rebuild(&mut self, image: &Image, at: &Checkpoint) -> Result<(), StoreError>;

    /// Whether the database is still there and still ours, asked through the writing session: a
    /// projection with nothing to write would otherwise not notice. An embedded file stays what it is.
    ///
    /// # Errors
    /// `Unavailable`; `Fenced` if another owner came.
    async fn check(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Reads all rows back in one consistent view and hashes them anew. Finds rows that were edited
    /// by hand.
    ///
    /// # Errors
    /// `Unavailable`; a row that cannot be read back as metadata is a finding, not an error.
    async fn audit(&mut self) -> Result<Audit, StoreError>;
}

/// Whose rows a database holds. Cluster and node never change; incarnation and directory name one
/// life of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The log history.
    pub incarnation: Incarnation,
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub directory: DirectoryId,
}

/// The state that the rows show: everything of `node_meta` that moves with the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Last entry that is in the rows; 0 before the first.
    pub index: MetadataIndex,
    /// Term of that entry.
    pub term: Term,
    /// Log time after it.
    pub log_time: LogTime,
    /// Feature level after it.
    pub feature_level: FeatureLevel,
    /// State hash of the image after it.
    pub state_hash: StateHash,
    /// The newest membership at or below it; `None` before the first.
    pub configuration: Option<StoredConfiguration>,
    /// Index of the newest snapshot of this node, 0 without one. For people.
    pub snapshot_index: MetadataIndex,
}

/// A membership as the log encodes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConfiguration {
    /// Index of its entry.
    pub index: MetadataIndex,
    /// The entry's encoding; opaque here.
    pub bytes: Vec<u8>,
}

/// The changes of consecutive entries, for one transaction. An entry is never split over two.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Index of the first entry: right behind the position of the store.
    pub first: MetadataIndex,
    /// The state after the last entry; `at.index` is its index.
    pub at: Checkpoint,
    /// The last write of every row that the entries touched.
    pub rows: RowChanges,
}

/// What a database says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose rows these are.
    pub owner: Owner,
    /// The state they show.
    pub at: Checkpoint,
    /// Counts the owners so far.
    pub owner_epoch: u64,
}

/// What [`StateStore::position`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No tables of ours, or tables without a `node_meta` row.
    Empty,
    /// Rows of a known schema.
    At(Position),
    /// Tables of ours of a newer, damaged or withdrawn schema.
    UnknownSchema {
        /// The schema version, if it can be read.
        version: Option<u32>,
        /// Whose tables they are, if it can be read.
        owner: Option<Owner>,
    },
    /// A table of one of our names that is not ours; says which.
    Foreign(String),
}

/// What a re-scan of the rows gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The state that the rows claim to show.
    pub at: Checkpoint,
    /// Hash of the rows as they are; `Err` names a row that is no valid metadata.
    pub rows_hash: Result<StateHash, String>,
}

impl Checkpoint {
    /// The state before the first entry: no rows but the settings.
    pub fn before_first() -> Self {
        let state_hash = row_hash(Row::Settings(&Settings::default()), FeatureLevel::ZERO);
        Self {
            state_hash,
            ..Self::default()
        }
    }
}

impl Batch {
    /// The position that the store must have before this batch.
    pub const fn expected(&self) -> MetadataIndex {
        MetadataIndex(self.first.0.saturating_sub(1))
    }

    /// Checks that the batch goes on from `position`.
    ///
    /// # Errors
    /// `Gap` if it does not; `Invalid` if it ends before it begins.
    pub fn check_follows(&self, position: MetadataIndex) -> Result<(), StoreError> {
        if self.first != position.next() {
            return Err(StoreError::Gap {
                position,
                first: self.first,
            });
        }
        if self.at.index < self.first {
            let (first, last) = (self.first, self.at.index);
            return Err(StoreError::Invalid(format!(
                "batch {first}..={last} ends before it begins"
            )));
        }
        Ok(())
    }
}

impl Position {
    /// The position of an empty database that `me` takes over.
    pub(crate) fn before_first(me: &Owner) -> Self {
        Self {
            owner: me.clone(),
            at: Checkpoint::before_first(),
            owner_epoch: 0,
        }
    }

    /// Whether a later owner than the one of `epoch` came; 0 stands for no owner yet. A lower epoch
    /// than ours means that the database went back in time.
    pub(crate) const fn is_later_than(&self, epoch: u64) -> bool {
        epoch > 0 && self.owner_epoch > epoch
    }

    /// Checks that `me`, whose highest epoch so far is `epoch_seen`, may claim the rows at this
    /// position.
    pub(crate) fn check_claim(&self, me: &Owner, epoch_seen: u64) -> Result<(), StoreError> {
        if self.owner != *me {
            return Err(StoreError::Invalid(
                "the rows are not this owner's to claim".to_owned(),
            ));
        }
        if self.is_later_than(epoch_seen) {
            return Err(Found::At(self.clone()).why_not_owned(epoch_seen));
        }
        Ok(())
    }
}

impl Found {
    /// Why `me`, the owner of `epoch`, could not write: somebody else owns the rows now, or
    /// (`poison`) a row was refused.
    pub(crate) fn why_refused(&self, me: &Owner, epoch: u64, poison: Option<String>) -> StoreError {
        match (self, poison) {
            (Self::At(position), Some(poison))
                if position.owner == *me && position.owner_epoch == epoch =>
            {
                StoreError::Poison(poison)
            }
            _ => self.why_not_owned(epoch),
        }
    }

    /// Why the owner of `epoch` could not move the position.
    pub(crate) fn why_not_owned(&self, epoch: u64) -> StoreError {
        let Self::At(Position {
            owner,
            at,
            owner_epoch,
        }) = self
        else {
            return StoreError::Unavailable(format!("the rows went away: {self:?}"));
        };
        StoreError::Fenced(format!(
            "the position is now {}, owner epoch {owner_epoch}, directory {}; our owner epoch is {epoch}",
            at.index, owner.directory
        ))
    }
}

impl Audit {
    /// Whether the rows are what they claim to be.
    pub fn is_clean(&self) -> bool {
        self.rows_hash.as_ref() == Ok(&self.at.state_hash)
    }
}
