//! Rows of members, counts, leader, versions, revisions.

use dmq_api::rest::controller::NodeState;
use dmq_crd::status::{Phase, Role};

use super::fixture::{applied_just_now, at, directory, formatted, running, voter};
use crate::observed::Latch;
use crate::plan::Stage;

#[test]
fn a_quorum_that_runs_shows_its_leader_term_and_members() {
    let status = running().status(None);
    let leader = status.leader.expect("a leader");
    assert_eq!((leader.id, leader.pod_name.as_str()), (1, "meta-0"));
    assert_eq!(
        leader.endpoint,
        "http://meta-0.meta-raft.prod.svc.cluster.local:8080"
    );
    assert_eq!(leader.since, at(1_000));
    assert_eq!(
        (status.term, status.cluster_id.as_deref()),
        (Some(3), Some("orders"))
    );
    assert_eq!((status.voters, status.learners), (Some(3), Some(0)));
    assert_eq!(
        (status.quorum_size, status.healthy_voters),
        (Some(2), Some(3))
    );
    assert_eq!(status.failures_tolerated, Some(1));
    assert_eq!(
        (
            status.replicas,
            status.ready_replicas,
            status.updated_replicas
        ),
        (3, 3, 3)
    );
    let selector = "app.kubernetes.io/name=dmq-metadata,app.kubernetes.io/instance=meta";
    assert_eq!(status.selector.as_deref(), Some(selector));
    assert_eq!(status.phase, Some(Phase::Running));
    let roles: Vec<Role> = status.members.iter().map(|member| member.role).collect();
    assert_eq!(roles, [Role::Leader, Role::Follower, Role::Follower]);
    assert!(
        status
            .members
            .iter()
            .all(|member| member.ready && member.healthy && member.message.is_none())
    );
}

#[test]
fn a_reign_keeps_its_date_and_a_new_term_starts_another() {
    let before = running().status(None);
    let later = running().at(2_000).status(Some(&before));
    assert_eq!(later.leader.expect("a leader").since, at(1_000));
    let reelected = running().led_by(0, 4).at(2_000).status(Some(&before));
    assert_eq!(reelected.leader.expect("a leader").since, at(2_000));
    let other = running().led_by(1, 4).at(2_000).status(Some(&before));
    assert_eq!(other.leader.expect("a leader").since, at(2_000));
}

#[test]
fn without_a_leader_the_term_and_the_numbers_stay_and_the_leader_goes() {
    let before = running().status(None);
    let status = running()
        .leaderless()
        .stage(Stage::NoLeader)
        .status(Some(&before));
    assert_eq!((status.leader, status.term), (None, Some(3)));
    assert_eq!((status.voters, status.healthy_voters), (Some(3), Some(3)));
    assert_eq!(status.failures_tolerated, Some(0));
    assert_eq!(status.phase, Some(Phase::NoLeader));
    assert_eq!(status.membership_index, Some(1));
}

#[test]
fn what_a_member_claims_that_does_not_lead_is_no_membership() {
    let status = running().leaderless().stage(Stage::NoLeader).status(None);
    assert_eq!(
        (status.term, status.voters, status.membership_index),
        (None, None, None)
    );
}

#[test]
fn the_term_never_goes_back() {
    let before = running().led_by(0, 9).status(None);
    assert_eq!(running().led_by(0, 8).status(Some(&before)).term, Some(9));
}

#[test]
fn a_member_that_is_gone_keeps_its_directory_and_version() {
    let before = running().status(None);
    let status = running().gone(2).status(Some(&before));
    let row = &status.members[2];
    assert_eq!(
        (row.id, row.directory_id.as_str()),
        (3, directory(3).to_string().as_str())
    );
    assert_eq!(row.version.as_deref(), Some("0.1.0"));
    assert_eq!(
        (row.role, row.ready, row.healthy),
        (Role::Follower, false, false)
    );
    assert_eq!(row.message.as_deref(), Some("pod meta-2 does not exist"));
    assert_eq!(
        (status.healthy_voters, status.failures_tolerated),
        (Some(2), Some(0))
    );
    assert_eq!(status.phase, Some(Phase::Degraded));
}

#[test]
fn all_members_gone_are_still_listed_as_they_were() {
    let before = running().status(None);
    let pass = running()
        .leaderless()
        .gone(0)
        .gone(1)
        .gone(2)
        .stage(Stage::QuorumLost);
    let status = pass.status(Some(&before));
    assert_eq!(status.members.len(), 3);
    assert!(
        status
            .members
            .iter()
            .all(|row| row.role == Role::Follower && !row.healthy)
    );
    assert_eq!((status.voters, status.healthy_voters), (Some(3), Some(0)));
    assert_eq!(status.replicas, 0);
}

#[test]
fn a_pod_with_other_data_is_a_row_of_its_own() {
    let mut pass = running();
    let lost = directory(77);
    let member = pass.seen.members.get_mut(&2).expect("a member");
    member.quorum.directory_id = lost;
    member.quorum.state = NodeState::Uninitialized;
    member.quorum.voters.clear();
    let status = pass.status(Some(&running().status(None)));
    assert_eq!(status.members.len(), 4);
    let of = |directory: uuid::Uuid| {
        let directory = directory.to_string();
        status
            .members
            .iter()
            .find(|row| row.directory_id == directory)
            .expect("a row")
    };
    assert_eq!(of(lost).role, Role::Uninitialized);
    let old = of(directory(3));
    assert_eq!(
        (old.role, old.ready, old.healthy),
        (Role::Follower, false, false)
    );
    assert!(
        old.message
            .as_ref()
            .is_some_and(|message| message.contains("its data is gone"))
    );
    assert_eq!(status.healthy_voters, Some(2));
}

