//! One method for each route that Rust callers use.

use http::Method;

use super::retry::Failure;
use super::{Answer, Call, Client, ClientError, EventStream, Raw, Target, address, rejected};
use crate::rest::PREFIX;
use crate::rest::brokers::{
    BrokerResponse, HeartbeatRequest, HeartbeatResponse, RegisterBrokerRequest,
};
use crate::rest::controller::ControllerResponse;
use crate::rest::features::StateHashResponse;
use crate::rest::membership::{Membership, ObserverRequest, VotersRequest};
use crate::rest::quorum::{
    InitializeRequest, InitializeResponse, PreRestartResponse, QuorumResponse, SnapshotResponse,
    TransferRequest, TransferResponse,
};
use crate::rest::topics::{
    CreateTopicRequest, PartitionResponse, TopicList, TopicResponse, UpdatePartitionRequest,
};

impl Client {
    /// The controller, as the first node that knows one says.
    pub async fn controller(&self) -> Result<Answer<ControllerResponse>, ClientError> {
        self.read("/controller").await
    }

    /// The quorum in the view of one node.
    pub async fn quorum_of(&self, node: &str) -> Result<Answer<QuorumResponse>, ClientError> {
        self.ask(node, "/quorum").await
    }

    /// Creates a topic.
    pub async fn create_topic(
        &self,
        request: &CreateTopicRequest,
    ) -> Result<Answer<TopicResponse>, ClientError> {
        self.write(Method::POST, "/topics", Some(request)).await
    }

    /// One topic, read from any node.
    pub async fn topic(&self, name: &str) -> Result<Answer<TopicResponse>, ClientError> {
        self.read(&format!("/topics/{name}")).await
    }

    /// The first page of topics.
    pub async fn topics(&self) -> Result<Answer<TopicList>, ClientError> {
        self.read("/topics").await
    }

    /// Deletes a topic.
    pub async fn delete_topic(&self, name: &str) -> Result<Answer<()>, ClientError> {
        let raw = self
            .submit(Method::DELETE, &format!("/topics/{name}"), None::<&()>)
            .await?;
        Ok(raw.without_body())
    }

    /// Reports in-sync replicas of a partition.
    pub async fn update_partition(
        &self,
        topic: &str,
        partition: u32,
        request: &UpdatePartitionRequest,
    ) -> Result<Answer<PartitionResponse>, ClientError> {
        let path = format!("/topics/{topic}/partitions/{partition}");
        self.write(Method::PATCH, &path, Some(request)).await
    }

    /// Registers a broker.
    pub async fn register_broker(
        &self,
        request: &RegisterBrokerRequest,
    ) -> Result<Answer<BrokerResponse>, ClientError> {
        self.write(Method::POST, "/brokers", Some(request)).await
    }

    /// Says that a broker lives.
    pub async fn heartbeat(
        &self,
        broker: u32,
        request: &HeartbeatRequest,
    ) -> Result<Answer<HeartbeatResponse>, ClientError> {
        self.write(
            Method::POST,
            &format!("/brokers/{broker}/heartbeat"),
            Some(request),
        )
        .await
    }

    /// Makes the first configuration, by asking this very node.
    pub async fn initialize(
        &self,
        node: &str,
        request: &InitializeRequest,
    ) -> Result<Answer<InitializeResponse>, ClientError> {
        let body = serde_json::to_vec(request).map_err(ClientError::Encode)?;
        let call = Call::new(Method::POST, "/quorum:initialize", Some(body.into()));
        let raw = self.attempt(node, &call, self.deadline).await;
        raw.map_err(Failure::into_error).and_then(Raw::decode)
    }

    /// Moves leadership. Transfers are not deduplicated, so one whose outcome is unknown is not repeated: a
    /// second one could move leadership on from where the first one put it.
    pub async fn transfer(
        &self,
        request: &TransferRequest,
    ) -> Result<Answer<TransferResponse>, ClientError> {
        let body = serde_json::to_vec(request).map_err(ClientError::Encode)?;
        let call = Call::new(Method::POST, "/quorum/leader:transfer", Some(body.into()));
        self.until_deadline(&call, Target::Controller)
            .await
            .and_then(Raw::decode)
    }

    /// Changes the voters and answers when the new set alone decides. The expectation makes a repeated request
    /// harmless: it finds the voters in place, or another index.
    pub async fn change_voters(
        &self,
        request: &VotersRequest,
    ) -> Result<Answer<Membership>, ClientError> {
        self.write(Method::PUT, "/quorum/voters", Some(request))
            .await
    }

    /// Adds an observer, which replicates without a vote.
    pub async fn add_observer(
        &self,
        request: &ObserverRequest,
    ) -> Result<Answer<Membership>, ClientError> {
        self.write(Method::POST, "/quorum/observers", Some(request))
            .await
    }

    /// Removes an observer.
    pub async fn remove_observer(
        &self,
        node: u32,
        expected_membership_index: u64,
    ) -> Result<Answer<()>, ClientError> {
        let path =
            format!("/quorum/observers/{node}?expectedMembershipIndex={expected_membership_index}");
        let raw = self.submit(Method::DELETE, &path, None::<&()>).await?;
        Ok(raw.without_body())
    }

    /// Takes a snapshot on the controller.
    pub async fn take_snapshot(&self) -> Result<Answer<SnapshotResponse>, ClientError> {
        self.write(Method::POST, "/quorum/snapshots", None::<&()>)
            .await
    }

    /// Whether a member may be stopped, in the controller's judgement.
    pub async fn pre_restart(&self, node: u32) -> Result<Answer<PreRestartResponse>, ClientError> {
        let path = format!("/quorum/probe/pre-restart?nodeId={node}");
        let call = Call::new(Method::GET, &path, None);
        self.until_deadline(&call, Target::Controller)
            .await
            .and_then(Raw::decode)
    }

    /// The state hash of one node at an index.
    pub async fn state_hash_of(
        &self,
        node: &str,
        index: u64,
    ) -> Result<Answer<StateHashResponse>, ClientError> {
        self.ask(node, &format!("/state-hash?index={index}")).await
    }

    /// Follows the events of one node.
    pub async fn events_of(&self, node: &str) -> Result<EventStream, ClientError> {
        let url = format!("{}{PREFIX}/quorum/events?follow=true", address(node)?);
        let response = self
            .http
            .get(url)
            .send()
            .await
            .map_err(ClientError::Transport)?;
        if !response.status().is_success() {
            return Err(rejected(response).await.into_error());
        }
        Ok(EventStream::new(response))
    }
}
