//! When to take a snapshot and how far to purge the log (DESIGN 6.3). Neither ever asks the database.

use dmq_raft::{EntryId, LogIndex};

use crate::mutant;
use crate::{HeldImage, Ticket};

/// Snapshots and purging of one member.
#[derive(Clone, Debug)]
pub(super) struct Upkeep {
    limits: Limits,
    /// The newest durable snapshot.
    newest: Option<EntryId>,
    newest_bytes: u64,
    /// Bytes of entries applied since the newest snapshot.
    grown_bytes: u64,
    /// How much of that the snapshot that is being taken covers for certain.
    covered_bytes: u64,
    /// When the last snapshot that succeeded was begun, in ticks.
    taken_at: u64,
    /// When the one that is being taken was begun, in ticks.
    began_at: u64,
    /// After a failure: nothing is due before this tick.
    paused_until: u64,
    stage: Stage,
    wishes: Vec<Wish>,
    /// Up to here the log has been asked to purge.
    purged: LogIndex,
}

/// When snapshots are due, and how much is kept behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes_min: u64,
    pub(super) ticks_max: u64,
    /// Pause after a snapshot that failed, in ticks.
    pub(super) pause_ticks: u64,
    pub(super) kept_entries: u64,
}

/// Somebody waits for a snapshot.
#[derive(Clone, Copy, Debug)]
struct Wish {
    ticket: Ticket,
    /// What was applied when it was asked for: an older snapshot does not fulfil it.
    at: LogIndex,
}

#[derive(Clone, Debug)]
enum Stage {
    Idle,
    /// The applier was asked for the image.
    Asked,
    /// The image waits until its index is durable in the log.
    Held(Box<HeldImage>),
    /// The file is being written.
    Writing,
}

impl Upkeep {
    /// Upkeep of a member whose newest snapshot is this.
    pub(super) fn new(limits: Limits, newest: Option<EntryId>, newest_bytes: u64) -> Self {
        Self {
            limits,
            newest,
            newest_bytes,
            grown_bytes: 0,
            covered_bytes: 0,
            taken_at: 0,
            began_at: 0,
            paused_until: 0,
            stage: Stage::Idle,
            wishes: Vec::new(),
            purged: LogIndex(0),
        }
    }

    /// Entries were applied.
    pub(super) fn grow(&mut self, bytes: u64) {
        self.grown_bytes += bytes;
    }

    /// Somebody asked for a snapshot of what is applied: it is taken even if nothing is due.
    pub(super) fn request(&mut self, ticket: Ticket, applied: LogIndex) {
        let at = applied;
        self.wishes.push(Wish { ticket, at });
    }

    /// Whether the applier is to be asked for an image now.
    pub(super) fn start(&mut self, now: u64, applied: LogIndex) -> bool {
        let covered = self.newest.map_or(LogIndex(0), |newest| newest.index);
        let wanted = self.is_due(now) || !self.wishes.is_empty();
        let start = matches!(self.stage, Stage::Idle) && wanted && applied > covered;
        if start {
            self.stage = Stage::Asked;
            self.began_at = now;
            self.covered_bytes = self.grown_bytes;
        }
        start
    }

    fn is_due(&self, now: u64) -> bool {
        let grown = self.grown_bytes >= self.limits.bytes_min.max(self.newest_bytes);
        let old = now >= self.taken_at + self.limits.ticks_max;
        (grown || old) && now >= self.paused_until
    }

    /// Callers whose wish is fulfilled: the newest snapshot covers what was applied when they asked.
    pub(super) fn already_covered(&mut self) -> Option<(EntryId, Vec<Ticket>)> {
        let newest = self.newest?;
        let tickets = self.take_wishes(newest.index);
        (!tickets.is_empty()).then_some((newest, tickets))
    }

    /// Who waits for a snapshot at this index or before it.
    fn take_wishes(&mut self, up_to: LogIndex) -> Vec<Ticket> {
        let taken = self.wishes.extract_if(.., |wish| wish.at <= up_to);
        taken.map(|wish| wish.ticket).collect()
    }

