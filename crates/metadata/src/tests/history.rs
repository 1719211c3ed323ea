//! A new log history begins with the rows of an old one (forced recovery).

use super::fixtures::{World, assigned, elect, standing};
use crate::command::Election;
use crate::{BrokerId, MetadataIndex, begin_anew_at};

/// Two histories part: in the one that is lost partition 0 had more leaders than the survivor knows of. Whatever the new
/// history gives out is above all of theirs, or one epoch would stand for two leaders.
#[test]
fn no_epoch_of_a_partition_is_given_out_twice() {
    let mut survivor = World::with_brokers(3);
    survivor.expect(assigned("orders", &[&[1, 2, 3], &[2, 3, 1]]));
    let designate = |id| elect("orders", 0, Election::Designated(BrokerId(id)));
    survivor.expect(designate(2));
    let mut lost = World::new();
    lost.image = survivor.image.clone();
    for leader in [3, 1, 2, 3] {
        lost.expect(designate(leader));
    }
    assert_eq!(
        standing(&lost.partition("orders", 0)),
        "leader 3 isr [1, 2, 3] epochs 5/5"
    );

    let before = survivor.image.rehash();
    let index = MetadataIndex(survivor.image.index().0 + 1000);
    begin_anew_at(&mut survivor.image, index).unwrap();
    assert_eq!(
        standing(&survivor.partition("orders", 0)),
        "leader 2 isr [1, 2, 3] epochs 1048577/1048577"
    );
    assert_eq!(
        standing(&survivor.partition("orders", 1)),
        "leader 2 isr [2, 3, 1] epochs 1048576/1048576"
    );
    assert_ne!(survivor.image.state_hash(), before);
    assert_eq!(survivor.image.state_hash(), survivor.image.rehash());
    survivor.expect(designate(3));
    let (new, old) = (survivor.partition("orders", 0), lost.partition("orders", 0));
    assert!(new.leader_epoch > old.leader_epoch && new.partition_epoch > old.partition_epoch);
    begin_anew_at(&mut survivor.image, index).unwrap_err();
}
