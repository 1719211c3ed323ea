//! The ports of a node, bound before anything else so that a port in use is the first thing said.

use std::net::IpAddr;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::exit::Failure;

/// Bound, not served yet.
pub(super) struct Listeners {
    /// REST.
    pub(super) rest: TcpListener,
    /// gRPC.
    pub(super) peers: TcpListener,
    /// Health and metrics, if they have a port of their own.
    pub(super) management: Option<TcpListener>,
}

impl Listeners {
    /// Binds all ports of the configuration.
    pub(super) async fn bind(config: &Config) -> Result<Self, Failure> {
        let host = config.server.host;
        Ok(Self {
            rest: bind(host, config.server.port, "server.port").await?,
            peers: bind(
                host,
                config.own().port,
                "own port in dmq.kraft.cluster.nodes",
            )
            .await?,
            management: match config.management_port {
                Some(port) => Some(bind(host, port, "management.port").await?),
                None => None,
            },
        })
    }
}

async fn bind(host: IpAddr, port: u16, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        Failure::failed(format!(
            "`{key}` = `{port}`: cannot listen on {host}:{port} ({error})"
        ))
    })
}
