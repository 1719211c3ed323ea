//! Members come and go while clients write: one node becomes three and five, five become three others, a lost disk is
//! replaced, and whoever was removed disturbs nobody.

use anyhow::{Context as _, ensure};
use dmq_testkit::harness::{
    Answer, Load, Quorum, QuorumOptions, check_exactly_once, play_brokers, wait_until,
};
use reqwest::Method;
use serde_json::{Value, json};

fn options(nodes: u32, spare: u32) -> QuorumOptions {
    let options = QuorumOptions {
        nodes,
        spare,
        ..QuorumOptions::default()
    };
    options.with("broker.session-timeout-ms", "3600000")
}

/// A quorum under load.
async fn start(nodes: u32, spare: u32) -> anyhow::Result<(Quorum, Load)> {
    let mut quorum = Quorum::start(&options(nodes, spare)).await?;
    let controller = quorum.controller().await?;
    let ports = quorum.rest_ports();
    let load = Load::start(&quorum.rest(controller)?, &ports, 4).await?;
    load.progress(20).await?;
    Ok((quorum, load))
}

async fn term(quorum: &mut Quorum) -> anyhow::Result<u64> {
    let controller = quorum.leading().await?;
    let seen = quorum
        .rest(controller)?
        .get("/controller")
        .await?
        .success()?;
    seen.number("term")
}

fn ids(members: &Value) -> Vec<u64> {
    let members = members.as_array().cloned().unwrap_or_default();
    members
        .iter()
        .filter_map(|member| member["id"].as_u64())
        .collect()
}

