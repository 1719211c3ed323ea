//! The configurations in the log: in force from their append, reverted by a truncation.

use crate::{Configuration, LogIndex};

/// A configuration with the index of its entry.
pub(crate) type Placed = (LogIndex, Configuration);

/// The one in force at the start point, and every later one.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Configurations {
    base: Placed,
    later: Vec<Placed>,
}

impl Configurations {
    pub(crate) fn new(base: Placed) -> Self {
        Self {
            base,
            later: Vec::new(),
        }
    }

    /// The one in force: the last of the log, committed or not.
    #[inline]
    pub(crate) fn active(&self) -> &Placed {
        self.later.last().unwrap_or(&self.base)
    }

    /// The one in force at `index`, which is not before the start point.
    pub(crate) fn at(&self, index: LogIndex) -> &Placed {
        let behind = self.later.partition_point(|(at, _)| *at <= index);
        behind
            .checked_sub(1)
            .and_then(|at| self.later.get(at))
            .unwrap_or(&self.base)
    }

    /// Those of which one is the last that is committed: the one in force at the known commit index, and every
    /// later one, since more may be committed than is known here.
    pub(crate) fn perhaps_committed(
        &self,
        commit: LogIndex,
    ) -> impl Iterator<Item = &Configuration> {
        let first = self.at(commit).0;
        let all = std::iter::once(&self.base).chain(&self.later);
        all.filter(move |(at, _)| *at >= first)
            .map(|(_, configuration)| configuration)
    }

    pub(crate) fn append(&mut self, index: LogIndex, configuration: Configuration) {
        assert!(
            index > self.active().0,
            "configurations are appended in order"
        );
        self.later.push((index, configuration));
    }

    /// Drops those at or behind `index`. Returns whether there were any.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) -> bool {
        let before = self.later.len();
        self.later.retain(|(at, _)| *at < index);
        self.later.len() < before
    }

    /// The log forgot what lies at or before `start`.
    pub(crate) fn purge(&mut self, start: LogIndex) {
        self.base = self.at(start).clone();
        self.later.retain(|(at, _)| *at > start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DirectoryId, MemberId, NodeId};

    fn of(size: u32) -> Configuration {
        let member = |node| MemberId {
            node: NodeId(node),
            directory: DirectoryId(1),
        };
        Configuration::of_voters((1..=size).map(member))
    }

    #[test]
    fn the_active_one_follows_appends_truncations_and_purges() {
        let mut all = Configurations::new((LogIndex(0), of(0)));
        all.append(LogIndex(1), of(1));
        all.append(LogIndex(5), of(5));
        assert_eq!(all.active(), &(LogIndex(5), of(5)));
        assert_eq!(all.at(LogIndex(0)), &(LogIndex(0), of(0)));
        assert_eq!(all.at(LogIndex(4)), &(LogIndex(1), of(1)));
        all.purge(LogIndex(3));
        assert_eq!(all.at(LogIndex(3)), &(LogIndex(1), of(1)));
        assert!(!all.truncate_from(LogIndex(6)));
        assert!(all.truncate_from(LogIndex(5)));
        assert_eq!(all.active(), &(LogIndex(1), of(1)));
    }
}
