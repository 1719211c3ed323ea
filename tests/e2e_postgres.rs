//! PostgreSQL beside each node, and a server elsewhere: the projection is there for people, and nobody's writes need it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test; its figures are printed"
)]

use std::time::Instant;

use dmq_testkit::kube::{Load, Namespace, Operator, Quorum, apply, get, kubectl, until};

const SIDECAR: &str =
    "  store: {postgres: {sidecar: {image: 'docker.io/library/postgres:15', storage: {size: 1Gi}}}}
  storage: {size: 1Gi, retentionPolicy: {whenDeleted: Delete}}
  updateStrategy: {minReadySeconds: 1}";

#[test]
fn a_database_beside_each_node_follows_and_may_fail() -> anyhow::Result<()> {
    let _operator = Operator::install()?;
    let namespace = Namespace::new("e2e-sidecar")?;
    let started = Instant::now();
    let quorum = Quorum::apply(namespace.name(), "meta", SIDECAR)?;
    quorum.wait_for("Ready")?;
    println!(
        "FIGURE apply to Ready, PostgreSQL: {:.1} s (goal 15)",
        started.elapsed().as_secs_f64()
    );
    let load = Load::start(namespace.name(), "load", "meta-controller")?;
    for pod in ["meta-0", "meta-1", "meta-2"] {
        until("the topic is in its database", || {
            Ok((topics(&quorum, pod)?.contains("load")).then_some(()))
        })?;
    }
    a_killed_server_is_started_again(&quorum, &load)?;
    a_database_that_cannot_start_stops_nobody(&quorum, &load)?;
    let report = load.report()?;
    anyhow::ensure!(report.failed == 0, "{report:?}");
    namespace.passed();
    Ok(())
}

/// What a person sees in the database of a pod.
fn topics(quorum: &Quorum, pod: &str) -> anyhow::Result<String> {
    sql(quorum, pod, "SELECT name FROM topics")
}

fn sql(quorum: &Quorum, pod: &str, query: &str) -> anyhow::Result<String> {
    kubectl(&[
        "exec",
        pod,
        "-n",
        quorum.namespace(),
        "-c",
        "postgres",
        "--",
        "psql",
        "-U",
        "postgres",
        "-d",
        "dmq",
        "-Atc",
        query,
    ])
}

/// The server process is killed: the container stays, the pod stays Ready, the projection catches up.
fn a_killed_server_is_started_again(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    let pod = quorum.leader()?.0;
    let restarts = |pod: &str| -> anyhow::Result<String> {
        let pod = get(&["pod", pod, "-n", quorum.namespace()])?;
        Ok(pod["status"]["initContainerStatuses"].to_string()
            + &pod["status"]["containerStatuses"].to_string())
    };
    let before = restarts(&pod)?;
    let started = sql(quorum, &pod, "SELECT pg_postmaster_start_time()")?;
    let kill = "kill -9 $(head -1 \"$(ls -d /var/lib/dmq/data/pgdata-*)/postmaster.pid\")";
    kubectl(&[
        "exec",
        &pod,
        "-n",
        quorum.namespace(),
        "-c",
        "postgres",
        "--",
        "sh",
        "-c",
        kill,
    ])?;
    until("PostgreSQL runs again", || {
        Ok((sql(quorum, &pod, "SELECT pg_postmaster_start_time()")? != started).then_some(()))
    })?;
    load.wait_more(100)?;
    until("the projection has caught up", || {
        let view = quorum.read_pod(&pod, "/quorum")?;
        Ok((view["projection"]["healthy"] == true
            && view["projection"]["lag"].as_u64() < Some(100))
        .then_some(()))
    })?;
    assert_eq!(restarts(&pod)?, before, "no container was restarted");
    Ok(())
}

