//! Members that come and go, as an administrator does it: over REST, with the address books of all nodes.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::quorum::{Quorum, book, configuration};
use super::rest::Answer;
use super::wait::wait_until;

/// Where the routes of the quorum begin.
const QUORUM: &str = "/api/v1/metadata/quorum";

/// The incarnation of a log history that no recovery came before.
const FIRST: &str = "1";

impl Quorum {
    /// Writes the configuration file of every node that is not spare: all of them, and nobody else, are in its
    /// address book. Nodes that run read it again.
    pub(super) fn write_address_books(&self) -> anyhow::Result<()> {
        let is_spare = |id: u32| self.spares.iter().any(|node| node.id == id);
        let all = self.ports.iter().copied();
        let known: Vec<(u32, u16)> = all.filter(|(id, _)| !is_spare(*id)).collect();
        let folder = self.folder();
        for &(id, _) in &known {
            let text = configuration(id, &known, &self.links, &self.options)?;
            // Nodes look at their files all the time: nobody may see half of one.
            let (file, new) = (book(&folder, id), folder.join("book.new"));
            std::fs::write(&new, text)?;
            std::fs::rename(new, file)?;
        }
        Ok(())
    }

    /// The configuration file of a node.
    pub fn configuration_file(&self, id: u32) -> PathBuf {
        book(&self.folder(), id)
    }

    /// REST ports of all nodes, spare ones included, in the order of their ids.
    pub fn rest_ports(&self) -> Vec<u16> {
        let nodes = self.nodes.iter().chain(&self.spares);
        let mut ports: Vec<(u32, u16)> = nodes.map(|node| (node.id, node.rest_port)).collect();
        ports.sort_unstable();
        ports.into_iter().map(|(_, port)| port).collect()
    }

    /// Formats a spare node, writes it into all address books and starts it. It knows the others and belongs to
    /// nothing yet.
    pub async fn add(&mut self, id: u32) -> anyhow::Result<()> {
        let at = self.spares.iter().position(|node| node.id == id);
        let node = self
            .spares
            .remove(at.with_context(|| format!("no spare node {id}"))?);
        self.nodes.push(node);
        self.write_address_books()?;
        self.format(id, FIRST)?;
        self.start_empty(id).await
    }

    /// A node that was killed loses its disk, and comes back under another directory id.
    pub async fn wipe(&mut self, id: u32) -> anyhow::Result<()> {
        self.wipe_for(id, FIRST).await
    }

    /// The same, to join the log history of this incarnation, as `GET /quorum` shows it.
    pub async fn wipe_for(&mut self, id: u32, incarnation: &str) -> anyhow::Result<()> {
        std::fs::remove_dir_all(self.data_directory(id))?;
        self.format(id, incarnation)?;
        self.start_empty(id).await
    }

