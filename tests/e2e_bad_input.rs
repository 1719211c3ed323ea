//! What users get wrong. Each ends in a message that they can act on, in `kubectl apply` or in `kubectl describe`.
#![allow(clippy::unwrap_used, reason = "a test")]

use dmq_testkit::kube::{Load, Namespace, Operator, Quorum, apply_refused, get, kubectl, until};

const SPEC: &str = "  store: {sqlite: {storage: {size: 1Gi}}}
  storage: {size: 1Gi, retentionPolicy: {whenDeleted: Delete}}
  updateStrategy: {minReadySeconds: 1, progressDeadlineSeconds: 60}";

#[test]
fn what_kubernetes_can_check_is_refused_at_once() -> anyhow::Result<()> {
    let _operator = Operator::install()?;
    let namespace = Namespace::new("e2e-refused")?;
    let refused =
        |name: &str, spec: &str| apply_refused(namespace.name(), &Quorum::yaml(name, spec));
    let even = refused("meta", &format!("{SPEC}\n  replicas: 4"))?;
    assert!(even.contains("replicas must be 1, 3, 5 or 7"), "{even}");
    let long = refused(&"m".repeat(60), SPEC)?;
    assert!(long.contains("40 characters"), "{long}");
    let unknown = refused("meta", &format!("{SPEC}\n  replica: 3"))?;
    assert!(unknown.contains("replica"), "{unknown}");
    let quorum = Quorum::apply(
        namespace.name(),
        "meta",
        &format!("{SPEC}\n  suspend: true"),
    )?;
    let smaller = refused(
        "meta",
        &SPEC.replace("storage: {size: 1Gi, ret", "storage: {size: 500Mi, ret"),
    )?;
    assert!(
        smaller.contains("size") && smaller.contains("shrink"),
        "{smaller}"
    );
    quorum.wait_described(&["Suspended"])?;
    assert!(
        quorum.pods()?.is_empty(),
        "a suspended object changes nothing"
    );
    Ok(())
}

#[test]
fn volumes_that_cannot_be_made_are_named() -> anyhow::Result<()> {
    let _operator = Operator::install()?;
    let namespace = Namespace::new("e2e-class")?;
    let spec = SPEC.replace(
        "storage: {size: 1Gi, ret",
        "storage: {storageClassName: gold, size: 1Gi, ret",
    );
    let quorum = Quorum::apply(namespace.name(), "meta", &spec)?;
    quorum.wait_described(&["gold", "StorageClass"])?;
    namespace.passed();
    Ok(())
}

#[test]
fn a_quorum_that_runs_refuses_what_would_harm_it() -> anyhow::Result<()> {
    let _operator = Operator::install()?;
    let namespace = Namespace::new("e2e-harm")?;
    let other = Namespace::new("e2e-twin")?;
    let quorum = Quorum::apply(namespace.name(), "meta", SPEC)?;
    let twin = Quorum::apply(other.name(), "meta", SPEC)?;
    quorum.wait_settled()?;
    let load = Load::start(namespace.name(), "load", "meta-controller")?;
    two_objects_of_one_name_are_two_quorums(&quorum, &twin)?;
    kubectl(&["delete", "dmqmc", "meta", "-n", other.name()])?;
    scaling_is_refused(&quorum)?;
    a_wrong_image_stops_at_the_first_pod(&quorum, &load)?;
    an_edit_while_rolling_wins(&quorum, &load)?;
    a_suspended_quorum_is_left_alone(&quorum, &load)?;
    a_pod_that_is_stuck_stops_the_roll(&quorum, &load)?;
    let report = load.report()?;
    anyhow::ensure!(report.failed == 0, "{report:?}");
    other.passed();
    namespace.passed();
    Ok(())
}

fn two_objects_of_one_name_are_two_quorums(quorum: &Quorum, twin: &Quorum) -> anyhow::Result<()> {
    let (one, two) = (quorum.wait_settled()?, twin.wait_settled()?);
    assert_ne!(one["clusterId"], two["clusterId"]);
    until("the topic exists in one", || {
        quorum.read("meta-controller", "/topics/load").map(Some)
    })?;
    let missing = twin
        .read("meta-controller", "/topics/load")
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("could not find") || missing.contains("NotFound"),
        "{missing}"
    );
    Ok(())
}