/// A database directory that PostgreSQL refuses: its node votes, leads and writes on, and says so.
fn a_database_that_cannot_start_stops_nobody(quorum: &Quorum, load: &Load) -> anyhow::Result<()> {
    let pod = quorum.leader()?.0;
    let spoil = "d=$(ls -d /var/lib/dmq/data/pgdata-*); echo 99 > $d/PG_VERSION; kill -9 $(head -1 $d/postmaster.pid)";
    kubectl(&[
        "exec",
        &pod,
        "-n",
        quorum.namespace(),
        "-c",
        "postgres",
        "--",
        "sh",
        "-c",
        spoil,
    ])?;
    quorum.wait_status("the operator reports the projection", |status| {
        Quorum::condition(status, "ProjectionHealthy")
            .is_some_and(|c| c.0 == "False" && c.2.contains(&pod))
    })?;
    load.wait_more(100)?;
    kubectl(&["delete", "pod", &pod, "-n", quorum.namespace()])?;
    let status = quorum.wait_status("the node is Ready without its database", |status| {
        status["readyReplicas"] == 3
            && Quorum::condition(status, "Ready").is_some_and(|c| c.0 == "True")
            && Quorum::condition(status, "ProjectionHealthy").is_some_and(|c| c.0 == "False")
    })?;
    assert_eq!(status["healthyVoters"], 3, "{status:#}");
    load.wait_more(100)?;
    Ok(())
}

const SERVER: &str = "apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {username: dmq, password: 'p@ss w0rd/%'}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  selector: {app: db}
  ports: [{port: 5432}]
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec:
  securityContext: {runAsUser: 999, runAsGroup: 999, fsGroup: 999}
  containers:
  - name: db
    image: docker.io/library/postgres:15
    imagePullPolicy: IfNotPresent
    env:
    - {name: POSTGRES_USER, value: dmq}
    - {name: POSTGRES_PASSWORD, value: 'p@ss w0rd/%'}
    - {name: PGDATA, value: /var/lib/postgresql/data/pg}
    readinessProbe: {exec: {command: [psql, -h, 127.0.0.1, -U, dmq, -c, 'SELECT 1']}, periodSeconds: 1}
    volumeMounts:
    - {name: data, mountPath: /var/lib/postgresql/data}
    - {name: run, mountPath: /var/run/postgresql}
  volumes:
  - {name: data, emptyDir: {}}
  - {name: run, emptyDir: {}}
";

#[test]
fn a_server_elsewhere_has_one_database_for_each_member() -> anyhow::Result<()> {
    let _operator = Operator::install()?;
    let namespace = Namespace::new("e2e-external")?;
    let spec = "  store: {postgres: {external: {host: db, sslMode: disable, credentialsSecretRef: {name: db}, databaseTemplate: 'meta_{id}'}}}
  storage: {size: 1Gi, retentionPolicy: {whenDeleted: Delete}}";
    let quorum = Quorum::apply(namespace.name(), "meta", spec)?;
    quorum.wait_described(&["credentialsSecretRef", "db"])?;
    apply(namespace.name(), SERVER)?;
    quorum.wait_for("Ready")?;
    kubectl(&[
        "wait",
        "pod/db",
        "-n",
        namespace.name(),
        "--for=condition=Ready",
        "--timeout=240s",
    ])?;
    let psql = |database: &str, query: &str| {
        kubectl(&[
            "exec",
            "db",
            "-n",
            namespace.name(),
            "--",
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "dmq",
            "-d",
            database,
            "-Atc",
            query,
        ])
    };
    until("the server answers", || psql("dmq", "SELECT 1").map(Some))?;
    for id in 1..=3 {
        // A node whose role may does it by itself, perhaps a moment before.
        if let Err(error) = psql("dmq", &format!("CREATE DATABASE meta_{id}")) {
            anyhow::ensure!(format!("{error:#}").contains("already exists"), "{error:#}");
        }
    }
    let _load = Load::start(namespace.name(), "load", "meta-controller")?;
    for id in 1..=3 {
        until("the topic is in each database", || {
            Ok(psql(&format!("meta_{id}"), "SELECT name FROM topics")?
                .contains("load")
                .then_some(()))
        })?;
    }
    quorum.wait_status("the projections are healthy", |status| {
        Quorum::condition(status, "ProjectionHealthy").is_some_and(|c| c.0 == "True")
    })?;
    namespace.passed();
    Ok(())
}
