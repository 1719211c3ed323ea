//! The command line of a run.

use std::time::Duration;

use clap::Args;

use super::fault::{Fault, StoreKind};
use super::plan::{Choice, Step, every_fault, mix};

/// How long a step takes with what belongs to it, about: to know how many fit into a time.
const STEP: Duration = Duration::from_secs(8);

/// What a run does.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Draw the faults from this seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Number of voters
    #[arg(long, default_value_t = 3, value_parser = quorum_size)]
    pub nodes: u32,
    /// What the projections are kept in
    #[arg(long, value_enum, default_value_t = StoreKind::Sqlite)]
    pub store: StoreKind,
    /// Only this fault; may be given several times
    #[arg(long = "fault", value_enum)]
    pub faults: Vec<Fault>,
    /// Keep drawing faults for so many seconds, instead of each once
    #[arg(long)]
    pub seconds: Option<u64>,
}

impl Options {
    /// What to draw from.
    pub fn choice(&self) -> Choice {
        Choice {
            nodes: self.nodes,
            store: self.store,
            faults: self.faults.clone(),
        }
    }

    /// The steps, in order.
    pub fn plan(&self) -> Vec<Step> {
        let choice = self.choice();
        match self.seconds {
            None => every_fault(&choice, self.seed),
            Some(seconds) => {
                let steps = usize::try_from(seconds / STEP.as_secs()).unwrap_or(usize::MAX);
                mix(&choice, self.seed, steps.max(1))
            }
        }
    }

    /// The command that does the same again.
    pub fn command(&self) -> String {
        let store = match self.store {
            StoreKind::Sqlite => "sqlite",
            StoreKind::Postgres => "postgres",
        };
        let faults = self
            .faults
            .iter()
            .fold(String::new(), |all, fault| all + " --fault " + fault.name());
        let seconds = self
            .seconds
            .map(|seconds| format!(" --seconds {seconds}"))
            .unwrap_or_default();
        format!(
            "cargo xtask chaos --seed {} --nodes {} --store {store}{faults}{seconds}",
            self.seed, self.nodes
        )
    }
}

fn quorum_size(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(nodes @ (3 | 5)) => Ok(nodes),
        _ => Err("a run has 3 or 5 nodes".to_owned()),
    }
}
