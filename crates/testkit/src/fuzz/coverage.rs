//! Which code has run: the counters of a build with `-Cinstrument-coverage`, read from the file that LLVM's runtime
//! keeps them in (`LLVM_PROFILE_FILE` with `%c`).
//!
//! ```text
//! file:  16 numbers u64: magic, version, bytes of binary ids, records, padding, counters, ...
//!      | binary ids | records of 64 bytes | padding | counters u64 ...          (LLVM's "raw profile" 10)
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;

const HEADER_NUMBERS: usize = 16;
const RECORD_BYTES: u64 = 64;
const VERSION: u64 = 10;
/// "lprofr" between 255 and 129.
const MAGIC: u64 = 0xff6c_7072_6f66_7281;
/// The file's name stands before this in the pattern; the runtime takes the mark away.
const CONTINUOUS: &str = "%c";

/// The counters of this process.
pub(super) struct Coverage {
    file: File,
    counters_at: u64,
    bytes: Vec<u8>,
    /// By counter: whether it was seen above zero.
    seen: Vec<bool>,
}

impl Coverage {
    /// The counters, if this build has them and they are kept in a file.
    pub(super) fn of_process() -> Option<Self> {
        let pattern = std::env::var("LLVM_PROFILE_FILE").ok()?;
        let file = File::open(pattern.replace(CONTINUOUS, "")).ok()?;
        let mut header = [0; HEADER_NUMBERS * 8];
        file.read_exact_at(&mut header, 0).ok()?;
        let number = |at: usize| {
            let bytes = header[at * 8..].first_chunk().copied();
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        // The upper byte holds flags.
        if number(0) != MAGIC || number(1) & 0x00ff_ffff_ffff_ffff != VERSION {
            return None;
        }
        let records_at = header.len() as u64 + number(2);
        let counters_at = records_at + number(3) * RECORD_BYTES + number(4);
        let counters = usize::try_from(number(5)).ok()?;
        Some(Self {
            file,
            counters_at,
            bytes: vec![0; counters * 8],
            seen: vec![false; counters],
        })
    }

    /// Number of counters that were seen above zero.
    pub(super) fn covered(&self) -> usize {
        self.seen.iter().filter(|seen| **seen).count()
    }

    /// The counters that were never seen above zero before, and are now.
    pub(super) fn fresh(&mut self) -> Vec<usize> {
        self.read();
        let counts = self.bytes.as_chunks::<8>().0;
        let mut fresh = Vec::new();
        for (at, (count, seen)) in counts.iter().zip(&mut self.seen).enumerate() {
            if !*seen && *count != [0; 8] {
                *seen = true;
                fresh.push(at);
            }
        }
        fresh
    }

    /// The counters that `work` moves.
    pub(super) fn moved_by(&mut self, work: impl FnOnce()) -> Vec<usize> {
        self.read();
        let before = self.bytes.clone();
        work();
        self.read();
        let counts = |bytes: &[u8]| bytes.as_chunks::<8>().0.to_vec();
        let pairs = counts(&before).into_iter().zip(counts(&self.bytes));
        let moved = |(at, (old, new)): (usize, ([u8; 8], [u8; 8]))| (old != new).then_some(at);
        pairs.enumerate().filter_map(moved).collect()
    }

    /// A short read would only hide progress, never make some up.
    fn read(&mut self) {
        let _ = self.file.read_exact_at(&mut self.bytes, self.counters_at);
    }
}