    /// The process ends: everyone who waits.
    pub(super) fn drain(&mut self) -> Vec<Ticket> {
        self.take_wishes(LogIndex(u64::MAX))
    }

    /// The applier's image is here.
    pub(super) fn held(&mut self, image: HeldImage) {
        if matches!(self.stage, Stage::Asked) {
            self.stage = Stage::Held(Box::new(image));
        }
    }

    /// The image to write, once the log up to its index is durable. It is of no use any more if a
    /// snapshot beyond it was installed meanwhile.
    pub(super) fn write(&mut self, durable: LogIndex) -> Option<HeldImage> {
        let Stage::Held(image) = &self.stage else {
            return None;
        };
        if self
            .newest
            .is_some_and(|newest| newest.index >= image.last.index)
        {
            self.stage = Stage::Idle;
            return None;
        }
        if image.last.index > durable && !mutant::is("snapshot-past-durable") {
            return None;
        }
        match std::mem::replace(&mut self.stage, Stage::Writing) {
            Stage::Held(image) => Some(*image),
            _ => None,
        }
    }

    /// The snapshot thread is done. Returns whom its end concerns; who asked for something newer waits
    /// for the next one. What made a failed snapshot due still does, after a pause.
    pub(super) fn written(
        &mut self,
        last: EntryId,
        size_bytes: Option<u64>,
        now: u64,
    ) -> Vec<Ticket> {
        self.stage = Stage::Idle;
        if let Some(size_bytes) = size_bytes {
            self.grown_bytes = self.grown_bytes.saturating_sub(self.covered_bytes);
            self.taken_at = self.began_at;
            self.newest_is(last, size_bytes);
        } else {
            self.paused_until = now + self.limits.pause_ticks;
        }
        self.take_wishes(last.index)
    }

    /// A snapshot was installed.
    pub(super) fn installed(&mut self, last: EntryId, size_bytes: u64) {
        self.grown_bytes = 0;
        self.covered_bytes = 0;
        self.newest_is(last, size_bytes);
    }

    fn newest_is(&mut self, last: EntryId, size_bytes: u64) {
        if self.newest.is_none_or(|newest| newest.index < last.index) {
            self.newest = Some(last);
            self.newest_bytes = size_bytes;
        }
    }

    /// How far to purge now, if that is news: the newest snapshot less the kept window, and no further
    /// than `allowed` (what a running snapshot transfer still needs).
    pub(super) fn purge(&mut self, allowed: LogIndex) -> Option<LogIndex> {
        let newest = self.newest?.index.0;
        let up_to = LogIndex(newest.saturating_sub(self.limits.kept_entries)).min(allowed);
        if up_to <= self.purged {
            return None;
        }
        self.purged = up_to;
        Some(up_to)
    }

    /// The newest durable snapshot.
    pub(super) fn newest(&self) -> Option<EntryId> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use dmq_raft::Term;

    use super::*;

    fn upkeep(kept_entries: u64) -> Upkeep {
        Upkeep::new(
            Limits {
                bytes_min: 100,
                ticks_max: 50,
                pause_ticks: 10,
                kept_entries,
            },
            None,
            0,
        )
    }

    fn at(index: u64) -> EntryId {
        EntryId::new(Term(1), LogIndex(index))
    }

    #[test]
    fn a_snapshot_is_due_by_growth_by_age_and_by_request_but_never_without_news() {
        let mut by_growth = upkeep(0);
        by_growth.grow(99);
        assert!(!by_growth.start(1, LogIndex(5)));
        by_growth.grow(1);
        assert!(by_growth.start(1, LogIndex(5)));
        assert!(!by_growth.start(1, LogIndex(5)), "one at a time");

        let mut by_age = upkeep(0);
        assert!(!by_age.start(60, LogIndex(0)), "nothing is applied");
        assert!(by_age.start(60, LogIndex(1)));

        let mut by_request = upkeep(0);
        by_request.request(Ticket(1), LogIndex(1));
        assert!(by_request.start(0, LogIndex(1)));
        assert_eq!(by_request.written(at(1), Some(10), 0), vec![Ticket(1)]);
        by_request.request(Ticket(2), LogIndex(1));
        assert!(!by_request.start(0, LogIndex(1)));
        assert_eq!(by_request.already_covered(), Some((at(1), vec![Ticket(2)])));
    }

