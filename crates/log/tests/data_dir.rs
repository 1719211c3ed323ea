//! The data directory: format, lock, identity, pin, on both disks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use dmq_log::sim::{Fault, FaultKind, Operation, SimDisk, Survivors};
use dmq_log::{
    DataDir, DataDirError, Disk, FileDisk, FormatOptions, Formatted, Identity, Incarnation, Log,
    LogOptions, random_directory_id,
};
use dmq_raft::{DirectoryId, NodeId};
use support::*;

fn format<D: Disk>(disk: &D, root: &Path) -> Result<Formatted, DataDirError> {
    DataDir::format(disk, root, &identity(), &format_options(SEGMENT_BYTES))
}

#[test]
fn a_formatted_directory_has_an_identity_and_an_empty_log() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("raft-log/node-1");
    let Err(DataDirError::NotFormatted { path }) = DataDir::open(&FileDisk, &root).map(|_| ())
    else {
        panic!("not formatted yet")
    };
    assert_eq!(path, root);
    assert_eq!(format(&FileDisk, &root), Ok(Formatted::Created(identity())));
    let dir = DataDir::open(&FileDisk, &root).unwrap();
    assert_eq!(dir.identity(), &identity());
    assert!(dir.available_bytes().unwrap() > 0);
    let (log, recovered) = Log::open(&dir, LogOptions::default()).unwrap();
    assert_eq!(Model::default().difference(&log, &recovered), None);
    for name in ["identity", "lock"] {
        let mode = std::fs::metadata(root.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o777,
            0o600,
            "{name} is for the node's own user only"
        );
    }
}

#[test]
fn a_formatted_directory_is_never_formatted_again() {
    let disk = formatted(SEGMENT_BYTES);
    let again = format(&disk, root()).unwrap_err();
    assert!(matches!(again, DataDirError::AlreadyFormatted { .. }));
    let text = again.to_string();
    assert!(
        text.contains(ROOT) && text.contains("cluster dmq") && text.contains("never"),
        "{text}"
    );

    let options = FormatOptions {
        if_empty: true,
        ..format_options(SEGMENT_BYTES)
    };
    let other_directory = Identity {
        directory: DirectoryId(9),
        ..identity()
    };
    let kept = DataDir::format(&disk, root(), &other_directory, &options);
    assert_eq!(
        kept,
        Ok(Formatted::Already(identity())),
        "its directory id stays"
    );
    for other in [
        Identity {
            node: NodeId(2),
            ..identity()
        },
        Identity {
            cluster_id: "other".into(),
            ..identity()
        },
        Identity {
            incarnation: Incarnation {
                number: 1,
                nonce: 5,
            },
            ..identity()
        },
    ] {
        let refused = DataDir::format(&disk, root(), &other, &options);
        assert!(
            matches!(refused, Err(DataDirError::AlreadyFormatted { .. })),
            "{other}"
        );
    }
}

#[test]
fn a_directory_with_something_else_in_it_is_not_formatted() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("node-1");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("thesis.txt"), "mine").unwrap();
    let refused = format(&FileDisk, &root).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("thesis.txt") && text.contains("empty"),
        "{text}"
    );
    assert_eq!(
        std::fs::read_to_string(root.join("thesis.txt")).unwrap(),
        "mine"
    );
    std::fs::remove_file(root.join("thesis.txt")).unwrap();
    std::fs::create_dir(root.join("lost+found")).unwrap();
    format(&FileDisk, &root).unwrap();
}

