//! A quorum of three that runs, and ways to spoil it.

use std::sync::Arc;

use dmq_api::rest::controller::NodeState;
use dmq_api::rest::quorum::{MemberResponse, ProjectionResponse, QuorumResponse};
use dmq_crd::{DmqMetadataCluster, DmqMetadataClusterSpec, DmqMetadataClusterStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use uuid::Uuid;

use crate::observed::{
    Identity, Latch, Leader, Member, Observed, Pod, Problem, StatefulSet, Voter,
};
use crate::plan::{Again, Plan, Report, Stage};
use crate::report::status;
use crate::settings::Settings;

/// What one pass saw and planned.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) seen: Observed,
    pub(super) plan: Plan,
}

impl Pass {
    pub(super) fn status(
        &self,
        previous: Option<&DmqMetadataClusterStatus>,
    ) -> DmqMetadataClusterStatus {
        status(&self.seen, &self.plan, previous)
    }

    /// The status of a quorum that was seen before.
    pub(super) fn settled(&self) -> DmqMetadataClusterStatus {
        let first = self.status(None);
        self.status(Some(&first))
    }

    pub(super) fn stage(mut self, stage: Stage) -> Self {
        self.plan.report.stage = stage;
        self
    }

    pub(super) fn progress(mut self, reason: &str, message: &str) -> Self {
        self.plan.report.progress = Some(problem(reason, message));
        self
    }

    pub(super) fn stalled(mut self, reason: &str, message: &str) -> Self {
        self.plan.report.stalled = Some(problem(reason, message));
        self
    }

    pub(super) fn rejected(mut self, reason: &str, message: &str) -> Self {
        self.plan.report.rejected.push(problem(reason, message));
        self
    }

    pub(super) fn generation(mut self, generation: i64) -> Self {
        let mut cluster = DmqMetadataCluster::clone(&self.seen.cluster);
        cluster.metadata.generation = Some(generation);
        self.seen.cluster = Arc::new(cluster);
        self
    }

    pub(super) fn spec(mut self, change: impl FnOnce(&mut DmqMetadataClusterSpec)) -> Self {
        let mut cluster = DmqMetadataCluster::clone(&self.seen.cluster);
        change(&mut cluster.spec);
        self.seen.cluster = Arc::new(cluster);
        self
    }

    pub(super) fn not_applied(mut self) -> Self {
        if let Some(set) = &mut self.seen.stateful_set {
            set.applied = false;
        }
        self
    }

    /// The template changed: pods are to have this revision.
    pub(super) fn target(mut self, revision: &str) -> Self {
        if let Some(set) = &mut self.seen.stateful_set {
            set.update_revision = Some(revision.to_owned());
        }
        self
    }

    pub(super) fn revision(mut self, ordinal: i32, revision: &str) -> Self {
        self.pod(ordinal).revision = Some(revision.to_owned());
        self
    }

    pub(super) fn pod(&mut self, ordinal: i32) -> &mut Pod {
        self.seen
            .pods
            .get_mut(&ordinal)
            .expect("a pod of the fixture")
    }

    /// The pod is there, its node does not answer, and this is why.
    pub(super) fn broken(mut self, ordinal: i32, reason: &str, message: &str) -> Self {
        let pod = self.pod(ordinal);
        pod.ready = false;
        pod.problem = Some(problem(reason, message));
        self.silent(ordinal)
    }

    /// The pod is gone.
    pub(super) fn gone(mut self, ordinal: i32) -> Self {
        self.seen.pods.remove(&ordinal);
        self.silent(ordinal)
    }

    /// The node does not answer, and its leader does not hear from it.
    pub(super) fn silent(mut self, ordinal: i32) -> Self {
        self.seen.members.remove(&ordinal);
        if let Some(leader) = &mut self.seen.leader {
            let id = u32::try_from(ordinal + 1).expect("small");
            for voter in leader
                .quorum
                .voters
                .iter_mut()
                .filter(|voter| voter.id == id)
            {
                voter.last_contact_ms = Some(60_000);
            }
        }
        self
    }

    /// Another leader, in this term.
    pub(super) fn led_by(mut self, ordinal: i32, term: u64) -> Self {
        let id = u32::try_from(ordinal + 1).expect("small");
        self.seen.leader = Some(leader(id, term));
        self
    }

    pub(super) fn leaderless(mut self) -> Self {
        self.seen.leader = None;
        self
    }

    pub(super) fn at(mut self, second: i64) -> Self {
        self.seen.now = Timestamp::from_second(second).expect("a time");
        self
    }
}

/// Three members, all well; `meta-0` leads in term 3.
pub(super) fn running() -> Pass {
    let settings = Settings {
        image_repository: "ghcr.io/dmq-io/dmq-metadata".to_owned(),
        postgres_image: "docker.io/library/postgres:15".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        version: "0.1.0".to_owned(),
        operator_namespace: "dmq-system".to_owned(),
    };
    let voters = (1..=3).map(|id| Voter {
        id,
        directory_id: directory(id),
    });
    let seen = Observed {
        cluster: Arc::new(object()),
        settings: Arc::new(settings),
        now: Timestamp::from_second(1_000).expect("a time"),
        identity: Latch::Set(Identity {
            cluster_id: "orders".to_owned(),
            incarnation: "1".to_owned(),
            cluster_uid: "uid-of-meta".to_owned(),
        }),
        voters: Latch::Set(voters.collect()),
        token: true,
        stateful_set: Some(stateful_set()),
        pods: (0..3).map(|ordinal| (ordinal, pod(ordinal))).collect(),
        claims: std::collections::BTreeMap::new(),
        invalid: Vec::new(),
        conflicts: Vec::new(),
        missing: Vec::new(),
        members: (0..3).map(|ordinal| (ordinal, member(ordinal))).collect(),
        leader: Some(leader(1, 3)),
    };
    let plan = Plan {
        actions: Vec::new(),
        report: Report {
            stage: Stage::Steady,
            updated: 3,
            ..Report::default()
        },
        again: Again::Idle,
    };
    Pass { seen, plan }
}

