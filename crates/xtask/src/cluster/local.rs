//! The provider `local`: a cluster of processes on this machine.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::layout::{Layout, Node};
use super::parts::{Starter, Surroundings};
use super::{
    Options, Running, binaries, config, control_plane, down, images, machine, namespace, node,
    owner, parts, ready, serve, wait,
};
use crate::image::Archive;
use crate::process::say;

/// Starts the cluster, or finds it running and loads the images that have changed.
pub(super) fn up(layout: &Layout, options: &Options) -> anyhow::Result<Running> {
    machine::prepare(&layout.run)?;
    namespace::check_folder(&layout.run)?;
    let bin = binaries::provide_all()?;
    let archives = images::archives(options.kept_images)?;
    let running = Running {
        kubeconfig: layout.kubeconfig(),
        bin,
    };
    let _turn = take_turn()?;
    if healthy(layout, &running) {
        reuse(layout, options, &running, &archives)?;
        return Ok(running);
    }
    down::remove(layout)?;
    let started = start(layout, options, &running, &archives);
    if started.is_err() {
        down::stop(layout)?;
        say(&format!(
            "the logs of what failed lie in {}",
            layout.run.join("log").display()
        ));
    }
    started.map(|()| running)
}

/// One `up` or `down` at a time.
pub(super) fn take_turn() -> anyhow::Result<fs::File> {
    let folder = super::layout::clusters()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let turn = fs::File::open(&folder)?;
    if turn.try_lock().is_err() {
        say("waiting for another `cluster up` or `cluster down`");
        turn.lock()?;
    }
    Ok(turn)
}

fn start(
    layout: &Layout,
    options: &Options,
    running: &Running,
    archives: &[Archive],
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let nodes: Vec<Node> = (1..=options.nodes)
        .map(|number| layout.node(number))
        .collect();
    owner::note(layout, options.owner)?;
    control_plane::prepare(layout, &nodes)?;
    let mut starter = Starter::new(Surroundings::new(layout, &running.bin));
    let control = namespace::open(&mut starter, None, namespace::CONTROL.to_owned())?;
    namespace::script(&starter, control, &namespace::control_script())?;
    // First, so that what follows ends with the owner even if that is killed in the middle.
    serve::start(&mut starter, layout, &running.bin, options.owner)?;
    control_plane::start_first(&mut starter, layout, control)?;
    let mut holders = Vec::new();
    for node in &nodes {
        let holder = node::prepare(&mut starter, layout, &nodes, node, control)?;
        holders.push((node.clone(), holder));
    }
    let surroundings = starter.surroundings.clone();
    thread::scope(|scope| {
        let loading = scope.spawn(|| images::load(&surroundings, &holders, archives));
        let made = make_kubernetes(&mut starter, layout, &holders, control, running);
        if made.is_err() {
            // What still loads would otherwise wait for a node that never comes.
            down::stop(layout)?;
        }
        made?;
        say_time(&format!("{} nodes", options.nodes), begun);
        let loaded = loading.join();
        loaded.map_err(|_| anyhow!("loading images panicked"))??;
        say_time(&format!("{} images on every node", archives.len()), begun);
        anyhow::Ok(())
    })?;
    let state = json!({"nodes": options.nodes, "parts": starter.names()});
    control_plane::write_json(&layout.state_file(), &state)
}

/// From a starting API server and prepared nodes to a cluster that takes pods.
fn make_kubernetes(
    starter: &mut Starter,
    layout: &Layout,
    holders: &[(Node, u32)],
    control: u32,
    running: &Running,
) -> anyhow::Result<()> {
    wait_for_certificate(starter, layout)?;
    for (node, holder) in holders {
        node::join(starter, layout, node, *holder)?;
    }
    let kubectl = Kubectl::of(running);
    wait_for_api(starter, &kubectl, control)?;
    control_plane::start_rest(starter, layout, control)?;
    for object in config::first_objects() {
        kubectl.create(object.collection, &object.body)?;
    }
    wait_for_all(starter, &kubectl, control, holders.len())
}

fn say_time(what: &str, begun: Instant) {
    say(&format!(
        "{what} ready after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
}

/// The API server writes the key behind the certificate; without it, nobody could check whom they talk to.
fn wait_for_certificate(starter: &mut Starter, layout: &Layout) -> anyhow::Result<()> {
    wait::until("the API server's certificate", wait::LIMIT, || {
        starter.check()?;
        Ok(layout.authority().with_extension("key").exists())
    })
}

fn wait_for_api(starter: &mut Starter, kubectl: &Kubectl, control: u32) -> anyhow::Result<()> {
    wait::until("the API server", wait::LIMIT, || {
        starter.check()?;
        Ok(ready::port_open(control)? && ready::api(kubectl))
    })
}

fn wait_for_all(
    starter: &mut Starter,
    kubectl: &Kubectl,
    control: u32,
    nodes: usize,
) -> anyhow::Result<()> {
    wait::until("the nodes", wait::LIMIT, || {
        starter.check()?;
        Ok(ready::nodes(kubectl, nodes))
    })?;
    wait::until(
        "the account of the namespace `default`",
        wait::LIMIT,
        || {
            starter.check()?;
            Ok(ready::account(kubectl))
        },
    )?;
    wait::until("cluster DNS", wait::LIMIT, || {
        starter.check()?;
        ready::names(control)
    })
}

/// `true` if `up` came to its end once, all of its processes run, and the API server answers.
fn healthy(layout: &Layout, running: &Running) -> bool {
    let state = read_state(&layout.state_file());
    let Some(expected) = state["parts"].as_array() else {
        return false;
    };
    let present = parts::running(layout);
    let runs = |part: &Value| present.iter().any(|member| *part == member.part.as_str());
    expected.iter().all(runs) && ready::api(&Kubectl::of(running))
}

fn read_state(file: &Path) -> Value {
    let text = fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn reuse(
    layout: &Layout,
    options: &Options,
    running: &Running,
    archives: &[Archive],
) -> anyhow::Result<()> {
    let nodes = read_state(&layout.state_file())["nodes"].as_u64();
    ensure!(
        nodes == Some(options.nodes.into()),
        "cluster `{}` runs with {} nodes: `cargo xtask cluster down --name {}` first",
        layout.name,
        nodes.unwrap_or_default(),
        layout.name
    );
    say(&format!("cluster `{}` is running", layout.name));
    let surroundings = Surroundings::new(layout, &running.bin);
    let holders: Option<Vec<(Node, u32)>> = (1..=options.nodes)
        .map(|number| {
            let node = layout.node(number);
            let holder = parts::pid_of(layout, &namespace::holder(&node))?;
            Some((node, holder))
        })
        .collect();
    images::load(
        &surroundings,
        &holders.context("a node has ended")?,
        archives,
    )
}
