//! The simulated disk itself: it loses what was not synced, and nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use dmq_log::sim::{SECTOR_BYTES, SimDisk, Survivors};
use dmq_log::{Access, Disk, DiskFile};

const DIR: &str = "/d";
const FILE: &str = "/d/file";

fn path() -> &'static Path {
    Path::new(FILE)
}

/// A disk with a durable directory and a durable file of four sectors of ones.
fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let file = disk.open(path(), Access::Create).unwrap();
    file.write_at(&[1; 4 * SECTOR_BYTES], 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    disk
}

fn overwritten() -> SimDisk {
    let disk = disk();
    let file = disk.open(path(), Access::Write).unwrap();
    file.write_at(&[2; 4 * SECTOR_BYTES], 0).unwrap();
    disk
}

#[test]
fn synced_bytes_survive_and_others_may_not() {
    let disk = overwritten();
    assert_eq!(
        disk.contents(path()).unwrap()[0],
        2,
        "the process sees what it wrote"
    );
    let lost = disk.fork();
    lost.crash(Survivors::None);
    assert_eq!(lost.contents(path()).unwrap(), [1; 4 * SECTOR_BYTES]);
    let kept = disk.fork();
    kept.crash(Survivors::All);
    assert_eq!(kept.contents(path()).unwrap(), [2; 4 * SECTOR_BYTES]);
    disk.open(path(), Access::Write).unwrap().sync().unwrap();
    disk.crash(Survivors::None);
    assert_eq!(disk.contents(path()).unwrap(), [2; 4 * SECTOR_BYTES]);
}

#[test]
fn every_subset_of_sectors_can_survive_and_sectors_are_whole() {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let disk = overwritten();
        disk.crash(Survivors::Seeded(seed));
        let content = disk.contents(path()).unwrap();
        let sector = |sector: &[u8]| {
            assert!(
                sector.iter().all(|byte| *byte == sector[0]),
                "a torn sector"
            );
            sector[0]
        };
        seen.insert(content.chunks(SECTOR_BYTES).map(sector).collect::<Vec<_>>());
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn a_prefix_can_be_torn_at_any_byte() {
    let disk = overwritten();
    disk.crash(Survivors::Prefix {
        changes: 0,
        torn_bytes: 700,
    });
    let content = disk.contents(path()).unwrap();
    assert_eq!((content[699], content[700]), (2, 1));
}

#[test]
fn names_are_durable_only_after_a_sync_of_their_directory() {
    let disk = disk();
    let new = Path::new("/d/new");
    disk.open(new, Access::Create).unwrap().sync().unwrap();
    disk.rename(path(), Path::new("/d/renamed")).unwrap();
    let lost = disk.fork();
    lost.crash(Survivors::None);
    assert_eq!(
        lost.files(),
        [path()],
        "neither the new file nor the new name"
    );
    disk.sync_dir(Path::new(DIR)).unwrap();
    disk.crash(Survivors::None);
    assert_eq!(disk.files(), [new, Path::new("/d/renamed")]);
}

#[test]
fn what_is_in_a_lost_directory_is_lost() {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.open(path(), Access::Create).unwrap().sync().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    disk.crash(Survivors::None);
    assert!(disk.files().is_empty());
    disk.create_dir(Path::new(DIR)).unwrap();
    assert!(
        disk.files().is_empty(),
        "it does not come back with the directory"
    );
}

#[test]
fn a_killed_process_loses_its_handles_and_locks_and_nothing_else() {
    let disk = overwritten();
    let file = disk.open(path(), Access::Write).unwrap();
    let lock = disk.lock(Path::new("/d/lock")).unwrap();
    assert!(lock.is_some() && disk.lock(Path::new("/d/lock")).unwrap().is_none());
    disk.kill();
    assert!(file.write_at(&[3], 0).is_err() && file.sync().is_err() && file.len().is_err());
    assert_eq!(disk.contents(path()).unwrap()[0], 2, "the page cache stays");
    let next = disk.lock(Path::new("/d/lock")).unwrap();
    assert!(next.is_some());
    drop(lock);
    assert!(
        disk.is_locked(Path::new("/d/lock")).unwrap(),
        "a dead process unlocks nothing"
    );
}

#[test]
fn without_power_nothing_works_until_the_crash() {
    let disk = disk();
    let file = disk.open(path(), Access::Write).unwrap();
    disk.cut_power_after(1);
    file.write_at(&[2; 10], 0).unwrap();
    assert!(file.sync().is_err() && disk.is_without_power());
    assert!(file.write_at(&[2; 10], 0).is_err() && file.read_at(&mut [0], 0).is_err());
    assert!(disk.list(Path::new(DIR)).is_err() && disk.open(path(), Access::Read).is_err());
    disk.crash(Survivors::None);
    assert_eq!(disk.contents(path()).unwrap()[0], 1);
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 1);
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let random = |seed| {
        let disk = SimDisk::new(seed);
        [disk.random().unwrap(), disk.random().unwrap()]
    };
    assert_eq!(random(5), random(5));
    assert_ne!(random(5), random(6));
}

#[test]
fn a_slow_disk_counts_what_its_syncs_cost() {
    let disk = disk();
    disk.set_sync_ticks(3);
    let before = disk.stats();
    disk.open(path(), Access::Write).unwrap().sync().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    let after = disk.stats();
    assert_eq!(
        (
            after.syncs - before.syncs,
            after.busy_ticks - before.busy_ticks
        ),
        (2, 6)
    );
}
