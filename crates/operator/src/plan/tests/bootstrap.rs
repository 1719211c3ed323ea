//! Birth: once, in this order, and never over something that was there before.

use std::sync::Arc;

use super::model::{Log, World};
use super::scene::{Says as _, Scene, steady};
use crate::observed::{Claim, Identity, Latch, Voter};
use crate::plan::{Action, Again, Plan, Stage};

fn identity() -> Identity {
    Identity {
        cluster_id: "AAAAAAAAAAAAAAAAAAAABw".to_owned(),
        incarnation: "1".to_owned(),
        cluster_uid: "00000000-0000-0000-0000-000000000007".to_owned(),
    }
}

/// All pods run, nobody has a configuration, and the voters are not written down.
fn born_soon(replicas: i32) -> Scene {
    let mut world = World::new(replicas);
    for _ in 0..60 {
        world.tick();
        let ready = world
            .pods
            .values()
            .filter(|pod| pod.up_since.is_some())
            .count();
        if ready == usize::try_from(replicas).expect("small") {
            return Scene::of(&world);
        }
        world.pass(&mut Log::default());
    }
    panic!("no pods");
}

/// The same, with the voters written down.
fn written_down(replicas: i32) -> Scene {
    let mut scene = born_soon(replicas);
    let made = scene.plan();
    let Some(Action::CreateVoters(voters)) = made.actions.last() else {
        panic!("{made:?}");
    };
    scene.seen.voters = Latch::Set(voters.clone());
    scene
}

fn claim(name: &str) -> Claim {
    Claim {
        name: name.to_owned(),
        size: "10Gi".to_owned(),
        bound: true,
        storage_class: Some("fast".to_owned()),
        class_missing: false,
        terminating: false,
    }
}

#[test]
fn first_of_all_the_identity_is_written_and_nothing_else() {
    let made = Scene::created(3).plan();
    assert_eq!(made.actions, [Action::CreateIdentity(identity())]);
    assert_eq!(made.again, Again::Now);
    assert!(made.at(Stage::Bootstrapping));
}

#[test]
fn the_cluster_id_of_the_spec_is_taken() {
    let scene = Scene::created(3).spec(|spec| spec.cluster_id = Some("orders".to_owned()));
    let Action::CreateIdentity(made) = &scene.plan().actions[0] else {
        panic!("no identity");
    };
    assert_eq!(made.cluster_id, "orders");
}

#[test]
fn with_the_identity_children_and_pods_are_made() {
    let mut scene = Scene::created(5);
    scene.seen.identity = Latch::Set(identity());
    let made = scene.plan();
    let set = Action::ApplyStatefulSet {
        replicas: 5,
        claim_sizes: std::collections::BTreeMap::new(),
    };
    assert_eq!(
        made.actions,
        [Action::CreateToken, Action::ApplyChildren, set]
    );
}

#[test]
fn while_one_node_is_silent_no_voters_are_written_down() {
    let made = born_soon(3).silent(1).plan();
    assert!(
        !made
            .actions
            .iter()
            .any(|action| matches!(action, Action::CreateVoters(_)))
    );
    assert_eq!(made.waits(), Some("WaitingForPods"));
    assert!(made.message().contains("meta-1"), "{}", made.message());
}

#[test]
fn when_all_answer_and_are_empty_they_are_written_down() {
    let scene = born_soon(3);
    let made = scene.plan();
    let voters: Vec<Voter> = (0..3_u32)
        .map(|ordinal| Voter {
            id: ordinal + 1,
            directory_id: scene.seen.members[&i32::try_from(ordinal).expect("small")]
                .quorum
                .directory_id,
        })
        .collect();
    assert_eq!(made.actions.last(), Some(&Action::CreateVoters(voters)));
    assert_eq!(made.again, Again::Now);
}

