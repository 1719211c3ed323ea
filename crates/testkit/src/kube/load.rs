//! `dmq-load` in a pod: clients that write all the time, and what they say of it.

use std::time::Duration;

use serde_json::Value;

use super::tools::{apply, kubectl};
use super::wait::until;

/// A pod with clients. It goes with its namespace.
#[derive(Debug)]
pub struct Load {
    namespace: String,
    pod: String,
}

/// What the clients said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Acknowledged writes since the start.
    pub acked: u64,
    /// Writes that failed although the client followed redirects and retried.
    pub failed: u64,
    /// Longest time between two successive acknowledgements.
    pub max_gap: Duration,
    /// The last failure of any kind.
    pub last_error: Option<String>,
}

impl Load {
    /// Starts clients of `http://<target>:8080`; waits for their first acknowledgements.
    ///
    /// # Errors
    /// If there never are any.
    pub fn start(namespace: &str, pod: &str, target: &str) -> anyhow::Result<Self> {
        apply(namespace, &manifest(pod, target))?;
        let load = Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
        };
        load.wait_more(50)?;
        Ok(load)
    }

    /// Waits until `more` writes were acknowledged after now.
    ///
    /// # Errors
    /// If they never are.
    pub fn wait_more(&self, more: u64) -> anyhow::Result<Report> {
        let before = self.report().map_or(0, |report| report.acked);
        until("further writes are acknowledged", || {
            Ok(Some(self.report()?).filter(|report| report.acked >= before + more))
        })
    }

    /// What the clients said last.
    ///
    /// # Errors
    /// If they said nothing yet.
    pub fn report(&self) -> anyhow::Result<Report> {
        let line = kubectl(&["logs", &self.pod, "-n", &self.namespace, "--tail=1"])?;
        let line: Value = serde_json::from_str(&line)?;
        let number = |key: &str| line[key].as_u64().unwrap_or_default();
        Ok(Report {
            acked: number("ackedTotal"),
            failed: number("failedTotal"),
            max_gap: Duration::from_millis(number("maxGapMs")),
            last_error: line["lastError"].as_str().map(str::to_owned),
        })
    }

    /// Longest gap of all lines that were made at or after `unix_ms` by the clients' clock.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn gap_since(&self, unix_ms: u64) -> anyhow::Result<Duration> {
        let log = kubectl(&["logs", &self.pod, "-n", &self.namespace, "--tail=-1"])?;
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let since = lines.filter(|line| line["unixMs"].as_u64() >= Some(unix_ms));
        let longest = since.filter_map(|line| line["gapMs"].as_u64()).max();
        Ok(Duration::from_millis(longest.unwrap_or_default()))
    }

    /// Deletes the pod.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn stop(self) -> anyhow::Result<()> {
        kubectl(&[
            "delete",
            "pod",
            &self.pod,
            "-n",
            &self.namespace,
            "--grace-period=1",
        ])?;
        Ok(())
    }
}

fn manifest(pod: &str, target: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata:
  name: {pod}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  enableServiceLinks: false
  containers:
  - name: load
    image: ghcr.io/dmq-io/dmq-load:0.1.0
    imagePullPolicy: IfNotPresent
    args: [--node, 'http://{target}:8080', --clients, '4']
    securityContext: {{runAsNonRoot: true, allowPrivilegeEscalation: false}}
"
    )
}
