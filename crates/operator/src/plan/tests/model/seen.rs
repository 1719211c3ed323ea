//! What an operator sees of the world, or of a part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dmq_api::rest::controller::NodeState;
use dmq_api::rest::quorum::{
    MemberResponse, PostRestartResponse, PreRestartResponse, ProjectionResponse, QuorumResponse,
};

use super::quorum::CAUGHT_UP;
use super::{PodSim, Set, World};
use crate::observed::{
    Claim, Conflict, Identity, Latch, Leader, Member, Observed, Pod, Problem, StatefulSet,
};
use crate::plan::tests::scene::{settings, time};

impl World {
    /// What a pass sees if these nodes do not answer it.
    pub(in crate::plan::tests) fn seen(&self, silent: &BTreeSet<i32>) -> Observed {
        let mut observed = Observed {
            cluster: Arc::new(self.cluster.clone()),
            settings: settings(),
            now: time(self.now),
            identity: self.identity.clone().map_or(Latch::Absent, Latch::Set),
            voters: self.voters.clone().map_or(Latch::Absent, Latch::Set),
            token: self.token,
            stateful_set: None,
            pods: self
                .pods
                .iter()
                .map(|(ordinal, pod)| (*ordinal, self.pod(*ordinal, pod)))
                .collect(),
            claims: self.claims(),
            invalid: self
                .invalid
                .then(|| Problem::new("InvalidSpec", "a rule is broken"))
                .into_iter()
                .collect(),
            conflicts: self
                .conflict
                .then(|| Conflict {
                    object: "Service/meta".to_owned(),
                    owner: "somebody".to_owned(),
                })
                .into_iter()
                .collect(),
            missing: self
                .missing
                .then(|| {
                    (
                        "spec.store".to_owned(),
                        "there is no such Secret".to_owned(),
                    )
                })
                .into_iter()
                .collect(),
            members: BTreeMap::new(),
            leader: None,
        };
        let replicas = crate::plan::replicas(&observed);
        observed.stateful_set = self
            .set
            .as_ref()
            .map(|set| self.stateful_set(set, replicas));
        let answering = |ordinal: &i32| self.up(*ordinal) && !silent.contains(ordinal);
        let ordinals: Vec<i32> = self.pods.keys().copied().filter(answering).collect();
        observed.members = ordinals
            .iter()
            .map(|ordinal| (*ordinal, self.member(*ordinal)))
            .collect();
        observed.leader = self
            .leader
            .filter(|leader| ordinals.contains(leader) && self.has_quorum())
            .map(|leader| self.confirmed(leader));
        observed
    }

    fn stateful_set(&self, set: &Set, replicas: i32) -> StatefulSet {
        StatefulSet {
            uid: "set".to_owned(),
            replicas: set.replicas,
            generation: set.generation,
            observed_generation: set.looked_at,
            update_revision: set.update.map(revision),
            claim_sizes: set.sizes.clone(),
            terminating: false,
            applied: set.template == self.wanted() && set.replicas == replicas,
        }
    }

    fn pod(&self, ordinal: i32, pod: &PodSim) -> Pod {
        let broken = self
            .set
            .as_ref()
            .is_some_and(|set| set.revisions[pod.revision].broken());
        let late = self.now - pod.created >= 2 && pod.up_since.is_none();
        let problem = if late && self.no_room.contains(&ordinal) {
            Some(Problem::new("Unschedulable", "0/3 nodes are available"))
        } else if late && broken {
            Some(Problem::new("CrashLoopBackOff", "exit code 1"))
        } else {
            None
        };
        Pod {
            name: format!("meta-{ordinal}"),
            uid: pod.uid.to_string(),
            resource_version: pod.version.to_string(),
            ip: Some("10.0.0.1".to_owned()),
            node: Some("node1".to_owned()),
            revision: Some(revision(pod.revision)),
            ready: pod.ready_since.is_some(),
            ready_since: pod.ready_since.map(time),
            unready_since: pod.unready_since.map(time),
            created: time(pod.created),
            terminating: pod.stopping_since.is_some(),
            labelled_controller: pod.labelled,
            problem,
        }
    }

    fn claims(&self) -> BTreeMap<(String, i32), Claim> {
        let claim = |ordinal: &i32| Claim {
            name: format!("log-meta-{ordinal}"),
            size: "10Gi".to_owned(),
            bound: true,
            storage_class: None,
            class_missing: false,
            terminating: self.doomed_claims.contains(ordinal),
        };
        self.disks
            .keys()
            .map(|ordinal| (("log".to_owned(), *ordinal), claim(ordinal)))
            .collect()
    }

