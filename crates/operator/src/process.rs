//! The process: connects, waits for the kind, agrees with its replicas who acts, acts, and stops in order.
//!
//! Reading order: [`main`], `controller` (watches), `reconcile` (one pass), `lease`, `health`.

pub mod backoff;
mod check;
mod client;
mod controller;
mod definition;
mod events;
pub mod health;
mod lease;
mod logging;
pub mod metrics;
mod reconcile;
pub mod trouble;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::{FutureExt as _, Shared, join_all};
use kube::Client;
use kube::runtime::reflector::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use uuid::Uuid;

use self::controller::Scoped;
use self::health::Readiness;
use self::lease::Lease;
use self::metrics::Metrics;
use crate::args::{Args, Command};
use crate::context::Context;
use crate::nodes::Nodes;

/// Passes that run when the process is to stop have this long to end.
const DRAIN: Duration = Duration::from_secs(10);
/// What still runs after that has this long to let go.
const EXIT: Duration = Duration::from_secs(1);
/// Where a pod finds its resolver's configuration.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Runs the command line.
pub fn main(args: &Args) -> ExitCode {
    let runtime = logging::start(args).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        runtime.context("the runtime")
    });
    let result = runtime.and_then(|runtime| {
        let result = runtime.block_on(async {
            match args.command {
                Some(Command::Check) => check::check(args).await,
                None => run(args).await,
            }
        });
        runtime.shutdown_timeout(EXIT);
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

/// What the process has from its start to its end.
struct Process<'a> {
    args: &'a Args,
    client: Client,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let metrics = Arc::new(Metrics::default());
    let readiness = Arc::new(Readiness::default());
    health::serve(
        args.health_port,
        Arc::clone(&readiness),
        Arc::clone(&metrics),
    )
    .await?;
    let client = client::connect(&metrics).await?;
    let process = Process {
        args,
        client,
        metrics,
        readiness,
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    tokio::select! {
        lease = process.stand_by() => process.lead(lease?, stop).await,
        () = stop.clone() => Ok(()),
    }
}

impl Process<'_> {
    /// Waits until there is something to do and this replica is the one to do it.
    async fn stand_by(&self) -> anyhow::Result<Option<Lease>> {
        definition::wait(&self.client, &self.readiness).await;
        if !self.args.leader_elect {
            return Ok(None);
        }
        // A replica that stands by is as ready as it can be.
        self.readiness.ready();
        let settings = lease::Settings {
            name: self.args.lease_name.clone(),
            namespace: self.args.lease_namespace().to_owned(),
            identity: format!("{}_{}", self.args.pod_name, Uuid::new_v4()),
            duration: self.args.lease_duration(),
        };
        tracing::info!(lease = settings.name, "standing by");
        Ok(Some(lease::acquire(&self.client, &settings).await))
    }

    /// Acts until it is to stop. A lost lease ends the process at once: passes that run may not go on.
    async fn lead(&self, lease: Option<Lease>, stop: Stop) -> anyhow::Result<()> {
        tracing::info!("acting");
        self.metrics.lead(true);
        let controllers = self.controllers().await?;
        let stores: Vec<_> = controllers.iter().map(Scoped::store).collect();
        let working = join_all(
            controllers
                .into_iter()
                .map(|controller| controller.run(stop.clone())),
        );
        let known = async {
            self.readiness.wait_for("the first list of objects");
            join_all(stores.iter().map(Store::wait_until_ready)).await;
            self.readiness.ready();
            std::future::pending::<()>().await;
        };
        // Whatever hangs, the lease must go to the next replica in time.
        let drained = async {
            stop.clone().await;
            tracing::info!("stopping");
            // Before the first list of objects no pass runs, and the controller waits for that list even now.
            if self.readiness.is_ready() {
                sleep(DRAIN).await;
                tracing::warn!("a pass does not end: it is left alone");
            }
        };
        let Some(mut lease) = lease else {
            tokio::select! { _ = working => {}, () = known => {}, () = drained => {} }
            return Ok(());
        };
        tokio::select! {
            _ = working => {}
            () = known => {}
            () = drained => {}
            why = lease.lost() => {
                tracing::error!(why, "the lease is lost");
                std::process::exit(1);
            }
        }
        lease.release().await;
        Ok(())
    }

    /// One for each namespace, or one for all.
    async fn controllers(&self) -> anyhow::Result<Vec<Scoped>> {
        let resolver = tokio::fs::read_to_string(RESOLV_CONF).await;
        let settings = Arc::new(self.args.settings(&resolver.unwrap_or_default()));
        let nodes = Arc::new(Nodes::new().context("the HTTP client")?);
        let scoped = |namespace: Option<&str>| {
            let (context, triggers) = Context::new(
                self.client.clone(),
                Arc::clone(&settings),
                Arc::clone(&nodes),
                Arc::clone(&self.metrics),
                &self.args.pod_name,
            );
            Scoped::new(context, triggers, namespace, self.args.concurrency)
        };
        let namespaces = self.args.namespaces();
        if namespaces.is_empty() {
            return Ok(vec![scoped(None)]);
        }
        Ok(namespaces.iter().map(|name| scoped(Some(name))).collect())
    }
}

/// Ends when the process is told to stop.
type Stop = Shared<futures::future::BoxFuture<'static, ()>>;

fn stop_signal() -> anyhow::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(stop.boxed().shared())
}
