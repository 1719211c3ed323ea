//! Real nodes at every named point between two durable steps: killed there, given an I/O error or a full disk, or held
//! up. The list of the points is one (`dmq_log::crash_point`); a point that is never passed is a failure.
//!
//! A day's run goes through a quarter of them; `DMQ_CRASH_POINTS=all cargo xtask test crash` through all,
//! `DMQ_CRASH_POINTS=<name>,<name>` through the named ones.

#![allow(clippy::print_stdout, reason = "says which points were passed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use dmq_testkit::harness::{
    CrashPoint, Load, OnError, Passage, Quorum, QuorumOptions, check_exactly_once,
    chosen_crash_points, play_brokers, server_binary, wait_until,
};
use serde_json::json;

const ACTIONS: [&str; 4] = ["kill", "eio", "enospc", "sleep"];
/// Sixty-four frames of one block each.
const SEGMENT_BYTES: &str = "262144";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Leader,
    Follower,
}

/// What happens at which point to whom.
#[derive(Clone, Copy, Debug)]
struct Case {
    point: &'static CrashPoint,
    role: Role,
    action: &'static str,
}

impl Case {
    fn text(&self) -> String {
        format!("{}={}", self.point.name, self.action)
    }

    /// What the process says when the point fires.
    fn mark(&self) -> String {
        format!("crash point {}: {}", self.point.name, self.action)
    }

    /// Whether the process must be gone; `None` if it may be.
    fn ends(&self) -> Option<bool> {
        match (self.action, self.point.on_error) {
            ("kill", _) | ("eio" | "enospc", OnError::Ends) => Some(true),
            ("eio" | "enospc", OnError::Either) => None,
            _ => Some(false),
        }
    }
}

/// What went wrong in a run over several points, each with how to see it again.
#[derive(Default)]
struct Verdicts {
    passed: usize,
    failed: Vec<String>,
}

impl Verdicts {
    fn add(&mut self, name: &str, what: &str, started: Instant, result: anyhow::Result<()>) {
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("{name}, {what}: recovered ({seconds:.1} s)");
            }
            Err(error) => {
                println!("{name}, {what}: FAILED ({seconds:.1} s)");
                self.failed.push(format!(
                    "{name}, {what}: {error:#}\nreplay: DMQ_CRASH_POINTS={name} cargo xtask test crash"
                ));
            }
        }
    }

    fn end(self) -> anyhow::Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() {
            return Ok(());
        }
        bail!("{}", self.failed.join("\n\n"))
    }
}

/// The points of this run that are passed so.
fn points(passages: &[Passage]) -> anyhow::Result<Vec<&'static CrashPoint>> {
    let (chosen, why) = chosen_crash_points()?;
    let of_these = |point: &&CrashPoint| passages.contains(&point.passage);
    let points: Vec<_> = chosen.into_iter().filter(of_these).collect();
    println!("{passages:?}: {} points, {why}", points.len());
    Ok(points)
}

fn cases(point: &'static CrashPoint, roles: &[Role]) -> Vec<Case> {
    let of_role = |&role| {
        ACTIONS.map(|action| Case {
            point,
            role,
            action,
        })
    };
    roles.iter().flat_map(of_role).collect()
}

/// Nodes whose segments and snapshots are small, so that every step is taken every few seconds.
async fn prepare(snapshots: bool) -> anyhow::Result<Quorum> {
    let mut options = QuorumOptions::default().with("broker.session-timeout-ms", "3600000");
    if snapshots {
        options = options
            .with("dmq.kraft.raft.snapshot-bytes", "16384")
            .with("dmq.kraft.raft.kept-entries", "16");
    }
    let mut quorum = Quorum::prepare(&options).await?;
    for id in 1..=3 {
        let file = point_file(&quorum, id);
        let node = quorum.node(id)?;
        node.set_environment("DMQ_CRASH_POINT_FILE", &file.display().to_string());
        node.set_environment("DMQ_SEGMENT_BYTES", SEGMENT_BYTES);
    }
    Ok(quorum)
}

fn point_file(quorum: &Quorum, id: u32) -> PathBuf {
    quorum.folder().join(format!("point-{id}"))
}

async fn load(quorum: &mut Quorum) -> anyhow::Result<Load> {
    let controller = quorum.controller().await?;
    let ports: Vec<u16> = quorum.nodes().iter().map(|node| node.rest_port).collect();
    let load = Load::start(&quorum.rest(controller)?, &ports, 3).await?;
    load.progress(20).await?;
    Ok(load)
}

