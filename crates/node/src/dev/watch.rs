//! Asks every node who leads, as any client would.

use std::time::Duration;

use dmq_api::rest::controller::ControllerResponse;
use futures::future::join_all;

use super::plan::Plan;
use crate::exit::Failure;

/// A node that does not answer within this is shown as silent.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// Looks at all nodes at once.
pub(super) struct Watcher {
    client: reqwest::Client,
    urls: Vec<String>,
}

impl Watcher {
    /// A watcher of the nodes of this plan.
    pub(super) fn new(plan: &Plan) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(Failure::failed)?;
        let url = |node: &super::plan::NodePlan| {
            format!(
                "http://127.0.0.1:{}/api/v1/metadata/controller",
                node.rest_port
            )
        };
        Ok(Self {
            client,
            urls: plan.nodes.iter().map(url).collect(),
        })
    }

    /// What each node says of itself; `None`: it does not answer.
    pub(super) async fn look(&self) -> Vec<Option<ControllerResponse>> {
        join_all(self.urls.iter().map(|url| self.ask(url))).await
    }

    async fn ask(&self, url: &str) -> Option<ControllerResponse> {
        self.client.get(url).send().await.ok()?.json().await.ok()
    }
}
