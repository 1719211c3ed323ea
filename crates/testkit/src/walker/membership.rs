//! What a walk does to the membership: changes of all kinds, and disks that are lost.

use std::collections::BTreeSet;

use dmq_raft::{
    Configuration, EntryKind, Input, LogIndex, MemberId, MembershipChange, MessageBody, NodeId,
};

use super::coverage::Event;
use super::dice::Dice;
use super::disk::{Disk, Placed};
use super::ids::{generation, member_id};
use super::rules::decides;
use super::world::World;

/// Directories that one node goes through at most.
const GENERATIONS_MAX: u8 = 12;

/// Asks the leader (sometimes another member) for a change, mostly with the right expectation.
pub(crate) fn change(world: &mut World, dice: &mut Dice, event: Event, at: usize) {
    let at = match world.leader() {
        Some(leader) if !dice.once_in(16) => leader,
        _ => at,
    };
    let Some(raft) = &world.members[at].raft else {
        return;
    };
    let (index, active) = raft.configuration();
    let expected = match dice.below(16) {
        0 => LogIndex(index.0.saturating_sub(1)),
        1 => index.next(),
        _ => *index,
    };
    let change = if event == Event::Voters {
        MembershipChange::Voters(wished_voters(world, dice, active, raft.id()))
    } else {
        wished_learner(world, dice, active)
    };
    world.step(at, Input::ChangeMembership { change, expected });
}

/// Mostly everybody who replicates, often without one or two; rarely something that must be refused.
fn wished_voters(
    world: &World,
    dice: &mut Dice,
    active: &Configuration,
    leader: MemberId,
) -> BTreeSet<MemberId> {
    let now = |id: &MemberId| world.find(*id).is_some();
    let mut wish: BTreeSet<MemberId> = active.voters.clone();
    match dice.below(16) {
        // As it is.
        0 => return wish,
        // Any set of nodes, learners or not, possibly none.
        1 => {
            let among = dice.roll();
            let chosen = (0..world.members.len()).filter(|at| among >> at & 1 == 1);
            return chosen.map(|at| world.members[at].id()).collect();
        }
        // One learner becomes a voter; its node's older directory goes.
        2..=5 => {
            let learner = active.learners.iter().find(|learner| now(learner));
            wish.extend(learner);
        }
        _ => wish.extend(active.learners.iter().filter(|learner| now(learner))),
    }
    // Directories that are lost go when another of the node has come.
    let gone: Vec<MemberId> = wish.iter().filter(|id| !now(id)).copied().collect();
    for id in gone {
        if wish.iter().filter(|other| other.node == id.node).count() > 1 || dice.once_in(2) {
            wish.remove(&id);
        }
    }
    if dice.once_in(6) {
        wish.remove(&leader);
    }
    for _ in 0..dice.below(3) {
        let at = dice.below(wish.len().max(1));
        let victim = wish.iter().nth(at).copied();
        if let Some(victim) = victim.filter(|_| wish.len() > 1) {
            wish.remove(&victim);
        }
    }
    wish
}

fn wished_learner(world: &World, dice: &mut Dice, active: &Configuration) -> MembershipChange {
    let at = dice.below(world.members.len());
    let id = world.members[at].id();
    if dice.once_in(6) {
        let learner = active.learners.iter().next().map(|learner| learner.node);
        let any = NodeId(id.node.0);
        let node = if dice.once_in(3) {
            any
        } else {
            learner.unwrap_or(any)
        };
        return MembershipChange::RemoveLearner(node);
    }
    // Those who are members already are refused; a few such wishes suffice.
    let stranger = (0..world.members.len())
        .map(|step| world.members[(at + step) % world.members.len()].id())
        .find(|id| !active.is_member(id));
    let wished = if dice.once_in(8) {
        id
    } else {
        stranger.unwrap_or(id)
    };
    MembershipChange::AddLearner(wished)
}

/// The disk is gone: the node comes back with an empty one, and under a new directory id. Mostly only
/// where a majority of every configuration that may count keeps its disks.
pub(crate) fn wipe(world: &mut World, dice: &mut Dice, at: usize) {
    let next = generation(world.members[at].id()) + 1;
    let careless = dice.once_in(32);
    if next >= GENERATIONS_MAX || (!careless && !majorities_live_without(world, Some(at))) {
        return;
    }
    world.crash(at, 0);
    let member = &mut world.members[at];
    member.config.id = member_id(at, next);
    member.disk = Disk::default();
    member.memory = Disk::default();
    member.committed = LogIndex(0);
    member.applied = LogIndex(0);
    if dice.once_in(2) {
        world.start(at, dice);
    }
}

/// Whether of every configuration that may still decide a majority has its disks, not counting `absent`.
pub(crate) fn majorities_live_without(world: &World, absent: Option<usize>) -> bool {
    let lives = |id: &MemberId| world.find(*id).is_some_and(|at| Some(at) != absent);
    let decided = world.ghost.configuration_index();
    let logs = world.members.iter();
    let held = logs.flat_map(|member| [member.disk.active(), member.memory.active()]);
    let last = world.ghost.configuration_at(LogIndex(u64::MAX));
    let all = held.chain(on_their_way(world)).chain(last);
    let mut may_decide = all.filter(|(index, _)| *index >= decided);
    let birth = world.birth.as_ref().filter(|_| decided.0 == 0);
    let born =
        birth.is_none_or(|first| decides(first, lives) && first.voters.first().is_some_and(lives));
    born && may_decide.all(|(_, number)| {
        let configuration = world.book.configuration(number);
        configuration.is_empty() || decides(configuration, lives)
    })
}

/// Configurations in messages that may still arrive.
fn on_their_way(world: &World) -> impl Iterator<Item = Placed> {
    let messages = world.network.all();
    let entries = messages.flat_map(|flying| match &flying.message.body {
        MessageBody::Append { entries, .. } => entries.as_slice(),
        _ => &[],
    });
    let found = entries.filter(|entry| entry.kind == EntryKind::Configuration);
    found.filter_map(|entry| Some((entry.index, world.book.find(&entry.payload)?)))
}