#[test]
fn before_there_are_voters_the_spec_decides_their_number() {
    let writes = |made: &Plan| {
        made.actions
            .iter()
            .any(|action| matches!(action, Action::CreateVoters(_)))
    };
    let pods = |made: &Plan| {
        made.actions.iter().find_map(|action| match action {
            Action::ApplyStatefulSet { replicas, .. } => Some(*replicas),
            _ => None,
        })
    };
    let more = born_soon(3).spec(|spec| spec.replicas = 5).plan();
    assert_eq!((writes(&more), pods(&more)), (false, Some(5)));
    assert!(more.report.rejected.is_empty(), "{:?}", more.report);
    let fewer = born_soon(3).spec(|spec| spec.replicas = 1).plan();
    assert_eq!((writes(&fewer), pods(&fewer)), (false, Some(1)));
    assert_eq!(fewer.waits(), Some("ReplicasDiffer"));
    let mut scaled = born_soon(3);
    scaled.seen.stateful_set.as_mut().expect("a set").replicas = 1;
    let made = scaled.plan();
    assert_eq!((writes(&made), pods(&made)), (false, Some(3)));
}

#[test]
fn an_identity_of_an_earlier_object_without_voters_is_no_reason_to_begin_anew() {
    let mut scene = born_soon(3);
    Arc::make_mut(&mut scene.seen.cluster).metadata.uid = Some("another".to_owned());
    let made = scene.plan();
    assert!(
        !made
            .actions
            .iter()
            .any(|action| matches!(action, Action::CreateVoters(_) | Action::Initialize { .. }))
    );
    assert_eq!(made.stalled(), Some("DataLost"));
}

#[test]
fn a_stopping_pod_does_not_count_as_an_answer() {
    let made = born_soon(3).terminating(2).plan();
    assert!(
        !made
            .actions
            .iter()
            .any(|action| matches!(action, Action::CreateVoters(_)))
    );
}

#[test]
fn a_node_of_another_cluster_is_no_voter() {
    let mut scene = born_soon(3);
    scene
        .seen
        .members
        .get_mut(&1)
        .expect("there")
        .quorum
        .cluster_id = "other".to_owned();
    let made = scene.plan();
    assert_eq!(made.stalled(), Some("WrongIdentity"));
    assert!(
        made.message().contains("meta-1") && made.message().contains("other"),
        "{}",
        made.message()
    );
}

#[test]
fn two_pods_with_one_directory_are_no_voters() {
    let mut scene = born_soon(3);
    let copied = scene.seen.members[&0].quorum.directory_id;
    scene
        .seen
        .members
        .get_mut(&1)
        .expect("there")
        .quorum
        .directory_id = copied;
    assert_eq!(scene.plan().stalled(), Some("WrongIdentity"));
}

#[test]
fn what_is_written_down_is_initialised_at_the_lowest_id() {
    let scene = written_down(3);
    let Latch::Set(voters) = scene.seen.voters.clone() else {
        panic!("written down");
    };
    let last = Action::Initialize {
        ordinal: 0,
        cluster_id: identity().cluster_id,
        incarnation: "1".to_owned(),
        voters,
    };
    assert_eq!(scene.plan().actions.last(), Some(&last));
}

#[test]
fn it_is_not_initialised_while_one_of_them_is_silent() {
    let made = written_down(3).silent(2).plan();
    assert!(
        !made
            .actions
            .iter()
            .any(|action| matches!(action, Action::Initialize { .. }))
    );
    assert_eq!(made.waits(), Some("WaitingForPods"));
}

#[test]
fn another_directory_than_was_written_down_is_lost_data() {
    let made = written_down(3).emptied(1).plan();
    assert!(made.at(Stage::DataLost));
    assert_eq!(made.stalled(), Some("DataLost"));
    assert!(made.message().contains("meta-1"), "{}", made.message());
    assert!(
        !made
            .actions
            .iter()
            .any(|action| matches!(action, Action::Initialize { .. }))
    );
}

