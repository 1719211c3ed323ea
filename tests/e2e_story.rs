//! The life of one quorum on a real Kubernetes: installed, led, deposed, rolled, drained, and removed without a trace.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test; its figures are printed"
)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dmq_testkit::kube::{Columns, Load, Namespace, Operator, Quorum, evict, get, kubectl, until};

/// Three nodes with SQLite; short waits between restarts, since the probes of the roll wait for what matters.
const SPEC: &str = "  store: {sqlite: {storage: {size: 1Gi}}}
  storage: {size: 1Gi, retentionPolicy: {whenDeleted: Retain}}
  updateStrategy: {minReadySeconds: 1}";

#[test]
fn a_quorum_lives_through_all_that_its_users_do_to_it() -> anyhow::Result<()> {
    let operator = Operator::install()?;
    let namespace = Namespace::new("e2e-story")?;
    let quorum = born(&namespace)?;
    let load = Load::start(
        namespace.name(),
        "load",
        &format!("{}-controller", quorum.name()),
    )?;
    a_topic_is_reached_through_the_controllers_service(&quorum)?;
    the_columns_show_the_controller(&quorum)?;
    the_controllers_pod_is_deleted(&quorum, &load)?;
    a_new_image_is_rolled_out(&quorum, &load)?;
    a_new_configuration_is_rolled_out_while_the_operator_dies(&operator, &quorum, &load)?;
    kubectl_restarts(&quorum, &load)?;
    the_controllers_node_is_drained(&quorum, &load)?;
    a_database_is_lost(&quorum)?;
    the_operator_is_upgraded_and_removed(&operator, &quorum, &load)?;
    load.stop()?;
    the_object_is_deleted(&operator, &quorum)?;
    namespace.passed();
    Ok(())
}

fn born(namespace: &Namespace) -> anyhow::Result<Quorum> {
    let started = Instant::now();
    let quorum = Quorum::apply(namespace.name(), "meta", SPEC)?;
    quorum.wait_for("Ready")?;
    println!(
        "FIGURE apply to Ready, SQLite: {:.1} s (goal 10)",
        started.elapsed().as_secs_f64()
    );
    let status = quorum.wait_settled()?;
    assert_eq!(status["voters"], 3, "{status:#}");
    assert_eq!(status["failuresTolerated"], 1, "{status:#}");
    assert_eq!(status["members"].as_array().unwrap().len(), 3, "{status:#}");
    let nodes = get(&["nodes"])?["items"].as_array().unwrap().len();
    assert_eq!(
        places(&quorum)?.len(),
        nodes.min(3),
        "each pod has a node of its own"
    );
    let latch = get(&["configmap", "meta-voters-1", "-n", namespace.name()])?;
    assert_eq!(latch["immutable"], true, "{latch:#}");
    Ok(quorum)
}

fn a_topic_is_reached_through_the_controllers_service(quorum: &Quorum) -> anyhow::Result<()> {
    for service in ["meta-controller", "meta"] {
        let topic = until("the topic is read", || {
            quorum.read(service, "/topics/load").map(Some)
        })?;
        assert_eq!(topic["topicName"], "load");
    }
    let leader = quorum.leader()?.0;
    until("the label follows", || {
        Ok((quorum.labelled()? == [leader.clone()]).then_some(()))
    })
}

fn the_columns_show_the_controller(quorum: &Quorum) -> anyhow::Result<()> {
    let (leader, term) = quorum.leader()?;
    let printed = kubectl(&["get", "dmqmc", "-n", quorum.namespace()])?;
    println!("{printed}");
    println!(
        "{}",
        kubectl(&["get", "dmqmc", "-n", quorum.namespace(), "-o", "wide"])?
    );
    let mut lines = printed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let titles = [
        "NAME", "REPLICAS", "READY", "LEADER", "TERM", "VERSION", "STATUS", "AGE",
    ];
    assert_eq!(lines.next().unwrap(), titles);
    let row = lines.next().unwrap();
    assert_eq!(row[..5], ["meta", "3", "3", &leader, &term.to_string()]);
    assert_eq!(row[6], "Running");
    Ok(())
}