/// Waits until these nodes have this voter set in force, and no other beside it.
async fn agree(quorum: &mut Quorum, on: &[u32], voters: &[u32]) -> anyhow::Result<()> {
    let wanted: Vec<u64> = voters.iter().map(|id| u64::from(*id)).collect();
    wait_until(
        &format!("the nodes {on:?} have the voters {voters:?}"),
        async || {
            for id in on {
                let seen = quorum.seen_by(*id).await.unwrap_or_default();
                if ids(&seen["voters"]) != wanted || !seen["outgoingVoters"].is_null() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        },
    )
    .await
}

/// Removed nodes run on, and terms do not: who disturbs does so again and again, while a busy machine now and then
/// holds an election of its own.
async fn undisturbed(quorum: &mut Quorum, load: &Load) -> anyhow::Result<()> {
    for _ in 0..5 {
        let before = term(quorum).await?;
        load.progress(100).await?;
        if term(quorum).await? == before {
            return Ok(());
        }
    }
    anyhow::bail!("every hundred writes there was an election")
}

fn is(answer: &Answer, status: u16, code: &str) -> anyhow::Result<()> {
    ensure!(
        (answer.status, answer.code()) == (status, code),
        "{}: {}",
        answer.status,
        answer.text
    );
    Ok(())
}

#[tokio::test]
async fn one_becomes_three_and_five_and_three_others_under_load() -> anyhow::Result<()> {
    let (mut quorum, load) = start(1, 4).await?;
    let born = term(&mut quorum).await?;
    for (newcomers, voters) in [([2, 3], vec![1, 2, 3]), ([4, 5], vec![1, 2, 3, 4, 5])] {
        for id in newcomers {
            quorum.add(id).await?;
            let seen = quorum.seen_by(id).await.context("silent")?;
            assert_eq!(seen["state"], "UNINITIALIZED", "{seen}");
            quorum.observe(id).await?;
        }
        quorum.vote(&voters).await?.success()?;
        agree(&mut quorum, &voters, &voters).await?;
        load.progress(40).await?;
    }
    // A busy machine may hold an election of its own; growth needs none, and then puts no write in doubt.
    if term(&mut quorum).await? == born {
        assert_eq!(load.doubts(), 0, "no write was ever in doubt");
    }

    let controller = quorum.leading().await?;
    let staying: Vec<u32> = quorum.others(controller).split_off(1);
    let removed: Vec<u32> = (1..=5).filter(|id| !staying.contains(id)).collect();
    let answer = quorum.vote(&staying).await?.success()?;
    assert_eq!(ids(&answer.json["voters"]).len(), 3);
    agree(&mut quorum, &staying, &staying).await?;
    load.progress(40).await?;
    undisturbed(&mut quorum, &load).await?;
    for id in removed {
        quorum.node(id)?.stop().await?;
    }
    load.progress(20).await?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    check_exactly_once(&quorum.rest(staying[0])?, &history).await
}

#[tokio::test]
async fn a_removed_node_that_was_not_told_disturbs_nobody_and_may_come_back() -> anyhow::Result<()>
{
    let (mut quorum, load) = start(3, 0).await?;
    let controller = quorum.leading().await?;
    let (away, stays) = (quorum.others(controller)[0], quorum.others(controller)[1]);
    quorum.node(away)?.kill()?;
    let voters = {
        let mut voters = vec![controller, stays];
        voters.sort_unstable();
        voters
    };
    quorum.vote(&voters).await?.success()?;
    quorum.node(away)?.start()?;
    wait_until("the removed node campaigns in vain", async || {
        let seen = quorum.seen_by(away).await.unwrap_or_default();
        Ok((seen["state"] == "PRE_CANDIDATE").then_some(()))
    })
    .await?;
    undisturbed(&mut quorum, &load).await?;
    assert_ne!(quorum.leading().await?, away);
    let refused = quorum.vote(&[1, 2, 3]).await?;
    is(&refused, 409, "NOT_CAUGHT_UP")?;
    quorum.observe(away).await?;
    quorum.vote(&[1, 2, 3]).await?.success()?;
    agree(&mut quorum, &[1, 2, 3], &[1, 2, 3]).await?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    check_exactly_once(&quorum.rest(away)?, &history).await
}

#[tokio::test]
async fn a_lost_disk_is_replaced_under_its_node_id() -> anyhow::Result<()> {
    let (mut quorum, load) = start(3, 0).await?;
    let controller = quorum.leading().await?;
    let lost = quorum.others(controller)[0];
    let old = quorum.member(lost).await?;
    quorum.node(lost)?.kill()?;
    load.progress(20).await?;
    quorum.wipe(lost).await?;
    let new = quorum.member(lost).await?;
    assert_ne!(old, new);
    let without = quorum.vote(&[1, 2, 3]).await?;
    is(&without, 409, "NOT_CAUGHT_UP")?;
    quorum.observe(lost).await?;
    let answer = quorum.vote(&[1, 2, 3]).await?.success()?;
    let voters = answer.json["voters"].as_array().context("voters")?;
    assert!(
        voters.contains(&new) && !voters.contains(&old),
        "{voters:?}"
    );
    agree(&mut quorum, &[1, 2, 3], &[1, 2, 3]).await?;
    // Its vote counts: with the controller gone it is one of two.
    quorum.node(controller)?.kill()?;
    load.progress(40).await?;
    quorum.node(controller)?.start()?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    check_exactly_once(&quorum.rest(lost)?, &history).await
}

#[tokio::test]
async fn observers_replicate_and_count_for_nothing() -> anyhow::Result<()> {
    let (mut quorum, load) = start(1, 1).await?;
    quorum.add(2).await?;
    quorum.observe(2).await?;
    quorum.node(2)?.kill()?;
    load.progress(20).await?;
    quorum.node(2)?.start()?;
    load.progress(20).await?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    check_exactly_once(&quorum.rest(2)?, &history).await?;
    quorum.node(1)?.kill()?;
    let seen = quorum.seen_by(2).await.context("silent")?;
    assert_eq!(seen["state"], "OBSERVER");
    let topic = json!({ "topicName": "late", "numPartitions": 1, "replicationFactor": 1 });
    let refused = quorum.rest(2)?.post("/topics", &topic).await?;
    assert_eq!(
        (refused.status, &refused.json["retriable"]),
        (503, &json!(true))
    );
    quorum.node(1)?.start()?;
    let seen = quorum.seen_by(2).await.context("silent")?;
    assert_eq!(ids(&seen["observers"]), [2]);
    quorum.forget(2).await?;
    let again = quorum
        .change_members(Method::DELETE, "/observers/2", &Value::Null)
        .await?;
    is(&again, 404, "UNKNOWN_MEMBER")
}

#[tokio::test]
async fn an_expectation_decides_between_two_changes() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options(3, 0)).await?;
    let controller = quorum.leading().await?;
    let others = quorum.others(controller);
    // A controller knows what is committed once it has committed something itself.
    let now = wait_until("the controller knows the membership", async || {
        let seen = quorum.seen_by(controller).await.unwrap_or_default();
        Ok(seen["committedMembershipIndex"]
            .as_u64()
            .filter(|index| *index > 0))
    })
    .await?;
    let mut members = Vec::new();
    for id in [controller, others[0], others[1]] {
        members.push(quorum.member(id).await?);
    }
    let body = |count: usize, expected: u64| json!({ "voters": members[..count], "expectedMembershipIndex": expected });
    let rest = quorum.rest(controller)?;

    let elsewhere = quorum
        .rest(others[0])?
        .put("/quorum/voters", &body(2, now))
        .await?;
    is(&elsewhere, 503, "NOT_CONTROLLER")?;
    let stale = rest.put("/quorum/voters", &body(2, now + 7)).await?;
    is(&stale, 409, "STALE_MEMBERSHIP")?;
    assert_eq!(stale.number("membershipIndex")?, now);
    let equal = rest
        .put("/quorum/voters", &body(3, now + 7))
        .await?
        .success()?;
    assert_eq!(equal.number("membershipIndex")?, now, "nothing to do");

    let (two, one) = (body(2, now), body(1, now));
    let (two, one) = tokio::join!(
        rest.put("/quorum/voters", &two),
        rest.put("/quorum/voters", &one)
    );
    let (two, one) = (two?, one?);
    let (won, lost) = if two.is_success() {
        (two, one)
    } else {
        (one, two)
    };
    let won = won.success()?;
    let code = lost.code().to_owned();
    ensure!(
        lost.status == 409 && ["STALE_MEMBERSHIP", "MEMBERSHIP_CHANGING"].contains(&code.as_str()),
        "{}",
        lost.text
    );
    let seen = quorum.seen_by(controller).await.context("silent")?;
    assert_eq!(ids(&seen["voters"]), ids(&won.json["voters"]));
    assert_eq!(
        seen["committedMembershipIndex"],
        won.json["membershipIndex"]
    );
    Ok(())
}

