//! One pass over one object: look, plan, write the status, act, tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dmq_crd::DmqMetadataClusterStatus;
use kube::runtime::controller::Action as Next;
use tokio::time::timeout;

use super::controller::Guarded;
use super::events;
use crate::act::{Actor, status};
use crate::context::Context;
use crate::error::Error;
use crate::key::Key;
use crate::observe::{Seen, observe};
use crate::plan::{Again, Plan, plan};
use crate::report;

/// A pass that takes longer is cut off and begun anew.
const CEILING: Duration = Duration::from_mins(1);
/// Pause before a pass that has something left to do.
const NOW: Duration = Duration::from_millis(50);
/// Pause while something is on its way.
const SOON: Duration = Duration::from_secs(2);
/// Pause while nothing is expected.
const IDLE: Duration = Duration::from_secs(30);

/// One pass.
pub(super) async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Next, Error> {
    let key = Key::of(object.as_ref());
    let began = Instant::now();
    let result = match &object.0 {
        Ok(_) => timeout(CEILING, pass(&context, &key))
            .await
            .unwrap_or(Err(Error::TimedOut(CEILING))),
        Err(invalid) => {
            events::unreadable(&context, invalid).await;
            Err(Error::Unusable(format!(
                "the object cannot be read: {}",
                invalid.error
            )))
        }
    };
    let failure = result.as_ref().err().map(Error::reason);
    context.metrics.passed(began.elapsed(), failure);
    if result.is_ok() {
        context.backoff.reset(&key);
    }
    result
}

/// When a pass that failed is repeated.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the controller calls it like this"
)]
pub(super) fn on_error(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Next {
    let key = Key::of(object.as_ref());
    let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
    let reason = error.reason();
    if error.is_race() {
        tracing::debug!(namespace, name, reason, %error, "somebody else was faster");
        return Next::requeue(context.backoff.raced(&key));
    }
    let pause = context.backoff.failed(&key);
    tracing::warn!(namespace, name, reason, %error, again_in = ?pause, "the pass failed");
    Next::requeue(pause)
}

async fn pass(context: &Context, key: &Key) -> Result<Next, Error> {
    let Some(seen) = observe(context, key).await? else {
        context.forget(key);
        return Ok(Next::await_change());
    };
    context.streams.follow(key, &seen.followed());
    let mut plan = plan(&seen.observed);
    let told = context.troubles.tell(key, &mut plan.report);
    let (next, outcome) = carry_out(context, key, &seen, &plan).await?;
    context.metrics.show(key, &next);
    context.troubles.note(key, &outcome);
    // What was told of is over: the status is to say so.
    let again = if told { Again::Now } else { plan.again };
    outcome.map(|()| requeue(again))
}

/// The status is written before anything is done; what failed afterwards comes back beside it.
async fn carry_out(
    context: &Context,
    key: &Key,
    seen: &Seen,
    plan: &Plan,
) -> Result<(DmqMetadataClusterStatus, Result<(), Error>), Error> {
    let cluster = &seen.observed.cluster;
    let previous = cluster.status.as_ref();
    let next = report::status(&seen.observed, plan, previous);
    say(key, previous, &next);
    let version = status::write(context, key, cluster, &next).await?;
    let cluster_id = seen.cluster_id();
    let mut actor = Actor::new(context, key, seen, &cluster_id, version);
    let (done, outcome) = actor.act(&plan.actions).await;
    let notes = report::events(&key.name, previous, &next, plan, &done);
    events::publish(context, cluster, &notes).await;
    if let Err(error) = &outcome {
        events::failed(context, cluster, error).await;
    }
    Ok((next, outcome))
}

/// One line when what people read changes.
fn say(key: &Key, previous: Option<&DmqMetadataClusterStatus>, next: &DmqMetadataClusterStatus) {
    let leader = |status: &DmqMetadataClusterStatus| {
        let leader = status.leader.as_ref();
        leader.map(|leader| leader.pod_name.clone())
    };
    let shown = |status: &DmqMetadataClusterStatus| (status.phase, leader(status), status.term);
    if previous.map(shown) == Some(shown(next)) {
        return;
    }
    tracing::info!(
        namespace = key.namespace,
        name = key.name,
        phase = next.phase.map(|phase| format!("{phase:?}")),
        leader = leader(next),
        term = next.term,
        "the quorum changed"
    );
}

fn requeue(again: Again) -> Next {
    Next::requeue(match again {
        Again::Now => NOW,
        Again::Soon => SOON,
        Again::Idle => IDLE,
    })
}

#[cfg(test)]
mod tests;
