//! A namespace for one test, deleted behind it.
#![allow(
    clippy::print_stderr,
    reason = "what is in a namespace of a failed test is for whoever reads its output"
)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::tools::kubectl;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A namespace that is deleted when dropped; `DMQ_TEST_KEEP=1` keeps it. Unless the test said that it passed, what is in
/// it is printed first.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    passed: AtomicBool,
}

impl Namespace {
    /// Creates one whose name begins with `prefix`.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn new(prefix: &str) -> anyhow::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{number}", std::process::id());
        kubectl(&["create", "namespace", &name])?;
        let passed = AtomicBool::new(false);
        Ok(Self { name, passed })
    }

    /// The test has come to its end: nobody needs to know what is in here.
    pub fn passed(&self) {
        self.passed.store(true, Ordering::Relaxed);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is in it, for whoever reads a failed test.
    pub fn describe(&self) {
        for arguments in [
            ["get", "dmqmc,sts,pods,pvc,svc,cm", "-o", "wide"],
            ["describe", "dmqmc", "--show-events=true", "--v=0"],
            ["get", "events", "--sort-by=.lastTimestamp", "-o=wide"],
        ] {
            let arguments = [&arguments[..], &["-n", &self.name]].concat();
            let text = kubectl(&arguments).unwrap_or_else(|error| format!("{error:#}"));
            eprintln!("--- kubectl {}\n{text}", arguments.join(" "));
        }
        eprintln!("--- log of the operator\n{}", super::Operator::log());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.passed.load(Ordering::Relaxed) {
            self.describe();
        }
        if std::env::var_os("DMQ_TEST_KEEP").is_none() {
            // Nobody waits for it, and a cluster that is gone needs no clean-up.
            let _ = kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
        }
    }
}
