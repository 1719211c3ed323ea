//! How long an object that fails is left alone: longer from failure to failure, and never all of them at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::key::Key;

/// Pause after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause.
const LONGEST: Duration = Duration::from_mins(1);

/// Pause after somebody else was faster.
const RACE: Duration = Duration::from_millis(100);
/// Races in a row that are taken for chance.
const RACES_MAX: u32 = 5;

/// Failures in a row, by object.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<Key, u32>>);

impl Backoff {
    /// Counts a failure; how long to wait now.
    pub fn failed(&self, key: &Key) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        pause(*count, chance())
    }

    /// Counts a pass that somebody else got ahead of; how long to wait now. That is short, unless it goes on.
    pub fn raced(&self, key: &Key) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        match count.saturating_sub(RACES_MAX) {
            0 => RACE,
            more => pause(more, chance()),
        }
    }

    /// Forgets the failures of an object.
    pub fn reset(&self, key: &Key) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(key);
    }
}

/// Doubles from failure to failure; between 75 % and 125 % of that by `chance` in 0..=255.
fn pause(failures: u32, chance: u8) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let full = FIRST.saturating_mul(doubled).min(LONGEST);
    full * (384 + u32::from(chance)) / 512
}

fn chance() -> u8 {
    Uuid::new_v4().as_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_spread() {
        assert_eq!(pause(1, 128), FIRST);
        assert_eq!(pause(4, 128), FIRST * 8);
        assert_eq!(pause(100, 128), LONGEST);
        assert!(pause(3, 0) >= FIRST * 3 && pause(3, 255) <= FIRST * 5);
    }

    #[test]
    fn a_success_begins_anew() {
        let backoff = Backoff::default();
        let key = Key {
            namespace: "n".to_owned(),
            name: "meta".to_owned(),
        };
        for _ in 0..6 {
            backoff.failed(&key);
        }
        assert!(backoff.failed(&key) > Duration::from_secs(20));
        backoff.reset(&key);
        assert!(backoff.failed(&key) < Duration::from_secs(1));
    }

    #[test]
    fn races_are_repeated_soon_but_not_for_ever() {
        let backoff = Backoff::default();
        let key = Key {
            namespace: "n".to_owned(),
            name: "meta".to_owned(),
        };
        for _ in 0..RACES_MAX {
            assert_eq!(backoff.raced(&key), RACE);
        }
        for _ in 0..6 {
            backoff.raced(&key);
        }
        assert!(backoff.raced(&key) > Duration::from_secs(10));
    }
}
