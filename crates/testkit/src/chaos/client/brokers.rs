//! The brokers that hold the replicas, played: they register, send heartbeats and store nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::attempt::Scene;
use crate::chaos::operation::{Call, Outcome, REPLICAS};
use crate::harness::wait_until;

/// Well within every session.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Stands for the brokers in the history.
const CLIENT: u32 = u32::MAX;

/// Registers all brokers, waits until they are unfenced and lets them go on in `tasks`.
pub(super) async fn play(scene: &Arc<Scene>, tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    for id in REPLICAS {
        let epoch = register(scene, id).await?;
        wait_until("a played broker is unfenced", async || {
            let verdict = beat(scene, id, epoch).await;
            Ok(verdict
                .filter(|verdict| verdict["isFenced"] == json!(false))
                .map(drop))
        })
        .await?;
        scene.topics().broker_epochs.insert(id, epoch);
        tasks.spawn(live(Arc::clone(scene), id, epoch));
    }
    Ok(())
}

async fn register(scene: &Scene, id: u32) -> anyhow::Result<u64> {
    let mark = scene.fresh();
    let call = Call::RegisterBroker { id, mark };
    let key: Arc<str> = format!("{}-{mark}", scene.options.prefix).into();
    wait_until("a played broker is registered", async || {
        for node in scene.nodes() {
            let attempted = scene.attempt(CLIENT, &node, &call, Some(&key)).await;
            if let Outcome::Done { body, .. } = attempted.outcome {
                let body: Value = serde_json::from_str(&body)?;
                return Ok(Some(
                    body["brokerEpoch"].as_u64().context("no brokerEpoch")?,
                ));
            }
        }
        Ok(None)
    })
    .await
}

/// Sends heartbeats until the task is aborted.
async fn live(scene: Arc<Scene>, id: u32, epoch: u64) {
    loop {
        beat(&scene, id, epoch).await;
        sleep(HEARTBEAT_INTERVAL).await;
    }
}

/// One heartbeat, which only the controller answers.
async fn beat(scene: &Scene, id: u32, epoch: u64) -> Option<Value> {
    let (path, body) = (
        format!("/brokers/{id}/heartbeat"),
        json!({ "brokerEpoch": epoch }),
    );
    for node in scene.nodes() {
        let verdict = scene.post(&node, &path, &body).await;
        if verdict.is_some() {
            return verdict;
        }
    }
    None
}
