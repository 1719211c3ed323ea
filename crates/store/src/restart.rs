//! What to do with the database that is found: the pure decision of the restart matrix.
//!
//! The image always comes from the newest local snapshot and the log. The database is compared with
//! them and is then caught up, rebuilt, wiped, or left alone. This decides;
//! [`prepare`](crate::prepare) does.

use std::fmt;

use dmq_metadata::{MetadataIndex, Term};

use crate::mutant;
use crate::{Found, Owner, Position};

/// What this member has beside its database.
pub struct LogView<'a> {
    /// Changes can be produced for every entry behind this index. At start: the index of the
    /// snapshot that the image was loaded from (0 without one); later: the index before the oldest
    /// change set still held.
    pub changes_after: MetadataIndex,
    /// Last entry of the local log.
    pub last: MetadataIndex,
    /// Term of an entry of the log, its start point included; `None` outside of it.
    pub term_at: &'a (dyn Fn(MetadataIndex) -> Option<Term> + Send + Sync),
}

impl fmt::Debug for LogView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LogView {{ changes after {}, last {} }}",
            self.changes_after, self.last
        )
    }
}

/// The way on from the database as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The rows are ours and the log continues them: project from this index on.
    Resume {
        /// First entry whose changes are missing.
        from: MetadataIndex,
    },
    /// The rows are ours, or there are none, but their changes cannot be produced again: copy the
    /// image.
    Rebuild(RebuildReason),
    /// The rows cannot be kept at all: take the writer lock, empty the database, copy the image.
    Wipe(WipeReason),
    /// Somebody else's database: touch nothing, say so, and go on without a projection.
    Refuse(Refusal),
    /// The log lost committed entries, or the data directory is an old one: the member stops.
    Stop(StopReason),
}

/// Why the image is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildReason {
    /// There is nothing in the database.
    Empty,
    /// The database is older than the oldest changes that can still be produced.
    BehindChanges {
        /// Where the database stands.
        found: MetadataIndex,
        /// Changes exist behind this index only.
        changes_after: MetadataIndex,
    },
}

/// Why everything in the database goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WipeReason {
    /// Written by this node under another data directory.
    OtherDirectory,
    /// Written by this node before the last restore or forced recovery.
    LowerIncarnation,
    /// Tables of a schema that this binary does not know.
    UnknownSchema,
}

/// Whose database it is, if not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to another cluster.
    OtherCluster {
        /// The cluster named in the database.
        found: String,
        /// Our cluster.
        ours: String,
    },
    /// It belongs to another node of this cluster.
    OtherNode {
        /// The node named in the database.
        found: u32,
        /// Our node.
        ours: u32,
    },
    /// Its tables are not ours to touch.
    Foreign {
        /// What was found.
        found: String,
    },
}

/// Why the member stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The database comes from a later incarnation than the data directory.
    HigherIncarnation {
        /// Incarnation number in the database.
        found: u64,
        /// Incarnation number of the data directory.
        ours: u64,
    },
    /// The database comes from another history with the same incarnation number.
    OtherHistory {
        /// The incarnation number that both have.
        incarnation: u64,
    },
    /// The database holds entries that the log does not.
    BeyondLog {
        /// Where the database stands.
        found: MetadataIndex,
        /// Where the log ends.
        last: MetadataIndex,
    },
    /// The log holds another entry at the database's position.
    OtherTerm {
        /// Where the database stands.
        index: MetadataIndex,
        /// Term in the database.
        found: Term,
        /// Term in the log.
        log: Term,
    },
}

/// Decides what to do with `found`, for the member `me` with `log`. Rows of the matrix in order of
/// precedence.
pub fn decide(found: &Found, me: &Owner, log: &LogView<'_>) -> Decision {
    let (owner, position) = match found {
        Found::Empty => return Decision::Rebuild(RebuildReason::Empty),
        Found::Foreign(found) => {
            return Decision::Refuse(Refusal::Foreign {
                found: found.clone(),
            });
        }
        Found::UnknownSchema { owner: None, .. } => {
            return Decision::Wipe(WipeReason::UnknownSchema);
        }
        Found::UnknownSchema {
            owner: Some(owner), ..
        } => (owner, None),
        Found::At(position) => (&position.owner, Some(position)),
    };
    if let Some(refusal) = foreign_owner(owner, me) {
        return Decision::Refuse(refusal);
    }
    if let Some(stop) = later_history(owner, me) {
        return Decision::Stop(stop);
    }
    match (position, earlier_life(owner, me)) {
        (None, _) => Decision::Wipe(WipeReason::UnknownSchema),
        (Some(_), Some(reason)) => Decision::Wipe(reason),
        (Some(position), None) => compare_with_log(position, log),
    }
}

/// The cluster is compared first: node ids mean nothing across clusters.
fn foreign_owner(found: &Owner, me: &Owner) -> Option<Refusal> {
    if found.cluster_id != me.cluster_id && !mutant::is("database-of-another-cluster") {
        let (found, ours) = (found.cluster_id.to_string(), me.cluster_id.to_string());
        return Some(Refusal::OtherCluster { found, ours });
    }
    (found.node != me.node).then_some(Refusal::OtherNode {
        found: found.node.0,
        ours: me.node.0,
    })
}