#[test]
fn a_controller_that_only_others_could_confirm_is_not_quoted() {
    let mut pass = running();
    let leader = pass.seen.leader.as_mut().expect("a leader");
    for voter in &mut leader.quorum.voters {
        voter.last_contact_ms = None;
    }
    let status = pass.status(None);
    for member in &status.members {
        let message = member.message.as_deref();
        assert_eq!(
            message,
            Some("the operator cannot ask the controller how far it is")
        );
    }
}

/// A way to be unwell in the eyes of the leader.
type Spoil = fn(&mut dmq_api::rest::quorum::MemberResponse);

#[test]
fn a_voter_is_unhealthy_if_its_leader_does_not_hear_it_or_it_lags_or_stops() {
    let spoil: [(&str, Spoil); 4] = [
        ("the controller does not hear from it", |voter| {
            voter.last_contact_ms = Some(2_001);
        }),
        ("it lacks more than 1000 entries of the log", |voter| {
            voter.lag = Some(1_001);
        }),
        ("it is stopping", |voter| voter.stopping = Some(true)),
        ("the controller is sending it a snapshot", |voter| {
            voter.receiving_snapshot = Some(true);
        }),
    ];
    for (message, spoil) in spoil {
        let mut pass = running();
        let leader = pass.seen.leader.as_mut().expect("a leader");
        spoil(&mut leader.quorum.voters[1]);
        let status = pass.status(None);
        assert_eq!(status.members[1].message.as_deref(), Some(message));
        assert_eq!(status.healthy_voters, Some(2), "{message}");
    }
}

#[test]
fn a_member_that_was_slow_once_stays_healthy_while_its_leader_hears_it() {
    let mut pass = running();
    pass.seen.members.remove(&1);
    let status = pass.status(Some(&running().status(None)));
    assert_eq!(status, running().status(None));
}

#[test]
fn a_learner_is_no_voter() {
    let mut pass = running();
    let leader = pass.seen.leader.as_mut().expect("a leader");
    let last = leader.quorum.voters.remove(2);
    leader.quorum.observers.push(last);
    let status = pass.status(None);
    assert_eq!(
        (status.voters, status.learners, status.quorum_size),
        (Some(2), Some(1), Some(2))
    );
    assert_eq!(status.members[2].role, Role::Learner);
}

#[test]
fn five_voters_of_which_one_is_down_tolerate_one_more() {
    let mut pass = running();
    let leader = pass.seen.leader.as_mut().expect("a leader");
    leader.quorum.voters.extend((4..=5).map(voter));
    for ordinal in 3..5 {
        let mut pod = pass.seen.pods[&2].clone();
        pod.name = format!("meta-{ordinal}");
        pass.seen.pods.insert(ordinal, pod);
    }
    let status = pass.gone(1).status(None);
    assert_eq!(
        (status.quorum_size, status.healthy_voters),
        (Some(3), Some(4))
    );
    assert_eq!(status.failures_tolerated, Some(1));
}

#[test]
fn nothing_is_claimed_before_the_birth() {
    let status = applied_just_now().status(None);
    assert_eq!(
        (status.voters, status.term, &status.version),
        (None, None, &None)
    );
    assert_eq!(status.phase, Some(Phase::Pending));
    let status = formatted().status(Some(&status));
    assert_eq!((status.voters, status.term), (None, None));
    assert_eq!(status.phase, Some(Phase::Bootstrapping));
    assert!(
        status
            .members
            .iter()
            .all(|row| row.role == Role::Uninitialized)
    );
    assert_eq!(status.members[0].directory_id, directory(1).to_string());
}

#[test]
fn the_version_is_the_lowest_and_the_target_shows_while_it_differs() {
    let mut pass = running().spec(|spec| spec.version = Some("0.10.0".to_owned()));
    for (ordinal, version) in [(0, "0.9.0"), (1, "0.10.0"), (2, "0.9.1")] {
        pass.seen
            .members
            .get_mut(&ordinal)
            .expect("a member")
            .version = version.to_owned();
    }
    let status = pass.status(None);
    assert_eq!(status.version.as_deref(), Some("0.9.0"));
    assert_eq!(status.target_version.as_deref(), Some("0.10.0"));
    assert_eq!(running().status(None).target_version, None);
}

#[test]
fn revisions_differ_only_while_pods_are_replaced() {
    let before = running().status(None);
    assert_eq!(before.current_revision.as_deref(), Some("meta-a"));
    let half = running()
        .target("meta-b")
        .revision(2, "meta-b")
        .stage(Stage::Rolling);
    let half = half.status(Some(&before));
    assert_eq!(half.current_revision.as_deref(), Some("meta-a"));
    assert_eq!(
        (half.update_revision.as_deref(), half.updated_replicas),
        (Some("meta-b"), 1)
    );
    let all = (0..3).fold(running().target("meta-b"), |pass, ordinal| {
        pass.revision(ordinal, "meta-b")
    });
    let all = all.status(Some(&half));
    assert_eq!(all.current_revision, all.update_revision);
}

#[test]
fn an_identity_that_cannot_be_read_leaves_the_name_that_the_leader_says() {
    let mut pass = running();
    pass.seen.identity = Latch::Unreadable("no clusterId".to_owned());
    assert_eq!(pass.status(None).cluster_id.as_deref(), Some("orders"));
}

#[test]
fn the_lock_of_an_operation_is_kept_as_it_is() {
    let operation = dmq_crd::status::Operation {
        type_: dmq_crd::status::OperationType::Restart,
        pod_name: "meta-2".to_owned(),
        pod_uid: "uid".to_owned(),
        reason: "outdated".to_owned(),
        started_at: at(900),
    };
    let mut before = running().status(None);
    before.operation = Some(operation.clone());
    assert_eq!(running().status(Some(&before)).operation, Some(operation));
}