    fn format(&self, id: u32, incarnation: &str) -> anyhow::Result<()> {
        let volume = self.data_directory(id);
        let volume = volume.parent().context("a directory of its own")?;
        let node = self.nodes.iter().find(|node| node.id == id);
        let mut program = node.with_context(|| format!("no node {id}"))?.program()?;
        let file = self.configuration_file(id);
        let output = program
            .arg("format")
            .arg(format!("--config={}", file.display()))
            .arg(format!("--node-id={id}"))
            .arg("--cluster-id=dmq")
            .arg(format!("--incarnation={incarnation}"))
            .arg(format!("--log-dir={}", volume.display()))
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "format: {text}");
        Ok(())
    }

    async fn start_empty(&mut self, id: u32) -> anyhow::Result<()> {
        self.node(id)?.start()?;
        wait_until(&format!("node {id} answers"), async || {
            self.node(id)?.check()?;
            Ok(self.seen_by(id).await.map(drop))
        })
        .await
    }

    /// `GET /quorum` of a node, if it answers.
    pub async fn seen_by(&mut self, id: u32) -> Option<Value> {
        let answer = self.rest(id).ok()?.get("/quorum").await.ok()?;
        answer.is_success().then_some(answer.json)
    }

    /// `{id, directoryId}` of a node, as it says itself.
    pub async fn member(&mut self, id: u32) -> anyhow::Result<Value> {
        let seen = self
            .seen_by(id)
            .await
            .with_context(|| format!("node {id} is silent"))?;
        Ok(json!({ "id": id, "directoryId": seen["directoryId"] }))
    }

    /// Waits until a node that runs leads, whatever nodes think that belong to nothing any more.
    pub async fn leading(&mut self) -> anyhow::Result<u32> {
        let ids: Vec<u32> = self.running();
        let found = wait_until(&format!("one of {ids:?} leads"), async || {
            let mut leaders = Vec::new();
            for &id in &ids {
                self.node(id)?.check()?;
                if let Some(seen) = self
                    .seen_by(id)
                    .await
                    .filter(|seen| seen["state"] == "LEADER")
                {
                    leaders.push((seen["term"].as_u64(), id));
                }
            }
            Ok(leaders.into_iter().max().map(|(_, id)| id))
        })
        .await;
        found.with_context(|| self.logs())
    }

    fn running(&self) -> Vec<u32> {
        let nodes = self.nodes.iter().filter(|node| node.is_running());
        nodes.map(|node| node.id).collect()
    }

    /// Sends a change of members to the controller, on the configuration that is in force there, until it is
    /// decided. A controller that is new does not yet know which configuration is committed, and says so when the
    /// change comes: then its view is looked at again.
    pub async fn change_members(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        wait_until(&format!("{method} {path} {body} is decided"), async || {
            let controller = self.leading().await?;
            let rest = self.rest(controller)?;
            let seen = rest.get("/quorum").await?.success()?;
            let expected = seen.number("committedMembershipIndex")?;
            let path = format!("{QUORUM}{path}");
            let answer = if method == Method::DELETE {
                let path = format!("{path}?expectedMembershipIndex={expected}");
                rest.send(method.clone(), &path, None, &[]).await?
            } else {
                let mut body = body.clone();
                body["expectedMembershipIndex"] = json!(expected);
                rest.send(method.clone(), &path, Some(body.to_string()), &[])
                    .await?
            };
            let again =
                answer.json["retriable"] == json!(true) || answer.code() == "STALE_MEMBERSHIP";
            Ok((!again).then_some(answer))
        })
        .await
    }

    /// Removes an observer. One that is gone when a try is repeated was removed by the try before.
    pub async fn forget(&mut self, id: u32) -> anyhow::Result<()> {
        let path = format!("/observers/{id}");
        let answer = self
            .change_members(Method::DELETE, &path, &Value::Null)
            .await?;
        let gone = answer.code() == "UNKNOWN_MEMBER";
        ensure!(gone || answer.status == 204, "{}", answer.text);
        let controller = self.leading().await?;
        let seen = self.seen_by(controller).await.unwrap_or_default();
        let rows = seen["observers"].as_array().cloned().unwrap_or_default();
        ensure!(rows.iter().all(|row| row["id"] != json!(id)), "{seen}");
        Ok(())
    }

    /// Makes a node an observer and waits until it may become a voter.
    pub async fn observe(&mut self, id: u32) -> anyhow::Result<()> {
        let member = self.member(id).await?;
        let answer = self
            .change_members(Method::POST, "/observers", &member)
            .await?
            .success()?;
        let observers = answer.json["observers"].as_array();
        ensure!(
            observers.is_some_and(|all| all.contains(&member)),
            "{}",
            answer.text
        );
        let waited = wait_until(&format!("observer {id} is caught up"), async || {
            let controller = self.leading().await?;
            let seen = self.seen_by(controller).await.unwrap_or_default();
            let rows = seen["observers"].as_array().cloned().unwrap_or_default();
            let row = rows
                .into_iter()
                .find(|row| row["directoryId"] == member["directoryId"]);
            Ok(row.filter(|row| row["caughtUp"] == json!(true)).map(drop))
        })
        .await;
        waited.with_context(|| self.logs())
    }

    /// Makes these nodes the voters.
    pub async fn vote(&mut self, ids: &[u32]) -> anyhow::Result<Answer> {
        let mut voters = Vec::new();
        for id in ids {
            voters.push(self.member(*id).await?);
        }
        let body = json!({ "voters": voters });
        self.change_members(Method::PUT, "/voters", &body).await
    }
}
