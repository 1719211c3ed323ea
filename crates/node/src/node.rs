//! One node from its configuration to its end: the only place where everything is wired together.

mod data;
mod listeners;
mod parts;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dmq_replica::{DriverInput, ExitReason};
use tokio::sync::watch;

use crate::config::{Config, Sources};
use crate::exit::{Exit, Failure};
use crate::handle::NodeStatus;
use crate::lifecycle;
use crate::queue::Sender;
use crate::rest::{Rest, Surface};
use crate::shutdown;
use crate::threads::Work;
use listeners::Listeners;
use parts::{Ended, Parts};

/// The stop sequence is bounded by the driver (hold, linger, flush); this is for one that is stuck.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Servers let the requests in flight end for so long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// How often a stopping node looks whether clients are still connected.
const DRAINED_INTERVAL: Duration = Duration::from_millis(10);

/// How `serve` was called.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// `--bootstrap`.
    pub bootstrap: bool,
    /// `--stop-when-stdin-closes`.
    pub stop_when_stdin_closes: bool,
}

/// Runs a node until it is told to stop, or must.
pub async fn serve(config: Config, sources: Sources, options: ServeOptions) -> Result<(), Failure> {
    warn_of_exposure(&config);
    let listeners = Listeners::bind(&config).await?;
    let opened = data::open(&config, options.bootstrap).await?;
    let mut parts = Parts::start(&config, opened)?;
    let servers = Servers::start(&config, listeners, &parts);
    let background = parts.background(&config, sources, &options);
    tracing::info!(
        node = config.node_id.0,
        rest = config.server.advertised_url,
        peers = config.own().authority(),
        "serving"
    );
    let ended = attend(&mut parts, &servers.rest, &options).await;
    for task in background {
        task.abort();
    }
    servers.stop().await;
    parts.stop(&ended);
    ended.into_result()
}

/// Waits for the end: asked for, or forced by a part. A second signal cuts the stop sequence short.
async fn attend(parts: &mut Parts, rest: &Rest, options: &ServeOptions) -> Ended {
    tokio::select! {
        ended = parts.ended() => return ended,
        () = shutdown::signal() => {}
        () = shutdown::stdin_closed(), if options.stop_when_stdin_closes => {}
    }
    tracing::info!("stopping");
    parts.driver.push_always(Work::Input(DriverInput::Stop));
    let driver = parts.driver.clone();
    let drained = tell_when_drained(rest, parts.handle.watch_status(), driver);
    tokio::select! {
        ended = parts.ended() => ended,
        never = drained => match never {},
        () = shutdown::signal() => Ended::Told(ExitReason::Stopped),
        () = tokio::time::sleep(STOP_TIMEOUT) => {
            tracing::warn!("the stop sequence did not end in time");
            Ended::Told(ExitReason::Stopped)
        }
    }
}

/// A stopping node answers as a non-controller for a while, so that clients learn where to go; once nobody
/// is connected there is nobody to tell.
async fn tell_when_drained(
    rest: &Rest,
    mut status: watch::Receiver<Arc<NodeStatus>>,
    driver: Sender<Work>,
) -> std::convert::Infallible {
    let handed_over = |status: &Arc<NodeStatus>| status.stopping && !status.is_leader();
    // The sender lives as long as the driver; without it the node ends anyway.
    let _ = status.wait_for(handed_over).await;
    while rest.connections() > 0 {
        tokio::time::sleep(DRAINED_INTERVAL).await;
    }
    driver.push_always(Work::Input(DriverInput::Drained));
    std::future::pending().await
}

/// DESIGN section 8: there is no TLS and there are no user accounts yet.
fn warn_of_exposure(config: &Config) {
    if config.listens_beyond_loopback() {
        tracing::warn!(
            address = %config.server.host,
            "listening beyond loopback without TLS: everybody who reaches the ports can read and write"
        );
    }
}

/// The HTTP and gRPC servers.
struct Servers {
    rest: Rest,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Servers {
    fn start(config: &Config, listeners: Listeners, parts: &Parts) -> Self {
        let (stop, stopped) = watch::channel(false);
        let token_file: Option<PathBuf> = config.admin_token_file.clone();
        let rest = Rest::new(parts.handle.clone(), Arc::clone(&parts.metrics), token_file);
        let surface = match listeners.management {
            Some(_) => Surface::Api,
            None => Surface::Full,
        };
        let mut tasks = vec![
            tokio::spawn(serve_rest(
                rest.clone(),
                listeners.rest,
                surface,
                stopped.clone(),
            )),
            tokio::spawn(serve_peers(
                parts.service(),
                listeners.peers,
                stopped.clone(),
            )),
        ];
        if let Some(listener) = listeners.management {
            let serving = serve_rest(rest.clone(), listener, Surface::Management, stopped);
            tasks.push(tokio::spawn(serving));
        }
        Self { rest, stop, tasks }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        let all = futures::future::join_all(self.tasks);
        drop(tokio::time::timeout(DRAIN_TIMEOUT, all).await);
    }
}

async fn serve_rest(
    rest: Rest,
    listener: tokio::net::TcpListener,
    surface: Surface,
    stop: watch::Receiver<bool>,
) {
    if let Err(error) = rest.serve(listener, surface, stop).await {
        tracing::error!(%error, ?surface, "the REST server ended");
    }
}

async fn serve_peers(
    service: crate::peers::RaftService,
    listener: tokio::net::TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let stopped = async move {
        // A sender that is gone means stop too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    // Streams of peers never end by themselves, so the server is dropped rather than drained.
    tokio::select! {
        ended = crate::peers::serve(listener, service, std::future::pending()) => {
            if let Err(error) = ended {
                tracing::error!(%error, "the peer server ended");
            }
        }
        () = stopped => {}
    }
}

impl Parts {
    /// Tasks beside the servers: the address book, and the birth of a new quorum.
    fn background(
        &self,
        config: &Config,
        sources: Sources,
        options: &ServeOptions,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        let mut tasks = vec![tokio::spawn(lifecycle::follow_address_book(
            sources,
            self.book.clone(),
        ))];
        if options.bootstrap {
            let quorum = lifecycle::Bootstrap {
                own: self.own.identity.clone(),
                book: self.book.clone(),
                links: Arc::clone(&self.links),
                handle: self.handle.clone(),
                nodes: config.nodes.iter().map(|node| node.id).collect(),
            };
            tasks.push(tokio::spawn(quorum.run()));
        }
        tasks
    }
}

impl Ended {
    fn into_result(self) -> Result<(), Failure> {
        match self {
            Self::Told(ExitReason::Stopped) => {
                tracing::info!("stopped");
                Ok(())
            }
            Self::Told(ExitReason::LogFailed(reason)) => Err(Failure::new(
                Exit::LogFailed,
                format!(
                    "the log cannot be written ({reason}); the process ends, nothing is retried"
                ),
            )),
            Self::Told(ExitReason::Corrupt(reason)) => Err(Failure::new(Exit::Corrupt, reason)),
            Self::LostEntries(reason) => Err(Failure::new(Exit::LostEntries, reason)),
            Self::Defect(part) => Err(Failure::new(
                Exit::Defect,
                format!("the {part} ended unexpectedly: a defect"),
            )),
        }
    }
}
