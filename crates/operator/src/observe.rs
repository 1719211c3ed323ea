//! Looks at one quorum: live reads only, side by side, never a cache.
//!
//! Reading order: [`observe`], `reads` (Kubernetes), `members` (the nodes), `pods` and `problem` (what is kept of it).

pub mod children;
pub mod members;
mod pods;
mod problem;
mod reads;
mod secrets;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use dmq_crd::{DmqMetadataCluster, names};
use jiff::Timestamp;
use kube::ResourceExt;

pub use self::children::{Children, Fingerprint, instance};
use self::members::{Question, Target, Views};
pub use self::pods::pods as live_pods;
use self::reads::{FirstReads, Reader};
pub use self::token::Token;
use crate::act::stateful_set;
use crate::context::Context;
use crate::desired::{self, Desired};
use crate::error::Error;
use crate::key::Key;
use crate::nodes;
use crate::observed::{Latch, Observed, Pod, Problem};
use crate::plan;
use crate::streams::Followed;

/// What was seen, for the planner and for what carries its plan out.
#[derive(Debug)]
pub struct Seen {
    /// For planner and status.
    pub observed: Observed,
    /// The live children.
    pub children: Children,
    /// The token of admin routes, if there is one.
    pub token: Option<Token>,
    /// REST address of each pod's node, by ordinal.
    pub urls: BTreeMap<i32, String>,
    /// The object as children are made from it: with the number of members that the quorum has, whatever the spec
    /// says. A number that is refused must not reach the address book or the PodDisruptionBudget.
    pub effective: Arc<DmqMetadataCluster>,
}

impl Seen {
    /// Name of the DMQ cluster: what was latched, else what the spec asks for.
    pub fn cluster_id(&self) -> String {
        match &self.observed.identity {
            Latch::Set(identity) => identity.cluster_id.clone(),
            Latch::Absent | Latch::Unreadable(_) => desired::cluster_id(&self.observed.cluster),
        }
    }

    /// The pods whose nodes are to be followed.
    pub fn followed(&self) -> Vec<Followed> {
        let pods = self.observed.pods.iter();
        pods.filter_map(|(ordinal, pod)| {
            Some(Followed {
                pod_uid: pod.uid.clone(),
                url: self.urls.get(ordinal)?.clone(),
            })
        })
        .collect()
    }
}

/// Looks at the object with this key and all that belongs to it; `None` if there is no such object.
pub async fn observe(context: &Context, key: &Key) -> Result<Option<Seen>, Error> {
    let reader = Reader::new(&context.client, key);
    let Some(first) = reader.first().await? else {
        return Ok(None);
    };
    let uid = first.cluster.uid().unwrap_or_default();
    let (mut seen, targets) = seen(first, context);
    let latched = latched(&seen.observed);
    let question = Question {
        cluster_id: latched.as_deref(),
        may_restart: may_restart(&seen.observed),
    };
    let cluster = Arc::clone(&seen.observed.cluster);
    let (effective, cluster_id) = (Arc::clone(&seen.effective), seen.cluster_id());
    let settings = Arc::clone(&seen.observed.settings);
    let desired = Desired::new(&effective, &settings, &cluster_id);
    let wanted = desired.children();
    let (views, children, claims, missing) = tokio::join!(
        members::ask(&context.nodes, &targets, question),
        reader.with_unlisted(seen.children, &wanted),
        reader.with_classes(seen.observed.claims),
        reader.missing_secrets(&cluster.spec),
    );
    let Views {
        members,
        leader,
        strangers,
    } = views;
    seen.children = children?;
    seen.observed.claims = claims;
    seen.observed.missing = missing?;
    seen.observed.members = members;
    seen.observed.leader = leader;
    tell_strangers(&mut seen.observed, strangers);
    seen.observed.conflicts = seen.children.conflicts(&key.name, &uid);
    mark_applied(&mut seen, &desired);
    Ok(Some(seen))
}

