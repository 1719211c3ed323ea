//! The follower's side of log replication: what it takes from its leader, and when it may say so.

use crate::election::Standing;
use crate::mutant;
use crate::{
    AppendResult, Configuration, Effects, Entry, EntryId, EntryKind, LogIndex, MemberId,
    MessageBody, Raft, Term,
};

/// An append without its envelope.
pub(crate) struct Append {
    pub(crate) seq: u64,
    pub(crate) prev: EntryId,
    pub(crate) last: EntryId,
    pub(crate) entries: Vec<Entry>,
    pub(crate) commit: LogIndex,
}

impl Raft {
    /// A message that only the leader of the current term sends has arrived.
    pub(crate) fn follow(&mut self, leader: MemberId, fx: &mut Effects) {
        let leads = matches!(self.standing, Standing::Leader(_));
        assert!(
            !leads,
            "{leader} claims to lead in term {} too",
            self.hard.term
        );
        let rival = self.leader.filter(|known| *known != leader);
        assert!(
            rival.is_none(),
            "two leaders in term {}: {rival:?}, {leader}",
            self.hard.term
        );
        self.standing = Standing::Follower;
        self.elapsed_ticks = 0;
        self.set_leader(Some(leader), fx);
    }

    pub(crate) fn on_append(&mut self, from: MemberId, append: Append, fx: &mut Effects) {
        let Some(configurations) = well_formed(self.hard.term, &append) else {
            self.ignored_messages += 1;
            return;
        };
        self.follow(from, fx);
        let Append {
            seq,
            prev,
            last,
            entries,
            commit,
        } = append;
        let result = if prev.index < self.commit || self.log.holds(prev) {
            self.take_entries(entries, configurations, fx);
            // Everything committed here is in the log of every later leader (Leader Completeness).
            if mutant::is("stale-append-truncates") && last.index >= self.commit {
                self.truncate_from(last.index.next(), fx);
            }
            let mut matched = last.index.max(self.commit);
            if mutant::is("ack-of-last-index") {
                matched = self.log.last().index;
            }
            let mut known = commit.min(last.index);
            if mutant::is("append-commits-behind-itself") {
                known = commit.min(self.log.last().index);
            }
            self.commit_to(self.commit.max(known));
            AppendResult::Matched(matched)
        } else {
            AppendResult::Conflict {
                refused: prev.index,
                hint: self.hint(prev),
            }
        };
        let after = match result {
            AppendResult::Matched(_) if mutant::is("ack-before-persist") => None,
            AppendResult::Matched(_) => self.durability.promise(),
            AppendResult::Conflict { .. } => None,
        };
        self.send(from, MessageBody::AppendReply { seq, result }, after, fx);
    }

    pub(crate) fn on_heartbeat(
        &mut self,
        from: MemberId,
        round: u64,
        commit: LogIndex,
        fx: &mut Effects,
    ) {
        self.follow(from, fx);
        let last = self.log.last().index;
        assert!(
            commit <= last,
            "the leader knows this member to hold {commit}, but its log ends at {last}: it has \
             forgotten what it acknowledged; wipe it and let it rejoin"
        );
        self.commit_to(self.commit.max(commit));
        let stopping = self.stopping;
        self.send(
            from,
            MessageBody::HeartbeatReply { round, stopping },
            None,
            fx,
        );
    }

    /// Appends what the log does not hold yet. Entries that it holds are left alone: a delayed append
    /// must not cut off what came after it.
    fn take_entries(
        &mut self,
        mut entries: Vec<Entry>,
        configurations: Vec<(LogIndex, Configuration)>,
        fx: &mut Effects,
    ) {
        let start = self.log.start().index;
        let kept = |entry: &Entry| {
            mutant::is("conflict-not-truncated") && entry.index <= self.log.last().index
        };
        let held =
            |entry: &Entry| entry.index <= start || self.log.holds(entry.id()) || kept(entry);
        let known = entries
            .iter()
            .position(|entry| !held(entry))
            .unwrap_or(entries.len());
        entries.drain(..known);
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return;
        };
        assert!(
            first > self.commit,
            "entry {first} is committed and cannot be replaced"
        );
        self.truncate_from(first, fx);
        for entry in &entries {
            self.log.append(entry.term, entry.size_bytes());
        }
        self.durability.write(fx).entries = entries;
        for (index, configuration) in configurations {
            if index >= first {
                self.configurations.append(index, configuration);
                fx.configuration = Some(self.configurations.active().clone());
            }
        }
    }

    fn truncate_from(&mut self, first: LogIndex, fx: &mut Effects) {
        if first > self.log.last().index {
            return;
        }
        self.log.truncate_from(first);
        self.durability.truncated(first.previous());
        self.durability.write(fx).truncate_from = Some(first);
        if !mutant::is("configuration-not-reverted") && self.configurations.truncate_from(first) {
            fx.configuration = Some(self.configurations.active().clone());
        }
    }

    /// The highest position that this log may share with a leader whose entry at `prev.index` is of
    /// `prev.term`; at least the commit index.
    fn hint(&self, prev: EntryId) -> EntryId {
        let committed = self.log.position(self.commit).unwrap_or(self.log.start());
        self.log
            .highest_shared(prev)
            .map_or(committed, |shared| shared.max(committed))
    }
}

/// Checks that the entries follow `prev` and each other, end at `last` and are not of a later term
/// than their sender. Returns the configurations among them.
fn well_formed(term: Term, append: &Append) -> Option<Vec<(LogIndex, Configuration)>> {
    let mut configurations = Vec::new();
    let mut before = append.prev;
    for entry in &append.entries {
        let follows = entry.index == before.index.next() && entry.term >= before.term;
        if !follows {
            return None;
        }
        if entry.kind == EntryKind::Configuration {
            let configuration = Configuration::decode(&entry.payload).ok()?;
            configuration.validate().ok()?;
            configurations.push((entry.index, configuration));
        }
        before = entry.id();
    }
    (before == append.last && before.term <= term).then_some(configurations)
}
