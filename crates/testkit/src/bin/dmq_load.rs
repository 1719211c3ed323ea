//! `dmq-load`: a client in a pod of its own, for tests of a quorum on Kubernetes. SIGTERM ends it, SIGUSR1 begins a new
//! measurement of the longest gap.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use dmq_testkit::load::{self, Meter, Options};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(std::io::Write::write_fmt(
                &mut std::io::stderr().lock(),
                format_args!("dmq-load: {error:#}\n"),
            ));
            ExitCode::FAILURE
        }
    }
}

/// Process 1 of a container has no handlers of its own, so they are there before anything else.
async fn run(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let resets = signal(SignalKind::user_defined1())?;
    let meter = Arc::new(Meter::new());
    tokio::spawn(reset_when_asked(resets, Arc::clone(&meter)));
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    load::run(&options, meter, std::io::stdout(), stop).await
}

async fn reset_when_asked(mut asked: Signal, meter: Arc<Meter>) {
    while asked.recv().await.is_some() {
        meter.reset();
    }
}