/// A later or other history outranks the directory: this member's disk is the old one then.
fn later_history(found: &Owner, me: &Owner) -> Option<StopReason> {
    let (theirs, ours) = (found.incarnation, me.incarnation);
    if theirs.number > ours.number {
        let (found, ours) = (theirs.number, ours.number);
        return Some(StopReason::HigherIncarnation { found, ours });
    }
    (theirs.number == ours.number && theirs.nonce != ours.nonce).then_some(
        StopReason::OtherHistory {
            incarnation: ours.number,
        },
    )
}

fn earlier_life(found: &Owner, me: &Owner) -> Option<WipeReason> {
    if found.incarnation.number < me.incarnation.number {
        return Some(WipeReason::LowerIncarnation);
    }
    (found.directory != me.directory).then_some(WipeReason::OtherDirectory)
}

/// The term is compared wherever the log still knows it, even where changes are missing.
fn compare_with_log(position: &Position, log: &LogView<'_>) -> Decision {
    let (index, found) = (position.at.index, position.at.term);
    if index > log.last && !mutant::is("log-loss-unnoticed") {
        return Decision::Stop(StopReason::BeyondLog {
            found: index,
            last: log.last,
        });
    }
    let behind = RebuildReason::BehindChanges {
        found: index,
        changes_after: log.changes_after,
    };
    match (log.term_at)(index) {
        Some(log) if log != found => Decision::Stop(StopReason::OtherTerm { index, found, log }),
        Some(_) if index >= log.changes_after => Decision::Resume { from: index.next() },
        Some(_) | None => Decision::Rebuild(behind),
    }
}

