//! What the condition `ProjectionHealthy` says: whether every member writes its database.

use dmq_api::rest::quorum::ProjectionResponse;
use dmq_crd::condition::{kind, reason};
use jiff::SignedDuration;

use super::facts::Facts;
use super::members::is_ready;
use super::verdict::{self, Verdict};
use super::words;

/// A projection that lacks more entries than this is behind.
const PROJECTION_LAG_MAX: u64 = 10_000;
/// A member that became Ready a shorter time ago may still be filling its database.
const PROJECTION_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// `ProjectionHealthy`: every member writes its database. `None`: as before, since a member did not answer in this pass or
/// has just been started and is still filling its database, which is no news.
pub(super) fn verdict(facts: &Facts<'_>) -> Option<Verdict> {
    let observed = facts.observed;
    let kind = kind::PROJECTION_HEALTHY;
    let behind = databases_behind(facts);
    if let Some((pod, _)) = behind.first() {
        let sentences: Vec<&str> = behind.iter().map(|(_, what)| what.as_str()).collect();
        let message = format!(
            "{} Metadata is served all the same; only SQL readers see an old state. The log says why: kubectl -n {} logs {pod} \
             -c dmq-metadata.",
            sentences.join(" "),
            facts.namespace(),
        );
        return Some(verdict::verdict(
            kind,
            "False",
            reason::PROJECTION_BEHIND,
            &message,
        ));
    }
    let is_up = |ordinal: &i32| observed.pods.get(ordinal).is_some_and(is_ready);
    let (up, down): (Vec<i32>, Vec<i32>) = (0..facts.wanted_pods()).partition(is_up);
    if !down.is_empty() {
        let pods: Vec<String> = down
            .iter()
            .map(|&ordinal| words::pod_name(observed, ordinal))
            .collect();
        let message = format!("Nothing is known of the database of {}.", pods.join(", "));
        return Some(verdict::verdict(kind, "Unknown", reason::UNKNOWN, &message));
    }
    let told_well = |ordinal: &i32| {
        let member = observed.members.get(ordinal);
        member.is_some_and(|member| what_ails(&member.quorum.projection).is_none())
    };
    up.iter()
        .all(told_well)
        .then(|| verdict::yes(kind, "Every member writes its database."))
}

/// Pod and a sentence for every database that is not as it should be, for longer than a start explains.
fn databases_behind(facts: &Facts<'_>) -> Vec<(String, String)> {
    let observed = facts.observed;
    let sentences = observed.members.iter().filter_map(|(&ordinal, member)| {
        let projection = &member.quorum.projection;
        let what = what_ails(projection)?;
        let pod = observed.pods.get(&ordinal).filter(|pod| is_ready(pod));
        let since = pod.and_then(|pod| pod.ready_since);
        let has_settled = since.is_some_and(|since| observed.now - PROJECTION_GRACE >= since);
        let pod = words::pod_name(observed, ordinal);
        let sentence = format!("The database of {pod} {what}.");
        (projection.stopped || has_settled).then_some((pod, sentence))
    });
    sentences.collect()
}

fn what_ails(projection: &ProjectionResponse) -> Option<&'static str> {
    if projection.stopped {
        Some("has stopped for good, see its log and alarms")
    } else if !projection.healthy {
        Some("cannot be written or is being rebuilt")
    } else if projection.lag > PROJECTION_LAG_MAX {
        Some("is behind")
    } else {
        None
    }
}