#[test]
fn invalid_identities_are_refused_with_key_value_and_rule() {
    let disk = SimDisk::new(1);
    let long = "x".repeat(65);
    for (id, node, key) in [
        ("", 1, "cluster id"),
        ("a b", 1, "cluster id"),
        ("ä", 1, "cluster id"),
        (long.as_str(), 1, "cluster id"),
        ("dmq", 0, "node id"),
    ] {
        let identity = Identity {
            cluster_id: id.into(),
            node: NodeId(node),
            ..identity()
        };
        let refused = DataDir::format(&disk, root(), &identity, &FormatOptions::default());
        let Err(DataDirError::Invalid { key: found, .. }) = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!(*found, key);
    }
    for bytes in [0, 4096, (16 << 10) + 1, 2 << 30] {
        let refused = DataDir::format(&disk, root(), &identity(), &format_options(bytes));
        assert!(matches!(
            refused,
            Err(DataDirError::Invalid {
                key: "segment size",
                ..
            })
        ));
    }
    assert_eq!(disk.files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn one_process_at_a_time() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("node-1");
    format(&FileDisk, &root).unwrap();
    let first = DataDir::open(&FileDisk, &root).unwrap();
    let text = DataDir::open(&FileDisk, &root)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(text.contains("locked") && text.contains("node-1"), "{text}");
    assert!(matches!(
        format(&FileDisk, &root),
        Err(DataDirError::Locked { .. })
    ));
    assert!(
        dmq_log::verify(&FileDisk, &root, &mut |_| {})
            .unwrap()
            .locked
    );
    let (log, _) = Log::open(&first, LogOptions::default()).unwrap();
    drop(first);
    assert!(
        DataDir::open(&FileDisk, &root).is_err(),
        "the log keeps the lock"
    );
    drop(log);
    assert!(
        !dmq_log::verify(&FileDisk, &root, &mut |_| {})
            .unwrap()
            .locked
    );
    DataDir::open(&FileDisk, &root).unwrap();
}

#[test]
fn foreign_directories_are_named() {
    let disk = formatted(SEGMENT_BYTES);
    let dir = DataDir::open(&disk, root()).unwrap();
    assert_eq!(dir.expect_owner("dmq", NodeId(1)), Ok(()));
    let text = dir
        .expect_owner("other", NodeId(1))
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "/data/node-1 belongs to cluster id dmq, the configuration says other"
    );
    let text = dir.expect_owner("dmq", NodeId(2)).unwrap_err().to_string();
    assert_eq!(
        text,
        "/data/node-1 belongs to node id 1, the configuration says 2"
    );
}

