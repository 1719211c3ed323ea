//! The brokers that `dev` plays: they register and send heartbeats like real ones, and store nothing, so
//! that topics can be created at once.

use std::sync::Arc;
use std::time::Duration;

use dmq_api::client::{Client, ClientError};
use dmq_api::rest::brokers::{HeartbeatRequest, RegisterBrokerRequest};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::plan::{NodePlan, Plan};
use crate::exit::Failure;

/// Id of the first broker that is played.
const FIRST_BROKER_ID: u32 = 101;
/// Port of the first one. Nobody listens there.
const FIRST_BROKER_PORT: u16 = 19_092;
/// Racks that the brokers are spread over.
const RACKS: u32 = 3;
/// Kafka's interval of heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Pause after a request that found no controller before the client's deadline.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Plays `count` brokers until the returned set is dropped.
pub(super) fn play(count: u32, plan: &Plan) -> Result<JoinSet<()>, Failure> {
    let client = Client::new(plan.nodes.iter().map(NodePlan::url)).map_err(Failure::failed)?;
    let client = Arc::new(client);
    let mut brokers = JoinSet::new();
    for (number, port) in (0..count).zip(FIRST_BROKER_PORT..) {
        let request = RegisterBrokerRequest {
            id: Some(FIRST_BROKER_ID + number),
            host: Some("localhost".to_owned()),
            port: Some(port),
            rack: Some(format!("rack-{}", number % RACKS + 1)),
            incarnation_id: Some(uuid::Uuid::new_v4()),
            cluster_id: None,
        };
        brokers.spawn(live(Arc::clone(&client), FIRST_BROKER_ID + number, request));
    }
    Ok(brokers)
}

/// Registers, then sends heartbeats; registers anew when the controller does not know it.
async fn live(client: Arc<Client>, id: u32, request: RegisterBrokerRequest) {
    loop {
        match client.register_broker(&request).await {
            Ok(registered) => beat(&client, id, registered.body.broker_epoch).await,
            Err(_) => sleep(RETRY_PAUSE).await,
        }
    }
}

/// Sends heartbeats until the controller refuses one.
async fn beat(client: &Client, id: u32, broker_epoch: u64) {
    let beat = HeartbeatRequest {
        broker_epoch: Some(broker_epoch),
        ..HeartbeatRequest::default()
    };
    loop {
        match client.heartbeat(id, &beat).await {
            Ok(_) => sleep(HEARTBEAT_INTERVAL).await,
            Err(ClientError::Refused(_)) => return,
            Err(_) => sleep(RETRY_PAUSE).await,
        }
    }
}
