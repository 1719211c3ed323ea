//! When the process is asked to stop: SIGTERM, SIGINT, or the end of `dev` that started it.

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal as listen};

/// Ends with the first SIGTERM or SIGINT.
pub async fn signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    ) else {
        // Without handlers the signals end the process at once; there is nothing to wait for.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ends when standard input is closed.
pub async fn stdin_closed() {
    let mut input = tokio::io::stdin();
    let mut rest = [0; 64];
    while matches!(input.read(&mut rest).await, Ok(read) if read > 0) {}
}