#[test]
fn unwritable_directories_are_named() {
    let denied = |operation| Fault {
        operation,
        name_contains: String::new(),
        after: 0,
        kind: FaultKind::Denied,
    };
    let disk = SimDisk::new(1);
    disk.inject(denied(Operation::Name));
    let refused = format(&disk, root()).unwrap_err();
    assert!(
        matches!(refused, DataDirError::Unwritable { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains(ROOT), "{refused}");

    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = format(&FileDisk, &file.join("node-1")).unwrap_err();
    assert!(refused.to_string().contains("file"), "{refused}");
}

#[test]
fn damaged_identities_are_refused() {
    let disk = formatted(SEGMENT_BYTES);
    let path = root().join("identity");
    for at in 0..disk.contents(&path).unwrap().len() {
        let disk = disk.fork();
        disk.flip_bit(&path, at, 1);
        let refused = DataDir::open(&disk, root()).map(|_| ()).unwrap_err();
        assert_eq!(refused, DataDirError::Damaged { path: path.clone() });
    }
}

#[test]
fn a_pin_is_for_ever() {
    let disk = formatted(SEGMENT_BYTES);
    let dir = DataDir::open(&disk, root()).unwrap();
    assert_eq!(dir.pinned(), Ok(None));
    dir.pin([7; 32]).unwrap();
    dir.pin([7; 32]).unwrap();
    let refused = dir.pin([8; 32]).unwrap_err();
    assert_eq!(
        refused,
        DataDirError::Pinned {
            pinned: [7; 32],
            digest: [8; 32]
        }
    );
    drop(dir);
    disk.crash(Survivors::None);
    let dir = DataDir::open(&disk, root()).unwrap();
    assert_eq!(dir.pinned(), Ok(Some([7; 32])));
    disk.flip_bit(&root().join("pin"), 12, 0);
    assert!(matches!(dir.pinned(), Err(DataDirError::Damaged { .. })));
    assert!(matches!(
        dir.pin([7; 32]),
        Err(DataDirError::Damaged { .. })
    ));
}

#[test]
fn of_two_bodies_at_the_same_moment_one_is_pinned() {
    for _ in 0..50 {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("node-1");
        format(&FileDisk, &root).unwrap();
        let dir = DataDir::open(&FileDisk, &root).unwrap();
        let gate = Barrier::new(2);
        let pin = |digest| {
            gate.wait();
            dir.pin(digest).is_ok()
        };
        let (one, two) = thread::scope(|scope| {
            let one = scope.spawn(|| pin([1; 32]));
            let two = scope.spawn(|| pin([2; 32]));
            (one.join().unwrap(), two.join().unwrap())
        });
        assert!(one != two, "both or none: {one}");
        let winner = if one { [1; 32] } else { [2; 32] };
        assert_eq!(dir.pinned(), Ok(Some(winner)));
    }
}

/// Cuts the power at every change; what was promised before holds afterwards.
#[test]
fn pins_survive_crashes() {
    let start = formatted(SEGMENT_BYTES);
    for cut in 0.. {
        let disk = start.fork();
        let dir = DataDir::open(&disk, root()).unwrap();
        disk.cut_power_after(cut);
        let pinned = dir.pin([7; 32]);
        let ended = !disk.is_without_power();
        drop(dir);
        for seed in 0..8 {
            for kill_first in [false, true] {
                let disk = disk.fork();
                if kill_first {
                    // The next process sees the pin of the killed one, and promises it again.
                    disk.kill();
                    let dir = DataDir::open(&disk, root()).unwrap();
                    if dir.pinned().unwrap().is_some() {
                        dir.pin([7; 32]).unwrap();
                        drop(dir);
                        disk.crash(Survivors::None);
                        let dir = DataDir::open(&disk, root()).unwrap();
                        assert_eq!(dir.pinned(), Ok(Some([7; 32])), "cut {cut}");
                        continue;
                    }
                }
                disk.crash(Survivors::Seeded(seed));
                let dir = DataDir::open(&disk, root()).unwrap();
                let found = dir.pinned().unwrap();
                assert!(
                    found == Some([7; 32]) || (found.is_none() && pinned.is_err()),
                    "{cut}"
                );
            }
        }
        if ended {
            return;
        }
    }
}

#[test]
fn an_interrupted_format_is_done_again() {
    for cut in 0.. {
        let disk = SimDisk::new(3);
        disk.cut_power_after(cut);
        let done = format(&disk, root());
        let ended = !disk.is_without_power();
        for seed in 0..8 {
            let disk = disk.fork();
            if seed == 0 {
                disk.kill();
            } else {
                disk.crash(Survivors::Seeded(seed));
            }
            let usable = DataDir::open(&disk, root()).is_ok();
            assert!(
                usable || done.is_err(),
                "cut {cut}: acknowledged, hence usable"
            );
            if !usable {
                format(&disk, root()).unwrap();
                disk.crash(Survivors::None);
            }
            let (log, recovered) = open_sim(&disk);
            assert_eq!(
                Model::default().difference(&log, &recovered),
                None,
                "cut {cut}"
            );
            drop(log);
            disk.crash(Survivors::None);
            open_sim(&disk);
        }
        if ended {
            return;
        }
    }
}

#[test]
fn directory_ids_are_random_uuids() {
    let ids = [
        random_directory_id(&FileDisk).unwrap(),
        random_directory_id(&FileDisk).unwrap(),
    ];
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        let text = id.to_string();
        assert_eq!(&text[14..15], "4", "{text}");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
    }
    let disk = SimDisk::new(5);
    assert_eq!(
        random_directory_id(&disk).unwrap(),
        random_directory_id(&SimDisk::new(5)).unwrap()
    );
}
