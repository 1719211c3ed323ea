//! The brokers 101, 102 and 103, played: they register, send heartbeats and store nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dmq_api::client::{Client, ClientError};
use dmq_api::rest::brokers::{HeartbeatRequest, RegisterBrokerRequest};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How many there are; also the replication factor of every topic.
pub(super) const COUNT: u32 = 3;
/// Id of the first one.
const FIRST: u32 = 101;
/// Well within the shortest session that is of use.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before another attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What the writers need to know of them: the epochs of those that are registered and unfenced.
#[derive(Clone, Debug)]
pub(super) struct Brokers {
    epochs: watch::Receiver<BTreeMap<u32, u64>>,
}

impl Brokers {
    /// Plays them until `tasks` are aborted.
    pub(super) fn play(client: Client, tasks: &mut JoinSet<()>) -> Self {
        let (sender, epochs) = watch::channel(BTreeMap::new());
        let (client, sender) = (Arc::new(client), Arc::new(sender));
        for id in FIRST..FIRST + COUNT {
            tasks.spawn(live(id, Arc::clone(&client), Arc::clone(&sender)));
        }
        Self { epochs }
    }

    /// Waits until all of them serve.
    pub(super) async fn ready(&self) {
        let mut epochs = self.epochs.clone();
        let all = |epochs: &BTreeMap<u32, u64>| epochs.len() == COUNT as usize;
        // Without a sender the load is over.
        let _ = epochs.wait_for(all).await;
    }

    /// Epoch of a broker's registration.
    pub(super) fn epoch(&self, id: u32) -> Option<u64> {
        self.epochs.borrow().get(&id).copied()
    }
}

/// Registers, then sends heartbeats; registers anew when the controller does not know it. Without an incarnation
/// id a broker is told apart by its address, so that a load that is started again is the same broker.
async fn live(id: u32, client: Arc<Client>, epochs: Arc<watch::Sender<BTreeMap<u32, u64>>>) {
    let request = RegisterBrokerRequest {
        id: Some(id),
        host: Some("127.0.0.1".to_owned()),
        port: Some(9092),
        ..RegisterBrokerRequest::default()
    };
    loop {
        match client.register_broker(&request).await {
            Ok(registered) => beat(id, registered.body.broker_epoch, &client, &epochs).await,
            Err(_) => sleep(RETRY_PAUSE).await,
        }
    }
}

/// Sends heartbeats until the controller refuses one.
async fn beat(id: u32, epoch: u64, client: &Client, epochs: &watch::Sender<BTreeMap<u32, u64>>) {
    let request = HeartbeatRequest {
        broker_epoch: Some(epoch),
        ..HeartbeatRequest::default()
    };
    loop {
        match client.heartbeat(id, &request).await {
            Ok(answer) if answer.body.is_fenced => sleep(RETRY_PAUSE).await,
            Ok(_) => {
                epochs.send_if_modified(|epochs| epochs.insert(id, epoch) != Some(epoch));
                sleep(HEARTBEAT_INTERVAL).await;
            }
            Err(ClientError::Refused(_)) => return,
            Err(_) => sleep(RETRY_PAUSE).await,
        }
    }
}
