//! Provides what a suite needs, installing what is missing, and tells the tests where it is.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};

use super::table::{Need, Suite};
use crate::cluster::{self, Provider, Running};
use crate::workspace::{TEST_PROFILE, build_server, build_server_with_crash_points};
use crate::{apt, chaos, image, mutants, process};

/// Variables for the suite's tests.
pub(super) type Environment = Vec<(&'static str, OsString)>;

/// What has been provided so far and lasts until the last suite is over.
pub(super) struct Means {
    provider: Option<Provider>,
    cluster: Option<Cluster>,
}

/// The one cluster of all suites, or why there is none.
type Cluster = Result<Running, String>;

impl Means {
    /// `provider`: what a cluster is made of, if the command line says so.
    pub(super) fn new(provider: Option<Provider>) -> Self {
        Self {
            provider,
            cluster: None,
        }
    }

    /// Everything that the suite needs, or why it cannot run.
    pub(super) fn provide(&mut self, suite: &Suite) -> anyhow::Result<Environment> {
        let mut environment = Environment::new();
        for need in suite.needs {
            match need {
                Need::Postgres => {
                    let folder = apt::postgres().context("no PostgreSQL")?;
                    environment.push(("DMQ_TEST_POSTGRES_BIN", folder.into()));
                }
                Need::Server => {
                    environment.push(("DMQ_METADATA_BIN", build_server(TEST_PROFILE)?.into()));
                }
                Need::Chaos => environment.extend(chaos::means()?),
                Need::Mutants => environment.extend(mutants_and_gate()?),
                Need::CrashPoints => {
                    let server = build_server_with_crash_points(TEST_PROFILE)?;
                    environment.push(("DMQ_METADATA_BIN", server.into()));
                }
                Need::Curl => curl()?,
                Need::Helm => environment.push(path_with(cluster::helm()?)?),
                Need::Images => environment.extend(image::for_tests()?),
                Need::Kubernetes => environment.extend(self.kubernetes()?),
            }
        }
        Ok(environment)
    }

    /// Brings the cluster up for the first suite that needs it. What failed once is not tried again.
    fn kubernetes(&mut self) -> anyhow::Result<Environment> {
        let provider = self.provider;
        let cluster = self
            .cluster
            .get_or_insert_with(|| start(provider).map_err(|error| format!("{error:#}")));
        match cluster {
            Ok(running) => surroundings(running),
            Err(why) => Err(anyhow!("no Kubernetes: {why}")),
        }
    }
}

impl Drop for Means {
    fn drop(&mut self) {
        if matches!(self.cluster, Some(Ok(_)))
            && let Err(error) = cluster::down(&cluster_name())
        {
            process::say(&format!("the cluster of the suites is left: {error:#}"));
        }
    }
}

/// Suites of two checkouts may run at the same time.
fn cluster_name() -> String {
    format!("ci-{}", std::process::id())
}

fn start(provider: Option<Provider>) -> anyhow::Result<Running> {
    cluster::up(&cluster::Options {
        nodes: 3,
        provider,
        name: cluster_name(),
        kept_images: false,
        // Also ends the cluster if this process is killed.
        owner: Some(std::process::id()),
    })
}

fn surroundings(running: &Running) -> anyhow::Result<Environment> {
    let config = running.kubeconfig.clone().into();
    Ok(vec![
        ("KUBECONFIG", config),
        path_with(running.bin.clone())?,
    ])
}

fn mutants_and_gate() -> anyhow::Result<Environment> {
    let mutants::Built { gate, programs } = mutants::build()?;
    Ok(vec![
        ("DMQ_MUTANTS_GATE", gate.into()),
        ("DMQ_MUTANTS_PROGRAMS", programs.into()),
    ])
}

/// `PATH` with `folder` before all others.
fn path_with(folder: PathBuf) -> anyhow::Result<(&'static str, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
    Ok(("PATH", std::env::join_paths(folders)?))
}

fn curl() -> anyhow::Result<()> {
    if apt::on_path("curl").is_none() {
        apt::install(&["curl"]).context("no curl")?;
    }
    ensure!(apt::on_path("curl").is_some(), "no curl");
    Ok(())
}
