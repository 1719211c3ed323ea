//! Decides how a group commit is written: which records, in which frames, in which segments. Checks the
//! whole batch first, so that a batch is refused before a byte of it is written.

use dmq_raft::{
    Configuration, Entry, EntryId, EntryKind, HardState, LogIndex, Persist, StartPoint,
};

use crate::contents::{Contents, check_entry, check_hard_state};
use crate::error::LogError;
use crate::frame::{BLOCK_BYTES, FRAME_HEADER_BYTES, frame_bytes};
use crate::record::RECORD_HEADER_BYTES;
use crate::segment::{FIRST_FRAME_OFFSET, SegmentHead};

/// One act of the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Add to the frame being built.
    Entry(&'a Entry, Option<Configuration>),
    /// Add to the frame being built.
    HardState(HardState),
    /// Add to the frame being built.
    Truncate(LogIndex),
    /// Write the frame being built, if it has records, and go to a new segment that begins so.
    Switch(SegmentHead),
}

/// Where the writer stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Size of a segment in bytes.
    pub(crate) segment_bytes: u64,
    /// Where the next frame goes, in bytes.
    pub(crate) offset: u64,
    /// First index of the current segment: the one behind its start point.
    pub(crate) first_index: LogIndex,
}

impl Position {
    /// Bytes that the bodies of further frames can have. One block at the end of every segment is left for
    /// an empty frame, so that protecting the last frame never needs a new segment.
    fn room(&self) -> u64 {
        body_room(self.segment_bytes.saturating_sub(self.offset))
    }
}

/// Largest body of one frame in so many bytes, less the block for the empty frame.
fn body_room(bytes: u64) -> u64 {
    bytes.saturating_sub(BLOCK_BYTES + FRAME_HEADER_BYTES as u64)
}

/// Turns a batch into steps, or refuses it as a whole.
pub(crate) fn plan<'a>(
    contents: &Contents,
    position: Position,
    batch: &'a [Persist],
) -> Result<Vec<Step<'a>>, LogError> {
    let mut planner = Planner::new(contents, position);
    let head = planner.tail.head_at_end();
    if batch_bytes(batch) > planner.room && planner.room_behind(&head) > planner.room {
        planner.switch(head)?;
    }
    for persist in batch {
        planner.take(persist)?;
    }
    Ok(planner.steps)
}

/// Size of all records of a batch in bytes; a few too many if a truncation begins a segment.
fn batch_bytes(batch: &[Persist]) -> u64 {
    let bytes = |persist: &Persist| {
        let entries = persist.entries.iter().map(entry_bytes).sum::<u64>();
        let hard_state = u64::from(persist.hard_state.is_some()) * HARD_STATE_BYTES;
        let truncate = u64::from(persist.truncate_from.is_some()) * RECORD_HEADER_BYTES as u64;
        hard_state + truncate + entries
    };
    batch.iter().map(bytes).sum()
}

const HARD_STATE_BYTES: u64 = RECORD_HEADER_BYTES as u64 + 20;

fn entry_bytes(entry: &Entry) -> u64 {
    (RECORD_HEADER_BYTES + entry.payload.len()) as u64
}

struct Planner<'c, 'a> {
    tail: Tail<'c>,
    segment_bytes: u64,
    first_index: LogIndex,
    /// Bytes that the current frame may still take.
    room: u64,
    steps: Vec<Step<'a>>,
}

impl<'c, 'a> Planner<'c, 'a> {
    fn new(contents: &'c Contents, position: Position) -> Self {
        Self {
            tail: Tail::new(contents),
            segment_bytes: position.segment_bytes,
            first_index: position.first_index,
            room: position.room(),
            steps: Vec::new(),
        }
    }

    /// The parts in the order that [`Persist`] gives them.
    fn take(&mut self, persist: &'a Persist) -> Result<(), LogError> {
        if let Some(state) = persist.hard_state {
            self.hard_state(state)?;
        }
        if let Some(start) = &persist.start {
            self.start(start)?;
        }
        if let Some(from) = persist.truncate_from {
            self.truncate(from)?;
        }
        persist
            .entries
            .iter()
            .try_for_each(|entry| self.entry(entry))
    }

