//! The label that the Service `<name>-controller` selects by: it leaves the old pod before it is set on the new one.

use super::Action;
use super::draft::Draft;
use super::view::View;

/// Brings the label to the confirmed leader's pod. While no leader is confirmed it stays where it is: clients that
/// still reach the last one are redirected by it as soon as it knows better.
pub(super) fn follow_the_leader(view: &View<'_>, draft: &mut Draft) {
    let Some(leader) = &view.observed.leader else {
        return;
    };
    let Some(pod) = view.pod(leader.ordinal) else {
        return;
    };
    let others: Vec<String> = view
        .observed
        .pods
        .values()
        .filter(|other| other.labelled_controller && other.uid != pod.uid)
        .map(|other| other.name.clone())
        .collect();
    if !others.is_empty() {
        draft.act(Action::UnlabelController { pods: others });
    }
    if !pod.labelled_controller {
        draft.act(Action::LabelController {
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
        });
    }
}
