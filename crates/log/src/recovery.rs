//! Recovery: brings the log back that was acknowledged, or refuses (DESIGN 6.2).
//!
//! The newest segment alone can have a torn tail. In this order:
//!
//! 1. Scan: walk frame to frame; S = the largest `synced_to` that any header names, those behind the first
//!    bad frame included. A first bad frame at or below S, or in an older segment, is corruption.
//! 2. The names of the segments are synced: a process that was killed may have left a new one unsynced.
//! 3. The first bad frame and all behind it become zeros; sync.
//! 4. The good frames beyond S are written again in place, byte for byte; sync. They may be in the page
//!    cache only (a process that died of a failed sync leaves them so), and the core must not learn of what
//!    is not durable.
//! 5. An empty frame follows, so that the last good one is known to be durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmq_raft::{Configuration, EntryId, EntryMeta, HardState, LogIndex};

use crate::contents::Contents;
use crate::data_dir::DataDir;
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Corruption, IoFailure, OpenError};
use crate::log::View;
use crate::mutant;
use crate::scan::{Scan, Tail, scan};
use crate::segment::Segment;
use crate::walk::zero_tail;

/// What a log held when it was opened: what [`dmq_raft::Restored`] is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// Position before the first entry.
    pub start: EntryId,
    /// The configuration in force at `start`, and the index of its entry; empty before the first.
    pub start_configuration: (LogIndex, Configuration),
    /// The entries behind `start`, consecutive.
    pub entries: Vec<EntryMeta>,
    /// What recovery met.
    pub report: RecoveryReport,
}

impl Recovered {
    /// Position of the last entry; `start` if there is none.
    pub fn last(&self) -> EntryId {
        let index = LogIndex(self.start.index.0 + self.entries.len() as u64);
        EntryId::new(
            self.entries
                .last()
                .map_or(self.start.term, |entry| entry.term),
            index,
        )
    }

    /// Term at this index, the start point's included.
    pub fn term_at(&self, index: LogIndex) -> Option<dmq_raft::Term> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        let position = index.0.checked_sub(self.start.index.0)?.checked_sub(1)?;
        self.entries
            .get(usize::try_from(position).ok()?)
            .map(|entry| entry.term)
    }
}

/// What recovery met, for logs and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Number of segments.
    pub segments: usize,
    /// Number of good frames.
    pub frames: u64,
    /// The torn tail that was cut, if there was one. It was never acknowledged.
    pub torn: Option<TornTail>,
    /// How many bytes behind the last good frame were not zero, by blocks of 4 KiB. In a recycled segment
    /// most of them are what an older segment left.
    pub cleared_bytes: u64,
}

/// A tail that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The newest segment.
    pub file: PathBuf,
    /// Where the torn frame began, in bytes.
    pub offset: u64,
}

/// What [`recover`] hands to the log.
pub(crate) struct Found<F> {
    /// What readers see.
    pub(crate) view: View<F>,
    /// The newest segment, where the log goes on.
    pub(crate) newest: Arc<Segment<F>>,
    /// Its end.
    pub(crate) tail: Tail,
    /// What the core learns.
    pub(crate) recovered: Recovered,
}

/// Recovers the log, up to the empty frame, which the log writes itself.
pub(crate) fn recover<D: Disk>(dir: &DataDir<D>) -> Result<Found<D::File>, OpenError> {
    let path = dir.log_path();
    let file = dir.identity_file();
    let scan = scan(dir.disk(), &path, file, Access::Write, &mut |_| {})?;
    sync_names(dir.disk(), &path)?;
    let no_segment = || Corruption {
        file: path.clone(),
        offset: 0,
        reason: "there is no segment".into(),
    };
    let (_, newest) = scan.segments.last_key_value().ok_or_else(no_segment)?;
    let newest = Arc::clone(newest);
    let cleared_bytes = clear_tail(&newest, scan.tail.offset, file.segment_bytes)?;
    rewrite_unsynced(&newest, &scan)?;
    let torn = TornTail {
        file: newest.path.clone(),
        offset: scan.tail.offset,
    };
    let report = RecoveryReport {
        segments: scan.segments.len(),
        frames: scan.frames,
        torn: scan.tail.torn.then_some(torn),
        cleared_bytes,
    };
    let recovered = recovered(&scan.contents, report);
    let tail = scan.tail;
    let view = View {
        contents: scan.contents,
        segments: scan.segments,
    };
    Ok(Found {
        view,
        newest,
        tail,
        recovered,
    })
}

fn recovered(contents: &Contents, report: RecoveryReport) -> Recovered {
    let start = contents.start();
    Recovered {
        hard_state: contents.hard_state,
        start,
        start_configuration: contents.configuration_at(start.index),
        entries: contents.entry_metas(),
        report,
    }
}

/// A process that was killed between a rename and the sync of the directory left a name that everybody sees
/// and that is not durable. Nothing may be appended behind such a name.
fn sync_names<D: Disk>(disk: &D, dir: &Path) -> Result<(), IoFailure> {
    if mutant::is("names-trusted-at-start") {
        return Ok(());
    }
    disk.sync_dir(dir).map_err(IoFailure::on("sync", dir))
}

fn clear_tail<F: DiskFile>(
    newest: &Segment<F>,
    from: u64,
    segment_bytes: u64,
) -> Result<u64, IoFailure> {
    if mutant::is("torn-tail-left") {
        return Ok(0);
    }
    let cleared_bytes = zero_tail(newest, from, segment_bytes)?;
    newest
        .file
        .sync()
        .map_err(IoFailure::on("sync", &newest.path))?;
    Ok(cleared_bytes)
}

fn rewrite_unsynced<F: DiskFile>(newest: &Segment<F>, scan: &Scan<F>) -> Result<(), IoFailure> {
    let (from, to) = (scan.tail.unsynced_offset, scan.tail.offset);
    if mutant::is("unsynced-frames-trusted") {
        return Ok(());
    }
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or_default()];
    newest
        .file
        .read_exact_at(&mut bytes, from)
        .map_err(IoFailure::on("read", &newest.path))?;
    newest
        .file
        .write_at(&bytes, from)
        .map_err(IoFailure::on("write", &newest.path))?;
    newest
        .file
        .sync()
        .map_err(IoFailure::on("sync", &newest.path))
}
