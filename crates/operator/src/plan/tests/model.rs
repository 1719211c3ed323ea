//! A small world: the API objects of one quorum, a StatefulSet controller and kubelets that move them, volumes, and a
//! quorum that elects and replicates. The planner's actions are done to it, and it complains when one does harm.

mod kubernetes;
mod operator;
mod quorum;
mod seen;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use dmq_crd::DmqMetadataCluster;
use uuid::Uuid;

pub(super) use self::watch::Log;
use crate::observed::{Identity, Voter};

/// Everything there is.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of the world, not the state of one thing"
)]
pub(super) struct World {
    /// Seconds.
    pub(super) now: i64,
    /// The object with its status, and the number of its version.
    pub(super) cluster: DmqMetadataCluster,
    pub(super) version: u64,
    /// Secrets are missing, a name is taken, a rule is broken.
    pub(super) missing: bool,
    pub(super) conflict: bool,
    pub(super) invalid: bool,
    pub(super) identity: Option<Identity>,
    pub(super) voters: Option<Vec<Voter>>,
    pub(super) token: bool,
    pub(super) set: Option<Set>,
    pub(super) pods: BTreeMap<i32, PodSim>,
    /// Volumes outlive pods.
    pub(super) disks: BTreeMap<i32, Disk>,
    /// Claims that somebody deleted while they were in use.
    pub(super) doomed_claims: BTreeSet<i32>,
    /// Ordinals for whose pods there is no room.
    pub(super) no_room: BTreeSet<i32>,
    /// Transfers of leadership do not succeed.
    pub(super) transfers_fail: bool,
    /// What `initialize` made the first configuration.
    pub(super) config: Option<Vec<Voter>>,
    pub(super) leader: Option<i32>,
    pub(super) term: u64,
    pub(super) commit: u64,
    pub(super) electing: i64,
    /// What the planner did, and what it must not have done.
    pub(super) watch: watch::Watch,
    names: u64,
}

/// The StatefulSet.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) generation: i64,
    pub(super) looked_at: i64,
    pub(super) template: Template,
    pub(super) replicas: i32,
    pub(super) sizes: BTreeMap<String, String>,
    /// Every template that it had; a pod's revision is an index.
    pub(super) revisions: Vec<Template>,
    pub(super) update: Option<usize>,
}

/// What matters of a pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) version: String,
    pub(super) config: String,
}

impl Template {
    fn broken(&self) -> bool {
        self.config.starts_with("broken")
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodSim {
    pub(super) uid: u64,
    pub(super) version: u64,
    pub(super) revision: usize,
    pub(super) created: i64,
    /// Its node runs since then.
    pub(super) up_since: Option<i64>,
    pub(super) ready_since: Option<i64>,
    pub(super) unready_since: Option<i64>,
    /// It was told to stop then.
    pub(super) stopping_since: Option<i64>,
    /// Its Kubernetes node is gone: it never finishes stopping.
    pub(super) stuck: bool,
    /// Not Ready until then, though it runs.
    pub(super) flapping_until: i64,
    pub(super) labelled: bool,
}

/// A volume with a formatted directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) directory: Uuid,
    /// It holds the configuration.
    pub(super) configured: bool,
    pub(super) matched: u64,
}

impl World {
    /// An object was just created, and nothing else.
    pub(super) fn new(replicas: i32) -> Self {
        let mut cluster = DmqMetadataCluster::default();
        cluster.metadata.name = Some("meta".to_owned());
        cluster.metadata.namespace = Some("default".to_owned());
        cluster.metadata.uid = Some(Uuid::from_u128(7).to_string());
        cluster.metadata.generation = Some(1);
        cluster.spec.replicas = replicas;
        cluster.spec.version = Some("0.3.0".to_owned());
        cluster.spec.update_strategy.progress_deadline_seconds = 60;
        cluster.spec.update_strategy.min_ready_seconds = 3;
        Self {
            now: 1_000,
            cluster,
            version: 1,
            missing: false,
            conflict: false,
            invalid: false,
            identity: None,
            voters: None,
            token: false,
            set: None,
            pods: BTreeMap::new(),
            disks: BTreeMap::new(),
            doomed_claims: BTreeSet::new(),
            no_room: BTreeSet::new(),
            transfers_fail: false,
            config: None,
            leader: None,
            term: 0,
            commit: 0,
            electing: 0,
            watch: watch::Watch::default(),
            names: 100,
        }
    }

    /// A number that was never used.
    fn fresh(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// The template that the spec asks for.
    pub(super) fn wanted(&self) -> Template {
        let spec = &self.cluster.spec;
        Template {
            version: spec.version.clone().unwrap_or_default(),
            config: spec.config.get("log.level").cloned().unwrap_or_default(),
        }
    }

    /// A user edits the spec.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut dmq_crd::DmqMetadataClusterSpec)) {
        change(&mut self.cluster.spec);
        let generation = self.cluster.metadata.generation.unwrap_or_default();
        self.cluster.metadata.generation = Some(generation + 1);
        self.version += 1;
    }

    /// A user asks for this configuration; one that begins with `broken` never starts.
    pub(super) fn configure(&mut self, config: &str) {
        self.edit(|spec| {
            spec.config
                .insert("log.level".to_owned(), config.to_owned());
        });
    }
}
