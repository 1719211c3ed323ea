//! Scenes for the tables: a running quorum as one pass sees it, and ways to change what is seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use dmq_crd::status::{Operation, OperationType};
use dmq_crd::{DmqMetadataCluster, DmqMetadataClusterSpec, DmqMetadataClusterStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use uuid::Uuid;

use super::model::{Log, World};
use crate::observed::{Leader, Observed, Pod, Problem};
use crate::plan::{Action, Plan, Stage, plan};
use crate::settings::Settings;

/// Revision that pods are to be brought to.
const NEW: &str = "meta-new";

/// What a pass sees.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) seen: Observed,
}

impl Scene {
    /// The object was just created.
    pub(super) fn created(replicas: i32) -> Self {
        Self::of(&World::new(replicas))
    }

    /// Everything in place; `meta-0` leads.
    pub(super) fn running(replicas: i32) -> Self {
        let mut world = steady(replicas);
        if world.leader != Some(0) {
            world.lead(0);
        }
        for _ in 0..6 {
            world.tick();
            world.pass(&mut Log::default());
        }
        Self::of(&world)
    }

    pub(super) fn of(world: &World) -> Self {
        Self {
            seen: world.seen(&BTreeSet::new()),
        }
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&self.seen)
    }

    fn object(mut self, change: impl FnOnce(&mut DmqMetadataCluster)) -> Self {
        let mut cluster = DmqMetadataCluster::clone(&self.seen.cluster);
        change(&mut cluster);
        self.seen.cluster = Arc::new(cluster);
        self
    }

    pub(super) fn spec(self, change: impl FnOnce(&mut DmqMetadataClusterSpec)) -> Self {
        self.object(|object| change(&mut object.spec))
    }

    pub(super) fn status(self, change: impl FnOnce(&mut DmqMetadataClusterStatus)) -> Self {
        self.object(|object| change(object.status.get_or_insert_default()))
    }

    /// As of an object that was made anew.
    pub(super) fn without_status(self) -> Self {
        self.object(|object| object.status = None)
    }

    pub(super) fn annotated(self, key: &str, value: &str) -> Self {
        self.object(|object| {
            let all = object.metadata.annotations.get_or_insert_default();
            all.insert(key.to_owned(), value.to_owned());
        })
    }

    pub(super) fn deleted(self) -> Self {
        let now = self.seen.now;
        self.object(|object| object.metadata.deletion_timestamp = Some(Time(now)))
    }

    /// An operation was written down so many seconds ago.
    pub(super) fn operation(self, type_: OperationType, ordinal: i32, age: i64) -> Self {
        let started_at = Time(self.seen.now - SignedDuration::from_secs(age));
        let operation = Operation {
            type_,
            pod_name: format!("meta-{ordinal}"),
            pod_uid: self.seen.pods[&ordinal].uid.clone(),
            reason: "its template has changed".to_owned(),
            started_at,
        };
        self.status(|status| status.operation = Some(operation))
    }

    /// The template has changed: every pod is outdated.
    pub(super) fn new_template(mut self) -> Self {
        let set = self.seen.stateful_set.as_mut().expect("a set");
        set.update_revision = Some(NEW.to_owned());
        self
    }

    /// The pod was replaced a minute ago.
    pub(super) fn replaced(mut self, ordinal: i32) -> Self {
        let then = self.seen.now - SignedDuration::from_secs(60);
        let pod = self.pod(ordinal);
        pod.revision = Some(NEW.to_owned());
        pod.uid = format!("new-{ordinal}");
        pod.created = then;
        if pod.ready {
            pod.ready_since = Some(then);
        }
        self
    }

    pub(super) fn pod(&mut self, ordinal: i32) -> &mut Pod {
        self.seen.pods.get_mut(&ordinal).expect("a pod")
    }

    /// The pod is not Ready since so many seconds, and its node is silent.
    pub(super) fn down(mut self, ordinal: i32, seconds: i64) -> Self {
        let since = self.seen.now - SignedDuration::from_secs(seconds);
        let pod = self.pod(ordinal);
        pod.ready = false;
        pod.ready_since = None;
        pod.unready_since = Some(since);
        pod.created = pod.created.min(since);
        self.silent(ordinal).missed(ordinal)
    }

    /// The pod was made half a minute ago and does not start, for this reason.
    pub(super) fn broken(self, ordinal: i32, reason: &str) -> Self {
        let mut scene = self.down(ordinal, 30);
        scene.pod(ordinal).problem = Some(Problem::new(reason, "as Kubernetes says"));
        scene
    }

    /// The leader does not count on this member.
    fn missed(mut self, ordinal: i32) -> Self {
        let id = u32::try_from(ordinal + 1).expect("small");
        let Some(leader) = &mut self.seen.leader else {
            return self;
        };
        for voter in &mut leader.quorum.voters {
            if voter.id == id {
                voter.last_contact_ms = Some(60_000);
            }
        }
        for (asked, verdict) in &mut leader.pre_restart {
            verdict.successors.retain(|other| *other != id);
            let stay = u32::try_from(verdict.successors.len()).expect("small");
            verdict.safe = *asked == id && verdict.safe || stay >= verdict.majority;
        }
        self
    }

    /// The node does not answer this pass.
    pub(super) fn silent(mut self, ordinal: i32) -> Self {
        self.seen.members.remove(&ordinal);
        self
    }

    pub(super) fn terminating(mut self, ordinal: i32) -> Self {
        self.pod(ordinal).terminating = true;
        self
    }

    pub(super) fn gone(mut self, ordinal: i32) -> Self {
        self.seen.pods.remove(&ordinal);
        self.silent(ordinal).missed(ordinal)
    }

    pub(super) fn leaderless(mut self) -> Self {
        self.seen.leader = None;
        self
    }

    pub(super) fn leader(&mut self) -> &mut Leader {
        self.seen.leader.as_mut().expect("a leader")
    }

    /// The follower lacks so many entries.
    pub(super) fn lagging(mut self, ordinal: i32, entries: u64) -> Self {
        let id = u32::try_from(ordinal + 1).expect("small");
        for voter in &mut self.leader().quorum.voters {
            if voter.id == id {
                voter.lag = Some(entries);
            }
        }
        self
    }

    /// The pod came back with an empty directory.
    pub(super) fn emptied(mut self, ordinal: i32) -> Self {
        let member = self.seen.members.get_mut(&ordinal).expect("a member");
        member.quorum.directory_id = Uuid::from_u128(u128::from(ordinal.unsigned_abs()) + 900);
        member.quorum.state = dmq_api::rest::controller::NodeState::Uninitialized;
        member.quorum.voters.clear();
        member.quorum.membership_index = 0;
        self
    }
}

