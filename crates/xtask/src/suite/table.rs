//! The one table of suites: what each is about, what it needs, how long it takes in CI, and which test targets are its own.

use std::time::Duration;

use anyhow::bail;

/// What must be on the machine before a suite can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// PostgreSQL's server programs.
    Postgres,
    /// Our own server, built.
    Server,
    /// Our own server with its crash points.
    CrashPoints,
    /// Network namespaces, and programs that break what is in them.
    Chaos,
    /// Our crates with their seeded bugs, built, and the gate that lets programs meet them.
    Mutants,
    /// `curl`, for the lines of the README.
    Curl,
    /// `helm` of the version that the charts are tested with.
    Helm,
    /// Our images as archives, and what builds and runs them.
    Images,
    /// A cluster of three nodes with our images, `kubectl` and `helm`; one for all suites.
    Kubernetes,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) needs: &'static [Need],
    /// Its share of the time in CI. Suites that search draw seeds for this long; any suite is ended as hung at
    /// `hung_after`, since a share is a plan and no promise on a busy machine.
    pub(super) share: Duration,
    /// It draws seeds until its time is over, so that `--minutes` and `--seed` mean something to it.
    pub(super) searches: bool,
    /// What its tests print is worth reading even when they pass: figures, how far a search came.
    pub(super) shows: bool,
    /// Tests of one executable that run at the same time; `None` leaves it to the test runner.
    pub(super) threads: Option<usize>,
}

impl Suite {
    /// How long after its start a suite counts as hung.
    pub(super) fn hung_after(&self, search: Duration) -> Duration {
        search.max(self.share) * 4 + Duration::from_mins(3)
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// In the order in which they run: the cheap and telling ones first. The shares add up to about forty minutes; a cold build of
/// everything on two cores (the programs of Kubernetes alone take 11 minutes) needs the rest of CI's ninety.
pub(super) const SUITES: [Suite; 16] = [
    Suite {
        name: "unit",
        about: "every crate by itself: library tests, scenario scripts, crash tests of the log",
        needs: &[],
        share: seconds(120),
        searches: false,
        shows: false,
        threads: None,
    },
    Suite {
        name: "doc",
        about: "the examples in the documentation",
        needs: &[],
        share: seconds(60),
        searches: false,
        shows: false,
        threads: None,
    },
    Suite {
        name: "walker",
        about: "random walks through the consensus core with the safety invariants",
        needs: &[],
        share: seconds(120),
        searches: true,
        shows: true,
        threads: None,
    },
    Suite {
        name: "sim",
        about: "whole nodes on a simulated disk and network: crashes, lost data, partitions",
        needs: &[],
        share: seconds(240),
        searches: true,
        shows: true,
        threads: None,
    },
    Suite {
        name: "fuzz",
        about: "every decoder: the corpus replayed, then inputs made of it",
        needs: &[],
        share: seconds(180),
        searches: true,
        shows: true,
        // The allocator's meter counts for the whole process.
        threads: Some(1),
    },
    Suite {
        name: "mutants",
        about: "seeded bugs, one at a time: what searches for bugs must find every one",
        needs: &[Need::Mutants, Need::Server],
        share: seconds(180),
        searches: false,
        shows: true,
        threads: None,
    },
    Suite {
        name: "store",
        about: "the projection on SQLite and on a real PostgreSQL server",
        needs: &[Need::Postgres],
        share: seconds(90),
        searches: false,
        shows: false,
        threads: None,
    },
    Suite {
        name: "api",
        about: "REST of real nodes: shapes, refusals, bad input, the OpenAPI document",
        needs: &[Need::Server],
        share: seconds(90),
        searches: false,
        shows: false,
        threads: Some(2),
    },
    Suite {
        name: "process",
        about: "real nodes that are killed, paused, cut off and restarted",
        needs: &[Need::Server, Need::Postgres],
        share: seconds(300),
        searches: false,
        shows: false,
        // Three processes a test on two cores: more at once only makes every one of them slow.
        threads: Some(1),
    },
    Suite {
        name: "chaos",
        about: "real nodes in namespaces of their own under every fault, with clients whose histories are checked",
        needs: &[Need::Chaos],
        share: seconds(300),
        searches: true,
        shows: true,
        threads: Some(1),
    },
    Suite {
        name: "crash",
        about: "real nodes at every named point between two durable steps: killed, EIO, ENOSPC, slow",
        needs: &[Need::CrashPoints],
        share: seconds(150),
        searches: false,
        shows: true,
        threads: Some(1),
    },
    Suite {
        name: "tour",
        about: "every line of the README's tour, typed as a user would",
        needs: &[Need::Server, Need::Curl],
        share: seconds(60),
        searches: false,
        shows: false,
        threads: Some(1),
    },
    Suite {
        name: "chart",
        about: "what the Helm charts render, and that Helm itself finds no fault",
        needs: &[Need::Helm],
        share: seconds(60),
        searches: false,
        shows: false,
        threads: None,
    },
    Suite {
        name: "image",
        about: "the images: what is in them, the Dockerfile, PostgreSQL as the sidecar runs it",
        needs: &[Need::Images],
        share: seconds(90),
        searches: false,
        shows: false,
        threads: Some(1),
    },
    Suite {
        name: "kube",
        about: "a real API server: the resource definition, its rules and columns, who owns which field, who leads",
        needs: &[Need::Kubernetes],
        share: seconds(180),
        searches: false,
        shows: true,
        // The definition is one for the whole cluster.
        threads: Some(1),
    },
    Suite {
        name: "e2e",
        about: "quorums on a real Kubernetes of three nodes: install, elections, rollouts, drains, bad input",
        needs: &[Need::Kubernetes],
        share: seconds(1200),
        searches: false,
        shows: true,
        threads: Some(1),
    },
];

/// The suite that a test target belongs to: the prefix of its name says it, anything without one is `unit`, and so are the
/// tests beside the crates that ship, whatever their names.
pub(super) fn suite_of(package: &str, target: &str) -> &'static str {
    let prefix = target.split('_').next().unwrap_or(target);
    let shared = ["dmq-tests", "dmq-testkit"].contains(&package);
    let named = SUITES.iter().find(|suite| shared && suite.name == prefix);
    match named {
        Some(suite) => suite.name,
        None if package == "dmq-store" && target != "dmq_store" => "store",
        None => "unit",
    }
}

/// The named suites in the table's order, or all; never those of `without`.
pub(super) fn chosen(names: &[String], without: &[String]) -> anyhow::Result<Vec<&'static Suite>> {
    let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    let mut all = names.iter().chain(without);
    if let Some(unknown) = all.find(|name| !known.contains(&name.as_str())) {
        bail!("no suite `{unknown}`; there are {}", known.join(", "));
    }
    let has = |list: &[String], suite: &Suite| list.iter().any(|name| name == suite.name);
    let wanted = |suite: &&Suite| (names.is_empty() || has(names, suite)) && !has(without, suite);
    Ok(SUITES.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_target_finds_its_suite_by_its_prefix() {
        assert_eq!(suite_of("dmq-tests", "process_failover"), "process");
        assert_eq!(suite_of("dmq-testkit", "sim"), "sim");
        assert_eq!(suite_of("dmq-raft", "scenarios"), "unit");
        assert_eq!(suite_of("dmq-log", "crash"), "unit");
        assert_eq!(suite_of("dmq-tests", "crash_points"), "crash");
        assert_eq!(suite_of("dmq-raft", "dmq_raft"), "unit");
        assert_eq!(suite_of("dmq-store", "conformance"), "store");
        assert_eq!(suite_of("dmq-store", "dmq_store"), "unit");
    }

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn chosen_names(wanted: &str, without: &str) -> Vec<&'static str> {
        let suites = chosen(&names(wanted), &names(without)).unwrap();
        suites.iter().map(|suite| suite.name).collect()
    }

