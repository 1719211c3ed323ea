//! Reads everything that a load made from one node, for the checkers.

use anyhow::{Context as _, ensure};
use dmq_metadata::PARTITION_EPOCH_GAP;

use super::rest::Rest;
use super::workload::CHAIN_TOPIC;
use crate::checkers::{Final, History, exactly_once};

/// Topics of one page.
const PAGE: usize = 1_000;

/// Fails unless the node's state is what the history of a load says: nothing lost, nothing done twice, nothing from
/// nowhere. The first page is read linearizably, so any node may be asked.
pub async fn check_exactly_once(rest: &Rest, history: &History) -> anyhow::Result<()> {
    check(rest, history, 0).await
}

/// The same of a history that ended before the recovery of a survivor: epochs of partitions were raised by it.
pub async fn check_exactly_once_before_recovery(
    rest: &Rest,
    history: &History,
) -> anyhow::Result<()> {
    check(rest, history, PARTITION_EPOCH_GAP.into()).await
}

async fn check(rest: &Rest, history: &History, first_epoch: u64) -> anyhow::Result<()> {
    ensure!(
        !history.writes.is_empty(),
        "the load wrote nothing, so nothing was tested"
    );
    let found = Final {
        first_epoch,
        ..read_final(rest).await?
    };
    let wrong = exactly_once(history, &found, &[CHAIN_TOPIC.to_owned()].into());
    ensure!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        history.writes.len(),
        wrong.join("\n")
    );
    Ok(())
}

async fn read_final(rest: &Rest) -> anyhow::Result<Final> {
    let mut found = Final::default();
    for name in topic_names(rest).await? {
        let topic = rest.get(&format!("/topics/{name}")).await?.success()?;
        found
            .topics
            .insert(name.clone(), topic.number("createdIndex")?);
        let partitions = topic.json["partitions"].as_array().context("partitions")?;
        for partition in partitions {
            let number = partition["partitionId"].as_u64().context("partitionId")?;
            let epoch = partition["partitionEpoch"]
                .as_u64()
                .context("partitionEpoch")?;
            found.epochs.insert((name.clone(), number), epoch);
        }
    }
    Ok(found)
}

async fn topic_names(rest: &Rest) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names
            .last()
            .map(|last| format!("&after={last}"))
            .unwrap_or_default();
        let path = format!("/topics?consistency=linearizable&limit={PAGE}{after}");
        let page = rest.get(&path).await?.success()?;
        let topics = page.json["topics"].as_array().context("topics")?;
        names.extend(
            topics
                .iter()
                .filter_map(|topic| topic["topicName"].as_str().map(str::to_owned)),
        );
        if page.json["next"].is_null() {
            return Ok(names);
        }
    }
}
