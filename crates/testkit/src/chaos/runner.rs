//! One run: clients ask all the time while the steps of a plan happen one after the other; in the end everything is healed and
//! what the clients saw is checked.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::audit::Auditor;
use super::client::{ClientOptions, Clients};
use super::fault::Fault;
use super::operation::{Moment, Operation};
use super::options::Options;
use super::plan::Step;
use super::report::{Report, Row, say};
use super::stage::Stage;
use super::strike::{Struck, bites, heal, strike, victim};
use crate::checkers::SeenLogs;
use crate::harness::{PATIENCE, wait_until};

/// Before each fault so much time passes without one.
const CALM: Duration = Duration::from_secs(2);

/// Between two looks at what goes on.
const LOOK: Duration = Duration::from_millis(100);

/// So many writes must be decided before a fault may end.
const PROGRESS_WRITES: usize = 20;

/// What a run was.
#[derive(Debug)]
pub struct Outcome {
    /// What was measured.
    pub report: Report,
    /// Everything that clients asked and were answered.
    pub history: Vec<Operation>,
    /// Everything that was committed.
    pub log: SeenLogs,
    /// Why the run ended early: a node ended by itself, nothing was written under a fault that leaves a majority, or the nodes did
    /// not come together again.
    pub failure: Option<anyhow::Error>,
}

/// Does the steps and returns what was seen.
pub async fn run(stage: &mut Stage, options: &Options) -> anyhow::Result<Outcome> {
    let asked = ClientOptions {
        seed: options.seed,
        ..ClientOptions::default()
    };
    let clients = Clients::start(stage.addresses(false), asked, None).await?;
    let auditor = Auditor::start(stage.directories());
    let mut report = Report::default();
    let mut failure = None;
    for step in options.plan() {
        let mut act = Act {
            stage,
            clients: &clients,
        };
        match act.perform(step).await {
            Ok(row) => {
                say(&line(&row));
                report.rows.push(row);
            }
            Err(error) => {
                failure = Some(error.context(format!("{step}")));
                break;
            }
        }
    }
    tokio::time::sleep(CALM).await;
    Ok(Outcome {
        report,
        history: clients.stop().await?,
        log: auditor.finish()?,
        failure,
    })
}

/// One step with what it works on.
struct Act<'a> {
    stage: &'a mut Stage,
    clients: &'a Clients,
}

impl Act<'_> {
    async fn perform(&mut self, step: Step) -> anyhow::Result<Row> {
        let begun = self.clients.now();
        tokio::time::sleep(CALM).await;
        let node = victim(self.stage, &step).await?;
        let struck_at = self.clients.now();
        if step.fault == Fault::Membership {
            self.clients.set_nodes(self.stage.addresses(true));
        }
        let struck = self.hold(step, node).await?;
        let healed_at = self.clients.now();
        self.clients.set_nodes(self.stage.addresses(false));
        heal(self.stage, struck).await?;
        self.recovered().await?;
        let window = |from: Moment, to: Moment| self.clients.meter().window(from, to);
        Ok(Row {
            step,
            node,
            calm: window(begun, struck_at),
            during: window(struck_at, healed_at),
            recovered_after: since(healed_at, self.clients.now()),
        })
    }

    /// Makes the fault happen and lets it last, at least as long as planned, until it was met and writes went on under it.
    async fn hold(&mut self, step: Step, node: u32) -> anyhow::Result<Struck> {
        let started = Instant::now();
        let mut before = self.clients.meter().writes();
        let mut struck = strike(self.stage, step.fault, node).await?;
        let progress = |before| self.clients.meter().writes() >= before + PROGRESS_WRITES;
        if step.fault.ends_by_itself() {
            ensure!(progress(before), "no write went on meanwhile");
        }
        before = self.clients.meter().writes();
        while started.elapsed() < step.hold
            || !bites(self.stage, &mut struck).await?
            || step.fault.leaves_majority() && !progress(before)
        {
            if started.elapsed() > PATIENCE {
                bail!(
                    "{} s, and the fault was not met, or no write went on although a majority is healthy",
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(LOOK).await;
            self.check()?;
        }
        Ok(struck)
    }

    /// Nobody ended who was not ended.
    fn check(&mut self) -> anyhow::Result<()> {
        let nodes = self.stage.quorum.nodes();
        nodes.iter_mut().try_for_each(crate::harness::Node::check)
    }

    /// Waits until all nodes follow one controller and have what it had when the fault ended, their databases too.
    async fn recovered(&mut self) -> anyhow::Result<()> {
        let controller = self.stage.quorum.controller().await?;
        let rest = self.stage.quorum.rest(controller)?;
        let answer = rest.get("/controller").await?.success()?;
        let committed = answer.number("commitIndex")?;
        self.stage.quorum.applied(committed).await?;
        for id in self.stage.ids() {
            let rest = self.stage.quorum.rest(id)?;
            let what = format!("the database of node {id} follows");
            wait_until(&what, async || {
                let answer = rest.get("/controller").await?.success()?;
                Ok((answer.number("projectedIndex")? >= committed).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

fn since(from: Moment, to: Moment) -> Duration {
    Duration::from_nanos(to.0.saturating_sub(from.0))
}

fn line(row: &Row) -> String {
    format!(
        "{} (node {}): {} ops/s before, {} during, {} unknown, longest gap of writes {:.1} s, all follow again after {:.1} s",
        row.step,
        row.node,
        row.calm.operations_per_second(),
        row.during.operations_per_second(),
        row.during.unknown,
        row.during.longest_gap.as_secs_f64(),
        row.recovered_after.as_secs_f64(),
    )
}
