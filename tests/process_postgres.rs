//! The database is killed, restarted, emptied and exchanged: the quorum goes on, and the projection follows or refuses.

use dmq_testkit::harness::{Postgres, Quorum, QuorumOptions, Rest, play_brokers, wait_until};
use serde_json::{Value, json};

/// A quorum with a database per node, `node1` to `node3`, on one server.
async fn prepare(server: &Postgres) -> anyhow::Result<Quorum> {
    let stores = ["node1", "node2", "node3"].map(|name| server.create_database(name));
    let stores = stores.into_iter().collect::<anyhow::Result<_>>()?;
    let options = QuorumOptions {
        stores,
        ..QuorumOptions::default()
    };
    Quorum::prepare(&options.with("broker.session-timeout-ms", "3600000")).await
}

async fn start(server: &Postgres) -> anyhow::Result<(Quorum, Rest)> {
    let mut quorum = prepare(server).await?;
    quorum.start_all()?;
    let controller = quorum.controller().await?;
    let rest = quorum.rest(controller)?;
    play_brokers(&rest).await?;
    Ok((quorum, rest))
}

async fn create(rest: &Rest, name: &str) -> anyhow::Result<u64> {
    let topic = json!({ "topicName": name, "numPartitions": 2, "replicationFactor": 2 });
    rest.post("/topics", &topic).await?.success()?.index()
}

/// Waits until all databases hold the state at `index`, and checks that they hold these topics.
async fn projected(
    quorum: &mut Quorum,
    server: &Postgres,
    index: u64,
    topics: &[&str],
) -> anyhow::Result<()> {
    for id in 1..=3 {
        let rest = quorum.rest(id)?;
        let what = format!("node {id} has projected {index}");
        let waited = wait_until(&what, async || {
            let view = rest.get("/quorum").await?.success()?;
            let projection = &view.json["projection"];
            let there = projection["index"].as_u64() >= Some(index);
            Ok((there && projection["healthy"] == json!(true)).then_some(()))
        });
        waited.await.map_err(|error| error.context(quorum.logs()))?;
        let names = server.query(
            &format!("node{id}"),
            "SELECT name FROM topics ORDER BY name",
        )?;
        assert_eq!(names.lines().collect::<Vec<_>>(), topics, "node {id}");
    }
    Ok(())
}

/// What a node says of its projection.
async fn projection(rest: &Rest) -> anyhow::Result<Value> {
    Ok(rest.get("/quorum").await?.success()?.json["projection"].clone())
}

#[tokio::test]
async fn a_killed_database_is_not_missed_and_catches_up() -> anyhow::Result<()> {
    let mut server = Postgres::start().await?;
    let (mut quorum, rest) = start(&server).await?;
    let first = create(&rest, "before").await?;
    projected(&mut quorum, &server, first, &["before"]).await?;
    server.kill().await?;
    // Written without the database, and answered all the same; the answer says how far the database is.
    let mut last = 0;
    for number in 0..10 {
        last = create(&rest, &format!("during-{number}")).await?;
    }
    assert_eq!(
        rest.get("/topics/during-9?consistency=linearizable")
            .await?
            .status,
        200
    );
    server.restart().await?;
    let mut names: Vec<String> = (0..10).map(|number| format!("during-{number}")).collect();
    names.insert(0, "before".to_owned());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    projected(&mut quorum, &server, last, &names).await?;
    quorum.same_state_everywhere().await.map(drop)
}

#[tokio::test]
async fn a_quorum_starts_votes_and_writes_without_its_database() -> anyhow::Result<()> {
    let mut server = Postgres::start().await?;
    let mut quorum = prepare(&server).await?;
    server.stop().await?;
    quorum.start_all()?;
    let controller = quorum.controller().await?;
    quorum.node(controller)?.wait_until_ready().await?;
    let rest = quorum.rest(controller)?;
    play_brokers(&rest).await?;
    let index = create(&rest, "without").await?;
    server.restart().await?;
    projected(&mut quorum, &server, index, &["without"]).await
}

#[tokio::test]
async fn an_emptied_database_is_filled_again() -> anyhow::Result<()> {
    let server = Postgres::start().await?;
    let (mut quorum, rest) = start(&server).await?;
    let first = create(&rest, "a").await?;
    projected(&mut quorum, &server, first, &["a"]).await?;
    for name in ["node1", "node2", "node3"] {
        server.empty_database(name)?;
    }
    let second = create(&rest, "b").await?;
    projected(&mut quorum, &server, second, &["a", "b"]).await
}

