//! A quorum is born once. What would be a second birth is lost data, and is only reported.

use dmq_crd::names;

use super::view::{View, initialized, node_id};
use crate::observed::{Latch, Problem, Voter};

/// The data of an earlier quorum is gone: every member is empty where a quorum has been, or a data directory is not
/// the one that was written down while nobody has a configuration.
pub(super) fn data_lost(view: &View<'_>) -> Option<Problem> {
    let observed = view.observed;
    if observed.leader.is_some()
        || observed.members.is_empty()
        || observed.members.values().any(initialized)
    {
        return None;
    }
    if view.led_once() {
        // While somebody is silent it may be the one that still has everything.
        return view.all_answer().then(|| {
            lost(
                view,
                "every member is empty, although this quorum had a controller before",
            )
        });
    }
    let Latch::Set(voters) = &observed.voters else {
        return (of_an_earlier_life(view) && view.all_answer()).then(|| {
            lost(
                view,
                "every member is empty, and the identity is that of an earlier object of this name, which may have had a controller",
            )
        });
    };
    let strangers: Vec<String> = view
        .ordinals()
        .filter(|ordinal| is_stranger(view, *ordinal, voters))
        .map(|ordinal| view.pod_name(ordinal))
        .collect();
    if strangers.is_empty() {
        return None;
    }
    let latch = names::voters(view.name(), 1);
    let message = format!(
        "{} came up with another data directory than ConfigMap {latch} says, and no member has a configuration",
        strangers.join(", ")
    );
    Some(lost(view, &message))
}

/// The identity was written for another object. Who its voters were was written down too, unless it never had any: which
/// of the two it is cannot be told, so it is treated as lost (DESIGN 6.1: where `-voters` had to exist).
fn of_an_earlier_life(view: &View<'_>) -> bool {
    let uid = view.observed.cluster.metadata.uid.as_deref();
    matches!((&view.observed.identity, &view.observed.voters), (Latch::Set(identity), Latch::Absent)
        if Some(identity.cluster_uid.as_str()) != uid)
}

/// It answered, and its directory is not the voter's of that id.
pub(super) fn is_stranger(view: &View<'_>, ordinal: i32, voters: &[Voter]) -> bool {
    view.member(ordinal).is_some_and(|member| {
        !voters.iter().any(|voter| {
            voter.id == node_id(ordinal) && voter.directory_id == member.quorum.directory_id
        })
    })
}

fn lost(view: &View<'_>, what: &str) -> Problem {
    let name = view.name();
    let message = format!(
        "{what}. Nothing is initialised a second time. Bring the volumes back; or, to begin anew with an empty \
         cluster, delete this object, its claims and the ConfigMaps {} and {}, and create it again",
        names::identity(name, 1),
        names::voters(name, 1),
    );
    Problem::new("DataLost", message)
}
