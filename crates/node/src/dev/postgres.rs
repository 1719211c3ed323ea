//! `--postgres`: a PostgreSQL server for the projections, one database per node.

use dmq_store::local_postgres::PostgresServer;

use super::console;
use super::plan::Plan;
use crate::cli::DevArgs;
use crate::exit::Failure;

/// Starts the server if it is wanted, and points every node of the plan to its database.
pub(super) async fn start(
    args: &DevArgs,
    plan: &mut Plan,
) -> Result<Option<PostgresServer>, Failure> {
    if !args.postgres {
        return Ok(None);
    }
    console::say("starting PostgreSQL");
    let server = PostgresServer::start_in(&plan.data_dir.join("postgres"))
        .await
        .map_err(|error| Failure::failed(format!("--postgres: {error}")))?;
    for node in &mut plan.nodes {
        node.store_url = Some(server.url(&format!("dmq_node_{}", node.id)));
    }
    console::say(&format!(
        "PostgreSQL: psql '{}'",
        server.tcp_url("dmq_node_1")
    ));
    Ok(Some(server))
}

/// Stops the server in order, after the nodes.
pub(super) async fn stop(server: Option<PostgresServer>) {
    if let Some(mut server) = server
        && let Err(error) = server.stop().await
    {
        console::say(&format!("PostgreSQL did not stop in order: {error}"));
    }
}
