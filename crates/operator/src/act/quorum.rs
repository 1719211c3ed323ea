//! Requests to nodes that change something: the first configuration, and who leads.

use std::time::Duration;

use super::Actor;
use crate::error::{Doing as _, Error};
use crate::nodes;
use crate::observe::Token;
use crate::observed::Voter;

/// Most that the definition allows. An object that is older than that rule does not block a pass for longer either.
const TRANSFER_MAX: Duration = Duration::from_secs(10);

impl Actor<'_> {
    pub(super) async fn initialize(
        &self,
        ordinal: i32,
        cluster_id: &str,
        incarnation: &str,
        voters: &[Voter],
    ) -> Result<bool, Error> {
        let (url, token) = (self.url(ordinal)?, self.token()?);
        nodes::initialize(url, token, cluster_id, incarnation, voters)
            .await
            .doing(format!("initializing the quorum at pod {ordinal}"))?;
        Ok(true)
    }

    pub(super) async fn transfer(
        &self,
        from: i32,
        target: u32,
        expected_term: u64,
    ) -> Result<bool, Error> {
        let (url, token) = (self.url(from)?, self.token()?);
        let seconds = self
            .seen
            .observed
            .cluster
            .spec
            .raft
            .transfer_timeout_seconds;
        let within = Duration::from_secs(u64::try_from(seconds).unwrap_or(1)).min(TRANSFER_MAX);
        let now = nodes::transfer(url, token, target, expected_term, within)
            .await
            .doing(format!(
                "moving leadership from pod {from} to node {target}"
            ))?;
        tracing::debug!(leader = now.leader_id, term = now.term, "leadership moved");
        Ok(true)
    }

    fn url(&self, ordinal: i32) -> Result<&str, Error> {
        let url = self.seen.urls.get(&ordinal);
        url.map(String::as_str)
            .ok_or_else(|| Error::Changed(format!("pod {ordinal} has no address any more")))
    }

    fn token(&self) -> Result<&str, Error> {
        let token = self.seen.token.as_ref().map(Token::reveal);
        token.ok_or_else(|| {
            let name = dmq_crd::names::operator_token(&self.key.name);
            Error::Unusable(format!("Secret {name} holds no token"))
        })
    }
}
