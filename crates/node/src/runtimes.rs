//! The runtimes of a serving process: what clients ask for must not delay what the quorum lives by.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::exit::Failure;

/// Worker threads of each runtime; the parts of the member have threads of their own.
const WORKER_THREADS: usize = 2;

/// Runs `main`, which gets the runtime for clients, on the runtime for everything else.
///
/// Peers, projector and signals share the one, REST has the other: however long clients keep their workers
/// busy, heartbeats are sent and taken. Neither runtime waits at its end for threads that block, such as
/// one that reads standard input.
pub fn run<F>(main: impl FnOnce(Handle) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let quorum = runtime("quorum")?;
    let clients = runtime("clients")?;
    let result = quorum.block_on(main(clients.handle().clone()));
    clients.shutdown_background();
    quorum.shutdown_background();
    result
}

fn runtime(name: &str) -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .thread_name(name)
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(Failure::failed)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn clients_that_hold_all_their_workers_do_not_hold_the_others() {
        run(|clients| async move {
            let all_held = Arc::new(Barrier::new(WORKER_THREADS + 1));
            let release = Arc::new(Barrier::new(WORKER_THREADS + 1));
            for _ in 0..WORKER_THREADS {
                let (held, release) = (Arc::clone(&all_held), Arc::clone(&release));
                clients.spawn(async move {
                    held.wait();
                    release.wait();
                });
            }
            all_held.wait();
            // No worker of the clients is free now: on one runtime, this task would never run.
            let ran = tokio::spawn(async { 7 }).await;
            release.wait();
            assert_eq!(ran.unwrap(), 7);
            Ok(())
        })
        .unwrap();
    }
}
