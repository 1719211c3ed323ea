//! Clients that ask all the time, whatever happens to the nodes, and note everything: the source of histories.
//!
//! They live on a thread of their own, which may enter a network namespace first. Reading order: [`Clients`] (start and
//! stop), `attempt` (one request), `actor` (one client), `topics` (what it works on), [`Meter`] (what comes of it),
//! `brokers` (who the topics' replicas are).

mod actor;
mod attempt;
mod brokers;
mod meter;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use self::actor::Actor;
use self::attempt::Scene;
pub use self::meter::{Meter, Window};
use super::operation::{Moment, Operation};

/// Where a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Node id.
    pub id: u32,
    /// `http://host:port`.
    pub url: String,
}

/// What is called on the clients' thread before anything else, for example to enter a network namespace.
pub type Entrance = Box<dyn FnOnce() -> anyhow::Result<()> + Send>;

/// How the clients work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Clients, each with one operation at a time.
    pub clients: u32,
    /// What all of them together aim at; fewer come of it when answers are slow.
    pub operations_per_second: u32,
    /// After this a request without an answer has an unknown outcome.
    pub timeout: Duration,
    /// Seed of every choice.
    pub seed: u64,
    /// Begins the names of the topics.
    pub prefix: String,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            clients: 16,
            operations_per_second: 700,
            timeout: Duration::from_millis(400),
            seed: 1,
            prefix: "c".to_owned(),
        }
    }
}

/// Running clients. Dropped without [`Clients::stop`], they stop too.
#[derive(Debug)]
pub struct Clients {
    scene: Arc<Scene>,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

impl Clients {
    /// Lets brokers register and waits until they are unfenced, then lets the clients begin. The nodes need a
    /// `broker.session-timeout-ms` that is longer than the run: fenced brokers would change partitions by themselves.
    pub async fn start(
        nodes: Vec<NodeAddress>,
        options: ClientOptions,
        enter: Option<Entrance>,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (ready, began) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let scene = Arc::new(Scene::new(nodes, options));
        let on_stage = Arc::clone(&scene);
        std::thread::Builder::new()
            .name("clients".to_owned())
            .spawn(move || {
                let result = perform(&on_stage, enter, ready, &stopped);
                // Nobody waits when the clients were dropped.
                let _ = end.send(result);
            })?;
        match began.await {
            Ok(()) => Ok(Self { scene, stop, ended }),
            Err(_) => match ended.await {
                Ok(Err(error)) => Err(error.context("the clients could not begin")),
                Ok(Ok(())) | Err(_) => anyhow::bail!("the clients ended before they began"),
            },
        }
    }

    /// The present moment of the clients' clock.
    pub fn now(&self) -> Moment {
        self.scene.clock.now()
    }

    /// What was answered so far.
    pub fn meter(&self) -> &Meter {
        &self.scene.meter
    }

    /// Replaces the addresses: members came or went.
    pub fn set_nodes(&self, nodes: Vec<NodeAddress>) {
        self.scene.set_nodes(nodes);
    }

    /// Lets every client bring its operation to an end and returns everything that they noted, in the order in which
    /// operations ended.
    pub async fn stop(self) -> anyhow::Result<Vec<Operation>> {
        self.stop.send_replace(true);
        self.ended.await.context("the clients' thread died")??;
        Ok(self.scene.take_history())
    }
}

/// The clients' thread.
fn perform(
    scene: &Arc<Scene>,
    enter: Option<Entrance>,
    ready: oneshot::Sender<()>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    if let Some(enter) = enter {
        enter().context("the clients' thread cannot enter")?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut heartbeats = JoinSet::new();
        brokers::play(scene, &mut heartbeats).await?;
        let mut actors = JoinSet::new();
        for number in 0..scene.options.clients {
            actors.spawn(Actor::new(number, Arc::clone(scene)).run(stopped.clone()));
        }
        let _ = ready.send(());
        while let Some(actor) = actors.join_next().await {
            actor.context("a client died")?;
        }
        Ok(())
    })
}
