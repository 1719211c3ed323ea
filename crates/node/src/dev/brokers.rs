//! The brokers that `dev` plays: they register and send heartbeats like real ones, and store nothing, so
//! that topics can be created at once.

use std::time::Duration;

use dmq_api::problem::Problem;
use dmq_api::rest::brokers::{BrokerResponse, HeartbeatRequest, RegisterBrokerRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::plan::Plan;

/// Id of the first broker that is played.
const FIRST_BROKER_ID: u32 = 101;
/// Port of the first one. Nobody listens there.
const FIRST_BROKER_PORT: u16 = 19_092;
/// Racks that the brokers are spread over.
const RACKS: u32 = 3;
/// Kafka's interval of heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Pause after a request that found no controller.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A node that does not answer within this is left for the next one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Plays `count` brokers until the returned set is dropped.
pub(super) fn play(count: u32, plan: &Plan) -> JoinSet<()> {
    let mut brokers = JoinSet::new();
    let urls: Vec<String> = plan.nodes.iter().map(super::plan::NodePlan::url).collect();
    for number in 0..count {
        let Ok(client) = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build() else {
            break;
        };
        let broker = Broker {
            request: RegisterBrokerRequest {
                id: Some(FIRST_BROKER_ID + number),
                host: Some("localhost".to_owned()),
                port: u16::try_from(number)
                    .ok()
                    .map(|number| FIRST_BROKER_PORT + number),
                rack: Some(format!("rack-{}", number % RACKS + 1)),
                incarnation_id: Some(uuid::Uuid::new_v4()),
                cluster_id: None,
            },
            client,
            urls: urls.clone(),
            controller: 0,
        };
        brokers.spawn(broker.live());
    }
    brokers
}

struct Broker {
    request: RegisterBrokerRequest,
    client: reqwest::Client,
    urls: Vec<String>,
    /// Which of `urls` led when it was last asked.
    controller: usize,
}

/// What a request came to.
enum Said<T> {
    Yes(T),
    /// The controller refuses this request: the registration is not what the broker believes.
    No,
    /// No controller was reached.
    Nobody,
}

impl Broker {
    /// Registers, then sends heartbeats; registers anew when the controller does not know it.
    async fn live(mut self) {
        loop {
            let request = self.request.clone();
            match self.post::<_, BrokerResponse>("brokers", &request).await {
                Said::Yes(registered) => self.beat(registered.broker_epoch).await,
                Said::No | Said::Nobody => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    async fn beat(&mut self, broker_epoch: u64) {
        let path = format!("brokers/{}/heartbeat", self.request.id.unwrap_or_default());
        let beat = HeartbeatRequest {
            broker_epoch: Some(broker_epoch),
            ..Default::default()
        };
        loop {
            match self.post::<_, serde_json::Value>(&path, &beat).await {
                Said::Yes(_) => tokio::time::sleep(HEARTBEAT_INTERVAL).await,
                Said::Nobody => tokio::time::sleep(RETRY_PAUSE).await,
                Said::No => return,
            }
        }
    }

    /// Asks the node that led last; after a refusal the one that it names, else the next one.
    async fn post<B: Serialize, T: DeserializeOwned>(&mut self, path: &str, body: &B) -> Said<T> {
        let base = &self.urls[self.controller];
        let url = format!("{base}/api/v1/metadata/{path}");
        let Ok(response) = self.client.post(url).json(body).send().await else {
            return self.try_next(None);
        };
        match response.status().as_u16() {
            200 => response.json().await.map_or(Said::Nobody, Said::Yes),
            503 => {
                let problem = response.json::<Problem>().await.ok();
                self.try_next(problem.and_then(|problem| problem.leader_id))
            }
            500.. => Said::Nobody,
            _ => Said::No,
        }
    }

    fn try_next<T>(&mut self, leader: Option<u32>) -> Said<T> {
        let named = leader.and_then(|leader| usize::try_from(leader).ok()?.checked_sub(1));
        let next = (self.controller + 1) % self.urls.len();
        self.controller = named
            .filter(|named| *named < self.urls.len())
            .unwrap_or(next);
        Said::Nobody
    }
}