    #[test]
    fn who_asks_while_a_snapshot_is_written_waits_for_a_newer_one() {
        let mut upkeep = upkeep(0);
        upkeep.request(Ticket(1), LogIndex(5));
        assert!(upkeep.start(0, LogIndex(5)));
        upkeep.request(Ticket(2), LogIndex(9));
        assert_eq!(upkeep.written(at(5), Some(10), 1), vec![Ticket(1)]);
        assert_eq!(upkeep.already_covered(), None);
        assert!(upkeep.start(1, LogIndex(9)), "for the second");
        assert_eq!(upkeep.written(at(9), None, 2), vec![Ticket(2)]);
        assert_eq!(upkeep.drain(), vec![]);
    }

    #[test]
    fn a_snapshot_that_failed_is_taken_again_after_a_pause() {
        let mut upkeep = upkeep(0);
        upkeep.grow(100);
        assert!(upkeep.start(1, LogIndex(5)));
        upkeep.written(at(5), None, 3);
        assert!(!upkeep.start(12, LogIndex(5)), "pause");
        assert!(upkeep.start(13, LogIndex(5)), "still due by growth");
        upkeep.grow(30);
        upkeep.written(at(5), Some(1), 14);
        upkeep.grow(69);
        assert!(!upkeep.start(15, LogIndex(6)), "99 since the image");
        upkeep.grow(1);
        assert!(upkeep.start(15, LogIndex(6)));
        upkeep.written(at(6), None, 60);
        assert!(upkeep.start(70, LogIndex(6)));
        upkeep.written(at(6), Some(1), 71);
        assert!(!upkeep.start(119, LogIndex(7)));
        assert!(upkeep.start(120, LogIndex(7)), "age counts from a success");
    }

    fn image(index: u64) -> HeldImage {
        let cluster = dmq_metadata::ClusterId::parse("dmq").unwrap();
        HeldImage {
            image: dmq_metadata::Image::new(cluster),
            last: at(index),
            configuration: (LogIndex(0), std::sync::Arc::default()),
        }
    }

    #[test]
    fn an_image_is_not_written_before_its_index_is_durable_here() {
        let mut upkeep = upkeep(0);
        upkeep.grow(100);
        assert!(upkeep.start(1, LogIndex(5)));
        upkeep.held(image(5));
        assert!(upkeep.write(LogIndex(4)).is_none());
        assert!(upkeep.write(LogIndex(5)).is_some());
    }

    #[test]
    fn the_next_snapshot_waits_for_the_size_of_the_last() {
        let mut upkeep = upkeep(0);
        upkeep.grow(100);
        assert!(upkeep.start(0, LogIndex(5)));
        upkeep.written(at(5), Some(1_000), 0);
        upkeep.grow(999);
        assert!(!upkeep.start(1, LogIndex(6)));
        upkeep.grow(1);
        assert!(upkeep.start(1, LogIndex(6)));
    }

    #[test]
    fn purging_keeps_the_window_and_what_a_transfer_needs() {
        let mut upkeep = upkeep(10);
        assert_eq!(upkeep.purge(LogIndex(u64::MAX)), None);
        upkeep.written(at(30), Some(1), 0);
        assert_eq!(upkeep.purge(LogIndex(15)), Some(LogIndex(15)));
        assert_eq!(upkeep.purge(LogIndex(15)), None);
        assert_eq!(upkeep.purge(LogIndex(u64::MAX)), Some(LogIndex(20)));
    }
}
