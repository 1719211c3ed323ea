//! Entries for an append that the driver did not have in memory.

use std::ops::RangeInclusive;

use dmq_log::{Disk, LogReader};
use dmq_raft::{LogIndex, Message, MessageBody};

/// Completes an append from the log. `None`: the entries are gone, or are no longer those that the core
/// meant; then the message is dropped and the peer reported by [`crate::DriverInput::Unreachable`].
///
/// The log may be truncated and rewritten between the core's decision and this read. Entries are read in
/// order, so that one equal position at the end proves the whole range (Log Matching).
pub fn fill<D: Disk>(
    reader: &LogReader<D>,
    mut message: Message,
    range: &RangeInclusive<LogIndex>,
) -> Option<Message> {
    let found = reader.read(range.clone(), usize::MAX).ok()?;
    let MessageBody::Append {
        prev,
        last,
        entries,
        ..
    } = &mut message.body
    else {
        return None;
    };
    let first = found.first()?.index;
    let complete = first == prev.index.next() && found.last()?.id() == *last;
    if !complete {
        return None;
    }
    *entries = found;
    Some(message)
}