#[tokio::test]
async fn an_idle_quorum_notices_that_its_databases_were_emptied() -> anyhow::Result<()> {
    let server = Postgres::start().await?;
    let (mut quorum, rest) = start(&server).await?;
    let index = create(&rest, "a").await?;
    projected(&mut quorum, &server, index, &["a"]).await?;
    for name in ["node1", "node2", "node3"] {
        server.query(name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")?;
    }
    // Nobody writes from here on.
    for name in ["node1", "node2", "node3"] {
        wait_until(&format!("{name} is filled again"), async || {
            let names = server.query(name, "SELECT name FROM topics");
            Ok(names.is_ok_and(|names| names == "a").then_some(()))
        })
        .await
        .map_err(|error| error.context(quorum.logs()))?;
    }
    projected(&mut quorum, &server, index, &["a"]).await
}

#[tokio::test]
async fn a_database_emptied_before_the_start_is_filled_again() -> anyhow::Result<()> {
    let server = Postgres::start().await?;
    let (mut quorum, rest) = start(&server).await?;
    let index = create(&rest, "a").await?;
    projected(&mut quorum, &server, index, &["a"]).await?;
    for id in 1..=3 {
        quorum.node(id)?.stop().await?;
        server.empty_database(&format!("node{id}"))?;
    }
    quorum.start_all()?;
    quorum.controller().await?;
    projected(&mut quorum, &server, index, &["a"]).await
}

#[tokio::test]
async fn a_restarted_node_goes_on_where_its_database_is() -> anyhow::Result<()> {
    let server = Postgres::start().await?;
    let (mut quorum, rest) = start(&server).await?;
    let index = create(&rest, "a").await?;
    projected(&mut quorum, &server, index, &["a"]).await?;
    let controller = quorum.controller().await?;
    let away = quorum.others(controller)[0];
    quorum.node(away)?.kill()?;
    let index = create(&rest, "b").await?;
    quorum.node(away)?.start()?;
    projected(&mut quorum, &server, index, &["a", "b"]).await
}

#[tokio::test]
async fn another_nodes_database_is_refused_while_running() -> anyhow::Result<()> {
    let server = Postgres::start().await?;
    let (mut quorum, rest) = start(&server).await?;
    let first = create(&rest, "a").await?;
    projected(&mut quorum, &server, first, &["a"]).await?;
    let controller = quorum.controller().await?;
    let victim = quorum.others(controller)[0];
    let stranger = foreign_database(&server).await?;
    server.replace_database(&format!("node{victim}"), &stranger)?;
    let index = create(&rest, "b").await?;
    quorum.applied(index).await?;
    refused_and_untouched(&mut quorum, &server, victim).await?;
    let victim_rest = quorum.rest(victim)?;
    assert_eq!(
        victim_rest
            .get("/topics/b?consistency=linearizable")
            .await?
            .status,
        200
    );
    Ok(())
}

#[tokio::test]
async fn another_clusters_database_is_refused_at_the_start() -> anyhow::Result<()> {
    let server = Postgres::start().await?;
    let (mut quorum, rest) = start(&server).await?;
    let index = create(&rest, "a").await?;
    projected(&mut quorum, &server, index, &["a"]).await?;
    let controller = quorum.controller().await?;
    let victim = quorum.others(controller)[0];
    quorum.node(victim)?.stop().await?;
    let stranger = foreign_database(&server).await?;
    server.replace_database(&format!("node{victim}"), &stranger)?;
    quorum.node(victim)?.start()?;
    refused_and_untouched(&mut quorum, &server, victim).await?;
    let index = create(&quorum.rest(controller)?, "b").await?;
    quorum.applied(index).await
}

/// The member goes on without its projection, says why, and has not written a row.
async fn refused_and_untouched(
    quorum: &mut Quorum,
    server: &Postgres,
    victim: u32,
) -> anyhow::Result<()> {
    let rest = quorum.rest(victim)?;
    wait_until("the projection has stopped for good", async || {
        let stopped = projection(&rest)
            .await
            .is_ok_and(|view| view["stopped"] == json!(true));
        Ok(stopped.then_some(()))
    })
    .await?;
    let names = server.query(&format!("node{victim}"), "SELECT name FROM topics")?;
    assert_eq!(names, "strange", "the foreign database was written to");
    let log = quorum.node(victim)?.log();
    assert!(
        log.contains("strangers"),
        "it does not say whose database it is: {log}"
    );
    Ok(())
}

/// A database that a node of another cluster has filled.
async fn foreign_database(server: &Postgres) -> anyhow::Result<String> {
    let name = "strangers".to_owned();
    let options = QuorumOptions {
        nodes: 1,
        stores: vec![server.create_database(&name)?],
        ..QuorumOptions::default()
    };
    let options = options
        .with("dmq.kraft.cluster.id", "strangers")
        .with("broker.session-timeout-ms", "3600000");
    let mut quorum = Quorum::start(&options).await?;
    let rest = quorum.rest(1)?;
    play_brokers(&rest).await?;
    let index = create(&rest, "strange").await?;
    wait_until("the foreign database is filled", async || {
        Ok((projection(&rest).await?["index"].as_u64() >= Some(index)).then_some(()))
    })
    .await?;
    quorum.node(1)?.stop().await?;
    Ok(name)
}
