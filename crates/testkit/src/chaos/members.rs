//! Changes of the membership under load: a further node joins, takes the place of a voter, and leaves; a voter that lost its disk comes
//! back under a new directory id. Every step says what shall be and asks until it is so.

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::stage::{Stage, TOKEN, format_directory};
use crate::harness::{Answer, Rest, wait_until};

/// A node on one of its directories.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    id: u32,
    directory: String,
}

impl Member {
    fn of(row: &Value) -> anyhow::Result<Self> {
        let id = row["id"].as_u64().context("id")?;
        Ok(Self {
            id: u32::try_from(id)?,
            directory: row["directoryId"]
                .as_str()
                .context("directoryId")?
                .to_owned(),
        })
    }

    fn body(&self) -> Value {
        json!({ "id": self.id, "directoryId": self.directory })
    }
}

/// The further node becomes a voter, then the only one in the place of `victim`, then everything is as before. It runs on, as
/// a node that was removed.
pub(super) async fn exchange(stage: &mut Stage, victim: u32) -> anyhow::Result<()> {
    let guest = start_guest(stage).await?;
    let before = voters(&view(stage).await?.1)?;
    let leaves = before.iter().find(|member| member.id == victim);
    let leaves = leaves.context("the victim is no voter")?.clone();
    observe(stage, &guest).await?;
    let mut all = before.clone();
    all.push(guest.clone());
    vote(stage, &all).await?;
    all.retain(|member| *member != leaves);
    vote(stage, &all).await?;
    observe(stage, &leaves).await?;
    vote(stage, &before).await
}

/// Ends the further node, which is no member any more.
pub(super) fn dismiss(stage: &mut Stage) -> anyhow::Result<()> {
    stage.guest.kill()
}

/// A node loses everything on its disk, comes back empty, and takes the place of what it was.
pub(super) async fn replace(stage: &mut Stage, id: u32) -> anyhow::Result<()> {
    stage.quorum.node(id)?.kill()?;
    let directory = wipe(stage, id)?;
    stage.quorum.node(id)?.start()?;
    let fresh = Member { id, directory };
    observe(stage, &fresh).await?;
    let mut all = voters(&view(stage).await?.1)?;
    all.retain(|member| member.id != id);
    all.push(fresh);
    vote(stage, &all).await
}

async fn start_guest(stage: &mut Stage) -> anyhow::Result<Member> {
    let id = stage.guest.id;
    let directory = wipe(stage, id)?;
    stage.guest.start()?;
    let rest = stage.guest.rest()?;
    wait_until("the further node answers", async || {
        Ok(rest.get("/quorum").await.ok().map(drop))
    })
    .await?;
    Ok(Member { id, directory })
}

/// An empty directory in the place of the old one.
fn wipe(stage: &Stage, id: u32) -> anyhow::Result<String> {
    let volume = stage.volume(id).path();
    std::fs::remove_dir_all(volume.join(format!("node-{id}")))?;
    let identity = format_directory(volume, id)?;
    Ok(uuid::Uuid::from_u128(identity.directory.0).to_string())
}

/// Makes `member` a learner and waits until it may vote.
async fn observe(stage: &mut Stage, member: &Member) -> anyhow::Result<()> {
    let body = |expected: u64| {
        let mut body = member.body();
        body["expectedMembershipIndex"] = json!(expected);
        (Method::POST, "/quorum/observers", body)
    };
    let caught_up = |quorum: &Value| {
        let rows = quorum["observers"].as_array();
        rows.into_iter().flatten().find_map(|row| {
            let is = Member::of(row).is_ok_and(|known| known == *member);
            is.then(|| row["caughtUp"] == json!(true))
        })
    };
    let what = format!("node {} is a learner that is caught up", member.id);
    bring_about(stage, &what, body, |quorum| match caught_up(quorum) {
        Some(true) => Goal::Reached,
        Some(false) => Goal::Coming,
        None => Goal::Ask,
    })
    .await
}

