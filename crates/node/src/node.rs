//! One node from its configuration to its end: the only place where everything is wired together.

mod data;
mod listeners;
mod parts;
mod preflight;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dmq_replica::{DriverInput, ExitReason};
use tokio::runtime;
use tokio::sync::watch;

use crate::config::{Config, Sources};
use crate::exit::{Exit, Failure};
use crate::handle::NodeStatus;
use crate::lifecycle;
use crate::queue::Sender;
use crate::rest::{Rest, Surface};
use crate::shutdown::{self, Signals};
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

/// Runs a node until it is told to stop, or must. REST is served on the runtime `clients`.
pub async fn serve(
    config: Config,
    sources: Sources,
    options: ServeOptions,
    clients: runtime::Handle,
) -> Result<(), Failure> {
    // Before anything that takes time: process 1 of a container has no handlers but its own, and a signal
    // that nobody handles is lost there.
    let mut signals = Signals::listen()?;
    preflight::check(&config, options.bootstrap)?;
    warn_of_exposure(&config);
    let listeners = Listeners::bind(&config).await?;
    let opened = tokio::select! {
        opened = data::open(&config, options.bootstrap) => opened?,
        () = signals.next() => {
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    if options.bootstrap && opened.is_unborn() {
        preflight::check_voters(&config)?;
    }
    let mut parts = Parts::start(&config, opened)?;
    let servers = Servers::start(&config, listeners, &parts, &clients);
    let background = parts.background(&config, sources, &options);
    tracing::info!(
        node = config.node_id.0,
        rest = config.server.advertised_url,
        peers = config.own().authority(),
        "serving"
    );
    let ended = attend(&mut parts, &servers.rest, &options, &mut signals).await;
    for task in background {
        task.abort();
    }
    servers.stop().await;
    parts.stop(&ended);
    ended.into_result()
}

/// Waits for the end: asked for, or forced by a part. A second signal cuts the stop sequence short.
async fn attend(
    parts: &mut Parts,
    rest: &Rest,
    options: &ServeOptions,
    signals: &mut Signals,
) -> Ended {
    tokio::select! {
        ended = parts.ended() => return ended,
        () = signals.next() => {}
        () = shutdown::stdin_closed(), if options.stop_when_stdin_closes => {}
    }
    tracing::info!("stopping");
    parts.driver.push_always(Work::Input(DriverInput::Stop));
    let driver = parts.driver.clone();
    let drained = tell_when_drained(|| rest.connections(), parts.handle.watch_status(), driver);
    tokio::select! {
        ended = parts.ended() => ended,
        never = drained => match never {},
        () = signals.next() => Ended::Told(ExitReason::Stopped),
        () = tokio::time::sleep(STOP_TIMEOUT) => {
            tracing::warn!("the stop sequence did not end in time");
            Ended::Told(ExitReason::Stopped)
        }
    }
}

/// A stopping node answers as a non-controller for a while, so that clients learn where to go; once nobody
/// is connected there is nobody to tell.
async fn tell_when_drained(
    connections: impl Fn() -> usize,
    mut status: watch::Receiver<Arc<NodeStatus>>,
    driver: Sender<Work>,
) -> std::convert::Infallible {
    // Whether it still leads does not matter: a controller that found no successor has nobody to tell
    // either. The sender lives as long as the driver; without it the node ends anyway.
    let _ = status.wait_for(|status| status.stopping).await;
    while connections() > 0 {
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
    /// REST runs on the runtime for clients, so that none of its work delays a message of a peer.
    fn start(
        config: &Config,
        listeners: Listeners,
        parts: &Parts,
        clients: &runtime::Handle,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let token_file: Option<PathBuf> = config.admin_token_file.clone();
        let rest = {
            let _on_clients = clients.enter();
            Rest::new(parts.handle.clone(), Arc::clone(&parts.metrics), token_file)
        };
        let surface = match listeners.management {
            Some(_) => Surface::Api,
            None => Surface::Full,
        };
        let mut tasks = vec![
            clients.spawn(serve_rest(
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
            tasks.push(clients.spawn(serving));
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::handle::NodeState;
    use crate::identity::NodeIdentity;
    use crate::peers::PeerBook;
    use crate::status::StatusView;

    fn stopping_controller() -> NodeStatus {
        let member = dmq_raft::MemberId {
            node: dmq_raft::NodeId(1),
            directory: dmq_raft::DirectoryId(1),
        };
        let identity = NodeIdentity {
            cluster: dmq_metadata::ClusterId::parse("dmq").unwrap(),
            incarnation: dmq_metadata::Incarnation::FIRST,
            member,
        };
        let mut status = StatusView::new(identity, String::new(), PeerBook::new(&[])).initial();
        status.state = NodeState::Leader;
        status.leader = Some(status.node);
        status.stopping = true;
        assert!(status.is_leader());
        status
    }

    #[tokio::test]
    async fn a_controller_without_a_successor_ends_with_its_last_connection() {
        let (_sender, status) = watch::channel(Arc::new(stopping_controller()));
        let (driver, inbox) = crate::queue::bounded(1);
        let open = Cell::new(2_usize);
        let connections = || {
            let now = open.get();
            open.set(now.saturating_sub(1));
            now
        };
        let told = tokio::task::spawn_blocking(move || {
            let mut work = Vec::new();
            inbox.drain_until(&mut work, None);
            work
        });
        tokio::select! {
            never = tell_when_drained(connections, status, driver) => match never {},
            work = told => assert!(
                matches!(work.unwrap()[..], [Work::Input(DriverInput::Drained)])
            ),
        }
        assert_eq!(open.get(), 0);
    }
}
