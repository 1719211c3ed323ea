//! What is said of a roll that is held: the same at every look, or the status would be written every two seconds for days.

use dmq_api::rest::quorum::PostRestartResponse;
use jiff::SignedDuration;

use super::scene::{Says as _, Scene};
use crate::report;

/// The status at two looks, the second two seconds later, and what the second one says.
fn twice(look: impl Fn(u64) -> Scene) -> [String; 2] {
    let (first, mut later) = (look(1), look(2));
    later.seen.now = first.seen.now + SignedDuration::from_secs(2);
    let said = first.plan().message().to_owned();
    let stored = report::status(&first.seen, &first.plan(), None);
    let next = report::status(&later.seen, &later.plan(), Some(&stored));
    assert_eq!(stored, next);
    [said, later.plan().message().to_owned()]
}

#[test]
fn a_silent_voter_holds_a_roll_without_figures_that_grow() {
    let said = twice(|look| {
        let mut scene = Scene::running(3).new_template().replaced(1);
        let seen = &mut scene.seen.leader.as_mut().expect("one").quorum.voters;
        for voter in seen.iter_mut().filter(|voter| voter.id == 2) {
            voter.last_contact_ms = Some(48_213 + 2_000 * look);
            voter.lag = Some(1_000 + 97 * look);
        }
        for verdict in scene.leader().pre_restart.values_mut() {
            verdict.successors.retain(|id| *id != 2);
            verdict.safe = false;
            verdict.reason = Some(format!(
                "1 of 3 voters would stay, 2 are needed; voter 2 is silent for {} ms",
                48_213 + 2_000 * look
            ));
        }
        scene
    });
    let wanted = "pod meta-2 is not stopped: 2 other voters have to be up and caught up, but the controller does not count meta-1";
    let [first, later] = said;
    assert!(first.contains(wanted), "{first}");
    assert_eq!(first, later);
}

#[test]
fn a_node_that_catches_up_holds_a_roll_without_figures_that_grow() {
    let with = |change: fn(&mut PostRestartResponse, u64)| {
        twice(move |look| {
            let mut scene = Scene::running(3).new_template().replaced(2);
            let member = scene.seen.members.get_mut(&2).expect("there");
            let probe = member.post_restart.as_mut().expect("asked");
            probe.caught_up = false;
            probe.applied_index = 790 + look;
            change(probe, look);
            scene
        })
    };
    let [first, later] = with(|probe, look| {
        probe.reason = Some(format!(
            "index {} is not applied, the node is at {}",
            812 + look,
            790 + look
        ));
    });
    assert!(
        first.ends_with("has not applied everything that was committed"),
        "{first}"
    );
    assert_eq!(first, later);
    let [first, later] = with(|probe, _| probe.leader_id = None);
    assert!(first.ends_with("its node knows no controller"), "{first}");
    assert_eq!(first, later);
}
