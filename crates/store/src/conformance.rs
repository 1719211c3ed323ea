//! What every implementation of [`StateStore`] must do: one suite, run by all of them.
//!
//! An implementation brings a [`Backend`] and calls
//! [`conformance_tests!`](crate::conformance_tests). Each case gets a database of its own. Names of
//! cases are sentences.

mod apply;
mod fencing;
pub mod history;
mod matrix;

use async_trait::async_trait;
use dmq_metadata::MetadataIndex;

pub use self::apply::*;
pub use self::fencing::*;
use self::history::{History, owner};
pub use self::matrix::*;
use crate::{Found, LogView, Position, Prepared, StateStore, StoreError, prepare};

/// One database, as an implementation's tests provide it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// A store on this database, as another process would open it.
    fn open(&self) -> Box<dyn StateStore>;

    /// Changes the database behind the store's back.
    async fn tamper(&self, tamper: Tamper);
}

/// Changes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// The database turns out to be another cluster's.
    OtherCluster,
    /// ... another node's.
    OtherNode,
    /// ... this node's, of another data directory.
    OtherDirectory,
    /// ... of an earlier incarnation.
    LowerIncarnation,
    /// ... of a later incarnation.
    HigherIncarnation,
    /// ... of the same incarnation number, but another history.
    OtherNonce,
    /// Its position has another term.
    OtherTerm,
    /// Another owner claims it, although the lock is ours: ours broke without our noticing.
    NextOwner,
    /// One partition's row is changed by hand.
    EditRow,
    /// One partition's row is deleted by hand.
    LoseRow,
    /// The position is deleted by hand, every other row stays.
    LosePosition,
}

impl Tamper {
    /// The change as SQL, for both backends.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::OtherCluster => "UPDATE node_meta SET cluster_id = 'another'",
            Self::OtherNode => "UPDATE node_meta SET node_id = 99",
            Self::OtherDirectory => {
                "UPDATE node_meta SET directory_id = '00000000-0000-4000-8000-0000000000ff'"
            }
            Self::LowerIncarnation => "UPDATE node_meta SET incarnation = incarnation - 1",
            Self::HigherIncarnation => "UPDATE node_meta SET incarnation = incarnation + 1",
            Self::OtherNonce => "UPDATE node_meta SET incarnation_nonce = '0000000000000001'",
            Self::OtherTerm => "UPDATE node_meta SET last_applied_term = last_applied_term + 1",
            Self::NextOwner => "UPDATE node_meta SET owner_epoch = owner_epoch + 1",
            Self::EditRow => "UPDATE partitions SET leader_epoch = leader_epoch + 1",
            Self::LosePosition => "DELETE FROM node_meta",
            Self::LoseRow => {
                "DELETE FROM partitions
                 WHERE topic_id = (SELECT topic_id FROM partitions ORDER BY topic_id LIMIT 1)"
            }
        }
    }
}

/// Runs every case of the suite as a test of its own. `$backend` is an expression that awaits to
/// `Option<impl Backend>`; `None` skips the case (the expression has said why).
#[macro_export]
macro_rules! conformance_tests {
    ($backend:expr) => {
        $crate::conformance_tests! { $backend =>
            an_empty_database_is_rebuilt
            batches_of_every_size_give_the_rows_of_the_image
            a_batch_without_rows_moves_the_position
            a_rebuild_replaces_every_row
            a_batch_that_does_not_follow_is_refused_and_changes_nothing
            a_row_that_breaks_a_constraint_is_poison_and_changes_nothing
            a_store_that_was_not_claimed_takes_nothing
            a_topic_created_anew_under_its_old_name_replaces_it_in_one_batch
            extreme_values_come_back_as_they_went
            an_edited_row_is_found_by_the_audit
            a_lost_row_is_found_by_the_audit
            a_second_writer_is_refused_while_the_first_lives
            a_writer_that_is_gone_is_followed_by_the_next
            a_later_owner_fences_the_first
            a_fenced_store_stays_fenced
            dropping_a_call_half_way_leaves_one_of_the_two_states
            a_database_without_a_position_is_cleared_by_the_claim
            matrix_another_cluster_is_refused_and_untouched
            matrix_another_node_is_refused_and_untouched
            matrix_an_earlier_directory_is_wiped_and_rebuilt
            matrix_a_lower_incarnation_is_wiped_and_rebuilt
            matrix_a_higher_incarnation_stops_the_member
            matrix_another_history_of_the_same_number_stops_the_member
            matrix_a_position_within_the_log_is_resumed
            matrix_a_position_at_the_snapshot_is_resumed
            matrix_a_position_at_the_end_of_the_log_is_resumed
            matrix_a_position_below_the_snapshot_is_rebuilt
            matrix_a_position_beyond_the_log_stops_the_member
            matrix_another_term_at_the_position_stops_the_member
        }
    };
    ($backend:expr => $($case:ident)*) => {$(
        #[tokio::test]
        async fn $case() -> Result<(), $crate::StoreError> {
            match $backend.await {
                Some(backend) => $crate::conformance::$case(&backend).await,
                None => Ok(()),
            }
        }
    )*};
}

/// Takes the database over and brings it to `history`'s entry `last` by one rebuild or batch.
///
/// # Errors
/// Those of the store.
pub async fn bring_to(
    store: &mut dyn StateStore,
    history: &History,
    last: u64,
) -> Result<(), StoreError> {
    let prepared = prepare_with(store, history, 0).await?;
    let from = match prepared {
        Prepared::Resume { from } => from,
        Prepared::Rebuild => {
            let start = History::new(0, 0);
            store
                .rebuild(start.image(), &history.checkpoint(MetadataIndex(0)))
                .await?;
            MetadataIndex(1)
        }
        other => return Err(StoreError::Invalid(format!("not ours: {other:?}"))),
    };
    if from.0 <= last {
        store.apply(&history.batch(from.0, last)).await?;
    }
    Ok(())
}

/// [`prepare`] with `history` as the log, whose changes exist behind `changes_after`.
///
/// # Errors
/// Those of the store.
pub async fn prepare_with(
    store: &mut dyn StateStore,
    history: &History,
    changes_after: u64,
) -> Result<Prepared, StoreError> {
    let term_at = |index| history.term_at(index);
    let changes_after = MetadataIndex(changes_after);
    let log = LogView {
        changes_after,
        last: history.last(),
        term_at: &term_at,
    };
    prepare(store, &owner(), &log).await
}

/// The position that is found, which must be one.
///
/// # Errors
/// Those of the store; `Invalid` if there is none.
pub async fn position(backend: &dyn Backend) -> Result<Position, StoreError> {
    match backend.open().position().await? {
        Found::At(position) => Ok(position),
        found => Err(StoreError::Invalid(format!("no position: {found:?}"))),
    }
}

/// Asserts that the rows, read back, are those of `history` after entry `last`, and that the
/// position says so.
///
/// # Errors
/// Those of the store.
pub async fn assert_at(
    backend: &dyn Backend,
    history: &History,
    last: u64,
) -> Result<(), StoreError> {
    let expected = history.checkpoint(MetadataIndex(last));
    let audit = backend.open().audit().await?;
    assert_eq!(audit.at, expected, "the position at entry {last}");
    assert_eq!(
        audit.rows_hash,
        Ok(expected.state_hash),
        "the rows at entry {last}"
    );
    assert!(audit.is_clean());
    Ok(())
}