fn the_controllers_pod_is_deleted(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    for how in ["--grace-period=30", "--force"] {
        let (old, term) = quorum.leader()?;
        let columns = Columns::watch(quorum)?;
        let (began, began_ms) = (Instant::now(), now_ms());
        let mut arguments = vec![
            "delete",
            "pod",
            &old,
            "-n",
            quorum.namespace(),
            "--wait=false",
            how,
        ];
        if how == "--force" {
            arguments.push("--grace-period=0");
        }
        kubectl(&arguments)?;
        let row = columns.wait_row("another controller is shown", |row| {
            !row.leader.is_empty() && row.leader != old && row.term > term
        })?;
        load.wait_more(100)?;
        println!(
            "FIGURE pod of the controller deleted ({how}) to the new one in kubectl get: {:.2} s (goal 2), largest gap between two writes: {} ms (goal 500)",
            (row.at - began).as_secs_f64(),
            load.gap_since(began_ms)?.as_millis(),
        );
        quorum.wait_settled()?;
        assert_eq!(
            quorum.read("meta-controller", "/topics/load")?["topicName"],
            "load"
        );
    }
    no_write_failed(load)
}

fn a_new_image_is_rolled_out(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    rolled(quorum, load, "new image", || {
        quorum.reapply(&format!("{SPEC}\n  image: {{tag: 0.1.1}}"))?;
        Ok(())
    })?;
    let image = |pod: &serde_json::Value| pod["spec"]["containers"][0]["image"].clone();
    let images: BTreeSet<String> = quorum
        .pods()?
        .values()
        .map(|pod| image(pod).to_string())
        .collect();
    assert_eq!(images.len(), 1, "{images:?}");
    assert!(images.first().unwrap().contains(":0.1.1"), "{images:?}");
    Ok(())
}

fn a_new_configuration_is_rolled_out_while_the_operator_dies(
    operator: &Operator,
    quorum: &Quorum,
    load: &Load,
) -> anyhow::Result<()> {
    rolled(quorum, load, "new configuration, operator killed", || {
        let before = quorum.pod_uids()?;
        quorum.reapply(&format!(
            "{SPEC}\n  image: {{tag: 0.1.1}}\n  config: {{broker.session-timeout-ms: '12000'}}"
        ))?;
        until("the first pod was replaced", || {
            let now = quorum.pod_uids()?;
            Ok(now
                .iter()
                .any(|(name, uid)| before.get(name) != Some(uid))
                .then_some(()))
        })?;
        operator.kill()?;
        operator.wait_available()
    })
}

fn kubectl_restarts(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    rolled(quorum, load, "kubectl rollout restart", || {
        kubectl(&["rollout", "restart", "sts/meta", "-n", quorum.namespace()])?;
        Ok(())
    })?;
    rolled(quorum, load, "annotation restartedAt", || {
        quorum.annotate("dmq.io/restartedAt=2026-11-23T12:00:00Z")
    })
}

/// Every pod is restarted exactly once, the controller moves exactly once, and no write fails.
fn rolled(
    quorum: &Quorum,
    load: &Load,
    what: &str,
    begin: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    quorum.wait_settled()?;
    let (before, leader) = (quorum.pod_uids()?, quorum.leader()?.0);
    let pods = Pods::watch(quorum)?;
    let columns = Columns::watch(quorum)?;
    let (began, began_ms) = (Instant::now(), now_ms());
    begin()?;
    until("every pod was replaced", || {
        let now = quorum.pod_uids()?;
        let replaced = |name: &String| {
            now.get(name)
                .is_some_and(|uid| before.get(name) != Some(uid))
        };
        Ok((before.keys().all(replaced)).then_some(()))
    })?;
    quorum.wait_settled()?;
    load.wait_more(50)?;
    println!(
        "FIGURE roll ({what}): {:.1} s, largest gap between two writes: {} ms",
        began.elapsed().as_secs_f64(),
        load.gap_since(began_ms)?.as_millis()
    );
    assert_eq!(
        pods.uids()?,
        6,
        "every pod is restarted exactly once ({what})"
    );
    let leaders: Vec<String> = columns.leaders().into_iter().map(|(pod, _)| pod).collect();
    assert_eq!(
        leaders.len(),
        2,
        "the controller moves exactly once ({what}): {leaders:?}"
    );
    assert_eq!(leaders[0], leader);
    no_write_failed(load)
}

