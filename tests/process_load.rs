//! The load client against a quorum: a controlled stop and a crash of the controller cost time, and no write.

use std::io::Write;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use dmq_testkit::harness::{Quorum, wait_until};
use dmq_testkit::load::{self, Meter, Options};
use serde_json::Value;
use tokio::sync::oneshot;

/// What the load has printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn lines(&self) -> anyhow::Result<Vec<Value>> {
        let bytes = self.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(bytes)?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    fn number(&self, field: &str) -> anyhow::Result<u64> {
        let lines = self.lines()?;
        let last = lines.last().context("no line yet")?;
        last[field]
            .as_u64()
            .with_context(|| format!("{field} in {last}"))
    }

    /// Waits for `more` further acknowledgements.
    async fn progress(&self, more: u64) -> anyhow::Result<()> {
        let acked = || self.number("ackedTotal").unwrap_or(0);
        let goal = acked() + more;
        wait_until(
            &format!("the load has {goal} acknowledgements"),
            async || Ok((acked() >= goal).then_some(())),
        )
        .await
        .with_context(|| format!("{:?}", self.lines().map(|lines| lines.last().cloned())))
    }
}

#[tokio::test]
async fn a_client_that_follows_and_retries_sees_no_write_fail() -> anyhow::Result<()> {
    let mut quorum = Quorum::of_three().await?;
    let nodes = quorum
        .nodes()
        .iter()
        .map(|node| format!("http://127.0.0.1:{}", node.rest_port));
    let mut options =
        <Options as clap::Parser>::try_parse_from(["dmq-load", "--node=http://unused:1"])?;
    options.nodes = nodes.collect();
    let (meter, printed) = (Arc::new(Meter::new()), Printed::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn({
        let (meter, printed) = (Arc::clone(&meter), printed.clone());
        async move {
            let stopped = async { drop(stopped.await) };
            load::run(&options, meter, printed, stopped).await
        }
    });
    printed.progress(200).await?;

    meter.reset();
    let controller = quorum.controller().await?;
    quorum.node(controller)?.stop().await?;
    printed.progress(200).await?;
    println!(
        "gap at a controlled stop: {} ms",
        meter.line().gap_since_reset_ms
    );
    quorum.node(controller)?.start()?;
    quorum.controller().await?;

    meter.reset();
    let controller = quorum.controller().await?;
    quorum.node(controller)?.kill()?;
    printed.progress(200).await?;
    println!("gap at a crash: {} ms", meter.line().gap_since_reset_ms);

    drop(stop);
    running.await??;
    ensure!(
        printed.number("failedTotal")? == 0,
        "{:?}",
        printed.lines()?.last()
    );
    let lines = printed.lines()?;
    let times: Vec<_> = lines
        .iter()
        .filter_map(|line| line["unixMs"].as_u64())
        .collect();
    ensure!(times.is_sorted() && times.len() == lines.len());
    Ok(())
}
