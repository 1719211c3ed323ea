//! A client that writes all the time and says ten times a second what it got: the measure of every restart and failure.
//!
//! Reading order: [`Options`] (the command line), [`run`], [`Meter`] (what is counted), `writer` (one client),
//! `brokers` (who the topics' replicas are).

mod brokers;
mod meter;
mod options;
mod writer;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dmq_api::client::Client;
use dmq_api::rest::topics::CreateTopicRequest;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

pub use meter::{Line, Meter};
pub use options::Options;

use brokers::Brokers;
use writer::Writer;

/// One line of the report covers this time.
const LINE_INTERVAL: Duration = Duration::from_millis(100);
/// Pause after a preparation that failed: the quorum may not be there yet.
const PREPARE_PAUSE: Duration = Duration::from_millis(200);

/// Writes until `stop` ends, and a line to `out` every 100 ms; the last line comes behind the last write.
///
/// # Errors
/// A line that cannot be written, or an address that is none.
pub async fn run(
    options: &Options,
    meter: Arc<Meter>,
    mut out: impl Write,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let client = || Client::new(options.nodes.iter().cloned());
    let mut tasks = JoinSet::new();
    let brokers = Brokers::play(client()?, &mut tasks);
    for number in 0..options.clients {
        let (client, topic) = (client()?, options.topic.clone());
        let brokers = brokers.clone();
        let (meter, pause) = (Arc::clone(&meter), options.pause);
        let partitions = options.clients;
        tasks.spawn(async move {
            brokers.ready().await;
            prepare(&client, &topic, partitions, &meter).await;
            Writer::new(number, client, topic, brokers, meter)
                .run(pause)
                .await;
        });
    }
    report(&meter, &mut out, stop).await?;
    drop(tasks);
    print_line(&meter.line(), &mut out)
}

async fn report(
    meter: &Meter,
    out: &mut impl Write,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut lines = interval_at(Instant::now() + LINE_INTERVAL, LINE_INTERVAL);
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = lines.tick() => print_line(&meter.line(), out)?,
        }
    }
}

fn print_line(line: &Line, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "{}", line.to_json())
        .and_then(|()| out.flush())
        .context("the report cannot be written")
}

/// Makes sure that the topic exists. Clients do it all at once; one of them creates it.
async fn prepare(client: &Client, topic: &str, partitions: u32, meter: &Meter) {
    let request = CreateTopicRequest {
        topic_name: Some(topic.to_owned()),
        num_partitions: Some(partitions),
        replication_factor: Some(brokers::COUNT),
        ..CreateTopicRequest::default()
    };
    loop {
        match client.create_topic(&request).await {
            Ok(_) => return,
            Err(error) => match error.problem() {
                Some(problem) if problem.code == "TOPIC_ALREADY_EXISTS" => return,
                _ => {
                    meter.note(&error);
                    sleep(PREPARE_PAUSE).await;
                }
            },
        }
    }
}