#[test]
fn a_quorum_whose_members_are_all_empty_is_lost_data_and_never_bootstrapped() {
    let mut scene = Scene::running(3).leaderless();
    for ordinal in 0..3 {
        scene = scene.emptied(ordinal);
    }
    // With the voters, without them, and without the status that remembers the quorum.
    let forgotten = scene.clone().without_status();
    let mut unwritten = scene.clone();
    unwritten.seen.voters = Latch::Absent;
    for scene in [scene, forgotten, unwritten] {
        let made = scene.plan();
        assert!(made.at(Stage::DataLost), "{:?}", made.report);
        assert!(made.is_harmless());
        let writes = |action: &Action| {
            matches!(
                action,
                Action::CreateVoters(_) | Action::Initialize { .. } | Action::CreateIdentity(_)
            )
        };
        assert!(!made.actions.iter().any(writes), "{:?}", made.actions);
        assert!(
            made.message()
                .contains("ConfigMaps meta-identity-1 and meta-voters-1"),
            "{}",
            made.message()
        );
    }
}

#[test]
fn members_that_still_wait_to_be_initialised_are_not_lost_data_after_the_object_was_made_anew() {
    let made = written_down(3).without_status().plan();
    assert!(matches!(
        made.actions.last(),
        Some(Action::Initialize { .. })
    ));
}

#[test]
fn an_object_that_was_made_anew_over_its_data_gets_its_quorum_back() {
    let mut scene = Scene::running(3).without_status();
    let Latch::Set(identity) = &mut scene.seen.identity else {
        panic!("running");
    };
    identity.cluster_uid = "another".to_owned();
    let made = scene.plan();
    assert!(made.at(Stage::Steady), "{:?}", made.report);
    assert!(made.is_harmless());
}

#[test]
fn an_object_made_anew_with_fewer_replicas_keeps_its_voters() {
    let mut scene = Scene::running(5)
        .without_status()
        .spec(|spec| spec.replicas = 3);
    scene.seen.stateful_set = None;
    scene.seen.pods.clear();
    scene.seen.members.clear();
    let made = scene.leaderless().plan();
    let pods = made.actions.iter().find_map(|action| match action {
        Action::ApplyStatefulSet { replicas, .. } => Some(*replicas),
        _ => None,
    });
    assert_eq!(pods, Some(5));
    assert_eq!(made.report.rejected[0].reason, "ScaleRejected");
}

#[test]
fn another_cluster_id_than_that_of_the_data_is_refused() {
    let made = Scene::running(3)
        .spec(|spec| spec.cluster_id = Some("orders".to_owned()))
        .plan();
    assert!(made.at(Stage::Blocked));
    assert_eq!(made.stalled(), Some("ClusterIdMismatch"));
    assert!(made.actions.is_empty());
}

#[test]
fn claims_whose_identity_is_gone_are_not_built_upon() {
    let mut scene = Scene::created(3);
    scene
        .seen
        .claims
        .insert(("log".to_owned(), 1), claim("log-meta-1"));
    let made = scene.plan();
    assert!(made.at(Stage::Blocked));
    assert_eq!(made.stalled(), Some("ClaimsWithoutIdentity"));
    assert!(made.actions.is_empty());

    let scene = scene.spec(|spec| spec.cluster_id = Some("orders".to_owned()));
    assert!(
        matches!(scene.plan().actions[..], [Action::CreateIdentity(_)]),
        "the user says which it is"
    );

    let mut scene = scene;
    scene
        .seen
        .claims
        .insert(("log".to_owned(), 4), claim("log-meta-4"));
    let made = scene.plan();
    assert_eq!(made.stalled(), Some("ClaimsWithoutIdentity"));
    assert!(made.message().contains("at least 5"), "{}", made.message());
}