/// Ends the load; everything acknowledged is there, once, and the same on all nodes.
async fn end(quorum: &mut Quorum, load: Load) -> anyhow::Result<()> {
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    let controller = quorum.controller().await?;
    check_exactly_once(&quorum.rest(controller)?, &history).await
}

/// Arms the point; the returned number of earlier marks tells its firing from an earlier one.
fn arm(quorum: &mut Quorum, id: u32, case: &Case) -> anyhow::Result<usize> {
    let before = marks(quorum, id, case)?;
    let file = point_file(quorum, id);
    let whole = file.with_extension("new");
    fs::write(&whole, case.text())?;
    fs::rename(whole, file)?;
    Ok(before)
}

fn marks(quorum: &mut Quorum, id: u32, case: &Case) -> anyhow::Result<usize> {
    Ok(quorum.node(id)?.log().matches(&case.mark()).count())
}

async fn fired(quorum: &mut Quorum, id: u32, case: &Case, before: usize) -> anyhow::Result<()> {
    wait_until(&format!("{} fires on node {id}", case.text()), async || {
        Ok((marks(quorum, id, case)? > before).then_some(()))
    })
    .await
}

/// The process is gone, as it must be at this point.
async fn gone(quorum: &mut Quorum, id: u32, case: &Case) -> anyhow::Result<()> {
    let status = quorum.node(id)?.wait_for_end().await?;
    let code = status.code();
    match case.action {
        "kill" => ensure!(code.is_none(), "it ended with {status}"),
        _ => ensure!(code.is_some_and(|code| code != 0), "it ended with {status}"),
    }
    Ok(())
}

/// Waits until the process is gone or has gone on; `true` if it is gone.
async fn gone_or_on(quorum: &mut Quorum, id: u32, load: &Load) -> anyhow::Result<bool> {
    let goal = load.acknowledged() + 60;
    wait_until("it ends or goes on", async || {
        let ended = quorum.node(id)?.check().is_err();
        let on = load.acknowledged() >= goal;
        Ok((ended || on).then_some(ended))
    })
    .await
}

/// What follows the firing: the others go on, and the node is there again in the end.
async fn recovers(quorum: &mut Quorum, id: u32, case: &Case, load: &Load) -> anyhow::Result<()> {
    let is_gone = match case.ends() {
        Some(ends) => ends,
        None => gone_or_on(quorum, id, load).await?,
    };
    if is_gone {
        gone(quorum, id, case).await?;
        load.progress(10).await?;
        quorum.node(id)?.start()?;
    }
    load.progress(20).await?;
    quorum.node(id)?.check()?;
    caught_up(quorum).await
}

async fn caught_up(quorum: &mut Quorum) -> anyhow::Result<()> {
    let controller = quorum.controller().await?;
    let state = quorum
        .rest(controller)?
        .get("/controller")
        .await?
        .success()?;
    quorum.applied(state.number("appliedIndex")?).await
}

async fn term(quorum: &mut Quorum) -> anyhow::Result<u64> {
    let controller = quorum.controller().await?;
    let state = quorum
        .rest(controller)?
        .get("/controller")
        .await?
        .success()?;
    state.number("term")
}

async fn case_under_writes(quorum: &mut Quorum, case: &Case, load: &Load) -> anyhow::Result<()> {
    let controller = quorum.controller().await?;
    let id = match case.role {
        Role::Leader => controller,
        Role::Follower => quorum.others(controller)[0],
    };
    let term_before = term(quorum).await?;
    let before = arm(quorum, id, case)?;
    if case.point.passage == Passage::Election {
        // Whoever takes part writes the new term; the answer may not come, if it is the one that ends.
        let target = quorum.others(controller)[1];
        let body = json!({ "target": target });
        let path = "/quorum/leader:transfer";
        drop(quorum.rest(controller)?.post(path, &body).await);
    }
    fired(quorum, id, case, before).await?;
    recovers(quorum, id, case, load).await?;
    let term_after = term(quorum).await?;
    if case.action == "sleep" && case.point.passage != Passage::Election {
        ensure!(
            term_after <= term_before + 1,
            "a pause of half a second led from term {term_before} to {term_after}"
        );
    }
    Ok(())
}