/// What the first round of reads shows, and the nodes that can be asked.
fn seen(first: FirstReads, context: &Context) -> (Seen, Vec<Target>) {
    let cluster = Arc::new(first.cluster);
    let port = cluster.spec.service.rest_port;
    let owner = first.stateful_set.as_ref().and_then(ResourceExt::uid);
    let pods = owner.map_or_else(BTreeMap::new, |uid| pods::pods(&first.pods, &uid));
    let urls: BTreeMap<i32, String> = pods
        .iter()
        .filter_map(|(ordinal, pod)| Some((*ordinal, url_of(pod, port)?)))
        .collect();
    let targets = urls.iter().map(|(ordinal, url)| Target {
        ordinal: *ordinal,
        url: url.clone(),
        ready: pods.get(ordinal).is_some_and(|pod| pod.ready),
    });
    let targets = targets.collect();
    let name = cluster.name_any();
    let settings = desired::kept_settings(first.identity.as_ref(), &context.settings);
    let observed = Observed {
        invalid: desired::invalid(&cluster, &settings),
        settings,
        now: Timestamp::now(),
        identity: desired::parse_identity(first.identity.as_ref()),
        voters: desired::parse_voters(first.voters.as_ref()),
        token: first.token.is_some(),
        stateful_set: first.stateful_set.as_ref().map(pods::stateful_set),
        claims: pods::claims(&first.claims, &name, first.stateful_set.as_ref()),
        pods,
        conflicts: Vec::new(),
        missing: Vec::new(),
        members: BTreeMap::new(),
        leader: None,
        cluster,
    };
    let seen = Seen {
        effective: effective(&observed),
        observed,
        children: first.children,
        token: first.token,
        urls,
    };
    (seen, targets)
}

fn effective(observed: &Observed) -> Arc<DmqMetadataCluster> {
    let mut cluster = Arc::clone(&observed.cluster);
    Arc::make_mut(&mut cluster).spec.replicas = plan::replicas(observed);
    cluster
}

fn url_of(pod: &Pod, port: u16) -> Option<String> {
    nodes::url(pod.ip.as_deref()?, port)
}

fn latched(observed: &Observed) -> Option<String> {
    match &observed.identity {
        Latch::Set(identity) => Some(identity.cluster_id.clone()),
        Latch::Absent | Latch::Unreadable(_) => None,
    }
}

fn tell_strangers(observed: &mut Observed, strangers: BTreeMap<i32, String>) {
    for (ordinal, message) in strangers {
        tracing::warn!(ordinal, message, "an answer is not from our node");
        if let Some(pod) = observed.pods.get_mut(&ordinal) {
            let problem = || Problem::new("AnotherNodeAnswers", message);
            pod.problem.get_or_insert_with(problem);
        }
    }
}

/// Whether a plan may want to stop a member: some pod is not as it should be, or such a step is under way.
fn may_restart(observed: &Observed) -> bool {
    let Some(set) = &observed.stateful_set else {
        return false;
    };
    let target = set.target_revision();
    let outdated = |pod: &Pod| pod.revision.as_deref() != target;
    let operation = |cluster: &DmqMetadataCluster| {
        let status = cluster.status.as_ref();
        status.is_some_and(|status| status.operation.is_some())
    };
    operation(&observed.cluster) || observed.pods.values().any(outdated)
}

/// Notes whether the StatefulSet is what would be applied now.
fn mark_applied(seen: &mut Seen, desired: &Desired<'_>) {
    let name = names::stateful_set(&seen.effective.name_any());
    let Some(set) = &mut seen.observed.stateful_set else {
        return;
    };
    let replicas = seen.effective.spec.replicas;
    let document = stateful_set::document(desired, replicas, &set.claim_sizes);
    let live = seen.children.get("StatefulSet", &name);
    set.applied = live.is_some_and(|live| stateful_set::mark(live) == Some(&document.mark));
}