    fn hard_state(&mut self, state: HardState) -> Result<(), LogError> {
        check_hard_state(self.tail.hard_state, state).map_err(contract)?;
        self.tail.hard_state = state;
        self.record(HARD_STATE_BYTES, Step::HardState(state))
    }

    /// A start point always begins a segment, so that what is before it can be purged. A position that the
    /// log holds cuts it behind there, as recovery reads it.
    fn start(&mut self, start: &StartPoint) -> Result<(), LogError> {
        if start.last.index < self.tail.start.index {
            return Err(contract("a start point before the log's own"));
        }
        if start.configuration.0 > start.last.index {
            return Err(contract("a configuration from behind its start point"));
        }
        self.tail.start_at(start.last, start.configuration.clone());
        self.switch(self.tail.head_at_end())
    }

    fn truncate(&mut self, from: LogIndex) -> Result<(), LogError> {
        let last = self.tail.last();
        if from <= self.tail.start.index || from > last.index.next() {
            return Err(contract("a truncation outside the log"));
        }
        if from > last.index {
            return Ok(());
        }
        self.tail.cut_behind(from.previous());
        if from < self.first_index {
            // The start point of the new segment is what cuts the older ones.
            return self.switch(self.tail.head_at_end());
        }
        self.record(RECORD_HEADER_BYTES as u64, Step::Truncate(from))
    }

    fn entry(&mut self, entry: &'a Entry) -> Result<(), LogError> {
        check_entry(self.tail.last(), self.tail.hard_state, entry.id()).map_err(contract)?;
        let configuration = decode_configuration(entry)?;
        let bytes = entry_bytes(entry);
        self.make_room(bytes).map_err(|_| self.too_large(entry))?;
        self.tail.push(entry.id(), configuration.clone());
        self.record(bytes, Step::Entry(entry, configuration))
    }

    fn record(&mut self, bytes: u64, step: Step<'a>) -> Result<(), LogError> {
        self.make_room(bytes)?;
        self.room -= bytes;
        self.steps.push(step);
        Ok(())
    }

    fn make_room(&mut self, bytes: u64) -> Result<(), LogError> {
        if bytes <= self.room {
            return Ok(());
        }
        self.switch(self.tail.head_at_end())?;
        if bytes <= self.room {
            Ok(())
        } else {
            Err(contract("a record larger than a segment"))
        }
    }

    fn switch(&mut self, head: SegmentHead) -> Result<(), LogError> {
        self.room = self.room_behind(&head);
        if self.room < HARD_STATE_BYTES {
            return Err(contract("a configuration larger than a segment"));
        }
        self.first_index = head.start.index.next();
        self.steps.push(Step::Switch(head));
        Ok(())
    }

    /// Bytes that the first frame behind a segment's front can take.
    fn room_behind(&self, head: &SegmentHead) -> u64 {
        let used = FIRST_FRAME_OFFSET + frame_bytes(head.encode().len());
        body_room(self.segment_bytes.saturating_sub(used))
    }

    fn too_large(&self, entry: &Entry) -> LogError {
        LogError::TooLarge {
            index: entry.index,
            size_bytes: RECORD_HEADER_BYTES + entry.payload.len(),
            max_bytes: usize::try_from(self.room).unwrap_or(usize::MAX),
        }
    }
}

fn contract(rule: &str) -> LogError {
    LogError::Contract(rule.into())
}

fn decode_configuration(entry: &Entry) -> Result<Option<Configuration>, LogError> {
    match entry.kind {
        EntryKind::Noop | EntryKind::Command => Ok(None),
        EntryKind::Configuration => match Configuration::decode(&entry.payload) {
            Ok(configuration) => Ok(Some(configuration)),
            Err(error) => Err(LogError::Contract(format!(
                "a malformed configuration: {error}"
            ))),
        },
    }
}