/// All cases of one point on one quorum, which stays under load.
async fn point_under_writes(
    point: &'static CrashPoint,
    snapshots: bool,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    let mut quorum = prepare(snapshots).await?;
    quorum.start_all()?;
    let load = load(&mut quorum).await?;
    for case in cases(point, &[Role::Leader, Role::Follower]) {
        let started = Instant::now();
        let result = case_under_writes(&mut quorum, &case, &load).await;
        let what = format!("{:?}, {}", case.role, case.action);
        let result = result.with_context(|| quorum.logs());
        let failed = result.is_err();
        verdicts.add(point.name, &what, started, result);
        if failed {
            return Ok(());
        }
    }
    if point.passage == Passage::Allocation {
        full(&mut quorum, point, &load).await?;
    }
    end(&mut quorum, load).await
}

/// A disk that stays full: writes are refused with `NO_SPACE` and reads go on, until there is room again.
async fn full(quorum: &mut Quorum, point: &'static CrashPoint, load: &Load) -> anyhow::Result<()> {
    let (role, action) = (Role::Leader, "enospc");
    let case = Case {
        point,
        role,
        action,
    };
    let controller = quorum.controller().await?;
    let before = marks(quorum, controller, &case)?;
    let file = point_file(quorum, controller);
    fs::write(&file, format!("{}+", case.text()))?;
    fired(quorum, controller, &case, before).await?;
    let rest = quorum.rest(controller)?;
    // The topic of the load: where there is space it is refused, and nothing is changed.
    let body = json!({ "topicName": "load", "numPartitions": 1, "replicationFactor": 1 });
    wait_until("a write is refused for want of space", async || {
        let answer = rest.post("/topics", &body).await?;
        Ok((answer.status == 503 && answer.code() == "NO_SPACE").then_some(()))
    })
    .await
    .with_context(|| quorum.logs())?;
    rest.get("/topics?limit=1").await?.success()?;
    quorum.node(controller)?.check()?;
    fs::remove_file(&file)?;
    load.progress(20).await?;
    caught_up(quorum).await
}

async fn run_points(passages: &[Passage], snapshots: bool) -> anyhow::Result<()> {
    let mut verdicts = Verdicts::default();
    for point in points(passages)? {
        let started = Instant::now();
        let result = point_under_writes(point, snapshots, &mut verdicts).await;
        verdicts.add(point.name, "nothing lost, one state", started, result);
    }
    verdicts.end()
}

#[tokio::test]
async fn under_writes() -> anyhow::Result<()> {
    run_points(&[Passage::Writes, Passage::Election], true).await
}

#[tokio::test]
async fn while_segments_are_allocated() -> anyhow::Result<()> {
    run_points(&[Passage::Allocation], false).await
}

