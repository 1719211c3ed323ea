//! The operator, installed by Helm as a user would.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::tools::{chart, get, helm, kubectl};
use super::wait::until;

/// Tests of one program take turns: they install, kill and remove the one operator.
static TURN: Mutex<()> = Mutex::new(());

/// The operator in its own namespace. Holding it keeps other tests of the program out.
#[derive(Debug)]
pub struct Operator {
    _turn: MutexGuard<'static, ()>,
}

impl Operator {
    /// Namespace of the operator.
    pub const NAMESPACE: &'static str = "dmq-system";
    /// Name of the Helm release.
    pub const RELEASE: &'static str = "dmq-operator";

    /// Installs it, or brings it back to the chart's defaults, and waits until it is available.
    ///
    /// # Errors
    /// What `helm` says.
    pub fn install() -> anyhow::Result<Self> {
        Self::install_with(&[])
    }

    /// As [`Operator::install`], with further arguments of `helm upgrade --install`.
    ///
    /// # Errors
    /// What `helm` says.
    pub fn install_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let operator = Self { _turn: turn };
        operator.upgrade(arguments)?;
        Ok(operator)
    }

    /// `helm upgrade --install`, and waits until all replicas are there.
    ///
    /// # Errors
    /// What `helm` says.
    pub fn upgrade(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let chart = chart("dmq-operator");
        let base = [
            "upgrade",
            "--install",
            Self::RELEASE,
            &chart,
            "--namespace",
            Self::NAMESPACE,
            "--create-namespace",
            "--wait",
            "--timeout",
            "4m",
            // Tests of the definition alone put it there before Helm does.
            "--take-ownership",
            // Each test begins with the chart's own values, whatever the one before it set.
            "--reset-values",
        ];
        helm(&[&base[..], arguments].concat())
    }

    /// Its objects that Kubernetes has, of those in the `manifest` of the release.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn left(manifest: &str) -> anyhow::Result<Vec<String>> {
        let names = super::tools::with_input(
            &[
                "get",
                "-f",
                "-",
                "--ignore-not-found",
                "-o",
                "name",
                "-n",
                Self::NAMESPACE,
            ],
            manifest,
        )?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Everything that the release is made of, as YAML.
    ///
    /// # Errors
    /// What `helm` says.
    pub fn manifest(&self) -> anyhow::Result<String> {
        helm(&["get", "manifest", Self::RELEASE, "-n", Self::NAMESPACE])
    }

    /// Names of its pods that are not being deleted.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn pods(&self) -> anyhow::Result<Vec<String>> {
        let selector = "app.kubernetes.io/name=dmq-operator";
        let list = get(&["pods", "-n", Self::NAMESPACE, "-l", selector])?;
        let alive = |pod: &&serde_json::Value| pod["metadata"]["deletionTimestamp"].is_null();
        let name = |pod: &serde_json::Value| pod["metadata"]["name"].as_str().map(str::to_owned);
        Ok(list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(alive)
            .filter_map(name)
            .collect())
    }

    /// Kills every replica at once, without grace: as a node that vanishes.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn kill(&self) -> anyhow::Result<()> {
        for pod in self.pods()? {
            kubectl(&[
                "delete",
                "pod",
                &pod,
                "-n",
                Self::NAMESPACE,
                "--grace-period=0",
                "--force",
            ])?;
        }
        Ok(())
    }

    /// Waits until the Deployment is available again.
    ///
    /// # Errors
    /// If it never is.
    pub fn wait_available(&self) -> anyhow::Result<()> {
        until("the operator is available", || {
            kubectl(&[
                "rollout",
                "status",
                "deployment/dmq-operator",
                "-n",
                Self::NAMESPACE,
                "--timeout=5s",
            ])
            .map(Some)
        })?;
        Ok(())
    }

    /// `helm uninstall`, and waits until its pods are gone.
    ///
    /// # Errors
    /// What `helm` says.
    pub fn uninstall(&self) -> anyhow::Result<()> {
        helm(&["uninstall", Self::RELEASE, "-n", Self::NAMESPACE, "--wait"])?;
        until("the operator's pods are gone", || {
            Ok(self.pods()?.is_empty().then_some(()))
        })
    }

    /// The newest lines of its log.
    pub fn log() -> String {
        let arguments = [
            "logs",
            "deployment/dmq-operator",
            "-n",
            Self::NAMESPACE,
            "--tail=200",
        ];
        kubectl(&arguments).unwrap_or_else(|error| format!("{error:#}"))
    }
}
