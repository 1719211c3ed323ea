//! `status.operation`: a lock and a note, never the truth. What became of it is read from what is observed, and it
//! always has a way out: done, superseded, the pod is gone, the deadline.

use dmq_crd::status::{Operation, OperationType};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Action;
use super::draft::Draft;
use super::view::{Health, View};
use crate::observed::Pod;

/// What a transfer may take beyond its own limit before the roll gives up on it: the answer has to come back.
const ANSWER: SignedDuration = SignedDuration::from_secs(5);

/// What has become of the operation.
pub(super) enum Course<'a> {
    /// There is none.
    Free,
    /// It was written down; nothing shows that it was done.
    Written,
    /// It was done, and its consequences are not over.
    Under(&'a Operation),
    /// A transfer that did not happen in its time.
    GivenUp,
    /// It is over: why.
    Over(&'static str),
}

/// What has become of the operation.
pub(super) fn course<'a>(view: &View<'a>) -> Course<'a> {
    let status = view.observed.cluster.status.as_ref();
    let Some(operation) = status.and_then(|status| status.operation.as_ref()) else {
        return Course::Free;
    };
    let Some(ordinal) = ordinal(view, operation) else {
        return Course::Over("no pod of this quorum has that name");
    };
    match operation.type_ {
        OperationType::Restart => restart(view, operation, ordinal),
        OperationType::TransferLeadership => transfer(view, operation, ordinal),
    }
}

fn restart<'a>(view: &View<'a>, operation: &'a Operation, ordinal: i32) -> Course<'a> {
    let deadline = i64::from(view.strategy().progress_deadline_seconds);
    let late = age(view, operation) >= SignedDuration::from_secs(deadline);
    let under = if late {
        Course::Over("its deadline has passed")
    } else {
        Course::Under(operation)
    };
    let Some(pod) = view.pod(ordinal) else {
        return under;
    };
    let superseded = view.target.is_some() && view.outdated(pod);
    if pod.uid != operation.pod_uid {
        // The successor is there.
        return match view.health(ordinal, pod) {
            _ if superseded => Course::Over("the template has changed again"),
            _ if !view.born() => Course::Over("the pod was replaced"),
            Health::Fine => Course::Over("the pod was replaced and has caught up"),
            Health::Failed(_) => Course::Over("the new pod has failed"),
            Health::Coming(_) => under,
        };
    }
    if pod.terminating {
        return under;
    }
    if view.target.is_some() && !superseded {
        return Course::Over("the pod is on the newest template");
    }
    if late {
        return Course::Over("its deadline has passed");
    }
    Course::Written
}

fn transfer<'a>(view: &View<'a>, operation: &'a Operation, ordinal: i32) -> Course<'a> {
    let limit = i64::from(view.spec().raft.transfer_timeout_seconds);
    let late = age(view, operation) >= SignedDuration::from_secs(limit) + ANSWER;
    let Some(leader) = &view.observed.leader else {
        return if late {
            Course::Over("its deadline has passed")
        } else {
            Course::Under(operation)
        };
    };
    if leader.ordinal != ordinal {
        return Course::Over("another member leads");
    }
    let Some(pod) = view.pod(ordinal) else {
        return Course::Over("the pod is gone");
    };
    if pod.uid != operation.pod_uid || pod.terminating {
        return Course::Over("the pod is gone");
    }
    if view.target.is_some() && !view.outdated(pod) {
        return Course::Over("the pod is on the newest template");
    }
    if late {
        return Course::GivenUp;
    }
    Course::Written
}

fn age(view: &View<'_>, operation: &Operation) -> SignedDuration {
    view.since(operation.started_at.0)
}

fn ordinal(view: &View<'_>, operation: &Operation) -> Option<i32> {
    view.ordinals()
        .find(|ordinal| view.pod_name(*ordinal) == operation.pod_name)
}

/// Writes the operation down, unless it stands there already.
pub(super) fn begin(
    view: &View<'_>,
    type_: OperationType,
    pod: &Pod,
    reason: &str,
    draft: &mut Draft,
) {
    let status = view.observed.cluster.status.as_ref();
    let standing = status.and_then(|status| status.operation.as_ref());
    if standing.is_some_and(|standing| standing.type_ == type_ && standing.pod_uid == pod.uid) {
        return;
    }
    draft.act(Action::BeginOperation(Operation {
        type_,
        pod_name: pod.name.clone(),
        pod_uid: pod.uid.clone(),
        reason: reason.to_owned(),
        started_at: Time(view.observed.now),
    }));
}

/// Deletes exactly this pod, as it was seen.
pub(super) fn deletion(pod: &Pod, reason: &str) -> Action {
    Action::DeletePod {
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
        resource_version: pod.resource_version.clone(),
        reason: reason.to_owned(),
    }
}
