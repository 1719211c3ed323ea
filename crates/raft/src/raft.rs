//! The member as a state machine: one input in, its effects out.

use crate::{Config, Effects, EntryId, Input, LogIndex, Restored, Status, Term};

/// One member of the quorum.
#[derive(Clone, Debug, Hash)]
pub struct Raft {
    config: Config,
    restored: Restored,
}

impl Raft {
    /// A member at the start of its process.
    pub fn new(config: Config, restored: Restored) -> Self {
        Self { config, restored }
    }

    /// Takes one input and says what is to be done, in the order of the fields of [`Effects`].
    pub fn step(&mut self, input: Input) -> Effects {
        drop(input);
        Effects::default()
    }

    /// What the member knows at the moment.
    pub fn status(&self) -> Status {
        Status {
            id: self.config.id,
            role: crate::Role::Follower,
            term: Term(0),
            leader: None,
            commit: LogIndex(0),
            applied: LogIndex(0),
            last: EntryId::ZERO,
            durable: LogIndex(0),
            start: EntryId::ZERO,
            snapshot: None,
            purgeable: LogIndex(0),
            configuration: self.restored.start_configuration.clone(),
            committed_configuration_index: LogIndex(0),
            transferring: None,
            stopping: false,
            ignored_messages: 0,
            peers: Vec::new(),
        }
    }

    /// Term of the entry at `index`, if the log holds it or begins right after it.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        (index == LogIndex(0)).then_some(Term(0))
    }

    /// Up to here the shell may purge the log.
    pub fn purgeable(&self) -> LogIndex {
        LogIndex(0)
    }
}
