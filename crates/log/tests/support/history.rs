//! Histories of calls on a log that end in a crash anywhere, and what may be left of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dmq_log::sim::{SimDisk, Survivors};
use dmq_log::{DataDir, Incarnation, Log, LogOptions, SnapshotMeta, SnapshotStore};
use dmq_raft::{EntryId, LogIndex, Persist, Term};

use super::{Model, commands, open_sim, parts, root, voters};

/// One call on the log, or on the snapshots beside it.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Append(Vec<Persist>),
    Idle,
    Purge(u64),
    PrepareSpare,
    /// A snapshot up to this index; older ones are given up.
    Snapshot(u64),
    /// An orderly stop and a start.
    Restart,
}
use Call::*;

/// A running member's log and snapshots.
struct Running {
    log: Log<SimDisk>,
    snapshots: SnapshotStore<SimDisk>,
}

fn start(disk: &SimDisk) -> Result<Running, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let dir = DataDir::open(disk, root()).map_err(|error| text(&error))?;
    let (log, _) = Log::open(&dir, LogOptions::default()).map_err(|error| text(&error))?;
    let snapshots = SnapshotStore::open(&dir).map_err(|error| text(&error))?;
    Ok(Running { log, snapshots })
}

/// Every state that the member may be in once `call` has been begun on `model`.
pub(crate) fn outcomes(model: &Model, call: &Call) -> Vec<Model> {
    let mut states = vec![model.clone()];
    let mut model = model.clone();
    match call {
        Append(batch) => {
            for part in batch.iter().flat_map(parts) {
                model.append(&part);
                states.push(model.clone());
            }
        }
        Purge(up_to) => {
            model.purged = model.purged.max(LogIndex(*up_to));
            states.push(model);
        }
        Snapshot(index) => {
            model.snapshot = LogIndex(*index);
            states.push(model);
        }
        Idle | PrepareSpare | Restart => {}
    }
    states
}

/// The state once `call` was acknowledged.
pub(crate) fn acknowledged(model: &Model, call: &Call) -> Model {
    outcomes(model, call).pop().unwrap()
}

fn call(disk: &SimDisk, running: &mut Option<Running>, call: &Call) -> Result<(), String> {
    let Running { log, snapshots } = running.as_mut().unwrap();
    let text = |error: dmq_log::LogError| error.to_string();
    match call {
        Append(batch) => log.append(batch).map_err(text),
        Idle => log.idle().map_err(text),
        Purge(up_to) => log.purge(LogIndex(*up_to)).map(|_| ()).map_err(text),
        PrepareSpare => {
            let prepared = log.spares().prepare();
            prepared.map(|_| ()).map_err(|error| error.to_string())
        }
        Snapshot(index) => write_snapshot(snapshots, *index).map_err(|error| error.to_string()),
        Restart => {
            log.close().map_err(text)?;
            *running = None;
            *running = Some(start(disk)?);
            Ok(())
        }
    }
}

/// Runs a history until it ends or the power fails: the states that the member may be in then, and the number of the
/// call that was in flight.
pub(crate) fn run(disk: &SimDisk, history: &[Call]) -> (Vec<Model>, usize) {
    let mut model = Model::default();
    let Ok(running) = start(disk) else {
        assert!(disk.is_without_power());
        return (vec![model], 0);
    };
    let mut running = Some(running);
    for (number, step) in history.iter().enumerate() {
        if let Err(error) = call(disk, &mut running, step) {
            assert!(disk.is_without_power(), "{step:?}: {error}");
            return (outcomes(&model, step), number);
        }
        model = acknowledged(&model, step);
    }
    (vec![model], history.len())
}

/// Opens what is left, which must be one of the states; that one is durable from then on.
pub(crate) fn recovered(disk: &SimDisk, states: &[Model], what: &str) -> (Log<SimDisk>, Model) {
    let dir = DataDir::open(disk, root()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let opened = Log::open(&dir, LogOptions::default());
    let (log, recovered) = opened.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let snapshots = SnapshotStore::open(&dir).unwrap();
    let differences: Vec<_> = states
        .iter()
        .map(|state| {
            let of_log = state.difference(&log, &recovered);
            of_log.or_else(|| snapshot_difference(&snapshots, state.snapshot))
        })
        .collect();
    let found = differences.iter().position(Option::is_none);
    let found = found.unwrap_or_else(|| panic!("{what}: {differences:?}"));
    (log, states[found].clone())
}

/// Opens what is left, which must be one of the states; then the log goes on from there.
pub(crate) fn check_survival(disk: &SimDisk, states: &[Model], what: &str) {
    let (mut log, mut model) = recovered(disk, states, what);
    let next = model.last().index.0 + 1;
    let term = model.hard_state.term.0.max(1) + 1;
    let more = commands(next, next + 1, term, 700);
    log.append(std::slice::from_ref(&more)).unwrap();
    model.append(&more);
    drop(log);
    disk.crash(Survivors::None);
    let (log, recovered) = open_sim(disk);
    assert_eq!(
        model.difference(&log, &recovered),
        None,
        "{what}, then went on"
    );
}

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta {
        last: EntryId::new(Term(1), LogIndex(index)),
        configuration: (LogIndex(0), voters(&[1, 2, 3])),
        cluster_id: "dmq".into(),
        incarnation: Incarnation {
            number: 0,
            nonce: 0,
        },
        feature_level: 1,
        state_hash: u128::from(index),
    }
}

/// Content that tells its index and compresses to little.
fn content(index: u64) -> Vec<u8> {
    let noise = |at: u64| (index.wrapping_mul(0x9e37_79b9) ^ at.wrapping_mul(at)).to_le_bytes()[1];
    (0..1500).map(noise).collect()
}

fn write_snapshot(
    store: &SnapshotStore<SimDisk>,
    index: u64,
) -> Result<(), dmq_log::SnapshotError> {
    let mut writer = store.create(meta(index))?;
    writer.write(&content(index))?;
    writer.finish(BTreeMap::new())?;
    store.retain(1)
}

/// The newest snapshot is the one that was acknowledged, or whole and later; a name never stands for half a file.
fn snapshot_difference(store: &SnapshotStore<SimDisk>, wanted: LogIndex) -> Option<String> {
    let newest = store.newest().unwrap();
    assert!(newest.damaged.is_empty(), "{:?}", newest.damaged);
    let Some(reader) = newest.reader else {
        return (wanted.0 != 0).then(|| format!("the snapshot at {wanted} is gone"));
    };
    let found = reader.info().meta.last.index;
    let bytes: Vec<u8> = reader
        .chunks()
        .unwrap()
        .flat_map(|chunk| chunk.unwrap())
        .collect();
    assert_eq!(bytes, content(found.0), "the snapshot at {found}");
    (found != wanted).then(|| format!("the snapshot is at {found}, not at {wanted}"))
}

/// What a process would find on the disk, as a number: equal disks are looked at once.
pub(crate) fn fingerprint(disk: &SimDisk) -> u64 {
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for path in disk.files() {
        let bytes = disk.contents(&path).unwrap();
        files.push((path, bytes));
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix =
        |number: u64| hash = (hash.rotate_left(5) ^ number).wrapping_mul(0x0100_0000_01b3);
    for (path, bytes) in files {
        mix(u64::from(crc32c::crc32c(
            path.as_os_str().as_encoded_bytes(),
        )));
        mix(bytes.len() as u64);
        for block in bytes.chunks(4096) {
            mix(u64::from(crc32c::crc32c(block)));
        }
    }
    hash
}
