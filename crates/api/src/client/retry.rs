//! What to do after a failed attempt: decided here, done by the client.

use std::time::Duration;

use http::StatusCode;

use super::ClientError;
use crate::problem::Problem;

/// First pause before another attempt.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Longest pause: it comes on top of an election, which takes one to two seconds.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said why.
    Problem(Box<Problem>),
    /// An error without a problem document.
    Foreign(StatusCode),
    /// No answer.
    Transport(reqwest::Error),
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Give up: another attempt would end the same, or could take effect twice.
    Stop,
    /// Ask this node: it is the controller.
    Follow(String),
    /// Ask another node.
    Elsewhere,
}

impl Failure {
    pub(super) fn into_error(self) -> ClientError {
        match self {
            Self::Problem(problem) => ClientError::Refused(problem),
            Self::Foreign(status) => ClientError::Foreign(status),
            Self::Transport(error) => ClientError::Transport(error),
        }
    }
}

/// Decides by the failure, and by whether the request may be repeated when its outcome is unknown.
pub(super) fn next_step(failure: &Failure, may_repeat: bool) -> Step {
    match failure {
        Failure::Problem(problem) => match &problem.leader_url {
            Some(leader) if problem.retriable => Step::Follow(leader.clone()),
            _ if problem.retriable || (problem.outcome_unknown && may_repeat) => Step::Elsewhere,
            _ => Step::Stop,
        },
        // A connection that was never made carried nothing.
        Failure::Transport(error) if error.is_connect() || may_repeat => Step::Elsewhere,
        Failure::Transport(_) | Failure::Foreign(_) => Step::Stop,
    }
}

/// Growing pauses between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { next: PAUSE_MIN }
    }

    /// A pause before following a hint, which may be stale: short, but not none.
    pub(super) fn short(&mut self) -> Duration {
        let pause = self.next / 4;
        self.grow();
        pause
    }

    /// A pause before asking elsewhere.
    pub(super) fn longer(&mut self) -> Duration {
        let pause = self.next;
        self.grow();
        pause
    }

    fn grow(&mut self) {
        self.next = (self.next * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Code;

    fn step(code: Code, leader: Option<&str>, may_repeat: bool) -> Step {
        let mut problem = Problem::new(code, "");
        problem.leader_url = leader.map(str::to_owned);
        next_step(&Failure::Problem(Box::new(problem)), may_repeat)
    }

    #[test]
    fn a_known_controller_is_followed_and_an_unknown_one_looked_for() {
        let leader = Some("http://b:1");
        assert_eq!(
            step(Code::NotController, leader, false),
            Step::Follow("http://b:1".to_owned())
        );
        assert_eq!(step(Code::NotController, None, false), Step::Elsewhere);
        assert_eq!(step(Code::NoLeader, None, false), Step::Elsewhere);
        assert_eq!(step(Code::LeaderChanged, None, false), Step::Elsewhere);
    }

    #[test]
    fn an_unknown_outcome_is_repeated_only_if_that_is_harmless() {
        assert_eq!(step(Code::OutcomeUnknown, None, true), Step::Elsewhere);
        assert_eq!(step(Code::OutcomeUnknown, None, false), Step::Stop);
    }

    #[test]
    fn a_definite_refusal_is_final() {
        for code in [
            Code::TopicAlreadyExists,
            Code::InvalidTopic,
            Code::Unauthenticated,
        ] {
            assert_eq!(step(code, None, true), Step::Stop, "{code}");
        }
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).map(|_| backoff.longer()).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
    }
}