/// Nearly 1 MiB of JSON, half of that in the log; refused by the state machine: there are no such brokers.
fn bulky(name: &str) -> Value {
    let first = u32::MAX - 20_000;
    let assignments: Vec<Vec<u32>> = (0..9_000)
        .map(|partition| (0..10).map(|replica| first + partition + replica).collect())
        .collect();
    json!({ "topicName": name, "assignments": assignments })
}

#[tokio::test]
async fn a_controller_that_cannot_commit_refuses_before_it_drowns() -> anyhow::Result<()> {
    let mut quorum =
        Quorum::start(&options(3, 0).with("dmq.kraft.raft.election-timeout-ms", "600000")).await?;
    let controller = quorum.leading().await?;
    let rest = quorum.rest(controller)?;
    play_brokers(&rest).await?;
    for id in quorum.others(controller) {
        quorum.node(id)?.pause()?;
    }
    let body = bulky("bulky").to_string();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..400 {
        let (rest, body) = (rest.clone(), body.clone());
        waiting.spawn(async move {
            let path = "/api/v1/metadata/topics?timeoutMs=60000";
            rest.send(Method::POST, path, Some(body), &[]).await
        });
    }
    let first = waiting.join_next().await.context("nobody")???;
    is(&first, 503, "OVERLOADED")?;
    assert_eq!(first.header("retry-after"), Some("1"));
    for id in quorum.others(controller) {
        quorum.node(id)?.resume()?;
    }
    let mut refused = 1;
    while let Some(answer) = waiting.join_next().await {
        let answer = answer??;
        if answer.status == 503 {
            is(&answer, 503, "OVERLOADED")?;
            refused += 1;
        } else {
            assert_eq!(answer.status, 422, "{}", answer.text);
        }
    }
    assert!(refused < 400, "somebody was taken");
    // One request that is too large is refused alone (AutoMQ#2057), and the quorum goes on.
    let large = "x".repeat(2 << 20);
    let large = json!({ "topicName": large, "numPartitions": 1, "replicationFactor": 1 });
    is(&rest.post("/topics", &large).await?, 413, "BODY_TOO_LARGE")?;
    let topic = json!({ "topicName": "small", "numPartitions": 1, "replicationFactor": 1 });
    let made = rest.post("/topics", &topic).await?.success()?;
    quorum.applied(made.index()?).await
}