impl fmt::Display for WipeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherDirectory => "written by this node under an earlier data directory",
            Self::LowerIncarnation => "written by this node in an earlier incarnation",
            Self::UnknownSchema => "its schema version is unknown",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster { found, ours } => {
                write!(
                    f,
                    "the database belongs to cluster {found}, this node to cluster {ours}"
                )
            }
            Self::OtherNode { found, ours } => {
                write!(
                    f,
                    "the database belongs to node {found}, this is node {ours}"
                )
            }
            Self::Foreign { found } => write!(f, "the database is in use by others: {found}"),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HigherIncarnation { found, ours } => write!(
                f,
                "the database is of incarnation {found}, this data directory of incarnation {ours}: \
                 the directory is an old one"
            ),
            Self::OtherHistory { incarnation } => write!(
                f,
                "the database is of another history of incarnation {incarnation} than this data directory"
            ),
            Self::BeyondLog { found, last } => write!(
                f,
                "the database stands at index {found}, the log ends at {last}: \
                 the log lost committed entries"
            ),
            Self::OtherTerm { index, found, log } => write!(
                f,
                "entry {index} is of term {found} in the database and of term {log} in the log: \
                 the log lost committed entries"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use dmq_metadata::{ClusterId, DirectoryId, Incarnation, NodeId};
    use uuid::Uuid;

    use super::*;
    use crate::Checkpoint;

    const HISTORY: Incarnation = Incarnation {
        number: 3,
        nonce: 0xabc,
    };

    fn me() -> Owner {
        Owner {
            cluster_id: ClusterId::parse("ours").unwrap(),
            incarnation: HISTORY,
            node: NodeId(1),
            directory: DirectoryId(Uuid::from_u128(1)),
        }
    }

    /// A database of `owner` at (index, term).
    fn at(owner: Owner, index: u64, term: u64) -> Found {
        let at = Checkpoint {
            index: MetadataIndex(index),
            term: Term(term),
            ..Checkpoint::before_first()
        };
        Found::At(Position {
            owner,
            at,
            owner_epoch: 7,
        })
    }

    /// The log holds 51..=100; its start point is (50, 1), entries are of term 1 up to 79 and of
    /// term 2 from 80 on. The image was loaded from a snapshot at 60.
    fn decided(found: &Found) -> Decision {
        let term_at = |index: MetadataIndex| match index.0 {
            50..80 => Some(Term(1)),
            80..=100 => Some(Term(2)),
            _ => None,
        };
        let log = LogView {
            changes_after: MetadataIndex(60),
            last: MetadataIndex(100),
            term_at: &term_at,
        };
        decide(found, &me(), &log)
    }

    fn resume(from: u64) -> Decision {
        Decision::Resume {
            from: MetadataIndex(from),
        }
    }

    fn behind(found: u64) -> Decision {
        let (found, changes_after) = (MetadataIndex(found), MetadataIndex(60));
        Decision::Rebuild(RebuildReason::BehindChanges {
            found,
            changes_after,
        })
    }

    #[test]
    fn positions_of_this_life_are_compared_with_the_log() {
        let cases = [
            (100, 2, resume(101)),
            (80, 2, resume(81)),
            (79, 1, resume(80)),
            (60, 1, resume(61)),
            (59, 1, behind(59)),
            (50, 1, behind(50)),
            (49, 1, behind(49)),
            (0, 0, behind(0)),
        ];
        for (index, term, expected) in cases {
            assert_eq!(
                decided(&at(me(), index, term)),
                expected,
                "at ({index}, {term})"
            );
        }
    }

    #[test]
    fn positions_that_the_log_does_not_hold_stop_the_member() {
        let beyond = StopReason::BeyondLog {
            found: MetadataIndex(101),
            last: MetadataIndex(100),
        };
        assert_eq!(decided(&at(me(), 101, 2)), Decision::Stop(beyond));
        // Where changes are missing too: the log says all the same that it lost entries.
        for (index, found, log) in [(100, 1, 2), (80, 1, 2), (79, 2, 1), (55, 2, 1)] {
            let (found, log) = (Term(found), Term(log));
            let stop = StopReason::OtherTerm {
                index: MetadataIndex(index),
                found,
                log,
            };
            assert_eq!(decided(&at(me(), index, found.0)), Decision::Stop(stop));
        }
    }

    #[test]
    fn a_log_from_its_first_entry_resumes_an_empty_database_of_ours() {
        let term_at = |index: MetadataIndex| (index.0 == 0).then_some(Term(0));
        let (changes_after, last) = (MetadataIndex(0), MetadataIndex(0));
        let log = LogView {
            changes_after,
            last,
            term_at: &term_at,
        };
        assert_eq!(decide(&at(me(), 0, 0), &me(), &log), resume(1));
        let empty = Decision::Rebuild(RebuildReason::Empty);
        assert_eq!(decide(&Found::Empty, &me(), &log), empty);
    }

    /// Cluster before node before history before directory, and all of them before the log.
    #[test]
    fn identities_are_judged_in_order_of_precedence() {
        let mut owner = me();
        let judged = |owner: &Owner| decided(&at(owner.clone(), 1_000, 9));
        owner.directory = DirectoryId(Uuid::from_u128(2));
        assert_eq!(judged(&owner), Decision::Wipe(WipeReason::OtherDirectory));
        owner.incarnation = Incarnation {
            number: 2,
            nonce: 0xabc,
        };
        assert_eq!(judged(&owner), Decision::Wipe(WipeReason::LowerIncarnation));
        owner.incarnation = Incarnation {
            number: 3,
            nonce: 0xabd,
        };
        let other = StopReason::OtherHistory { incarnation: 3 };
        assert_eq!(judged(&owner), Decision::Stop(other));
        owner.incarnation = Incarnation {
            number: 4,
            nonce: 0xabc,
        };
        let higher = StopReason::HigherIncarnation { found: 4, ours: 3 };
        assert_eq!(judged(&owner), Decision::Stop(higher));
        owner.node = NodeId(2);
        let node = Refusal::OtherNode { found: 2, ours: 1 };
        assert_eq!(judged(&owner), Decision::Refuse(node));
        owner.cluster_id = ClusterId::parse("theirs").unwrap();
        let (found, ours) = ("theirs".to_owned(), "ours".to_owned());
        let cluster = Refusal::OtherCluster { found, ours };
        assert_eq!(judged(&owner), Decision::Refuse(cluster));
    }

    #[test]
    fn an_unknown_schema_is_dropped_unless_it_is_somebody_elses() {
        let unknown = |owner| Found::UnknownSchema {
            version: Some(99),
            owner,
        };
        let wipe = Decision::Wipe(WipeReason::UnknownSchema);
        assert_eq!(decided(&unknown(None)), wipe);
        assert_eq!(decided(&unknown(Some(me()))), wipe);
        let mut earlier = me();
        earlier.directory = DirectoryId(Uuid::from_u128(2));
        assert_eq!(decided(&unknown(Some(earlier))), wipe);
        let mut neighbour = me();
        neighbour.node = NodeId(2);
        let refuse = Decision::Refuse(Refusal::OtherNode { found: 2, ours: 1 });
        assert_eq!(decided(&unknown(Some(neighbour))), refuse);
        let mut later = me();
        later.incarnation.number = 4;
        let stop = Decision::Stop(StopReason::HigherIncarnation { found: 4, ours: 3 });
        assert_eq!(decided(&unknown(Some(later))), stop);
    }

    #[test]
    fn strangers_tables_are_left_alone_by_name() {
        let found = Found::Foreign("table topics exists".to_owned());
        let Decision::Refuse(refusal) = decided(&found) else {
            panic!("not refused")
        };
        let text = refusal.to_string();
        assert_eq!(
            text,
            "the database is in use by others: table topics exists"
        );
    }

    #[test]
    fn every_reason_names_both_sides() {
        let stop = StopReason::OtherTerm {
            index: MetadataIndex(7),
            found: Term(2),
            log: Term(3),
        };
        assert_eq!(
            stop.to_string(),
            "entry 7 is of term 2 in the database and of term 3 in the log: \
             the log lost committed entries"
        );
        let beyond = StopReason::BeyondLog {
            found: MetadataIndex(9),
            last: MetadataIndex(5),
        };
        assert_eq!(
            beyond.to_string(),
            "the database stands at index 9, the log ends at 5: the log lost committed entries"
        );
    }
}