/// Makes these the voters and waits until they are, alone.
async fn vote(stage: &mut Stage, target: &[Member]) -> anyhow::Result<()> {
    let rows: Vec<Value> = target.iter().map(Member::body).collect();
    let body = |expected: u64| {
        let body = json!({ "voters": rows, "expectedMembershipIndex": expected });
        (Method::PUT, "/quorum/voters", body)
    };
    let mut wanted = target.to_vec();
    wanted.sort();
    let ids: Vec<u32> = wanted.iter().map(|member| member.id).collect();
    bring_about(stage, &format!("{ids:?} are the voters"), body, |quorum| {
        if quorum["membershipIndex"] != quorum["committedMembershipIndex"] {
            Goal::Coming
        } else if voters(quorum).is_ok_and(|voters| voters == wanted) {
            Goal::Reached
        } else {
            Goal::Ask
        }
    })
    .await
}

/// How far the quorum is from what shall be.
enum Goal {
    Reached,
    /// Something is under way.
    Coming,
    /// Nobody has asked, or it was refused.
    Ask,
}

async fn bring_about(
    stage: &mut Stage,
    what: &str,
    request: impl Fn(u64) -> (Method, &'static str, Value),
    judge: impl Fn(&Value) -> Goal,
) -> anyhow::Result<()> {
    let mut last = String::new();
    let waited = wait_until(what, async || {
        let (rest, quorum) = view(stage).await?;
        match judge(&quorum) {
            Goal::Reached => return Ok(Some(())),
            Goal::Coming => return Ok(None),
            Goal::Ask => {}
        }
        let expected = quorum["committedMembershipIndex"].as_u64();
        let (method, path, body) = request(expected.context("committedMembershipIndex")?);
        last = ask(&rest, method, path, &body).await?;
        Ok(None)
    })
    .await;
    waited.with_context(|| format!("the last answer was: {last}"))
}

/// A refusal because of the moment may be asked again; any other is a fault of ours or theirs.
async fn ask(rest: &Rest, method: Method, path: &str, body: &Value) -> anyhow::Result<String> {
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", token.as_str())];
    let path = format!("/api/v1/metadata{path}");
    let answer = rest
        .send(method, &path, Some(body.to_string()), &headers)
        .await;
    match answer {
        Ok(answer) if answer.is_success() || of_the_moment(&answer) => {
            Ok(format!("{} {}", answer.status, answer.text))
        }
        Ok(answer) => bail!("{path} {body}: {} {}", answer.status, answer.text),
        // It may have been done all the same: the next look tells.
        Err(error) => Ok(error.to_string()),
    }
}

fn of_the_moment(answer: &Answer) -> bool {
    matches!(answer.status, 409 | 503 | 504)
}

/// What the controller says of the quorum. A node that was removed may think what it likes: voters are asked.
async fn view(stage: &mut Stage) -> anyhow::Result<(Rest, Value)> {
    let found = wait_until("a controller describes the quorum", async || {
        let mut nodes: Vec<Rest> = Vec::new();
        for node in stage.quorum.nodes() {
            node.check()?;
            if node.is_running() {
                nodes.push(node.rest()?);
            }
        }
        if stage.guest.is_running() {
            nodes.push(stage.guest.rest()?);
        }
        for rest in nodes {
            let Ok(answer) = rest.get("/quorum").await else {
                continue;
            };
            if answer.json["state"] == json!("LEADER") {
                return Ok(Some((rest, answer.json)));
            }
        }
        Ok(None)
    });
    found.await
}

fn voters(quorum: &Value) -> anyhow::Result<Vec<Member>> {
    let rows = quorum["voters"].as_array().context("voters")?;
    let mut voters = rows
        .iter()
        .map(Member::of)
        .collect::<anyhow::Result<Vec<_>>>()?;
    voters.sort();
    Ok(voters)
}