/// Before anything was made.
pub(super) fn applied_just_now() -> Pass {
    let mut pass = running().stage(Stage::Bootstrapping);
    pass.seen.identity = Latch::Absent;
    pass.seen.voters = Latch::Absent;
    pass.seen.stateful_set = None;
    pass.seen.pods.clear();
    pass.seen.members.clear();
    pass.seen.leader = None;
    pass
}

/// All pods answer that they are empty.
pub(super) fn formatted() -> Pass {
    let mut pass = running().stage(Stage::Bootstrapping);
    pass.seen.voters = Latch::Absent;
    pass.seen.leader = None;
    for member in pass.seen.members.values_mut() {
        member.quorum.state = NodeState::Uninitialized;
        member.quorum.voters.clear();
    }
    for pod in pass.seen.pods.values_mut() {
        pod.ready = false;
    }
    pass
}

fn object() -> DmqMetadataCluster {
    let mut object = DmqMetadataCluster::new(
        "meta",
        DmqMetadataClusterSpec {
            replicas: 3,
            ..DmqMetadataClusterSpec::default()
        },
    );
    object.metadata.namespace = Some("prod".to_owned());
    object.metadata.generation = Some(1);
    object
}

fn stateful_set() -> StatefulSet {
    StatefulSet {
        uid: "uid-of-set".to_owned(),
        replicas: 3,
        generation: 1,
        observed_generation: 1,
        update_revision: Some("meta-a".to_owned()),
        claim_sizes: std::collections::BTreeMap::new(),
        terminating: false,
        applied: true,
    }
}

fn pod(ordinal: i32) -> Pod {
    let created = Timestamp::from_second(100).expect("a time");
    Pod {
        name: format!("meta-{ordinal}"),
        uid: format!("uid-of-meta-{ordinal}"),
        resource_version: "7".to_owned(),
        ip: Some(format!("10.0.0.{ordinal}")),
        node: Some(format!("node{ordinal}")),
        revision: Some("meta-a".to_owned()),
        ready: true,
        ready_since: Some(created),
        unready_since: None,
        created,
        terminating: false,
        labelled_controller: ordinal == 0,
        problem: None,
    }
}

pub(super) fn directory(id: u32) -> Uuid {
    Uuid::from_u128(u128::from(id))
}

fn member(ordinal: i32) -> Member {
    let id = u32::try_from(ordinal + 1).expect("small");
    Member {
        quorum: view(id, 3),
        version: "0.1.0".to_owned(),
        post_restart: None,
    }
}

fn leader(id: u32, term: u64) -> Leader {
    Leader {
        id,
        ordinal: i32::try_from(id).expect("small") - 1,
        term,
        quorum: QuorumResponse {
            state: NodeState::Leader,
            ..view(id, term)
        },
        pre_restart: std::collections::BTreeMap::new(),
    }
}

fn view(id: u32, term: u64) -> QuorumResponse {
    QuorumResponse {
        cluster_id: "orders".to_owned(),
        incarnation: "1".to_owned(),
        node_id: id,
        directory_id: directory(id),
        state: NodeState::Follower,
        leader_id: Some(1),
        leader_url: None,
        term,
        commit_index: 40,
        last_index: 40,
        durable_index: 40,
        applied_index: 40,
        log_start_index: 0,
        projection: ProjectionResponse {
            index: 40,
            lag: 0,
            healthy: true,
            stopped: false,
        },
        membership_index: 1,
        committed_membership_index: 1,
        voters: (1..=3).map(voter).collect(),
        outgoing_voters: None,
        observers: Vec::new(),
        max_follower_lag: None,
        max_follower_lag_time_ms: None,
        transferring_to: None,
        ready: true,
        stopping: false,
        alarms: Vec::new(),
    }
}

pub(super) fn voter(id: u32) -> MemberResponse {
    MemberResponse {
        id,
        directory_id: directory(id),
        peer_address: None,
        url: None,
        matched_index: Some(40),
        lag: Some(0),
        last_contact_ms: Some(12),
        last_caught_up_ms: Some(12),
        receiving_snapshot: Some(false),
        stopping: Some(false),
        caught_up: None,
    }
}

pub(super) fn problem(reason: &str, message: &str) -> Problem {
    Problem {
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// The condition of this type; one that must be there.
pub(super) fn condition<'a>(status: &'a DmqMetadataClusterStatus, kind: &str) -> &'a Condition {
    let found = maybe(status, kind);
    found.unwrap_or_else(|| unreachable!("no condition {kind} in {:?}", status.conditions))
}

pub(super) fn maybe<'a>(status: &'a DmqMetadataClusterStatus, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}

/// `status reason` of a condition.
pub(super) fn says(status: &DmqMetadataClusterStatus, kind: &str) -> String {
    let condition = condition(status, kind);
    format!("{} {}", condition.status, condition.reason)
}

pub(super) fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).expect("a time"))
}
