//! The list: every mutant, what it breaks, and the program that finds it first.

/// One seeded bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its name, as its place in the sources and `DMQ_MUTANT` have it.
    pub name: &'static str,
    /// What it breaks.
    pub breaks: &'static str,
    /// Who finds it: a program, or `program::test`.
    pub found_by: &'static str,
}

impl Mutant {
    /// The program that finds it.
    pub fn program(&self) -> &'static str {
        self.found_by
            .split_once("::")
            .map_or(self.found_by, |(program, _)| program)
    }

    /// The test of that program, if one is named.
    pub fn test(&self) -> Option<&'static str> {
        self.found_by.split_once("::").map(|(_, test)| test)
    }
}

/// Lines of the form `name: what it breaks => who finds it;`, so that the list can be read as one.
macro_rules! mutants {
    ($($name:literal: $breaks:literal => $found_by:literal;)*) => {
        &[$(Mutant { name: $name, breaks: $breaks, found_by: $found_by }),*]
    };
}

/// All mutants, in the order of the page.
pub const MUTANTS: &[Mutant] = mutants! {
    "vote-not-persisted": "a vote for somebody else is never written"
        => "walker";
    "vote-before-persist": "a vote is sent before it is durable"
        => "walker";
    "vote-request-before-persist": "votes are asked for before the own one is durable"
        => "walker";
    "vote-for-older-log": "a vote is given to a log that lacks entries"
        => "walker";
    "vote-of-another-directory": "a vote counts by node id, whatever its directory"
        => "walker";
    "learner-campaigns": "a member that does not vote campaigns"
        => "walker";
    "removed-voter-falls-silent": "a voter whose removal may not be committed does not campaign"
        => "walker";
    "removed-not-told": "a removed voter is forgotten before it knows that its removal is committed"
        => "raft/scenarios";
    "pre-vote-term-not-adopted": "a refused pre-vote's higher term is not taken over"
        => "raft/scenarios";
    "stickiness-off": "who hears from a leader votes for a disturber all the same"
        => "raft/scenarios";
    "check-quorum-off": "a leader without a majority goes on leading"
        => "raft/scenarios";
    "older-term-taken": "messages of an older term are taken for the present one's"
        => "walker";
    "election-by-committed-configuration": "votes are counted by the newest committed configuration, not by the newest"
        => "walker";
    "ack-before-persist": "entries are acknowledged before they are durable"
        => "walker";
    "ack-of-last-index": "the acknowledgement names the end of the log, not what was compared"
        => "walker";
    "append-commits-behind-itself": "an append commits entries behind its own last one"
        => "walker";
    "conflict-not-truncated": "entries of another term are kept where the leader has others"
        => "walker";
    "stale-append-truncates": "a delayed append cuts off what came after it"
        => "walker";
    "late-persisted-counts": "a late confirmation makes entries durable that were cut meanwhile"
        => "walker";
    "commit-of-older-term": "an entry of an older term is committed by counting"
        => "walker";
    "leader-counts-unpersisted": "the leader counts its own entries before they are durable"
        => "walker";
    "heartbeat-commits-unmatched": "a heartbeat names a commit index that the peer may not hold"
        => "walker";
    "admission-off": "proposals are taken without bound"
        => "raft/scenarios";
    "stale-ack-taken": "answers to appends of before a probe are believed"
        => "raft/scenarios";
    "next-below-matched": "appends begin below what the peer acknowledged"
        => "walker";
    "read-without-round": "a read is answered without a round of heartbeats"
        => "walker";
    "read-before-own-term": "a new leader reads at the commit index of its predecessor"
        => "walker";
    "read-of-earlier-round": "a read is confirmed by a round that began before it"
        => "walker";
    "transfer-takes-proposals": "proposals are taken while leadership is handed over"
        => "raft/scenarios";
    "transfer-to-lagging-voter": "leadership is handed to a voter that lacks entries"
        => "raft/scenarios";
    "vote-by-new-set-alone": "while joint, the new voters alone elect"
        => "walker";
    "commit-by-new-set-alone": "while joint, the new voters alone commit"
        => "walker";
    "commit-by-old-set-alone": "while joint, the old voters alone commit"
        => "walker";
    "learner-counts": "learners count for the commit index"
        => "walker";
    "change-before-own-term": "membership changes before an entry of the own term is committed"
        => "walker";
    "second-change-at-once": "membership changes again before the last change is done"
        => "walker";
    "expectation-ignored": "a change is made whatever membership it expects"
        => "raft/scenarios";
    "lagging-learner-promoted": "a learner votes before it has the log"
        => "raft/scenarios";
    "joint-not-left": "a joint configuration is never completed"
        => "walker";
    "removed-leader-goes-on": "a leader that is no voter any more goes on leading"
        => "walker";
    "configuration-not-reverted": "a configuration stays in force after its entry was cut"
        => "walker";
    "snapshot-keeps-configuration": "an installed snapshot does not bring its configuration"
        => "walker";
    "snapshot-below-commit": "a snapshot below the commit index is installed"
        => "walker";
    "snapshot-acked-before-persist": "a snapshot is acknowledged before its start point is durable"
        => "walker";
    "purge-during-transfer": "the log behind a snapshot on its way is purged"
        => "raft/scenarios";
    "frame-not-synced": "a frame is reported durable before its fsync"
        => "log/crash";
    "sync-error-retried": "a failed fsync is tried again"
        => "log/faults::a_failed_sync_ends_the_log";
    "segment-not-synced": "a new segment gets its name before its bytes are durable"
        => "log/crash::a_segment_switch";
    "segment-name-not-synced": "the directory is not synced after a new segment's rename"
        => "log/crash::a_segment_switch";
    "spare-name-not-synced": "a purged segment is overwritten before its rename is durable"
        => "log/crash::purges_and_recycling";
    "segment-without-vote": "a new segment does not repeat the vote, so that purging forgets it"
        => "log/crash::a_segment_switch";
    "segment-without-configuration": "a new segment does not repeat the configuration"
        => "log/crash::an_installed_snapshot";
    "synced-to-one-too-high": "a frame says that it is durable itself"
        => "log/basics";
    "body-checksum-ignored": "a frame's body is not compared with its checksum"
        => "log/corruption::a_frame_in_a_payload_is_not_taken_for_one";
    "damage-taken-for-torn": "damage of durable frames is cut away like a torn tail"
        => "log/corruption::a_frame_that_does_not_follow_the_one_before_is_refused";
    "torn-tail-left": "a torn tail is not zeroed"
        => "log/crash::a_torn_tail_becomes_durable_zeros";
    "unsynced-frames-trusted": "frames that may be in the page cache only are believed"
        => "log/faults::what_only_the_page_cache_holds_is_written_again";
    "names-trusted-at-start": "the names found at a start are not synced"
        => "log/crash::a_segment_switch";
    "read-checksum-ignored": "entries are read without comparing their checksums"
        => "log/faults::a_rotten_entry_is_not_served";
    "purge-of-needed-entries": "purging takes segments that are still needed"
        => "log/basics::purge_gives_up_whole_segments_only";
    "snapshot-not-synced": "a snapshot file is used before it is durable"
        => "sim";
    "snapshot-name-not-synced": "the directory is not synced after a snapshot's rename"
        => "sim";
    "received-snapshot-not-synced": "a received snapshot file is used before it is durable"
        => "log/snapshots";
    "snapshot-digest-ignored": "a snapshot file is not compared with its SHA-256"
        => "log/snapshots::every_flipped_bit_is_noticed";
    "snapshot-of-another-history": "a snapshot of another cluster or incarnation is taken"
        => "log/snapshots::snapshots_of_other_histories_are_refused";
    "snapshot-without-answers": "the deduplication table is missing in snapshots"
        => "sim";
    "answer-of-another-request": "a key is answered whatever the request's fingerprint"
        => "metadata/lib::dedup";
    "rejection-not-remembered": "rejections are not remembered under their key"
        => "metadata/lib::dedup";
    "log-time-falls": "log time follows the envelope even backwards"
        => "metadata/lib::dedup";
    "apply-not-deterministic": "placement depends on an address in memory"
        => "sim";
    "hash-misses-field": "the state hash leaves out the partition epoch"
        => "metadata/lib::golden";
    "deleted-row-stays-hashed": "a deleted topic stays in the state hash"
        => "metadata/lib::every_history_keeps_every_promise";
    "stale-epoch-taken": "an ISR change with an old partition epoch is accepted"
        => "metadata/lib::isr";
    "leader-out-of-sync": "a replica that is not in sync is elected as if it were"
        => "metadata/lib::brokers";
    "promise-sent-at-once": "messages leave before the write that they promise"
        => "replica/controller";
    "truncation-not-told": "the projector does not learn that durable entries were cut"
        => "replica/lifecycle";
    "install-before-persisted": "the image is replaced before the start point is durable"
        => "replica/lib";
    "read-before-applied": "a read is served before the image is at its index"
        => "sim";
    "waiter-by-index-alone": "a waiting write takes the outcome of another term's entry"
        => "replica/lib";
    "answer-before-projected": "ack=projected does not wait for the database"
        => "replica/requests";
    "snapshot-past-durable": "a snapshot covers entries that are not durable here"
        => "replica/lib";
    "snapshot-without-configuration": "a snapshot file has no configuration"
        => "replica/lifecycle";
    "projection-past-durable": "the database gets entries that are not durable here"
        => "replica/lib";
    "copy-past-durable": "an image is copied to the database before it is durable here"
        => "replica/lib";
    "projection-gap-ignored": "the projector goes on where change sets are missing"
        => "replica/lib";
    "minority-judges": "two members that agree condemn the others"
        => "replica/lib";
    "no-space-taken-for-done": "a write that found no space is reported as durable"
        => "replica/requests";
    "position-outside-transaction": "rows are written in another transaction than their position"
        => "store/sqlite::a_row_that_breaks_a_constraint_is_poison_and_changes_nothing";
    "owner-epoch-not-raised": "a new owner of a database does not fence off the old one"
        => "store/sqlite::a_writer_that_is_gone_is_followed_by_the_next";
    "database-of-another-cluster": "the database of another cluster is taken over"
        => "store/sqlite::matrix_another_cluster_is_refused_and_untouched";
    "log-loss-unnoticed": "a database ahead of the log is not noticed"
        => "store/sqlite::matrix_a_position_beyond_the_log_stops_the_member";
};
