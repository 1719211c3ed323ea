//! Stories of the feature level and of the order of entries.

use super::fixtures::{World, create, register};
use crate::RejectionCode::{FeatureUpdateFailed, UnsupportedVersion};
use crate::command::Command;
use crate::{ApplyError, FeatureLevel, MetadataIndex, Reply, StateHash, advance, apply, preview};

#[test]
fn a_new_image_knows_only_the_step_to_a_higher_level() {
    let mut world = World::empty();
    world.expect_refusal(register(1), UnsupportedVersion, "command");
    let applied = world.keyed("k", 1, create("orders", 1, 1));
    assert_eq!(applied.outcome.unwrap_err().code, UnsupportedVersion);
    assert_eq!(applied.changes.rows, []);
    let level = FeatureLevel(1);
    assert_eq!(
        world.expect(Command::SetFeatureLevel(level)),
        Reply::FeatureLevelSet(level)
    );
    assert_eq!(world.image.feature_level(), level);
    world.expect(register(1));
}

#[test]
fn nothing_is_hashed_before_the_first_level() {
    let mut world = World::empty();
    world.log_time = 5;
    world.expect(Command::SetFeatureLevel(FeatureLevel::ZERO));
    assert_eq!(world.image.state_hash(), StateHash(0));
    world.expect(Command::SetFeatureLevel(FeatureLevel(1)));
    assert_ne!(world.image.state_hash(), StateHash(0));
    assert_eq!(world.image.state_hash(), world.image.rehash());
}

#[test]
fn the_level_is_never_lowered_and_may_be_set_again() {
    let mut world = World::new();
    world.expect(Command::SetFeatureLevel(FeatureLevel(1)));
    let lower = Command::SetFeatureLevel(FeatureLevel::ZERO);
    world.expect_refusal(lower, FeatureUpdateFailed, "featureLevel");
}

#[test]
fn an_entry_with_a_level_of_the_future_stops_the_caller_before_it() {
    let mut world = World::new();
    let before = world.image.clone();
    let level = FeatureLevel(FeatureLevel::MAX.0 + 1);
    let envelope = world.envelope(Command::SetFeatureLevel(level));
    let index = world.image.index().next();
    let error = apply(&mut world.image, index, &envelope).unwrap_err();
    assert_eq!(error, ApplyError::UnknownEntry { index, level });
    assert_eq!(world.image, before);
    assert_eq!(
        preview(&world.image, &envelope).unwrap_err().code,
        UnsupportedVersion
    );
}

#[test]
fn entries_come_in_order() {
    let mut world = World::new();
    let before = world.image.clone();
    let envelope = world.envelope(register(1));
    for index in [0, 1, 3] {
        let index = MetadataIndex(index);
        let error = ApplyError::OutOfOrder {
            index,
            image: MetadataIndex(1),
        };
        assert_eq!(
            apply(&mut world.image, index, &envelope),
            Err(error.clone())
        );
        assert_eq!(advance(&mut world.image, index), Err(error));
    }
    assert_eq!(world.image, before);
}

#[test]
fn entries_of_others_move_the_index_only() {
    let mut world = World::with_brokers(1);
    let before = world.image.clone();
    advance(&mut world.image, before.index().next()).unwrap();
    assert_eq!(world.image.index(), before.index().next());
    assert_eq!(world.image.state_hash(), before.state_hash());
    assert!(world.image.rows().eq(before.rows()));
}