/// The Kubernetes nodes that the pods are on.
fn places(quorum: &Quorum) -> anyhow::Result<BTreeSet<String>> {
    let place = |pod: &serde_json::Value| pod["spec"]["nodeName"].to_string();
    Ok(quorum.pods()?.values().map(place).collect())
}

/// Of two followers one may be evicted; the budget holds the other one.
fn the_budget_lets_one_go(quorum: &Quorum) -> anyhow::Result<()> {
    let (leader, _) = quorum.leader()?;
    let before = quorum.pod_uids()?;
    let followers: Vec<&String> = before.keys().filter(|pod| **pod != leader).collect();
    evict(quorum.namespace(), followers[0])?;
    let refused = evict(quorum.namespace(), followers[1])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("disruption budget"), "{refused}");
    until("the evicted pod is back", || {
        Ok((quorum
            .pod_uids()?
            .get(followers[0])
            .is_some_and(|uid| *uid != before[followers[0]]))
        .then_some(()))
    })?;
    quorum.wait_settled()?;
    assert_eq!(quorum.pod_uids()?[followers[1]], before[followers[1]]);
    Ok(())
}

fn the_controllers_node_is_drained(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    the_budget_lets_one_go(quorum)?;
    let (leader, _) = quorum.leader()?;
    let node = quorum.pods()?[&leader]["spec"]["nodeName"]
        .as_str()
        .unwrap()
        .to_owned();
    let nodes = get(&["nodes"])?["items"].as_array().unwrap().len();
    let began_ms = now_ms();
    let load_node = get(&["pod", "load", "-n", quorum.namespace()])?["spec"]["nodeName"].clone();
    let others = "app.kubernetes.io/name=dmq-metadata";
    kubectl(&[
        "drain",
        &node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--timeout=180s",
        "--pod-selector",
        others,
    ])?;
    load.wait_more(100)?;
    println!(
        "FIGURE drain of the controller's node ({nodes} nodes, clients on {load_node}): largest gap between two writes: {} ms",
        load.gap_since(began_ms)?.as_millis()
    );
    assert!(
        !places(quorum)?.contains(&format!("\"{node}\"")),
        "nothing is left on a drained node"
    );
    kubectl(&["uncordon", &node])?;
    quorum.wait_settled()?;
    no_write_failed(load)
}

/// The claim of the database goes with its pod; the node builds it again from its image.
fn a_database_is_lost(quorum: &Quorum) -> anyhow::Result<()> {
    let (leader, _) = quorum.leader()?;
    let pod = quorum
        .pods()?
        .into_keys()
        .find(|pod| *pod != leader)
        .unwrap();
    let claim = format!("data-{pod}");
    let uid = |name: &str| -> anyhow::Result<String> {
        Ok(get(&["pvc", name, "-n", quorum.namespace()])?["metadata"]["uid"].to_string())
    };
    let (old_claim, old_pod) = (uid(&claim)?, quorum.pod_uids()?[&pod].clone());
    kubectl(&[
        "delete",
        "pvc",
        &claim,
        "-n",
        quorum.namespace(),
        "--wait=false",
    ])?;
    kubectl(&["delete", "pod", &pod, "-n", quorum.namespace()])?;
    until("the pod is back with a new claim", || {
        let new = quorum
            .pod_uids()?
            .get(&pod)
            .is_some_and(|uid| *uid != old_pod);
        Ok((new && uid(&claim)? != old_claim).then_some(()))
    })?;
    quorum.wait_settled()?;
    until("its database is whole again", || {
        let view = quorum.read_pod(&pod, "/quorum")?;
        Ok(
            (view["projection"]["healthy"] == true
                && view["projection"]["lag"].as_u64() < Some(50))
            .then_some(()),
        )
    })
}

fn the_operator_is_upgraded_and_removed(
    operator: &Operator,
    quorum: &Quorum,
    load: &Load,
) -> anyhow::Result<()> {
    let before = quorum.pod_uids()?;
    operator.upgrade(&["--set", "log.level=debug"])?;
    let manifest = operator.manifest()?;
    operator.uninstall()?;
    until("only the definition is left of the release", || {
        let left = Operator::left(&manifest)?;
        let kept = ["customresourcedefinition.apiextensions.k8s.io/dmqmetadataclusters.dmq.io"];
        Ok((left == kept).then_some(()))
    })?;
    load.wait_more(100)?;
    assert_eq!(
        quorum.pod_uids()?,
        before,
        "the quorum does not need its operator"
    );
    operator.upgrade(&[])?;
    quorum.wait_settled()?;
    assert_eq!(
        quorum.pod_uids()?,
        before,
        "a new operator finds all in place"
    );
    no_write_failed(load)
}

