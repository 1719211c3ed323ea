//! Real time: what had certainly happened before an operation began.

use crate::chaos::operation::{Moment, Operation};

/// An index that was certain, and the operation (by its position in the history) that showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) index: u64,
    pub(super) shown_by: usize,
}

/// For every operation the highest index that an answer had named before the operation was sent. O(n log n).
pub(super) fn floors(history: &[Operation]) -> Vec<Option<Floor>> {
    let mut by_invocation: Vec<usize> = (0..history.len()).collect();
    by_invocation.sort_by_key(|at| history[*at].invoked);
    let mut answers: Vec<(Moment, Floor)> = history
        .iter()
        .enumerate()
        .filter_map(|(at, operation)| {
            let floor = Floor {
                index: operation.index()?,
                shown_by: at,
            };
            Some((operation.returned?, floor))
        })
        .collect();
    answers.sort_by_key(|(returned, _)| *returned);
    let mut answers = answers.into_iter().peekable();
    let (mut floor, mut floors) = (None::<Floor>, vec![None; history.len()]);
    for at in by_invocation {
        let invoked = history[at].invoked;
        while let Some((_, answered)) = answers.next_if(|(returned, _)| *returned < invoked) {
            floor = floor
                .filter(|floor| floor.index >= answered.index)
                .or(Some(answered));
        }
        floors[at] = floor;
    }
    floors
}
