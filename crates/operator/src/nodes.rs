//! The REST interface of the nodes, with the operator's patience: a dead pod's address swallows packets.

use std::net::IpAddr;
use std::time::Duration;

use dmq_api::client::{Client, ClientError, EventStream};
use dmq_api::rest::controller::ControllerResponse;
use dmq_api::rest::quorum::{
    InitializeRequest, PostRestartResponse, PreRestartResponse, QuorumResponse, TransferRequest,
    TransferResponse, VoterBody,
};
use tokio::time::timeout;

use crate::observed::Voter;

/// One question has this long, the connection included.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// A stream of events begins within this time.
const STREAM_TIMEOUT: Duration = Duration::from_secs(3);
/// The first configuration is durable on a majority within this time.
const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(20);

/// Asks nodes. Holds one pool of connections for all of them.
#[derive(Debug)]
pub struct Nodes {
    http: Client,
}

/// Why a node did not answer a question.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It said so, or could not be reached.
    #[error("{}", crate::error::chain(.0))]
    Client(#[from] ClientError),
    /// It was silent.
    #[error("no answer within {ASK_TIMEOUT:?}")]
    Silent,
}

impl Nodes {
    /// A pool without connections.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new() -> Result<Self, ClientError> {
        // Every question names its node, so the address here is never used.
        let http = Client::new(["http://localhost"])?;
        Ok(Self { http })
    }

    /// The quorum in the view of this node.
    pub async fn quorum(&self, url: &str) -> Result<QuorumResponse, AskError> {
        self.ask(url, "/quorum").await
    }

    /// The quorum in the view of this node after a majority confirmed that it leads; an error if none does.
    pub async fn confirmed_quorum(&self, url: &str) -> Result<QuorumResponse, AskError> {
        self.ask(url, "/quorum?consistency=linearizable").await
    }

    /// Who the controller is in the view of this node, and which program it runs.
    pub async fn controller(&self, url: &str) -> Result<ControllerResponse, AskError> {
        self.ask(url, "/controller").await
    }

    /// Whether this node has caught up to an index.
    pub async fn post_restart(
        &self,
        url: &str,
        index: u64,
    ) -> Result<PostRestartResponse, AskError> {
        let path = format!("/quorum/probe/post-restart?index={index}");
        self.ask(url, &path).await
    }

    /// Whether a member may be stopped, in the judgement of the controller at this address.
    pub async fn pre_restart(&self, url: &str, node: u32) -> Result<PreRestartResponse, AskError> {
        let path = format!("/quorum/probe/pre-restart?nodeId={node}");
        self.ask(url, &path).await
    }

    /// Follows the events of this node.
    pub async fn events(&self, url: &str) -> Result<EventStream, AskError> {
        match timeout(STREAM_TIMEOUT, self.http.events_of(url)).await {
            Ok(stream) => Ok(stream?),
            Err(_) => Err(AskError::Silent),
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
        path: &str,
    ) -> Result<T, AskError> {
        match timeout(ASK_TIMEOUT, self.http.ask(url, path)).await {
            Ok(answer) => Ok(answer?.body),
            Err(_) => Err(AskError::Silent),
        }
    }
}

/// Makes the first configuration, by asking the node at this address.
pub async fn initialize(
    url: &str,
    token: &str,
    cluster_id: &str,
    incarnation: &str,
    voters: &[Voter],
) -> Result<(), ClientError> {
    let request = InitializeRequest {
        cluster_id: Some(cluster_id.to_owned()),
        incarnation: Some(incarnation.to_owned()),
        voters: Some(voters.iter().map(body).collect()),
    };
    let client = Client::new([url])?
        .with_token(token)?
        .with_deadline(INITIALIZE_TIMEOUT);
    client.initialize(url, &request).await.map(|_| ())
}

/// Moves leadership, by asking the controller at this address.
pub async fn transfer(
    url: &str,
    token: &str,
    target: u32,
    expected_term: u64,
    within: Duration,
) -> Result<TransferResponse, ClientError> {
    let request = TransferRequest {
        target: Some(target),
        expected_term: Some(expected_term),
    };
    let client = Client::new([url])?.with_token(token)?.with_deadline(within);
    client.transfer(&request).await.map(|answer| answer.body)
}

fn body(voter: &Voter) -> VoterBody {
    VoterBody {
        id: voter.id,
        directory_id: voter.directory_id,
    }
}

/// `http://<address>:<port>` of a pod; `None` if Kubernetes says something that is not an address.
pub fn url(ip: &str, port: u16) -> Option<String> {
    match ip.parse().ok()? {
        IpAddr::V4(address) => Some(format!("http://{address}:{port}")),
        IpAddr::V6(address) => Some(format!("http://[{address}]:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn an_address_of_either_family_makes_a_url() {
        assert_eq!(
            url("10.0.0.7", 8080).as_deref(),
            Some("http://10.0.0.7:8080")
        );
        assert_eq!(
            url("fd00::7", 8080).as_deref(),
            Some("http://[fd00::7]:8080")
        );
        assert_eq!(url("", 8080), None);
    }
}
