//! Provides what a suite needs, installing what is missing, and tells the tests where it is.

use anyhow::{Context as _, ensure};

use super::table::{Need, Suite};
use crate::apt;
use crate::workspace::{TEST_PROFILE, build_server};

/// Variables for the suite's tests.
pub(super) type Environment = Vec<(&'static str, std::ffi::OsString)>;

/// Everything that the suite needs, or why it cannot run.
pub(super) fn provide(suite: &Suite) -> anyhow::Result<Environment> {
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
            Need::Curl => curl()?,
        }
    }
    Ok(environment)
}

fn curl() -> anyhow::Result<()> {
    if apt::on_path("curl").is_none() {
        apt::install(&["curl"]).context("no curl")?;
    }
    ensure!(apt::on_path("curl").is_some(), "no curl");
    Ok(())
}