    #[test]
    fn names_are_checked_and_put_in_the_tables_order() {
        assert_eq!(chosen_names("sim unit", ""), ["unit", "sim"]);
        assert_eq!(chosen_names("sim unit", "unit"), ["sim"]);
        assert!(chosen(&names("nonsense"), &[]).is_err());
        assert!(chosen(&[], &names("nonsense")).is_err());
        assert_eq!(chosen_names("", "").len(), SUITES.len());
        assert_eq!(chosen_names("", "e2e image").len(), SUITES.len() - 2);
    }

    /// What the job for everything leaves out must run somewhere else.
    #[test]
    fn every_suite_runs_on_github() {
        let folder = crate::workspace::root().join(".github/workflows");
        let (mut ran, mut left_out) = (BTreeSet::new(), BTreeSet::new());
        for file in ["ci.yaml", "kubernetes.yaml"] {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            for line in text.lines().filter(|line| line.contains("run: ")) {
                if let Some((_, suites)) = line.split_once("cargo xtask test ") {
                    ran.extend(names(suites));
                }
                let words = names(line);
                let pairs = words.windows(2).filter(|pair| pair[0] == "--without");
                left_out.extend(pairs.map(|pair| pair[1].clone()));
            }
        }
        assert!(left_out.contains("e2e"), "{left_out:?}");
        assert!(left_out.is_subset(&ran), "{left_out:?} {ran:?}");
        chosen(&[], &Vec::from_iter(left_out)).unwrap();
    }
}
