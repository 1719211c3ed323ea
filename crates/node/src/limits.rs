//! What the system lets the process have: open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one. Shells and supervisors often start processes with
/// 1024, which a thousand idle clients use up; the log would then find none for its next segment.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays at {current:?}");
    }
}

/// Files and connections that the process may have open at a time.
pub fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let lowered = Rlimit {
            current: Some(hard.unwrap_or(u64::MAX).min(1_000)),
            maximum: hard,
        };
        setrlimit(Resource::Nofile, lowered).unwrap();
        raise_open_files();
        assert_eq!(open_files(), hard.unwrap_or(u64::MAX));
    }
}
