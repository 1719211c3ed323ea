//! Forced recovery on simulated disks: what it makes, what it refuses, and power that fails at every change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod shell;

use std::path::{Path, PathBuf};

use dmq_log::sim::{SimDisk, Survivors};
use dmq_log::{
    DataDir, DataDirError, Disk, FormatOptions, Identity, Log, LogOptions, SnapshotStore,
};
use dmq_metadata::{BrokerId, StateHash};
use dmq_raft::{EntryId, HardState, IoSeq, LogIndex, Persist, Role, Term};
use dmq_replica::{
    Ack, INDEX_GAP, Member, Recovered, Recovery, RecoveryError, Settings, Survey, View,
};
use shell::Shell;

const ROOT: &str = "/node";
const STAGING: &str = "/node.recovering";
const KEPT: &str = "/node.before-recovery-1";

fn root() -> &'static Path {
    Path::new(ROOT)
}

/// The disk of a controller that was cut off and killed: brokers 1 and 2 are committed, 3 is not.
fn survivor() -> (Shell, SimDisk) {
    let mut shell = Shell::born(3, |_| ());
    shell.write(0, 1, Ack::Applied);
    shell.write(0, 2, Ack::Applied);
    shell.isolate(0);
    shell.write(0, 3, Ack::Applied);
    for node in 0..3 {
        shell.kill(node);
    }
    let disk = shell.nodes[0].disk.fork();
    (shell, disk)
}

fn find(disk: &SimDisk) -> Result<Recovery<SimDisk>, RecoveryError> {
    Recovery::find(disk, root())
}

fn survey(disk: &SimDisk) -> Survey {
    match find(disk).unwrap() {
        Recovery::Needed(survivor) => survivor.survey,
        _ => panic!("an earlier run was here"),
    }
}

fn recover(disk: &SimDisk) -> Result<Recovered, RecoveryError> {
    find(disk)?.finish()
}

/// What `serve` would begin with.
fn start(disk: &SimDisk) -> (Identity, View) {
    let dir = DataDir::open(disk, root()).unwrap();
    let raft = dmq_raft::Config::new(dir.identity().member(), 1);
    let settings = Settings::new(std::time::Duration::from_millis(10), raft);
    let member = Member::open(&dir, settings, LogOptions::default()).unwrap();
    (dir.identity().clone(), member.view.clone())
}

/// The brokers that the image holds.
fn brokers(view: &View) -> Vec<u32> {
    let ids = view.image.brokers().map(|broker| broker.id.0);
    ids.collect()
}

#[test]
fn a_survivor_begins_a_new_history_with_its_whole_log() {
    let (shell, disk) = survivor();
    let before = survey(&disk);
    assert_eq!(before.configuration.1.voters.len(), 3);
    let recovered = recover(&disk).unwrap();
    let (identity, view) = start(&disk);
    assert_eq!(identity, recovered.identity);
    assert_eq!(brokers(&view), [1, 2, 3], "also what was not committed");
    assert_eq!(view.image.rehash(), view.image.state_hash());

    let old = &shell.nodes[0].identity;
    assert_eq!(identity.cluster_id, old.cluster_id);
    assert_eq!(identity.node, old.node);
    assert_ne!(identity.directory, old.directory);
    assert_eq!(identity.incarnation.number, old.incarnation.number + 1);
    assert_ne!(identity.incarnation.nonce, 0);

    let (index, configuration) = &view.configuration;
    assert_eq!(*index, view.last.index);
    assert!(configuration.voters.iter().eq([&identity.member()]));
    assert!(configuration.learners.is_empty());
    assert_eq!(view.last.index.0, before.last.index.0 + INDEX_GAP);
    assert_eq!(view.last.term.0, before.term.0 + 1);
    assert_eq!(recovered.kept.as_deref(), Some(Path::new(KEPT)));
}

#[test]
fn it_leads_alone_and_epochs_go_on_rising() {
    let (mut shell, disk) = survivor();
    let recovered = recover(&disk).unwrap();
    let epoch = |shell: &Shell, broker| {
        let member = shell.nodes[0].member.as_ref().unwrap();
        let found = member.view.image.broker(BrokerId(broker)).cloned();
        found.unwrap().epoch
    };
    shell.nodes.truncate(1);
    shell.cut.clear();
    shell.nodes[0].disk = disk;
    shell.nodes[0].identity = recovered.identity;
    shell.start(0);
    let old = epoch(&shell, 3);
    shell.until("it leads", |shell| shell.status(0).role == Role::Leader);
    assert_eq!(epoch(&shell, 3), old);
    shell.write(0, 9, Ack::Applied);
    let new = epoch(&shell, 9);
    assert!(new.0 > old.0 + INDEX_GAP, "{new:?} after {old:?}");
    // A restart finds the same.
    shell.kill(0);
    shell.nodes[0].disk.crash(Survivors::None);
    shell.start(0);
    shell.until("it leads again", |shell| {
        shell.status(0).role == Role::Leader
    });
    assert_eq!((epoch(&shell, 3), epoch(&shell, 9)), (old, new));
}

