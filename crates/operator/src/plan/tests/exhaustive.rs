//! Every sequence of a few events, from the moments that matter: a new object, a template that was just changed, a
//! roll in the middle, leadership about to move.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;

use super::model::{Log, World};
use super::scene::steady;
use super::walk::{Event, comes_to_rest, happen};

/// Length of the sequences.
const DEPTH: usize = 5;
/// Of so many last states one is followed until it is at rest.
const FOLLOWED: u64 = 16;

fn events(world: &World) -> Vec<Event> {
    let leader = world.leader.unwrap_or(0);
    let other = if leader == 1 { 2 } else { 1 };
    vec![
        Event::Pass,
        Event::Dies(1),
        Event::Dies(3),
        Event::Dies(4),
        Event::Late(2),
        Event::Time(1, false),
        Event::Time(5, true),
        Event::LosePod(leader),
        Event::LosePod(other),
        Event::Template(1),
        Event::Template(3),
    ]
}

/// What tells two worlds apart.
fn fingerprint(world: &World) -> u64 {
    let status = world.cluster.status.as_ref();
    let mut hasher = DefaultHasher::new();
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {} {} {:?}",
        world.now,
        status.map(|status| (&status.operation, status.term)),
        world.cluster.spec.config,
        world.identity,
        world.voters,
        world.set,
        world.pods,
        world.disks,
        world.leader,
        world.term,
        world.commit,
        world.electing,
        world.watch.by_our_hand,
    )
    .hash(&mut hasher);
    hasher.finish()
}

/// A roll that has come so far.
fn rolling(until: impl Fn(&World) -> bool) -> World {
    let mut world = steady(3);
    world.configure("new");
    for _ in 0..120 {
        world.tick();
        world.pass(&mut Log::default());
        if until(&world) {
            return world;
        }
    }
    panic!("the roll never got there");
}

#[derive(Default)]
struct Walked {
    states: usize,
    followed: usize,
    log: Log,
}

fn walk(start: World) -> Walked {
    let mut walked = Walked::default();
    let mut known = HashSet::new();
    let mut layer = vec![(start, Vec::<Event>::new())];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (world, path) in &layer {
            for event in events(world) {
                let mut world = world.clone();
                happen(&mut world, &event, &mut walked.log);
                let mut path = path.clone();
                path.push(event);
                assert_eq!(world.watch.violation, None, "{path:?}");
                if known.insert(fingerprint(&world)) {
                    next.push((world, path));
                }
            }
        }
        layer = next;
    }
    walked.states = known.len();
    for (world, path) in layer {
        if fingerprint(&world).is_multiple_of(FOLLOWED) {
            walked.followed += 1;
            let mut world = world;
            let rest = comes_to_rest(&mut world, &mut walked.log);
            assert_eq!(rest, Ok(()), "{path:?}");
        }
    }
    walked
}

fn must_hold_from(start: World) {
    let walked = walk(start);
    assert!(walked.states > 1_000, "only {} states", walked.states);
    assert!(walked.followed > 20, "only {} followed", walked.followed);
    let _ = writeln!(
        std::io::stderr(),
        "{} states, {} followed to rest, {} deletions, {} transfers",
        walked.states,
        walked.followed,
        walked
            .log
            .fired
            .get("action DeletePod")
            .copied()
            .unwrap_or_default(),
        walked
            .log
            .fired
            .get("action Transfer")
            .copied()
            .unwrap_or_default(),
    );
}

#[test]
fn from_a_new_object() {
    must_hold_from(World::new(3));
}

#[test]
fn from_nodes_that_all_answer_and_are_empty() {
    let mut world = World::new(3);
    while world.voters.is_none() {
        world.tick();
        world.pass(&mut Log::default());
    }
    must_hold_from(world);
}

#[test]
fn from_a_template_that_was_just_changed() {
    let mut world = steady(3);
    world.configure("new");
    must_hold_from(world);
}

#[test]
fn from_the_moment_after_the_first_deletion() {
    must_hold_from(rolling(|world| !world.watch.restarts.is_empty()));
}

#[test]
fn from_the_moment_before_leadership_moves() {
    must_hold_from(rolling(|world| {
        world.watch.restarts.len() == 2 && world.watch.by_our_hand.is_empty()
    }));
}