    fn member(&self, ordinal: i32) -> Member {
        let leader = self.leader.filter(|_| self.has_quorum());
        let caught_up = leader.is_some()
            && self.votes(ordinal)
            && self.lag(ordinal) == 0
            && !self.stopping(ordinal);
        let set = self.set.as_ref().expect("a pod has a set");
        Member {
            quorum: self.quorum(ordinal),
            version: set.revisions[self.pods[&ordinal].revision].version.clone(),
            post_restart: leader.map(|leader| PostRestartResponse {
                node_id: id(ordinal),
                caught_up,
                reason: (!caught_up).then(|| "it lacks entries".to_owned()),
                applied_index: self.disks[&ordinal].matched,
                leader_id: Some(id(leader)),
                term: self.term,
            }),
        }
    }

    fn quorum(&self, ordinal: i32) -> QuorumResponse {
        let disk = &self.disks[&ordinal];
        let Identity {
            cluster_id,
            incarnation,
            ..
        } = self.watch.identity.clone().expect("formatted with it");
        let leads = self.leader == Some(ordinal);
        let state = match (disk.configured, leads) {
            (false, _) => NodeState::Uninitialized,
            (true, true) => NodeState::Leader,
            (true, false) => NodeState::Follower,
        };
        let config = self
            .config
            .clone()
            .filter(|_| disk.configured)
            .unwrap_or_default();
        let index = u64::from(disk.configured);
        QuorumResponse {
            cluster_id,
            incarnation,
            node_id: id(ordinal),
            directory_id: disk.directory,
            state,
            leader_id: self.leader.map(id),
            leader_url: None,
            term: self.term,
            commit_index: self.commit,
            last_index: disk.matched,
            durable_index: disk.matched,
            applied_index: disk.matched,
            log_start_index: 0,
            projection: ProjectionResponse {
                index: disk.matched,
                lag: 0,
                healthy: true,
                stopped: false,
            },
            membership_index: index,
            committed_membership_index: index,
            voters: config
                .iter()
                .map(|voter| {
                    self.voter(
                        i32::try_from(voter.id).expect("small") - 1,
                        leads,
                        voter.directory_id,
                    )
                })
                .collect(),
            outgoing_voters: None,
            observers: Vec::new(),
            max_follower_lag: None,
            max_follower_lag_time_ms: None,
            transferring_to: None,
            ready: true,
            stopping: self.stopping(ordinal),
            alarms: Vec::new(),
        }
    }

    fn voter(&self, ordinal: i32, by_leader: bool, directory_id: uuid::Uuid) -> MemberResponse {
        let there = self.votes(ordinal);
        MemberResponse {
            id: id(ordinal),
            directory_id,
            peer_address: None,
            url: None,
            matched_index: by_leader.then(|| self.commit - self.lag(ordinal)),
            lag: by_leader.then(|| self.lag(ordinal)),
            last_contact_ms: by_leader.then_some(if there { 100 } else { 60_000 }),
            last_caught_up_ms: None,
            receiving_snapshot: by_leader.then_some(false),
            stopping: by_leader.then_some(self.stopping(ordinal)),
            caught_up: None,
        }
    }

    fn confirmed(&self, leader: i32) -> Leader {
        let voting = self.voting();
        Leader {
            id: id(leader),
            ordinal: leader,
            term: self.term,
            quorum: self.quorum(leader),
            pre_restart: voting
                .iter()
                .map(|ordinal| (id(*ordinal), self.verdict(*ordinal, leader)))
                .collect(),
        }
    }

    fn verdict(&self, ordinal: i32, leader: i32) -> PreRestartResponse {
        let able = |other: &i32| {
            *other != ordinal
                && !self.stopping(*other)
                && (*other == leader || self.votes(*other) && self.lag(*other) <= CAUGHT_UP)
        };
        let successors: Vec<u32> = self.voting().into_iter().filter(able).map(id).collect();
        let safe = successors.len() >= self.majority();
        PreRestartResponse {
            node_id: id(ordinal),
            safe,
            reason: (!safe).then(|| "too few would stay".to_owned()),
            is_leader: ordinal == leader,
            majority: u32::try_from(self.majority()).expect("small"),
            successors,
            commit_index: self.commit,
        }
    }
}

pub(super) fn revision(index: usize) -> String {
    format!("meta-r{index}")
}

fn id(ordinal: i32) -> u32 {
    u32::try_from(ordinal + 1).expect("small")
}