/// The end of the log as it will be: the contents on disk up to `kept`, and behind that what the batch adds.
struct Tail<'c> {
    contents: &'c Contents,
    hard_state: HardState,
    start: EntryId,
    /// Position up to which `contents` counts; below `start` if nothing of it does.
    kept: EntryId,
    added: Vec<EntryId>,
    configurations: Vec<(LogIndex, Configuration)>,
}

impl<'c> Tail<'c> {
    fn new(contents: &'c Contents) -> Self {
        Self {
            contents,
            hard_state: contents.hard_state,
            start: contents.start(),
            kept: contents.last(),
            added: Vec::new(),
            configurations: Vec::new(),
        }
    }

    fn last(&self) -> EntryId {
        self.added.last().copied().unwrap_or(self.kept)
    }

    fn holds(&self, id: EntryId) -> bool {
        if id.index > self.kept.index {
            return self.added.contains(&id);
        }
        let behind_start = id.index > self.start.index;
        id == self.start || (behind_start && self.contents.term_at(id.index) == Some(id.term))
    }

    fn term_kept(&self, index: LogIndex) -> Option<EntryId> {
        if index == self.start.index {
            return Some(self.start);
        }
        self.contents
            .term_at(index)
            .map(|term| EntryId::new(term, index))
    }

    fn cut_behind(&mut self, last: LogIndex) {
        self.added.retain(|id| id.index <= last);
        self.configurations.retain(|(index, _)| *index <= last);
        if last < self.kept.index {
            self.kept = self.term_kept(last).unwrap_or(self.start);
        }
    }

    fn start_at(&mut self, at: EntryId, configuration: (LogIndex, Configuration)) {
        if self.holds(at) {
            self.cut_behind(at.index);
        } else {
            self.start = at;
            self.kept = at;
            self.added.clear();
            self.configurations = vec![configuration];
        }
    }

    fn push(&mut self, id: EntryId, configuration: Option<Configuration>) {
        self.configurations
            .extend(configuration.map(|configuration| (id.index, configuration)));
        self.added.push(id);
    }

    /// What a segment repeats that begins at the end of the log.
    fn head_at_end(&self) -> SegmentHead {
        let start = self.last();
        let configuration = match self.configurations.last() {
            Some(newest) => newest.clone(),
            None => self.contents.configuration_at(start.index),
        };
        SegmentHead {
            hard_state: self.hard_state,
            start,
            configuration,
        }
    }
}

#[cfg(test)]
mod tests {
    use dmq_raft::{IoSeq, Term};

    use super::*;
    use crate::contents::{Change, Slot};

    const SEGMENT_BYTES: u64 = 32 << 10;

    /// A log that holds entries 1 to `last` of term 1.
    fn contents(last: u64) -> Contents {
        let mut contents = Contents::default();
        contents
            .apply(Change::HardState(HardState {
                term: Term(1),
                vote: None,
            }))
            .unwrap();
        for index in 1..=last {
            let (kind, term) = (EntryKind::Command, Term(1));
            let slot = Slot {
                term,
                segment: 1,
                offset: 0,
                payload_bytes: 9,
                crc: 0,
                kind,
            };
            contents
                .apply(Change::Entry(LogIndex(index), slot, None))
                .unwrap();
        }
        contents
    }

    /// A segment that begins at this index and has so many blocks left.
    fn position(first_index: u64, blocks_left: u64) -> Position {
        let offset = SEGMENT_BYTES - blocks_left * BLOCK_BYTES;
        Position {
            segment_bytes: SEGMENT_BYTES,
            offset,
            first_index: LogIndex(first_index),
        }
    }

    fn persist(first: u64, sizes: &[usize]) -> Persist {
        let entry = |(index, size): (u64, &usize)| Entry {
            index: LogIndex(index),
            term: Term(1),
            kind: EntryKind::Command,
            payload: vec![0; *size].into(),
        };
        let entries = (first..).zip(sizes).map(entry).collect();
        Persist {
            io: IoSeq(1),
            hard_state: None,
            start: None,
            truncate_from: None,
            entries,
        }
    }

