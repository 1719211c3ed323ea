//! The log writer's thread: everything that waits becomes one frame and one sync.

use dmq_log::Disk;
use dmq_replica::{DriverInput, LogInput, LogWriter};

use super::{Beat, Work};
use crate::queue::{Receiver, Sender};

/// Runs until the queue is closed. `beat` tells that no write is stuck.
pub fn run<D: Disk>(
    mut writer: LogWriter<D>,
    inbox: &Receiver<LogInput>,
    driver: &Sender<Work>,
    beat: &Beat,
) {
    let mut batch = Vec::new();
    while inbox.drain_until(&mut batch, None) {
        let outputs = writer.run(std::mem::take(&mut batch));
        driver.push_all_always(
            outputs.into_iter().map(|output| Work::Input(DriverInput::Log(output))),
        );
        beat.touch();
    }
    writer.close();
}
