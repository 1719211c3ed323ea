//! Two replicas of the operator, of which one acts; and what it says when a quorum is lost: never a second bootstrap.
#![allow(clippy::unwrap_used, reason = "a test")]

use dmq_testkit::kube::{Namespace, Operator, Quorum, apply, chart, get, kubectl, until};

const SPEC: &str = "  store: {sqlite: {storage: {size: 1Gi}}}
  storage: {size: 1Gi, retentionPolicy: {whenDeleted: Delete}}
  updateStrategy: {minReadySeconds: 1}";

#[test]
fn of_two_operators_one_acts() -> anyhow::Result<()> {
    let values = format!("{}/values-ha.yaml", chart("dmq-operator"));
    let operator = Operator::install_with(&["-f", &values])?;
    let holder = || -> anyhow::Result<String> {
        let lease = get(&["lease", "dmq-operator", "-n", Operator::NAMESPACE])?;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        anyhow::ensure!(!holder.is_empty(), "nobody holds the lease");
        Ok(holder.to_owned())
    };
    let first = until("one holds the lease", || holder().map(Some))?;
    assert_eq!(operator.pods()?.len(), 2);
    assert!(
        operator
            .pods()?
            .iter()
            .any(|pod| first.contains(pod.as_str())),
        "{first}"
    );
    let namespace = Namespace::new("e2e-ha")?;
    let quorum = Quorum::apply(namespace.name(), "meta", SPEC)?;
    let acting = operator
        .pods()?
        .into_iter()
        .find(|pod| first.contains(pod.as_str()))
        .unwrap();
    kubectl(&[
        "delete",
        "pod",
        &acting,
        "-n",
        Operator::NAMESPACE,
        "--wait=false",
    ])?;
    until("the other one takes over", || {
        Ok((holder()? != first).then_some(()))
    })?;
    quorum.wait_settled()?;
    let voters = get(&["cm", "meta-voters-1", "-n", namespace.name()])?;
    assert_eq!(
        voters["data"]["voters.json"]
            .as_str()
            .unwrap()
            .matches("directoryId")
            .count(),
        3
    );
    helm_test(&operator)?;
    operator.upgrade(&[])?;
    namespace.passed();
    Ok(())
}

fn helm_test(_operator: &Operator) -> anyhow::Result<()> {
    dmq_testkit::kube::helm(&["test", Operator::RELEASE, "-n", Operator::NAMESPACE])?;
    Ok(())
}

#[test]
fn a_lost_quorum_is_reported_and_comes_back_with_its_pods() -> anyhow::Result<()> {
    let _operator = Operator::install()?;
    let namespace = Namespace::new("e2e-lost")?;
    let quorum = Quorum::apply(namespace.name(), "meta", SPEC)?;
    let status = quorum.wait_settled()?;
    let cluster_id = status["clusterId"].clone();
    for node in get(&["nodes"])?["items"].as_array().unwrap() {
        kubectl(&["cordon", node["metadata"]["name"].as_str().unwrap()])?;
    }
    let outcome = lost(&quorum, status["term"].as_i64().unwrap());
    for node in get(&["nodes"])?["items"].as_array().unwrap() {
        kubectl(&["uncordon", node["metadata"]["name"].as_str().unwrap()])?;
    }
    outcome?;
    let status = quorum.wait_settled()?;
    assert_eq!(status["clusterId"], cluster_id);
    all_data_is_lost(&quorum)?;
    namespace.passed();
    Ok(())
}

/// Two of three pods go and cannot come back.
fn lost(quorum: &Quorum, term: i64) -> anyhow::Result<()> {
    kubectl(&[
        "delete",
        "pod",
        "meta-0",
        "meta-1",
        "-n",
        quorum.namespace(),
    ])?;
    let status = quorum.wait_status("the loss is reported", |status| {
        status["phase"] == "QuorumLost"
            && Quorum::condition(status, "Available").is_some_and(|c| c.0 == "False")
            && Quorum::condition(status, "Stalled").is_some_and(|c| c.0 == "True")
    })?;
    assert!(status["leader"].is_null(), "{status:#}");
    assert!(status["term"].as_i64() >= Some(term), "{status:#}");
    quorum.wait_described(&["QuorumLost", "meta-0"])?;
    Ok(())
}

/// All volumes go while nothing runs: the members come back empty, and stay so until a human decides.
fn all_data_is_lost(quorum: &Quorum) -> anyhow::Result<()> {
    let claims = "app.kubernetes.io/instance=meta";
    kubectl(&[
        "delete",
        "pvc",
        "-l",
        claims,
        "-n",
        quorum.namespace(),
        "--wait=false",
    ])?;
    kubectl(&["delete", "pods", "-l", claims, "-n", quorum.namespace()])?;
    let text = quorum.wait_described(&["DataLost"])?;
    assert!(text.contains("Stalled"), "{text}");
    until("all members are back and empty", || {
        let mut empty = 0;
        for pod in ["meta-0", "meta-1", "meta-2"] {
            empty += usize::from(quorum.read_pod(pod, "/quorum")?["state"] == "UNINITIALIZED");
        }
        Ok((empty == 3).then_some(()))
    })?;
    // Something that makes the operator look again.
    quorum.annotate("dmq.io/restartedAt=2026-11-23T12:00:00Z")?;
    quorum.wait_described(&["DataLost"])?;
    for pod in ["meta-0", "meta-1", "meta-2"] {
        assert_eq!(quorum.read_pod(pod, "/quorum")?["state"], "UNINITIALIZED");
    }
    Ok(())
}

#[test]
fn a_name_that_is_taken_is_not_taken_over() -> anyhow::Result<()> {
    let _operator = Operator::install()?;
    let namespace = Namespace::new("e2e-taken")?;
    let foreign = "apiVersion: v1
kind: Service
metadata: {name: meta}
spec: {ports: [{port: 80}], selector: {app: mine}}";
    apply(namespace.name(), foreign)?;
    let quorum = Quorum::apply(namespace.name(), "meta", SPEC)?;
    quorum.wait_described(&["Stalled", "Service/meta"])?;
    let service = get(&["svc", "meta", "-n", namespace.name()])?;
    assert_eq!(service["spec"]["selector"]["app"], "mine", "{service:#}");
    kubectl(&["delete", "svc", "meta", "-n", namespace.name()])?;
    quorum.wait_settled()?;
    namespace.passed();
    Ok(())
}

/// With a Role in one namespace the operator runs the quorums there, and sees no others.
#[test]
fn an_operator_of_one_namespace_needs_no_more() -> anyhow::Result<()> {
    let (mine, others) = (Namespace::new("e2e-mine")?, Namespace::new("e2e-others")?);
    let watch = format!("watchNamespaces={{{}}}", mine.name());
    let operator = Operator::install_with(&["--set", &watch])?;
    let foreign = Quorum::apply(others.name(), "meta", SPEC)?;
    let quorum = Quorum::apply(mine.name(), "meta", SPEC)?;
    quorum.wait_settled()?;
    assert!(foreign.pods()?.is_empty());
    assert_eq!(foreign.status()?["phase"], "Pending");
    let account = format!(
        "--as=system:serviceaccount:{}:dmq-operator",
        Operator::NAMESPACE
    );
    for (namespace, answer) in [(mine.name(), "yes"), (others.name(), "no")] {
        let asked = kubectl(&["auth", "can-i", "delete", "pods", "-n", namespace, &account])
            .unwrap_or_else(|_| "no".to_owned());
        assert_eq!(asked, answer, "in {namespace}");
    }
    operator.upgrade(&[])?;
    mine.passed();
    others.passed();
    Ok(())
}
