//! Linearizable reads of a number that only grows: none may show less than what was acknowledged, or read, before it began.

/// One linearizable read of a growing number. Moments come from one clock of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// When it was sent.
    pub sent: u64,
    /// When it was answered.
    pub answered: u64,
    /// What it showed.
    pub value: u64,
}

/// Reads that showed an older value than one that was certain before they were sent. `acknowledged` are (moment, value)
/// of acknowledged writes.
pub fn no_stale_reads(acknowledged: &[(u64, u64)], reads: &[Read]) -> Vec<String> {
    let certain_before = |moment: u64| {
        let written = acknowledged
            .iter()
            .filter(|(at, _)| *at < moment)
            .map(|(_, value)| *value);
        let seen = reads
            .iter()
            .filter(|read| read.answered < moment)
            .map(|read| read.value);
        written.chain(seen).max().unwrap_or(0)
    };
    let stale = reads
        .iter()
        .filter(|read| read.value < certain_before(read.sent));
    stale
        .map(|read| format!("{read:?} is older than {}", certain_before(read.sent)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sent: u64, answered: u64, value: u64) -> Read {
        Read {
            sent,
            answered,
            value,
        }
    }

    #[test]
    fn a_read_may_show_a_write_that_is_in_flight() {
        let reads = [read(1, 4, 1), read(2, 3, 0)];
        assert!(no_stale_reads(&[(5, 1)], &reads).is_empty());
    }

    #[test]
    fn a_read_after_an_acknowledged_write_shows_it() {
        assert_eq!(no_stale_reads(&[(5, 7)], &[read(6, 8, 6)]).len(), 1);
        assert!(no_stale_reads(&[(5, 7)], &[read(6, 8, 7)]).is_empty());
    }

    #[test]
    fn a_read_shows_what_an_earlier_one_showed() {
        assert_eq!(
            no_stale_reads(&[], &[read(1, 2, 3), read(3, 4, 2)]).len(),
            1
        );
    }
}