#[test]
fn what_is_known_to_be_committed_is_told_apart() {
    let (_, disk) = survivor();
    let before = survey(&disk);
    assert_eq!(before.committed, EntryId::ZERO);
    // The same log with a snapshot: nothing that is derived from the log passes what is committed.
    let (_, view) = start(&disk);
    let dir = DataDir::open(&disk, root()).unwrap();
    let store = SnapshotStore::open(&dir).unwrap();
    let view = View {
        last: EntryId::new(Term(1), LogIndex(1)),
        image: {
            let mut image = view.image;
            dmq_metadata::begin_anew_at(&mut image, dmq_metadata::MetadataIndex(1)).unwrap();
            image
        },
        ..view
    };
    dmq_replica::write_snapshot(&store, dir.identity(), &view).unwrap();
    drop((store, dir));
    let after = survey(&disk);
    assert_eq!(after.committed, view.last);
    assert_eq!(
        (after.last, after.term, after.configuration),
        (before.last, before.term, before.configuration)
    );
}

#[test]
fn a_snapshot_whose_install_was_interrupted_counts() {
    let (_, disk) = survivor();
    let before = survey(&disk);
    let (_, view) = start(&disk);
    let dir = DataDir::open(&disk, root()).unwrap();
    let store = SnapshotStore::open(&dir).unwrap();
    let mut view = view;
    let beyond = before.last.index.0 + 100;
    dmq_metadata::begin_anew_at(&mut view.image, dmq_metadata::MetadataIndex(beyond)).unwrap();
    view.last = EntryId::new(Term(before.term.0 + 3), LogIndex(beyond));
    dmq_replica::write_snapshot(&store, dir.identity(), &view).unwrap();
    drop((store, dir));
    let after = survey(&disk);
    assert_eq!((after.last, after.committed), (view.last, view.last));
    recover(&disk).unwrap();
    let (_, recovered) = start(&disk);
    assert_eq!(recovered.last.index.0, beyond + INDEX_GAP);
    assert_eq!(recovered.last.term.0, before.term.0 + 4);
}

#[test]
fn two_survivors_are_strangers_to_each_other_and_to_the_rest() {
    let (shell, first) = survivor();
    let second = shell.nodes[1].disk.fork();
    let first = recover(&first).unwrap().identity.incarnation;
    let second = recover(&second).unwrap().identity.incarnation;
    let third = shell.nodes[2].identity.incarnation;
    assert_eq!(first.number, second.number);
    assert_ne!(first, second);
    assert!(first > third && second > third);
}

#[test]
fn a_node_that_never_was_a_member_is_refused() {
    let shell = Shell::new(1, |_| ());
    let disk = shell.nodes[0].disk.fork();
    let refused = find(&disk).err().unwrap();
    assert!(matches!(refused, RecoveryError::Unborn { .. }), "{refused}");
    let refused = Recovery::find(&SimDisk::new(1), root()).err().unwrap();
    let text = refused.to_string();
    assert!(text.contains("is not formatted"), "{text}");
}

#[test]
fn a_running_node_is_refused() {
    let (mut shell, _) = survivor();
    shell.start(0);
    let refused = find(&shell.nodes[0].disk).err().unwrap();
    let locked = RecoveryError::Directory(DataDirError::Locked {
        path: root().into(),
    });
    assert_eq!(refused.to_string(), locked.to_string());
}

#[test]
fn a_damaged_log_is_refused() {
    let (_, disk) = survivor();
    let segment = disk.files().into_iter().find(|path| {
        let name = path.to_string_lossy();
        name.ends_with(".seg")
    });
    disk.flip_bit(&segment.unwrap(), 4096 + 100, 3);
    assert!(matches!(find(&disk).err().unwrap(), RecoveryError::Log(_)));
}

#[test]
fn a_second_run_finds_nothing_to_do_until_the_node_has_written() {
    let (_, disk) = survivor();
    let first = recover(&disk).unwrap();
    let second = recover(&disk).unwrap();
    assert_eq!(second.identity, first.identity);
    assert_eq!((second.origin, second.kept), (first.origin, None));
    append_one(&disk);
    let third = recover(&disk).unwrap();
    assert_eq!(third.identity.incarnation.number, 3);
    let kept = third.kept.unwrap();
    assert_eq!(kept, Path::new("/node.before-recovery-2"));
}

/// A write of the new history.
fn append_one(disk: &SimDisk) {
    let dir = DataDir::open(disk, root()).unwrap();
    let (mut log, _) = Log::open(&dir, LogOptions::default()).unwrap();
    let last = log.last();
    let term = last.term;
    let entry = dmq_raft::Entry {
        index: last.index.next(),
        term,
        kind: dmq_raft::EntryKind::Noop,
        payload: Vec::new().into(),
    };
    let persist = Persist {
        io: IoSeq(1),
        hard_state: Some(HardState { term, vote: None }),
        start: None,
        truncate_from: None,
        entries: vec![entry],
    };
    log.append(&[persist]).unwrap();
}