#[test]
fn claims_that_are_being_deleted_are_waited_for() {
    let mut scene = Scene::created(3);
    let mut leaving = claim("log-meta-1");
    leaving.terminating = true;
    scene.seen.claims.insert(("log".to_owned(), 1), leaving);
    let made = scene.plan();
    assert_eq!(made.waits(), Some("ClaimsTerminating"));
    assert!(made.actions.is_empty());

    scene.seen.identity = Latch::Set(identity());
    let made = scene.plan();
    assert!(
        !made
            .actions
            .iter()
            .any(|action| matches!(action, Action::ApplyStatefulSet { .. }))
    );
}

#[test]
fn a_running_quorum_names_itself_when_its_identity_is_gone() {
    let mut scene = Scene::running(3);
    scene.seen.identity = Latch::Absent;
    let made = scene.plan();
    assert_eq!(made.actions, [Action::CreateIdentity(identity())]);

    let made = scene.leaderless().plan();
    assert!(made.at(Stage::Blocked));
    assert_eq!(made.stalled(), Some("IdentityMissing"));
    assert!(made.actions.is_empty());
}

#[test]
fn empty_nodes_name_themselves_only_if_all_say_the_same() {
    let mut scene = born_soon(3);
    scene.seen.identity = Latch::Absent;
    assert_eq!(scene.plan().actions, [Action::CreateIdentity(identity())]);
    assert_eq!(
        scene.clone().silent(0).plan().stalled(),
        Some("IdentityMissing")
    );
    scene
        .seen
        .members
        .get_mut(&2)
        .expect("there")
        .quorum
        .cluster_id = "other".to_owned();
    assert_eq!(scene.plan().stalled(), Some("IdentityMissing"));
}

#[test]
fn latches_that_cannot_be_read_are_never_written_over() {
    let mut scene = born_soon(3);
    scene.seen.voters = Latch::Unreadable("not JSON".to_owned());
    let made = scene.plan();
    assert_eq!(made.stalled(), Some("VotersUnreadable"));
    scene.seen.identity = Latch::Unreadable("no key clusterId".to_owned());
    let made = scene.plan();
    assert_eq!(made.stalled(), Some("IdentityUnreadable"));
    assert!(made.actions.is_empty());
}

#[test]
fn a_quorum_without_written_voters_goes_on() {
    let mut scene = Scene::running(3);
    scene.seen.voters = Latch::Absent;
    let made = scene.plan();
    assert!(made.at(Stage::Steady), "{:?}", made.report);
    assert!(
        !made
            .actions
            .iter()
            .any(|action| matches!(action, Action::CreateVoters(_)))
    );
}

#[test]
fn a_pod_that_never_came_up_is_replaced_when_its_template_changes() {
    let scene = born_soon(3).broken(1, "ImagePullBackOff");
    let waiting = scene.plan();
    assert!(waiting.is_harmless());
    assert_eq!(waiting.stalled(), Some("PodStuck"));
    assert!(
        waiting.message().contains("ImagePullBackOff"),
        "{}",
        waiting.message()
    );

    let made = scene.new_template().plan();
    assert_eq!(made.deletes(), Some("meta-1"));
    let begun = made
        .actions
        .iter()
        .any(|action| matches!(action, Action::BeginOperation(_)));
    assert!(begun, "it is written down before");
}

#[test]
fn an_unknown_storage_class_is_told() {
    let mut scene = born_soon(3).broken(1, "Unschedulable");
    let mut unbound = claim("log-meta-1");
    unbound.class_missing = true;
    scene.seen.claims.insert(("log".to_owned(), 1), unbound);
    let made = scene.plan();
    assert_eq!(made.stalled(), Some("StorageClassMissing"));
    assert!(made.message().contains("fast"), "{}", made.message());
}

#[test]
fn the_first_election_is_part_of_the_birth() {
    let world = steady(3);
    let made = Scene::of(&world).without_status().leaderless().plan();
    assert!(made.at(Stage::Bootstrapping));
    assert_eq!(made.waits(), Some("NoLeader"));
}
