//! What follows from an observation, worked out once: counts, versions, revisions.

use dmq_crd::DmqMetadataClusterStatus;
use dmq_crd::status::{Member, Role};

use super::{count, members};
use crate::observed::{Latch, Observed, Pod};
use crate::plan::{self, Plan, Stage};

/// An observation, its plan, the status before, and what follows from the three.
pub(super) struct Facts<'a> {
    pub(super) observed: &'a Observed,
    pub(super) plan: &'a Plan,
    pub(super) previous: Option<&'a DmqMetadataClusterStatus>,
    /// The rows of `status.members`.
    pub(super) members: Vec<Member>,
}

/// The numbers of a quorum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) voters: i32,
    pub(super) learners: i32,
    pub(super) healthy: i32,
}

impl Counts {
    /// Voters that a decision needs.
    pub(super) fn quorum_size(self) -> i32 {
        self.voters / 2 + 1
    }

    /// How many of the healthy voters may fail; none without a leader, since nothing is served then.
    pub(super) fn failures_tolerated(self, has_leader: bool) -> i32 {
        if has_leader {
            (self.healthy - self.quorum_size()).max(0)
        } else {
            0
        }
    }

    /// Every voter is healthy.
    pub(super) fn is_whole(self) -> bool {
        self.healthy == self.voters && self.voters > 0
    }
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        observed: &'a Observed,
        plan: &'a Plan,
        previous: Option<&'a DmqMetadataClusterStatus>,
    ) -> Self {
        Self {
            observed,
            plan,
            previous,
            members: members::members(observed, previous),
        }
    }

    pub(super) fn name(&self) -> &'a str {
        self.observed
            .cluster
            .metadata
            .name
            .as_deref()
            .unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &'a str {
        let namespace = self.observed.cluster.metadata.namespace.as_deref();
        namespace.unwrap_or_default()
    }

    pub(super) fn generation(&self) -> i64 {
        self.observed
            .cluster
            .metadata
            .generation
            .unwrap_or_default()
    }

    pub(super) fn stage(&self) -> Stage {
        self.plan.report.stage
    }

    pub(super) fn has_leader(&self) -> bool {
        self.observed.leader.is_some()
    }

    /// The numbers of the quorum, once there is one.
    pub(super) fn counts(&self) -> Option<Counts> {
        let of = |wanted: fn(&Member) -> bool| {
            count(self.members.iter().filter(|member| wanted(member)).count())
        };
        let counts = Counts {
            voters: of(|member| members::is_voter(member.role)),
            learners: of(|member| member.role == Role::Learner),
            healthy: of(|member| members::is_voter(member.role) && member.healthy),
        };
        (counts.voters > 0).then_some(counts)
    }

    /// Never goes back: a status without a leader keeps the last confirmed term.
    pub(super) fn term(&self) -> Option<i64> {
        let leader = self.observed.leader.as_ref();
        let now = leader.and_then(|leader| i64::try_from(leader.term).ok());
        now.max(self.previous.and_then(|previous| previous.term))
    }

    /// As `term`: only what a leader confirmed, and never unset.
    pub(super) fn membership_index(&self) -> Option<i64> {
        let view = self.observed.leader.as_ref().map(|leader| &leader.quorum);
        let index = view.and_then(|view| i64::try_from(view.committed_membership_index).ok());
        index.max(self.previous.and_then(|previous| previous.membership_index))
    }

    /// What the latch says; if it cannot be read, what the leader says or was last known.
    pub(super) fn cluster_id(&self) -> Option<String> {
        if let Latch::Set(identity) = &self.observed.identity {
            return Some(identity.cluster_id.clone());
        }
        let leader = self.observed.leader.as_ref();
        let said = leader.map(|leader| leader.quorum.cluster_id.clone());
        said.or_else(|| {
            self.previous
                .and_then(|previous| previous.cluster_id.clone())
        })
    }

    pub(super) fn ready_pods(&self) -> i32 {
        let pods = self.observed.pods.values();
        count(pods.filter(|pod| members::is_ready(pod)).count())
    }

    /// Pods that there are to be: not what the spec says while scaling is refused.
    pub(super) fn wanted_pods(&self) -> i32 {
        plan::replicas(self.observed)
    }

    /// The revision that pods are to have; none before Kubernetes has looked at the template.
    pub(super) fn target_revision(&self) -> Option<&'a str> {
        self.observed.stateful_set.as_ref()?.target_revision()
    }

    pub(super) fn updated_pods(&self) -> i32 {
        let target = self.target_revision();
        let is_updated = |pod: &&Pod| target.is_some() && pod.revision.as_deref() == target;
        count(self.observed.pods.values().filter(is_updated).count())
    }

    /// What the spec asks for is what the StatefulSet has, and Kubernetes has looked at it: else a `Ready` would speak
    /// of an older generation.
    pub(super) fn is_applied(&self) -> bool {
        let set = self.observed.stateful_set.as_ref();
        set.is_some_and(|set| set.applied) && self.target_revision().is_some()
    }

    /// No pod is on another revision than the newest. One that is missing comes back with that.
    pub(super) fn is_updated(&self) -> bool {
        self.is_applied()
            && self.stage() != Stage::Rolling
            && self.updated_pods() == count(self.observed.pods.len())
    }

    /// `currentRevision` and `updateRevision`: equal, but for a roll. The first is set when all pods are Ready for the
    /// first time, as of a StatefulSet; so it also tells a quorum that has been up from one that is being made.
    pub(super) fn revisions(&self) -> (Option<String>, Option<String>) {
        let before = |of: fn(&DmqMetadataClusterStatus) -> &Option<String>| {
            self.previous.and_then(|previous| of(previous).clone())
        };
        let update = self.target_revision().map(str::to_owned);
        let update = update.or_else(|| before(|previous| &previous.update_revision));
        if self.is_updated() && self.ready_pods() == self.wanted_pods() {
            return (update.clone(), update);
        }
        let mut revisions = self
            .observed
            .pods
            .values()
            .filter_map(|pod| pod.revision.clone());
        let current = before(|previous| &previous.current_revision);
        let current = current.or_else(|| revisions.find(|one| Some(one) != update.as_ref()));
        (current, update)
    }

    /// The lowest version among the members.
    pub(super) fn version(&self) -> Option<String> {
        let versions = self
            .members
            .iter()
            .filter_map(|member| member.version.as_ref());
        versions
            .min_by_key(|version| (numbers(version), version.as_str()))
            .cloned()
    }

    /// The version that the spec asks for.
    pub(super) fn wanted_version(&self) -> &'a str {
        let version = self.observed.cluster.spec.version.as_deref();
        version.unwrap_or(&self.observed.settings.version)
    }

    /// The version that the spec asks for, while a member runs another one.
    pub(super) fn target_version(&self) -> Option<String> {
        let wanted = self.wanted_version();
        let mut versions = self
            .members
            .iter()
            .filter_map(|member| member.version.as_deref());
        let differs = versions.any(|version| version != wanted);
        differs.then(|| wanted.to_owned())
    }
}

/// `major.minor.patch` as numbers, for comparison; what cannot be read counts as lowest.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or(version);
    core.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}
