//! What is done to pods: the controller's label, and the one disruptive step, a deletion.

use dmq_api::rest::controller::NodeState;
use dmq_crd::names::{FIELD_MANAGER, label};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::Actor;
use crate::error::{Doing as _, Error};
use crate::observe::{children, live_pods};

impl Actor<'_> {
    pub(super) async fn unlabel(&self, pods: &[String]) -> Result<bool, Error> {
        for pod in pods {
            let patch = json!({"metadata": {"labels": {label::CONTROLLER: null}}});
            match self.patch_pod(pod, &patch).await {
                // A pod that is gone has no label either.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                result => result.doing(format!("taking the controller's label from pod {pod}"))?,
            }
        }
        Ok(!pods.is_empty())
    }

    /// The uid makes sure that it is not another pod of that name: Kubernetes refuses the patch otherwise.
    pub(super) async fn label(&self, pod: &str, uid: &str) -> Result<bool, Error> {
        let patch = json!({"metadata": {"uid": uid, "labels": {label::CONTROLLER: "true"}}});
        let result = self.patch_pod(pod, &patch).await;
        result.doing(format!("giving pod {pod} the controller's label"))?;
        Ok(true)
    }

    async fn patch_pod(&self, pod: &str, patch: &Value) -> Result<(), kube::Error> {
        let how = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (pods, patch) = (self.pods(), Patch::Merge(patch));
        pods.patch_metadata(pod, &how, &patch).await.map(|_| ())
    }

    /// Deletes a pod of which nothing has changed since the plan was made, while the others are no worse than then.
    pub(super) async fn delete(
        &self,
        pod: &str,
        uid: &str,
        resource_version: &str,
        reason: &str,
    ) -> Result<bool, Error> {
        self.others_still_stand(pod).await?;
        self.is_no_new_leader(pod).await?;
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: Some(resource_version.to_owned()),
            }),
            ..DeleteParams::default()
        };
        tracing::debug!(pod, reason, "deleting");
        match self.pods().delete(pod, &how).await {
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Err(Error::Changed(format!(
                    "pod {pod} is not what it was when its replacement was planned"
                )))
            }
            result => result.map(|_| true).doing(format!("deleting pod {pod}")),
        }
    }

    /// A follower may have been elected since: then leadership is to be moved first.
    async fn is_no_new_leader(&self, candidate: &str) -> Result<(), Error> {
        let seen = &self.seen.observed;
        let ordinal = seen.pods.iter().find(|(_, pod)| pod.name == candidate);
        let Some((ordinal, _)) = ordinal else {
            return Ok(());
        };
        let planned = seen.leader.as_ref().map(|leader| leader.ordinal) == Some(*ordinal);
        let Some(url) = self.seen.urls.get(ordinal).filter(|_| !planned) else {
            return Ok(());
        };
        match self.context.nodes.quorum(url).await {
            Ok(quorum) if quorum.state == NodeState::Leader => Err(Error::Changed(format!(
                "pod {candidate} was elected meanwhile"
            ))),
            _ => Ok(()),
        }
    }

    /// Looks once more, live, before something is taken away: every other pod that was Ready must still be.
    async fn others_still_stand(&self, candidate: &str) -> Result<(), Error> {
        let seen = &self.seen.observed;
        let Some(set) = &seen.stateful_set else {
            return Err(Error::Changed("the StatefulSet is gone".to_owned()));
        };
        let ours = ListParams::default().labels(&children::selector(&self.key.name));
        let live = self.pods().list(&ours).await;
        let live = live_pods(
            &live.doing("listing pods before a deletion")?.items,
            &set.uid,
        );
        for (ordinal, before) in &seen.pods {
            if before.name == candidate || !before.ready || before.terminating {
                continue;
            }
            let stands = live
                .get(ordinal)
                .is_some_and(|now| now.uid == before.uid && now.ready && !now.terminating);
            if !stands {
                return Err(Error::Changed(format!(
                    "pod {} is not Ready any more: {candidate} stays",
                    before.name
                )));
            }
        }
        Ok(())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }
}
