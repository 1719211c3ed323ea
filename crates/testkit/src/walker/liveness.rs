//! The end of a walk: everything is repaired, and then the quorum must get on.

use dmq_raft::{Input, LogIndex, Role};

use super::action::{Walker, is_leader};
use super::coverage::Event;
use super::world::{Member, World};

/// Rounds in which everything is synced, delivered and ticked once. An election needs about ten; five
/// members may need a few of them.
const ROUNDS_MAX: usize = 500;

/// Repairs all links, restarts everybody or all but one, and demands that a new command is committed and
/// known to all who run, and that every read is answered.
pub(crate) fn heal_and_demand_progress(world: &mut World, walker: &mut Walker) {
    repair(world, walker);
    let mut wanted = None;
    for _ in 0..ROUNDS_MAX {
        round(world);
        walker.give_birth(world);
        wanted = wanted
            .filter(|index| leader_holds(world, *index))
            .or_else(|| {
                let leader = world.members.iter().position(is_leader)?;
                world.step(leader, walker.proposal());
                world.members[leader]
                    .raft
                    .as_ref()
                    .map(|raft| raft.last().index)
            });
        let running = || world.members.iter().filter(|member| member.raft.is_some());
        let everybody = |index| running().all(|member| member.applied >= index);
        if wanted.is_some_and(everybody) && world.ghost.open_reads() == 0 {
            world.coverage.hit(Event::Healed);
            return;
        }
    }
    let states: Vec<String> = world.members.iter().map(summary).collect();
    assert!(
        wanted == Some(LogIndex(0)),
        "Liveness: {wanted:?} missed by:\n{}",
        states.join("\n")
    );
}

fn summary(member: &Member) -> String {
    let Some(status) = member.raft.as_ref().map(dmq_raft::Raft::status) else {
        return "down".to_owned();
    };
    let peers = status.peers.iter().map(|peer| {
        let snapshot = if peer.in_snapshot { " in snapshot" } else { "" };
        format!("{} matched {}{snapshot}", peer.member.node, peer.matched)
    });
    format!(
        "{} {:?} term {} leader {:?} log {}..{} durable {} commit {} applied {} peers {:?}",
        status.id.node,
        status.role,
        status.term,
        status.leader.map(|leader| leader.node),
        status.start,
        status.last,
        status.durable,
        status.commit,
        member.applied,
        peers.collect::<Vec<_>>(),
    )
}

/// A command that was proposed to a leader since replaced may be gone.
fn leader_holds(world: &World, index: LogIndex) -> bool {
    let mut leaders = world
        .members
        .iter()
        .filter_map(|member| member.raft.as_ref());
    leaders.any(|raft| raft.role() == Role::Leader && raft.last().index >= index)
}

fn repair(world: &mut World, walker: &mut Walker) {
    world.cut = 0;
    // A quorum gets on without one of its voters, except at birth without the one that initialises.
    let absent = 1 + walker.dice.below(world.voters - 1);
    let absent = walker.dice.once_in(2).then_some(absent);
    for at in 0..world.members.len() {
        let stopping = |raft: &dmq_raft::Raft| raft.status().stopping;
        let stopping = world.members[at].raft.as_ref().is_some_and(stopping);
        if stopping || (absent == Some(at) && world.members[at].raft.is_some()) {
            world.crash(at, 0);
        }
        if world.members[at].raft.is_none() && absent != Some(at) {
            world.start(at, &mut walker.dice);
        }
    }
}

fn round(world: &mut World) {
    for at in 0..world.members.len() {
        world.sync(at, usize::MAX);
        let committed = world.members[at].committed;
        world.apply(at, committed);
        world.step(at, Input::Tick);
    }
    for flying in std::mem::take(&mut world.network) {
        world.deliver(flying);
    }
}
