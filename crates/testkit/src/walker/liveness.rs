//! The end of a walk: everything is repaired, and then the quorum must get on.

use dmq_raft::{Input, LogIndex, MemberId, Raft, Role};

use super::action::{exchange, give_birth, proposal};
use super::coverage::Event;
use super::dice::Dice;
use super::membership::majorities_live_without;
use super::rules::decides;
use super::world::{Member, World};

/// Rounds in which everything is synced, delivered and ticked once. An election needs about ten; five
/// members may need a few of them.
const ROUNDS_MAX: usize = 500;

/// Repairs all links, restarts everybody or all but one, and demands that a new command is committed and
/// known to all members who run, that every change of the membership is finished, and that every read is
/// answered.
pub(crate) fn heal_and_demand_progress(world: &mut World, dice: &mut Dice) {
    if !majorities_live_without(world, None) {
        world.coverage.hit(Event::Unhealable);
        return;
    }
    let absent = repair(world, dice);
    let mut wanted = None;
    for _ in 0..ROUNDS_MAX {
        round(world);
        give_birth(world);
        wanted = wanted
            .filter(|index| leader_holds(world, *index))
            .or_else(|| {
                let leader = world.leader()?;
                let input = proposal(world, dice);
                world.step(leader, input);
                let raft = world.members[leader].raft.as_ref();
                raft.map(|raft| raft.last().index)
            });
        if wanted.is_some_and(|index| settled(world, index)) {
            world.coverage.hit(Event::Healed);
            world.note(absent, Event::HealedOneAway);
            return;
        }
    }
    let states: Vec<String> = world.members.iter().map(summary).collect();
    assert!(
        world.leader().is_none() && lost_with_a_disk(world),
        "Liveness: {wanted:?} missed by, or a change unfinished:\n{}",
        states.join("\n")
    );
    world.coverage.hit(Event::Unhealable);
}

/// The one state that is no failure although majorities live: a disk is lost, what its leader wrote last is on a learner
/// alone, which does not campaign, and nobody can be elected without that learner's vote (walk 558508, scenario
/// `membership_learner_ahead.txt`). Judged from the logs alone.
fn lost_with_a_disk(world: &World) -> bool {
    let running = || world.members.iter().filter(|member| member.raft.is_some());
    let any_gone = running().any(|member| {
        let of_log = configurations(member);
        let mut voters = of_log.flat_map(|number| world.book.configuration(number).all_voters());
        voters.any(|voter| world.find(*voter).is_none())
    });
    let not_ahead = |of: &Member| {
        let last = of.memory.last();
        move |id: &MemberId| running().any(|other| other.id() == *id && other.memory.last() <= last)
    };
    let can_win = |member: &Member| {
        let id = member.id();
        let campaigns = configurations(member).any(|number| {
            world
                .book
                .configuration(number)
                .all_voters()
                .any(|voter| *voter == id)
        });
        let (_, active) = member.memory.active();
        campaigns && decides(world.book.configuration(active), not_ahead(member))
    };
    any_gone && !running().any(can_win)
}

/// The numbers of the configurations of a member's log that may be the last committed one.
fn configurations(member: &Member) -> impl Iterator<Item = u32> {
    let committed = member.raft.as_ref().map_or(LogIndex(0), Raft::commit);
    let (at, first) = member.memory.configuration_at(committed);
    let later = member.memory.configurations_after(at);
    std::iter::once(first).chain(later.map(|(_, number)| number))
}

/// All members of the leader's configuration who run know `index`, which is simple and committed, and no
/// read waits.
fn settled(world: &World, index: LogIndex) -> bool {
    let leader = world
        .leader()
        .and_then(|at| world.members[at].raft.as_ref());
    leader.is_some_and(|leader| {
        let (changed, configuration) = leader.configuration();
        let members = configuration.members().filter_map(|id| world.find(*id));
        let mut running = members
            .map(|at| &world.members[at])
            .filter(|m| m.raft.is_some());
        !configuration.is_joint()
            && *changed <= leader.commit()
            && running.all(|member| member.applied >= index)
            && world.ghost.open_reads() == 0
    })
}

fn summary(member: &Member) -> String {
    let Some(status) = member.raft.as_ref().map(Raft::status) else {
        return format!("{} down", member.id().node);
    };
    let peers = status.peers.iter().map(|peer| {
        let snapshot = if peer.in_snapshot { " in snapshot" } else { "" };
        format!("{} matched {}{snapshot}", peer.member.node, peer.matched)
    });
    let (index, configuration) = &status.configuration;
    let set = |set: &std::collections::BTreeSet<MemberId>| {
        let names = set
            .iter()
            .map(|m| format!("{}.{}", m.node, super::ids::generation(*m)));
        names.collect::<Vec<_>>().join(" ")
    };
    format!(
        "{}.{} {:?} term {} leader {:?} log {}..{} durable {} commit {} applied {} \
         membership {index} [{}|{}|{}] peers {:?}",
        status.id.node,
        super::ids::generation(status.id),
        status.role,
        status.term,
        status.leader.map(|leader| leader.node),
        status.start,
        status.last,
        status.durable,
        status.commit,
        member.applied,
        set(&configuration.voters),
        set(&configuration.outgoing),
        set(&configuration.learners),
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

/// Returns whether somebody stays away.
fn repair(world: &mut World, dice: &mut Dice) -> bool {
    world.cut = 0;
    // A quorum gets on without one of its voters, except at birth without the one that initialises.
    let absent = dice.below(world.members.len());
    let spared = dice.once_in(2) && majorities_live_without(world, Some(absent));
    let absent = spared.then_some(absent);
    for at in 0..world.members.len() {
        let stopping = |raft: &Raft| raft.status().stopping;
        let stopping = world.members[at].raft.as_ref().is_some_and(stopping);
        if stopping || (absent == Some(at) && world.members[at].raft.is_some()) {
            world.crash(at, 0);
        }
        if world.members[at].raft.is_none() && absent != Some(at) {
            world.start(at, dice);
        }
    }
    spared
}

fn round(world: &mut World) {
    for at in 0..world.members.len() {
        let wrote = world.sync(at, usize::MAX);
        world.note(wrote, Event::WrittenWithin);
        let committed = world.members[at].committed;
        world.apply(at, committed);
        world.step(at, Input::Tick);
    }
    exchange(world, u64::MAX);
}