/// What must hold whenever a recovery was killed, and after it was run again.
struct Expected {
    old: Identity,
    last: EntryId,
    hash: StateHash,
}

/// A place that holds the old directory, whole.
fn old_is_whole(disk: &SimDisk, at: &Path, expected: &Expected) {
    let disk = disk.fork();
    let moved = PathBuf::from("/elsewhere");
    disk.rename(at, &moved).unwrap();
    let dir = DataDir::open(&disk, &moved).unwrap();
    assert_eq!(dir.identity(), &expected.old);
    let (log, _) = Log::open(&dir, LogOptions::default()).unwrap();
    assert_eq!(log.last(), expected.last);
}

fn check_killed(disk: &SimDisk, expected: &Expected, what: &str) {
    let exists = |path: &str| disk.list(Path::new(path)).is_ok();
    match DataDir::open(disk, root()) {
        Ok(dir) if dir.identity() == &expected.old => {
            assert!(!exists(STAGING) && !exists(KEPT), "{what}");
        }
        Ok(dir) => {
            assert_eq!(dir.identity().incarnation.number, 2, "{what}");
            drop(dir);
            // Whatever the new history writes stays written.
            let used = disk.fork();
            append_one(&used);
            used.crash(Survivors::None);
            let dir = DataDir::open(&used, root()).unwrap();
            let (log, _) = Log::open(&dir, LogOptions::default()).unwrap();
            let begins = expected.last.index.0 + INDEX_GAP;
            assert_eq!(log.last().index.0, begins + 1, "{what}");
        }
        Err(error) => {
            let unfinished = matches!(error, DataDirError::RecoveryUnfinished { .. });
            assert!(unfinished, "{what}: {error}");
            assert!(error.to_string().contains("recover` again"), "{what}");
            let identity = Identity {
                directory: dmq_raft::DirectoryId(99),
                ..expected.old.clone()
            };
            let again = DataDir::format(disk, root(), &identity, &FormatOptions::default());
            let unfinished = matches!(again, Err(DataDirError::RecoveryUnfinished { .. }));
            assert!(unfinished, "{what}: formatted beside it");
        }
    }
}

fn check_ended(disk: &SimDisk, expected: &Expected, what: &str) {
    let (identity, view) = start(disk);
    assert_eq!(identity.incarnation.number, 2, "{what}");
    assert_eq!(view.image.state_hash(), expected.hash, "{what}");
    let begins = expected.last.index.0 + INDEX_GAP;
    assert_eq!(view.last.index.0, begins, "{what}");
    assert!(disk.list(Path::new(STAGING)).is_err(), "{what}");
    old_is_whole(disk, Path::new(KEPT), expected);
}

/// Cuts the power before every change of a recovery, and once more in every run after it, with every kind of
/// selection of unsynced changes: it can always be run again, and nothing is ever lost.
#[test]
fn killed_anywhere_it_is_run_again() {
    let (_, disk) = survivor();
    let whole = disk.fork();
    let before = survey(&whole);
    let changes_before = whole.stats().changes;
    let recovered = recover(&whole).unwrap();
    let changes = whole.stats().changes - changes_before;
    let (_, view) = start(&whole);
    let expected = Expected {
        old: before.identity,
        last: recovered.origin.last,
        hash: view.image.state_hash(),
    };
    assert!(changes > 30, "only {changes} changes");
    for cut in 0..=changes {
        let disk = disk.fork();
        disk.cut_power_after(cut);
        let ended = recover(&disk).is_ok();
        assert_eq!(ended, cut == changes, "cut {cut} of {changes}");
        for survivors in [None, Some(Survivors::None), Some(Survivors::All)]
            .into_iter()
            .chain((0..3).map(|seed| Some(Survivors::Seeded(cut * 3 + seed))))
        {
            let what = format!("cut {cut} of {changes}, {survivors:?}");
            let disk = disk.fork();
            end_process(&disk, survivors);
            check_killed(&disk, &expected, &what);
            run_again(&disk, cut, &what);
            recover(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            check_ended(&disk, &expected, &what);
        }
    }
}

fn end_process(disk: &SimDisk, survivors: Option<Survivors>) {
    match survivors {
        Some(survivors) => disk.crash(survivors),
        None => disk.kill(),
    }
}

/// A second run that is killed too, somewhere.
fn run_again(disk: &SimDisk, cut: u64, what: &str) {
    disk.cut_power_after(cut.wrapping_mul(0x9e37_79b9) % 60);
    if let Err(error) = recover(disk) {
        assert!(disk.is_without_power(), "{what}: {error}");
    }
    end_process(disk, Some(Survivors::Seeded(cut)));
}
