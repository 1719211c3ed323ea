//! A small log that holds every kind of record, for damage to be done to it.

use dmq_log::sim::SimDisk;
use dmq_raft::{LogIndex, Persist};

use super::{Model, commands, configuration, formatted, open_sim};

/// Size of its segments, in bytes.
pub(crate) const SMALL: u64 = 16 << 10;

/// Four segments, stopped in good order: it ends in an empty frame.
pub(crate) fn stopped() -> (SimDisk, Model) {
    ended(true)
}

/// The same log, stopped by `kill -9` behind an acknowledged write.
pub(crate) fn running() -> (SimDisk, Model) {
    ended(false)
}

fn ended(in_order: bool) -> (SimDisk, Model) {
    let disk = formatted(SMALL);
    let (mut log, _) = open_sim(&disk);
    let mut model = Model::default();
    let membership = Persist {
        entries: vec![configuration(1, 1, &[1, 2])],
        ..commands(1, 0, 1, 0)
    };
    let replaced = Persist {
        truncate_from: Some(LogIndex(4)),
        ..commands(4, 5, 2, 100)
    };
    let batches = [
        vec![membership],
        vec![commands(2, 5, 1, 400), replaced],
        vec![commands(6, 7, 2, 300)],
    ];
    for batch in batches {
        log.append(&batch).unwrap();
        for persist in &batch {
            model.append(persist);
        }
    }
    assert_eq!(log.segments(), 4);
    if in_order {
        log.close().unwrap();
    }
    drop(log);
    disk.kill();
    (disk, model)
}
