//! Reads the closing lines of Rust's test runner.

use std::ops::AddAssign;

/// How many tests passed, failed and were left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl Counts {
    /// What one line adds: `test result: ok. 3 passed; 0 failed; 1 ignored; ...`, nothing for any other line.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let number = |unit: &str| {
            let part = rest
                .split(';')
                .map(str::trim)
                .find(|part| part.ends_with(unit))?;
            part.split(' ').next()?.parse().ok()
        };
        Some(Self {
            passed: number("passed")?,
            failed: number("failed")?,
            skipped: number("ignored")?,
        })
    }

    /// All tests that ran.
    pub(super) fn ran(self) -> usize {
        self.passed + self.failed
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.05s";
        let counts = Counts::of_line(line).unwrap();
        assert_eq!(
            counts,
            Counts {
                passed: 12,
                failed: 3,
                skipped: 1
            }
        );
        assert_eq!(counts.ran(), 15);
    }

    #[test]
    fn other_lines_are_not() {
        assert_eq!(Counts::of_line("running 3 tests"), None);
        assert_eq!(Counts::of_line("test a ... ok"), None);
        assert_eq!(Counts::of_line("test result: ok"), None);
    }
}
