//! What a broker's registration does: a register that holds the rack that was given last.

use crate::checkers::wgl::Model;

/// The object behind one broker number. Its state is the last mark.
pub(super) struct Racks;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Register { mark: u64 },
    Read,
}

/// What is answered: the mark that is there now; none if the broker is not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Mark(Option<u64>),
    /// Refused: no registration of ours is.
    Refused,
}

impl Model for Racks {
    type State = Option<u64>;
    type Call = Call;
    type Answer = Answer;

    fn initial(&self) -> Option<u64> {
        None
    }

    fn step(
        &self,
        state: &Option<u64>,
        call: &Call,
        answer: Option<&Answer>,
    ) -> Option<Option<u64>> {
        let next = match call {
            Call::Register { mark } => Some(*mark),
            Call::Read => *state,
        };
        answer
            .is_none_or(|answer| *answer == Answer::Mark(next))
            .then_some(next)
    }

    fn changes_nothing(&self, call: &Call, answer: &Answer) -> bool {
        *call == Call::Read || *answer == Answer::Refused
    }
}
