//! What went wrong when a plan was carried out, kept for the next status: it is written before anything is done.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::key::Key;
use crate::observed::Problem;
use crate::plan::Report;

/// An error that may pass is called a matter for a human after so many passes in a row.
const PATIENCE: u32 = 3;

/// The last failure of each object that could not be brought to what it should be.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<HashMap<Key, Trouble>>);

#[derive(Clone, Debug)]
struct Trouble {
    problem: Problem,
    lasting: bool,
    passes: u32,
}

impl Troubles {
    /// Notes how carrying out a plan ended; somebody else being faster is no trouble.
    pub fn note(&self, key: &Key, outcome: &Result<(), Error>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match outcome {
            Ok(()) => {
                all.remove(key);
                return;
            }
            Err(error) if error.is_race() => return,
            Err(error) => error,
        };
        let passes = all.get(key).map_or(0, |trouble| trouble.passes);
        let trouble = Trouble {
            problem: Problem::new("ApplyFailed", error.to_string()),
            lasting: error.is_lasting(),
            passes: passes.saturating_add(1),
        };
        all.insert(key.clone(), trouble);
    }

    /// Tells of it where the plan has nothing worse to say; whether there was anything to tell.
    pub fn tell(&self, key: &Key, report: &mut Report) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(trouble) = all.get(key) else {
            return false;
        };
        report.progress = Some(trouble.problem.clone());
        if trouble.lasting || trouble.passes >= PATIENCE {
            report
                .stalled
                .get_or_insert_with(|| trouble.problem.clone());
        }
        true
    }

    /// Forgets an object.
    pub fn forget(&self, key: &Key) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            namespace: "n".to_owned(),
            name: "meta".to_owned(),
        }
    }

    fn refused(code: u16, reason: &str) -> Result<(), Error> {
        let mut status = kube::core::response::Status::failure("no such class", reason);
        status.code = code;
        Err(Error::Kube {
            what: "applying StatefulSet meta".to_owned(),
            source: kube::Error::Api(status.boxed()),
        })
    }

    fn told(troubles: &Troubles) -> (Option<String>, Option<String>) {
        let mut report = Report::default();
        troubles.tell(&key(), &mut report);
        let words = |problem: Option<Problem>| problem.map(|problem| problem.message);
        (words(report.progress), words(report.stalled))
    }

    #[test]
    fn a_refusal_needs_a_human_at_once_and_is_over_with_the_next_success() {
        let troubles = Troubles::default();
        troubles.note(&key(), &refused(422, "Invalid"));
        let words = Some("applying StatefulSet meta: no such class".to_owned());
        assert_eq!(told(&troubles), (words.clone(), words));
        troubles.note(&key(), &Ok(()));
        assert_eq!(told(&troubles), (None, None));
    }

    #[test]
    fn what_may_pass_is_told_and_needs_a_human_only_when_it_does_not() {
        let troubles = Troubles::default();
        for pass in 1..=3 {
            troubles.note(&key(), &refused(500, "InternalError"));
            let (progress, stalled) = told(&troubles);
            assert!(progress.is_some());
            assert_eq!(stalled.is_some(), pass == 3);
        }
    }

    #[test]
    fn a_race_is_no_trouble() {
        let troubles = Troubles::default();
        troubles.note(&key(), &refused(409, "Conflict"));
        troubles.note(&key(), &Err(Error::Changed(String::new())));
        assert_eq!(told(&troubles), (None, None));
    }
}