/// What must be said of a plan in a table.
pub(super) trait Says {
    /// Name of the pod that it deletes.
    fn deletes(&self) -> Option<&str>;
    /// Node that it moves leadership to.
    fn transfers_to(&self) -> Option<u32>;
    /// Nothing is taken down or moved.
    fn is_harmless(&self) -> bool;
    /// Reason of `stalled`.
    fn stalled(&self) -> Option<&str>;
    /// Reason of `progress`.
    fn waits(&self) -> Option<&str>;
    /// Message of `stalled`, `progress` or what was refused.
    fn message(&self) -> &str;
    /// It is at this stage.
    fn at(&self, stage: Stage) -> bool;
}

impl Says for Plan {
    fn deletes(&self) -> Option<&str> {
        self.actions.iter().find_map(|action| match action {
            Action::DeletePod { pod, .. } => Some(pod.as_str()),
            _ => None,
        })
    }

    fn transfers_to(&self) -> Option<u32> {
        self.actions.iter().find_map(|action| match action {
            Action::Transfer { target, .. } => Some(*target),
            _ => None,
        })
    }

    fn is_harmless(&self) -> bool {
        !self.actions.iter().any(Action::is_disruptive)
    }

    fn stalled(&self) -> Option<&str> {
        self.report
            .stalled
            .as_ref()
            .map(|known| known.reason.as_str())
    }

    fn waits(&self) -> Option<&str> {
        self.report
            .progress
            .as_ref()
            .map(|known| known.reason.as_str())
    }

    fn message(&self) -> &str {
        let report = &self.report;
        let said = report.stalled.as_ref().or(report.rejected.first());
        said.or(report.progress.as_ref())
            .map_or("", |known| known.message.as_str())
    }

    fn at(&self, stage: Stage) -> bool {
        self.report.stage == stage
    }
}

/// A world in which everything is in place.
pub(super) fn steady(replicas: i32) -> World {
    let mut world = World::new(replicas);
    let mut log = Log::default();
    for _ in 0..60 {
        world.tick();
        let made = world.pass(&mut log);
        if made.report.stage == Stage::Steady && made.report.progress.is_none() {
            assert_eq!(world.watch.violation, None);
            return world;
        }
    }
    panic!(
        "not steady after a minute: {:?}",
        plan(&world.seen(&BTreeSet::new())).report
    );
}

/// Defaults of the process.
pub(super) fn settings() -> Arc<Settings> {
    Arc::new(Settings {
        image_repository: "example.test/dmq-metadata".to_owned(),
        postgres_image: "example.test/postgres:15".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        version: "0.3.0".to_owned(),
        operator_namespace: "dmq-system".to_owned(),
    })
}

/// So many seconds into the story.
pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("in range")
}