fn scaling_is_refused(quorum: &Quorum) -> anyhow::Result<()> {
    kubectl(&[
        "scale",
        "dmqmc/meta",
        "--replicas=5",
        "-n",
        quorum.namespace(),
    ])?;
    quorum.wait_described(&["ScaleRejected", "spec.replicas"])?;
    let sts = get(&["sts", "meta", "-n", quorum.namespace()])?;
    assert_eq!(sts["spec"]["replicas"], 3, "the StatefulSet is untouched");
    kubectl(&[
        "scale",
        "dmqmc/meta",
        "--replicas=3",
        "-n",
        quorum.namespace(),
    ])?;
    quorum.wait_settled()?;
    Ok(())
}

/// The first follower fails, the roll stops before the second, the old quorum serves; the right image heals it.
fn a_wrong_image_stops_at_the_first_pod(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    for tag in ["0.1.2-broken", "9.9.9-nowhere"] {
        let (before, leader) = (quorum.pod_uids()?, quorum.leader()?);
        quorum.reapply(&format!("{SPEC}\n  image: {{tag: {tag}}}"))?;
        quorum.wait_described(&["RollPaused", tag])?;
        load.wait_more(100)?;
        let after = quorum.pod_uids()?;
        let replaced = before
            .iter()
            .filter(|(name, uid)| after.get(*name) != Some(uid))
            .count();
        assert_eq!(replaced, 1, "the roll stops before the second pod");
        assert_eq!(quorum.leader()?, leader, "the old controller leads on");
        quorum.reapply(SPEC)?;
        quorum.wait_settled()?;
    }
    Ok(())
}

fn an_edit_while_rolling_wins(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    let before = quorum.pod_uids()?;
    quorum.reapply(&format!("{SPEC}\n  config: {{log.level: debug}}"))?;
    until("the first pod was replaced", || {
        let now = quorum.pod_uids()?;
        Ok(now
            .iter()
            .any(|(name, uid)| before.get(name) != Some(uid))
            .then_some(()))
    })?;
    quorum.reapply(&format!(
        "{SPEC}\n  image: {{tag: 0.1.1}}\n  config: {{log.level: info}}"
    ))?;
    quorum.wait_settled()?;
    for (name, pod) in quorum.pods()? {
        let image = pod["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default();
        assert!(image.ends_with(":0.1.1"), "{name} runs {image}");
    }
    load.wait_more(50)?;
    Ok(())
}

fn a_suspended_quorum_is_left_alone(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    let (pods, template) = (quorum.pod_uids()?, template(quorum)?);
    quorum.reapply(&format!(
        "{SPEC}\n  suspend: true\n  config: {{log.level: warn}}"
    ))?;
    let generation = quorum.object()?["metadata"]["generation"].clone();
    quorum.wait_status("the suspension is seen", |status| {
        status["phase"] == "Suspended" && status["observedGeneration"] == generation
    })?;
    load.wait_more(50)?;
    assert_eq!(
        (quorum.pod_uids()?, self::template(quorum)?),
        (pods, template)
    );
    Ok(())
}

fn template(quorum: &Quorum) -> anyhow::Result<String> {
    Ok(get(&["sts", "meta", "-n", quorum.namespace()])?["spec"]["template"].to_string())
}

/// A follower cannot be scheduled. It is not outdated: the roll waits for it, and says so.
fn a_pod_that_is_stuck_stops_the_roll(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    quorum.reapply(SPEC)?;
    quorum.wait_settled()?;
    let leader = quorum.leader()?.0;
    let pod = quorum
        .pods()?
        .into_keys()
        .find(|pod| *pod != leader)
        .unwrap();
    let nodes: Vec<String> = get(&["nodes"])?["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| Some(node["metadata"]["name"].as_str()?.to_owned()))
        .collect();
    let outcome = (|| {
        for node in &nodes {
            kubectl(&["cordon", node])?;
        }
        kubectl(&["delete", "pod", &pod, "-n", quorum.namespace()])?;
        let before = quorum.pod_uids()?;
        quorum.reapply(&format!("{SPEC}\n  config: {{log.level: warn}}"))?;
        quorum.wait_described(&[&pod, "Unschedulable"])?;
        load.wait_more(50)?;
        let after = quorum.pod_uids()?;
        let others = before.iter().filter(|(name, _)| **name != pod);
        anyhow::ensure!(
            others
                .clone()
                .all(|(name, uid)| after.get(name) == Some(uid)),
            "the roll went on"
        );
        Ok(())
    })();
    for node in &nodes {
        kubectl(&["uncordon", node])?;
    }
    outcome?;
    quorum.wait_settled()?;
    Ok(())
}
