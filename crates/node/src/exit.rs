//! The exit codes of the process. They are an interface: supervisors and tests branch on them.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or stopped in order.
    Done,
    /// 1: something outside failed (a port in use, a server that does not answer).
    Failed,
    /// 2: bad usage or a configuration that breaks a rule.
    Usage,
    /// 3: the data directory is locked, foreign, missing or damaged.
    DataDirectory,
    /// 4: a write or sync of the log failed. It is never retried: what the disk holds is unknown.
    LogFailed,
    /// 5: the database holds entries that the log does not: committed entries were lost.
    LostEntries,
    /// 6: a part of the server ended that never should; a defect.
    Defect,
    /// 7: the majority has another state than this node (DESIGN 6.8).
    Corrupt,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::DataDirectory => 3,
            Self::LogFailed => 4,
            Self::LostEntries => 5,
            Self::Defect => 6,
            Self::Corrupt => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a run ended otherwise than in order: what to tell the user, and the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One sentence for people.
    pub message: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }

    /// The end of a command whose output nobody reads any more.
    pub fn quiet() -> Self {
        Self::new(Exit::Done, "")
    }

    /// Something outside failed.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}