async fn case_of_install(quorum: &mut Quorum, case: &Case, load: &Load) -> anyhow::Result<()> {
    let controller = quorum.controller().await?;
    let away = quorum.others(controller)[0];
    let had = quorum.rest(away)?.get("/quorum").await?.success()?;
    let had = had.number("lastIndex")?;
    quorum.node(away)?.kill()?;
    wait_until("the others purge what it lacks", async || {
        for id in quorum.others(away) {
            let state = quorum.rest(id)?.get("/quorum").await?.success()?;
            // Behind all that it may have received after it was asked.
            if state.number("logStartIndex")? <= had + 200 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    let before = arm(quorum, away, case)?;
    quorum.node(away)?.start()?;
    fired(quorum, away, case, before).await?;
    recovers(quorum, away, case, load).await
}

#[tokio::test]
async fn while_a_snapshot_is_installed() -> anyhow::Result<()> {
    let mut verdicts = Verdicts::default();
    for point in points(&[Passage::Install])? {
        let begun = Instant::now();
        let mut quorum = prepare(true).await?;
        quorum.start_all()?;
        let load = load(&mut quorum).await?;
        for case in cases(point, &[Role::Follower]) {
            let started = Instant::now();
            let result = case_of_install(&mut quorum, &case, &load).await;
            let result = result.with_context(|| quorum.logs());
            let failed = result.is_err();
            verdicts.add(point.name, case.action, started, result);
            if failed {
                break;
            }
        }
        let result = end(&mut quorum, load).await;
        verdicts.add(point.name, "nothing lost, one state", begun, result);
    }
    verdicts.end()
}

async fn case_of_birth(case: &Case) -> anyhow::Result<()> {
    let mut quorum = prepare(true).await?;
    let id = match case.role {
        // The lowest id initialises and campaigns.
        Role::Leader => 1,
        Role::Follower => 2,
    };
    let before = arm(&mut quorum, id, case)?;
    quorum.start_all()?;
    fired(&mut quorum, id, case, before).await?;
    // Where it may end or go on, what became of it decides.
    let ended = match case.ends() {
        Some(ends) => ends,
        None => quorum.node(id)?.check().is_err(),
    };
    if ended {
        gone(&mut quorum, id, case).await?;
        quorum.node(id)?.start()?;
    }
    let load = load(&mut quorum).await?;
    caught_up(&mut quorum).await?;
    end(&mut quorum, load).await
}

#[tokio::test]
async fn while_a_quorum_is_born() -> anyhow::Result<()> {
    let mut verdicts = Verdicts::default();
    for point in points(&[Passage::Birth])? {
        // A directory is formatted the same way whoever leads later.
        let roles: &[Role] = if point.name.starts_with("format") {
            &[Role::Leader]
        } else {
            &[Role::Leader, Role::Follower]
        };
        for case in cases(point, roles) {
            let started = Instant::now();
            let what = format!("{:?}, {}", case.role, case.action);
            verdicts.add(point.name, &what, started, case_of_birth(&case).await);
        }
    }
    verdicts.end()
}

/// A stopped node with a topic, to be recovered again and again.
async fn stopped() -> anyhow::Result<Quorum> {
    let options = QuorumOptions {
        nodes: 1,
        ..QuorumOptions::default()
    };
    let mut quorum = Quorum::prepare(&options).await?;
    quorum
        .node(1)?
        .set_environment("DMQ_SEGMENT_BYTES", SEGMENT_BYTES);
    quorum.start_all()?;
    quorum.controller().await?;
    let rest = quorum.rest(1)?;
    play_brokers(&rest).await?;
    let topic = json!({ "topicName": "kept", "numPartitions": 1, "replicationFactor": 1 });
    rest.post("/topics", &topic).await?.success()?;
    quorum.node(1)?.stop().await?;
    Ok(quorum)
}

fn recover(directory: &Path, point: Option<&str>) -> anyhow::Result<Output> {
    let log_dir = directory.parent().context("a log directory")?;
    let mut command = Command::new(server_binary()?);
    command
        .arg("recover")
        .arg("--node-id=1")
        .arg(format!("--log-dir={}", log_dir.display()))
        .arg("--force-cluster-id=dmq");
    if let Some(point) = point {
        command.env("DMQ_CRASH_POINT", point);
    }
    Ok(command.output()?)
}

/// Puts a copy of the stopped node's directory in its place, and nothing beside it.
fn put_back(saved: &Path, directory: &Path) -> anyhow::Result<()> {
    let log_dir = directory.parent().context("a log directory")?;
    for entry in fs::read_dir(log_dir)? {
        fs::remove_dir_all(entry?.path())?;
    }
    copy(saved, directory)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

async fn case_of_recovery(quorum: &mut Quorum, saved: &Path, case: &Case) -> anyhow::Result<()> {
    let directory = quorum.data_directory(1);
    put_back(saved, &directory)?;
    let first = recover(&directory, Some(&case.text()))?;
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    ensure!(said.contains(&case.mark()), "it never fired: {said}");
    match case.action {
        "kill" => ensure!(first.status.code().is_none(), "{}", first.status),
        "sleep" => ensure!(first.status.success(), "{}", first.status),
        _ => ensure!(first.status.code() == Some(3), "{}: {said}", first.status),
    }
    let second = recover(&directory, None)?;
    ensure!(
        second.status.success(),
        "{}: {}",
        second.status,
        String::from_utf8_lossy(&second.stderr)
    );
    quorum.node(1)?.start()?;
    quorum.controller().await?;
    let path = "/topics/kept?consistency=linearizable";
    quorum.rest(1)?.get(path).await?.success()?;
    let state = quorum.rest(1)?.get("/quorum").await?.success()?;
    let incarnation = state.json["incarnation"].as_str().unwrap_or_default();
    ensure!(incarnation.starts_with("2-"), "{}", state.text);
    quorum.node(1)?.kill()
}

#[tokio::test]
async fn while_a_survivor_is_recovered() -> anyhow::Result<()> {
    let mut verdicts = Verdicts::default();
    let points = points(&[Passage::Recover])?;
    if points.is_empty() {
        return Ok(());
    }
    let mut quorum = stopped().await?;
    let saved = quorum.folder().join("saved");
    copy(&quorum.data_directory(1), &saved)?;
    for point in points {
        for case in cases(point, &[Role::Leader]) {
            let started = Instant::now();
            let result = case_of_recovery(&mut quorum, &saved, &case).await;
            verdicts.add(point.name, case.action, started, result);
        }
    }
    verdicts.end()
}
