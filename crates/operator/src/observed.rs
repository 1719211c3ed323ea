//! What was seen of one quorum in one pass: live reads only, never a cache. The planner and the status know nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmq_api::rest::quorum::{PostRestartResponse, PreRestartResponse, QuorumResponse};
use dmq_crd::DmqMetadataCluster;
use jiff::Timestamp;

use crate::settings::Settings;

/// One pass' view of one quorum.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The object, read live.
    pub cluster: Arc<DmqMetadataCluster>,
    /// Defaults of the process.
    pub settings: Arc<Settings>,
    /// When the pass began.
    pub now: Timestamp,
    /// The latch of DESIGN 6.1, `<name>-identity-1` ...
    pub identity: Latch<Identity>,
    /// The latch of the first voters, `<name>-voters-1` ...
    pub voters: Latch<Vec<Voter>>,
    /// `<name>-operator-token` exists and holds a token.
    pub token: bool,
    /// The StatefulSet.
    pub stateful_set: Option<StatefulSet>,
    /// Pods by ordinal; only those that the StatefulSet controls.
    pub pods: BTreeMap<i32, Pod>,
    /// Claims of the pods by `(template, ordinal)`.
    pub claims: BTreeMap<(String, i32), Claim>,
    /// Rules that the spec breaks and Kubernetes could not check (`desired::invalid`).
    pub invalid: Vec<Problem>,
    /// Objects that a child would need to be named like, and that belong to somebody else: `kind/name` and whose.
    pub conflicts: Vec<Conflict>,
    /// Secrets that the spec names and that are not there or lack a key: `(field, what is wrong)`.
    pub missing: Vec<(String, String)>,
    /// What each pod's node said, by ordinal; a pod that did not answer is absent.
    pub members: BTreeMap<i32, Member>,
    /// The leader of the highest term that confirmed its leadership by a quorum round in this pass.
    pub leader: Option<Leader>,
}

/// A create-only object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latch<T> {
    /// It does not exist.
    Absent,
    /// It exists and says this.
    Set(T),
    /// It exists and cannot be understood: never bootstrapped over.
    Unreadable(String),
}

/// `<name>-identity-<incarnation>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the DMQ cluster.
    pub cluster_id: String,
    /// Incarnation as `GET /quorum` shows it: `1` for the first.
    pub incarnation: String,
    /// uid of the object that it was made for; another one after the object was made anew over kept data.
    pub cluster_uid: String,
}

/// A voter of the first configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Voter {
    /// Node id.
    pub id: u32,
    /// Its data directory.
    pub directory_id: uuid::Uuid,
}

/// The StatefulSet as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatefulSet {
    /// uid.
    pub uid: String,
    /// `spec.replicas`.
    pub replicas: i32,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`: `update_revision` speaks of the template only if both are equal.
    pub observed_generation: i64,
    /// `status.updateRevision`.
    pub update_revision: Option<String>,
    /// Requested size of each claim template by its name: templates cannot be changed.
    pub claim_sizes: BTreeMap<String, String>,
    /// It is being deleted.
    pub terminating: bool,
    /// What spec and settings ask for now is what was applied last: it carries the mark of exactly that. Until then
    /// a plan neither rolls nor calls the quorum up to date, since `update_revision` speaks of an older template.
    pub applied: bool,
}

impl StatefulSet {
    /// The revision that pods are to have, once Kubernetes has looked at the present template.
    pub fn target_revision(&self) -> Option<&str> {
        (self.generation == self.observed_generation)
            .then_some(self.update_revision.as_deref())
            .flatten()
    }
}

/// A pod of the StatefulSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// uid.
    pub uid: String,
    /// `metadata.resourceVersion`, for preconditions.
    pub resource_version: String,
    /// Its address, once it has one.
    pub ip: Option<String>,
    /// Kubernetes node that it runs on.
    pub node: Option<String>,
    /// Label `controller-revision-hash`.
    pub revision: Option<String>,
    /// Condition Ready.
    pub ready: bool,
    /// Since when it is Ready.
    pub ready_since: Option<Timestamp>,
    /// Since when it is not Ready: the last transition of the condition; `None` while Ready or without the condition.
    pub unready_since: Option<Timestamp>,
    /// When it was created.
    pub created: Timestamp,
    /// It has a deletion timestamp: counts as down.
    pub terminating: bool,
    /// It has the label of the Service `<name>-controller`.
    pub labelled_controller: bool,
    /// Why it does not run, in Kubernetes' words: `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, `CreateContainerConfigError` ... with the message.
    pub problem: Option<Problem>,
}

/// Why something does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One `CamelCase` word.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Problem {
    /// A problem of this reason.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

/// A claim of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name.
    pub name: String,
    /// Requested size.
    pub size: String,
    /// `Bound`.
    pub bound: bool,
    /// StorageClass.
    pub storage_class: Option<String>,
    /// The StorageClass that it names does not exist.
    pub class_missing: bool,
    /// It is being deleted.
    pub terminating: bool,
}

/// A name that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `StatefulSet/meta`.
    pub object: String,
    /// Whose it is, as far as can be said.
    pub owner: String,
}

/// What a node said of itself and, after a restart, of its progress.
#[derive(Clone, Debug)]
pub struct Member {
    /// `GET /quorum` of this node: its own view.
    pub quorum: QuorumResponse,
    /// Version of its program.
    pub version: String,
    /// `GET /quorum/probe/post-restart` against the commit index of the leader; `None` if it was not asked.
    pub post_restart: Option<PostRestartResponse>,
}

/// The confirmed leader.
#[derive(Clone, Debug)]
pub struct Leader {
    /// Node id.
    pub id: u32,
    /// Its ordinal.
    pub ordinal: i32,
    /// Its term.
    pub term: u64,
    /// `GET /quorum?consistency=linearizable` of the leader: progress of every member.
    pub quorum: QuorumResponse,
    /// `GET /quorum/probe/pre-restart` by node id, for every voter with a pod.
    pub pre_restart: BTreeMap<u32, PreRestartResponse>,
}