    /// What the steps are, in one letter each.
    fn steps(last: u64, position: Position, batch: &[Persist]) -> Result<String, LogError> {
        let letter = |step: &Step<'_>| match step {
            Step::Entry(entry, _) => format!("e{}", entry.index),
            Step::HardState(state) => format!("h{}", state.term),
            Step::Truncate(from) => format!("t{from}"),
            Step::Switch(head) => format!("S{}", head.start),
        };
        let steps = plan(&contents(last), position, batch)?;
        Ok(steps.iter().map(letter).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_fits_is_one_frame() {
        let batch = [persist(4, &[10, 10]), persist(6, &[10])];
        assert_eq!(steps(3, position(1, 2), &batch).unwrap(), "e4 e5 e6");
    }

    #[test]
    fn a_frame_goes_up_to_the_block_that_is_left_for_an_empty_one() {
        let whole = 4096 - FRAME_HEADER_BYTES - RECORD_HEADER_BYTES;
        assert_eq!(
            steps(3, position(1, 2), &[persist(4, &[whole])]).unwrap(),
            "e4"
        );
        assert_eq!(
            steps(3, position(1, 2), &[persist(4, &[whole + 1])]).unwrap(),
            "S3@1 e4"
        );
        assert_eq!(
            steps(3, position(1, 1), &[persist(4, &[0])]).unwrap(),
            "S3@1 e4"
        );
        assert_eq!(
            steps(3, position(1, 0), &[persist(4, &[0])]).unwrap(),
            "S3@1 e4"
        );
    }

    #[test]
    fn a_batch_that_does_not_fit_goes_to_a_new_segment_as_a_whole() {
        let batch = [persist(4, &[3000, 3000])];
        assert_eq!(steps(3, position(1, 2), &batch).unwrap(), "S3@1 e4 e5");
    }

    #[test]
    fn a_batch_larger_than_a_segment_is_split_at_entries() {
        let batch = [persist(4, &[9000; 4])];
        assert_eq!(
            steps(3, position(1, 5), &batch).unwrap(),
            "S3@1 e4 e5 S5@1 e6 e7"
        );
        let fresh = position(4, 6);
        assert_eq!(
            steps(3, fresh, &batch).unwrap(),
            "e4 e5 S5@1 e6 e7",
            "nothing to gain"
        );
    }

    #[test]
    fn truncations_switch_below_the_segment_only() {
        let cut = |from| {
            let batch = [Persist {
                truncate_from: Some(LogIndex(from)),
                ..persist(from, &[1])
            }];
            steps(9, position(5, 4), &batch)
        };
        assert_eq!(cut(9).unwrap(), "t9 e9");
        assert_eq!(cut(5).unwrap(), "t5 e5");
        assert_eq!(cut(4).unwrap(), "S3@1 e4");
        assert_eq!(cut(10).unwrap(), "e10", "nothing to cut");
        assert!(matches!(cut(11), Err(LogError::Contract(_))));
        assert!(matches!(cut(0), Err(LogError::Contract(_))));
    }

    #[test]
    fn a_truncation_after_a_switch_in_one_batch_sees_the_new_segment() {
        let big = persist(4, &[9000; 3]);
        let cut = Persist {
            truncate_from: Some(LogIndex(4)),
            ..persist(4, &[1])
        };
        let planned = steps(3, position(1, 5), &[big, cut]).unwrap();
        assert_eq!(planned, "S3@1 e4 e5 S5@1 e6 S3@1 e4");
    }

    #[test]
    fn a_start_point_is_a_switch_with_its_configuration() {
        let configuration = (LogIndex(40), Configuration::default());
        let last = EntryId::new(Term(3), LogIndex(50));
        let state = HardState {
            term: Term(3),
            vote: None,
        };
        let start = Some(StartPoint {
            last,
            configuration: configuration.clone(),
        });
        let batch = [Persist {
            hard_state: Some(state),
            start,
            ..persist(51, &[])
        }];
        let contents = contents(9);
        let planned = plan(&contents, position(1, 4), &batch).unwrap();
        let head = SegmentHead {
            hard_state: state,
            start: last,
            configuration,
        };
        assert_eq!(planned, [Step::HardState(state), Step::Switch(head)]);
    }
}
