//! Reads the content of a snapshot from pieces that are cut anywhere, and trusts none of it.

use std::sync::Arc;

use prost::Message;

use super::{RECORD_SIZE_MAX, SnapshotError};
use crate::changes::Change;
use crate::dedup::DedupKey;
use crate::encoding::wire::{self, RecordKind};
use crate::encoding::{DecodeError, FORMAT};
use crate::ids::{BrokerId, FeatureLevel, MetadataIndex, TopicId};
use crate::image::Image;
use crate::names::ClusterId;
use crate::partition::{Partition, PartitionKey};
use crate::row::{Settings, StateHash};

/// Longest varint: 10 bytes hold 64 bits.
const VARINT_SIZE_MAX: usize = 10;

/// Reads content piece by piece: push every piece, then finish.
#[derive(Debug, Default)]
pub struct Reader {
    /// Bytes that are not a whole record yet.
    rest: Vec<u8>,
    /// Where `rest` begins in the content.
    offset: u64,
    /// Number of the next record.
    number: u64,
    /// The image so far; `None` before the header.
    loading: Option<Loading>,
}

/// The image between header and end.
#[derive(Debug)]
struct Loading {
    image: Image,
    level: FeatureLevel,
    expected: StateHash,
    last: Position,
    rows: u64,
    ended: bool,
}

/// Kind and key of a row: strictly growing in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Position {
    Header,
    Settings,
    Topic(TopicId),
    Partition(PartitionKey),
    Broker(BrokerId),
    Dedup(DedupKey),
}

/// Why a record was refused, before its place is known.
enum Refusal {
    Content(DecodeError),
    Order(String),
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Content(error)
    }
}

impl Reader {
    /// A reader before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece. It holds at most one unfinished record, so its memory is the image's.
    ///
    /// # Errors
    /// See [`SnapshotError`]; the reader is of no use afterwards.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SnapshotError> {
        self.rest.extend_from_slice(piece);
        let mut start = 0;
        while let Some((head, size)) = self.next_record(start)? {
            let record = start + head..start + head + size;
            self.take(record.clone())?;
            self.offset += (record.end - start) as u64;
            self.number += 1;
            start = record.end;
        }
        self.rest.drain(..start);
        Ok(())
    }

    /// Ends the content and hands out the image.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn finish(self) -> Result<Image, SnapshotError> {
        let offset = self.offset + self.rest.len() as u64;
        let truncated = |reason| SnapshotError::Truncated { offset, reason };
        if !self.rest.is_empty() {
            return Err(truncated("a record is cut off"));
        }
        let loading = self
            .loading
            .ok_or_else(|| truncated("the header is missing"))?;
        if !loading.ended {
            return Err(truncated("the end record is missing"));
        }
        let found = loading.image.state_hash();
        if found != loading.expected {
            return Err(SnapshotError::HashMismatch {
                found,
                expected: loading.expected,
            });
        }
        Ok(loading.image)
    }

    /// Lengths of the prefix and of the record at `start` in `rest`; `None` if it is not all there yet.
    fn next_record(&self, start: usize) -> Result<Option<(usize, usize)>, SnapshotError> {
        let bytes = &self.rest[start..];
        let Some(head) = bytes
            .iter()
            .take(VARINT_SIZE_MAX)
            .position(|byte| *byte < 0x80)
        else {
            return if bytes.len() >= VARINT_SIZE_MAX {
                Err(self.refused(Refusal::Order("its length is no varint".to_owned())))
            } else {
                Ok(None)
            };
        };
        let mut prefix = &bytes[..=head];
        let size = prost::encoding::decode_varint(&mut prefix).unwrap_or(u64::MAX);
        match usize::try_from(size) {
            Ok(size) if size <= RECORD_SIZE_MAX => {
                Ok((bytes.len() > head + size).then_some((head + 1, size)))
            }
            _ => {
                let reason = format!("it is {size} bytes long, above {RECORD_SIZE_MAX}");
                Err(self.refused(Refusal::Order(reason)))
            }
        }
    }

    fn take(&mut self, record: std::ops::Range<usize>) -> Result<(), SnapshotError> {
        let message = wire::Record::decode(&self.rest[record]).map_err(|error| {
            let reason = error.to_string();
            self.refused(Refusal::Content(DecodeError::Malformed {
                what: "record",
                reason,
            }))
        })?;
        let taken = match (&mut self.loading, message.kind) {
            (_, None) => Err(unknown("a record of unknown kind")),
            (None, Some(RecordKind::Header(header))) => Loading::begin(&header).map(|loading| {
                self.loading = Some(loading);
            }),
            (None, Some(_)) => Err(Refusal::Order(
                "the first record is not a header".to_owned(),
            )),
            (Some(loading), Some(kind)) => loading.take(kind),
        };
        taken.map_err(|refusal| self.refused(refusal))
    }

    fn refused(&self, refusal: Refusal) -> SnapshotError {
        let (number, offset) = (self.number, self.offset);
        match refusal {
            Refusal::Content(source) => SnapshotError::Record {
                number,
                offset,
                source,
            },
            Refusal::Order(reason) => SnapshotError::Order {
                number,
                offset,
                reason,
            },
        }
    }
}

