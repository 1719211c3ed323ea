//! Carries a plan out, action by action; the first that fails ends it, and the next pass begins with a fresh look.
//!
//! Reading order: [`act`], `apply` (children), `stateful_set`, `create` (what is created once), `pods` (label, deletion),
//! `quorum` (requests to nodes), `status` (what is written to the object).

pub mod applied;
mod apply;
mod create;
mod pods;
mod quorum;
pub mod stateful_set;
pub mod status;

use std::time::Duration;

use dmq_crd::status::Operation;
use kube::ResourceExt;
use kube::api::PostParams;

use crate::context::Context;
use crate::desired::Desired;
use crate::error::Error;
use crate::key::Key;
use crate::observe::Seen;
use crate::plan::Action;

/// What carries one plan out.
#[derive(Debug)]
pub struct Actor<'a> {
    context: &'a Context,
    key: &'a Key,
    seen: &'a Seen,
    desired: Desired<'a>,
    /// Version of the object after our last write: who writes its status next must have seen everything before.
    version: String,
}

impl<'a> Actor<'a> {
    /// `version` is the resourceVersion of the object that the plan was made for, or of our own write after that.
    pub fn new(
        context: &'a Context,
        key: &'a Key,
        seen: &'a Seen,
        cluster_id: &'a str,
        version: String,
    ) -> Self {
        let desired = Desired::new(&seen.effective, &seen.observed.settings, cluster_id);
        Self {
            context,
            key,
            seen,
            desired,
            version,
        }
    }

    /// Does them in their order. What was done comes back even if one failed.
    pub async fn act(&mut self, actions: &[Action]) -> (Vec<Action>, Result<(), Error>) {
        let mut done = Vec::new();
        for action in actions {
            // What was just applied is not what the plan was made from: first look again.
            if needs_fresh_look(action) && done.iter().any(is_apply) {
                let why = "children were applied: what takes something away waits for another look";
                return (done, Err(Error::Changed(why.to_owned())));
            }
            match self.one(action).await {
                Ok(true) => {
                    self.note(action);
                    done.push(action.clone());
                }
                Ok(false) => {}
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// Whether it changed anything.
    async fn one(&mut self, action: &Action) -> Result<bool, Error> {
        match action {
            Action::CreateIdentity(identity) => self.create_identity(identity).await,
            Action::CreateToken => self.create_token().await,
            Action::CreateVoters(voters) => self.create_voters(voters).await,
            Action::ApplyChildren => self.apply_children().await,
            Action::ApplyStatefulSet {
                replicas,
                claim_sizes,
            } => self.apply_stateful_set(*replicas, claim_sizes).await,
            Action::Initialize {
                ordinal,
                cluster_id,
                incarnation,
                voters,
            } => {
                self.initialize(*ordinal, cluster_id, incarnation, voters)
                    .await
            }
            Action::UnlabelController { pods } => self.unlabel(pods).await,
            Action::LabelController { pod, uid } => self.label(pod, uid).await,
            Action::BeginOperation(operation) => self.begin(operation).await,
            Action::EndOperation => self.end().await,
            Action::Transfer {
                from,
                target,
                expected_term,
            } => self.transfer(*from, *target, *expected_term).await,
            Action::DeletePod {
                pod,
                uid,
                resource_version,
                reason,
            } => self.delete(pod, uid, resource_version, reason).await,
        }
    }

    async fn begin(&mut self, operation: &Operation) -> Result<bool, Error> {
        let version =
            status::set_operation(self.context, self.key, &self.version, Some(operation)).await?;
        self.version = version;
        Ok(true)
    }

    async fn end(&mut self) -> Result<bool, Error> {
        self.version = status::set_operation(self.context, self.key, &self.version, None).await?;
        let stored = self.seen.observed.cluster.status.as_ref();
        if let Some(operation) = stored.and_then(|status| status.operation.as_ref()) {
            let took = self
                .seen
                .observed
                .now
                .duration_since(operation.started_at.0);
            let took = Duration::try_from(took).unwrap_or_default();
            self.context.metrics.operation_ended(operation.type_, took);
        }
        Ok(true)
    }

    fn note(&self, action: &Action) {
        let (namespace, name) = (self.key.namespace.as_str(), self.key.name.as_str());
        let (action, detail) = described(action);
        self.context.metrics.acted(action);
        tracing::info!(namespace, name, action, detail, "done");
    }
}

fn needs_fresh_look(action: &Action) -> bool {
    action.is_disruptive() || matches!(action, Action::BeginOperation(_))
}

fn is_apply(action: &Action) -> bool {
    matches!(
        action,
        Action::ApplyChildren | Action::ApplyStatefulSet { .. }
    )
}

/// One word, and what it was done to.
fn described(action: &Action) -> (&'static str, String) {
    match action {
        Action::CreateIdentity(identity) => ("CreateIdentity", identity.cluster_id.clone()),
        Action::CreateToken => ("CreateToken", String::new()),
        Action::ApplyChildren => ("ApplyChildren", String::new()),
        Action::ApplyStatefulSet { replicas, .. } => {
            ("ApplyStatefulSet", format!("{replicas} pods"))
        }
        Action::CreateVoters(voters) => ("CreateVoters", format!("{} voters", voters.len())),
        Action::Initialize { ordinal, .. } => ("Initialize", format!("asked pod {ordinal}")),
        Action::UnlabelController { pods } => ("UnlabelController", pods.join(", ")),
        Action::LabelController { pod, .. } => ("LabelController", pod.clone()),
        Action::BeginOperation(operation) => (
            "BeginOperation",
            format!(
                "{:?} of {}: {}",
                operation.type_, operation.pod_name, operation.reason
            ),
        ),
        Action::EndOperation => ("EndOperation", String::new()),
        Action::Transfer { from, target, .. } => {
            ("Transfer", format!("from pod {from} to node {target}"))
        }
        Action::DeletePod { pod, reason, .. } => ("DeletePod", format!("{pod}: {reason}")),
    }
}

/// How objects are created.
fn creating() -> PostParams {
    PostParams {
        field_manager: Some(dmq_crd::names::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// The version of an object that was just written.
fn version_of(object: &impl ResourceExt) -> String {
    object.resource_version().unwrap_or_default()
}

#[cfg(test)]
mod tests;