/// Nothing is left but what retention says; and that brings the quorum back with all that it knew.
fn the_object_is_deleted(operator: &Operator, quorum: &Quorum) -> anyhow::Result<()> {
    let cluster_id = quorum.status()?["clusterId"].clone();
    remove(quorum)?;
    let mut kept = left(quorum)?;
    kept.retain(|name| !name.starts_with("persistentvolumeclaim/"));
    assert_eq!(
        kept,
        ["configmap/meta-identity-1", "configmap/meta-voters-1"]
    );
    let retained = "  store: {sqlite: {storage: {size: 1Gi}}}
  storage: {size: 1Gi, retentionPolicy: {whenDeleted: Delete}}";
    quorum.reapply(retained)?;
    let status = quorum.wait_settled()?;
    assert_eq!(
        status["clusterId"], cluster_id,
        "it is the same DMQ cluster"
    );
    assert_eq!(
        quorum.read("meta-controller", "/topics/load")?["topicName"],
        "load"
    );
    remove(quorum)?;
    until("nothing is left", || {
        Ok(left(quorum)?.is_empty().then_some(()))
    })?;
    operator.wait_available()
}

fn remove(quorum: &Quorum) -> anyhow::Result<()> {
    kubectl(&[
        "delete",
        "dmqmc",
        quorum.name(),
        "-n",
        quorum.namespace(),
        "--timeout=120s",
    ])?;
    until("the pods and Services are gone", || {
        let left = left(quorum)?;
        let running = |name: &String| {
            !name.starts_with("persistentvolumeclaim/") && !name.starts_with("configmap/")
        };
        let config = left.contains(&"configmap/meta-config".to_owned());
        Ok((!config && !left.iter().any(running)).then_some(()))
    })
}

/// Everything of the quorum that Kubernetes still has, as `kind/name`, in order.
fn left(quorum: &Quorum) -> anyhow::Result<Vec<String>> {
    let kinds = "sts,pods,svc,cm,secret,sa,pdb,netpol,pvc,controllerrevisions";
    let selector = "app.kubernetes.io/instance=meta";
    let list = get(&[kinds, "-n", quorum.namespace(), "-l", selector])?;
    let name = |item: &serde_json::Value| {
        let kind = item["kind"].as_str().unwrap().to_lowercase();
        format!("{kind}/{}", item["metadata"]["name"].as_str().unwrap())
    };
    let mut left: Vec<String> = list["items"].as_array().unwrap().iter().map(name).collect();
    left.sort();
    Ok(left)
}

fn no_write_failed(load: &Load) -> anyhow::Result<()> {
    let report = load.report()?;
    anyhow::ensure!(
        report.failed == 0,
        "a client with redirect and retry saw writes fail: {report:?}"
    );
    Ok(())
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap()
}

/// Every pod that ever was there while this watched: `kubectl get pods --watch`.
struct Pods {
    child: std::process::Child,
    seen: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Pods {
    fn watch(quorum: &Quorum) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let seen = folder.path().join("uids");
        let selector = format!(
            "app.kubernetes.io/name=dmq-metadata,app.kubernetes.io/instance={}",
            quorum.name()
        );
        let child = std::process::Command::new("kubectl")
            .args([
                "get",
                "pods",
                "-n",
                quorum.namespace(),
                "-l",
                &selector,
                "--watch",
                "--no-headers",
            ])
            .arg("-o=custom-columns=UID:.metadata.uid")
            .stdout(std::fs::File::create(&seen)?)
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let pods = Self {
            child,
            seen,
            _folder: folder,
        };
        until("kubectl printed the pods", || {
            Ok((pods.uids()? >= 3).then_some(()))
        })?;
        Ok(pods)
    }

    /// Number of different pods so far.
    fn uids(&self) -> anyhow::Result<usize> {
        let text = std::fs::read_to_string(&self.seen)?;
        Ok(text.lines().collect::<BTreeSet<_>>().len())
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