impl Loading {
    fn begin(header: &wire::SnapshotHeader) -> Result<Self, Refusal> {
        let level = FeatureLevel(header.feature_level);
        if header.format != FORMAT {
            return Err(unknown(&format!("snapshot format {}", header.format)));
        }
        if level > FeatureLevel::MAX {
            return Err(unknown(&format!("feature level {level}")));
        }
        let cluster_id = ClusterId::parse(&header.cluster_id)
            .map_err(|refusal| malformed("cluster id", refusal.message))?;
        let hash = header.state_hash.as_slice().try_into();
        let hash = hash.map_err(|_| malformed("state hash", "it is not 16 bytes long"))?;
        let mut image = Image::new(cluster_id);
        image.set_index(MetadataIndex(header.index));
        Ok(Self {
            image,
            level,
            expected: StateHash(u128::from_be_bytes(hash)),
            last: Position::Header,
            rows: 0,
            ended: false,
        })
    }

    fn take(&mut self, kind: RecordKind) -> Result<(), Refusal> {
        if self.ended {
            return Err(Refusal::Order("it follows the end record".to_owned()));
        }
        let (position, change) = match kind {
            RecordKind::Header(_) => return Err(Refusal::Order("a second header".to_owned())),
            RecordKind::End(end) => return self.end(&end),
            RecordKind::Settings(row) => return self.settings(row.into()),
            RecordKind::Topic(row) => {
                let row = crate::topic::Topic::try_from(row)?;
                (Position::Topic(row.id), Change::PutTopic(Arc::new(row)))
            }
            RecordKind::Partition(row) => {
                let row = Partition::try_from(row)?;
                self.check_partition(&row)?;
                (
                    Position::Partition(row.key()),
                    Change::PutPartition(Arc::new(row)),
                )
            }
            RecordKind::Broker(row) => {
                let row = crate::broker::Broker::try_from(row)?;
                (Position::Broker(row.id), Change::PutBroker(Arc::new(row)))
            }
            RecordKind::Dedup(row) => {
                let row = crate::dedup::DedupEntry::try_from(row)?;
                (
                    Position::Dedup(row.key.clone()),
                    Change::PutDedup(Arc::new(row)),
                )
            }
        };
        self.pass(position)?;
        self.image.absorb(&change);
        Ok(())
    }

    /// Moves on to a row, which must come after the last one.
    fn pass(&mut self, position: Position) -> Result<(), Refusal> {
        if self.last == Position::Header && position != Position::Settings {
            return Err(Refusal::Order(
                "the settings do not follow the header".to_owned(),
            ));
        }
        if position <= self.last {
            let reason = format!("{position:?} does not come after {:?}", self.last);
            return Err(Refusal::Order(reason));
        }
        self.last = position;
        self.rows += 1;
        Ok(())
    }

    fn settings(&mut self, settings: Settings) -> Result<(), Refusal> {
        self.pass(Position::Settings)?;
        if settings.feature_level != self.level {
            let reason = format!("feature level {}, not the header's", settings.feature_level);
            return Err(Refusal::Order(reason));
        }
        self.image.set_log_time(settings.log_time);
        self.image.set_feature_level(settings.feature_level);
        Ok(())
    }

    fn check_partition(&self, row: &Partition) -> Result<(), Refusal> {
        let topic = self.image.topic_by_id(row.topic_id);
        if topic.is_some_and(|topic| row.partition_id.0 < topic.partition_count) {
            return Ok(());
        }
        let key = format!("partition {} of topic {}", row.partition_id, row.topic_id);
        Err(Refusal::Order(format!(
            "{key} belongs to no topic of that many partitions"
        )))
    }

    fn end(&mut self, end: &wire::SnapshotEnd) -> Result<(), Refusal> {
        if end.rows != self.rows {
            let reason = format!("{} rows were written, {} were read", end.rows, self.rows);
            return Err(Refusal::Order(reason));
        }
        let promised = self
            .image
            .topics()
            .map(|topic| topic.partition_count as usize);
        let (promised, found) = (promised.sum::<usize>(), self.image.counts().partitions);
        if promised != found {
            let reason = format!("the topics have {promised} partitions, {found} were read");
            return Err(Refusal::Order(reason));
        }
        self.ended = true;
        Ok(())
    }
}

fn unknown(what: &str) -> Refusal {
    Refusal::Content(DecodeError::UnknownEntry(what.to_owned()))
}

fn malformed(what: &'static str, reason: impl Into<String>) -> Refusal {
    Refusal::Content(DecodeError::Malformed {
        what,
        reason: reason.into(),
    })
}
