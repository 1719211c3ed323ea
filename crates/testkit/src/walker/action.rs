//! How a choice of the walk is carried out.

use dmq_raft::{EntryId, Input, LogIndex, Raft};

use super::book::{command, oversized};
use super::choice::Choice;
use super::coverage::Event;
use super::dice::Dice;
use super::disk::SnapshotFile;
use super::membership::{change, wipe};
use super::world::{Member, World};

/// One action at a member that chance picks.
pub(crate) fn act(world: &mut World, choice: Choice) {
    let mut dice = Dice::new(choice.roll);
    let at = dice.below(world.members.len());
    let event = choice.event;
    world.coverage.hit(event);
    let moves = world.moves;
    match event {
        Event::Deliver | Event::Drop | Event::Duplicate | Event::Corrupt | Event::Late => {
            move_message(world, &mut dice, event, at);
        }
        Event::Crash | Event::Restart | Event::Cut => break_things(world, &mut dice, event, at),
        Event::Burst => {
            let (among, rounds) = (dice.roll(), 1 + dice.below(6));
            burst(world, among, rounds);
        }
        Event::Silence => silence(world, &mut dice, at),
        Event::Voters | Event::Learners => change(world, &mut dice, event, at),
        Event::Wipe => wipe(world, &mut dice, at),
        Event::Sync | Event::SyncAll | Event::Apply | Event::Snapshot | Event::Purge => {
            disk_work(world, &mut dice, event, at);
        }
        _ => ask_core(world, &mut dice, event, at),
    }
    world.note(world.moves == moves, Event::Idle);
}

/// The oldest message is lost when there are too many.
pub(crate) fn crowd_out(world: &mut World, network_max: usize) {
    if world.network.queue.len() > network_max
        && let Some(oldest) = world.network.pull(0)
    {
        world.lost(&oldest.message);
    }
}

fn move_message(world: &mut World, dice: &mut Dice, event: Event, member: usize) {
    let flying = match event {
        Event::Late => world.network.late(dice.below(64)),
        _ if world.network.queue.is_empty() => {
            if event == Event::Deliver {
                tick(world, dice, member);
            }
            return;
        }
        _ => {
            let at = pick(world, dice);
            match event {
                Event::Duplicate | Event::Corrupt => world.network.look(at).cloned(),
                _ => world.network.pull(at),
            }
        }
    };
    let Some(mut flying) = flying else {
        return;
    };
    match event {
        Event::Drop => {
            world.moves += 1;
            world.network.remember(&flying, dice.below(8));
            world.lost(&flying.message);
        }
        Event::Corrupt => {
            flying.corrupt(dice.once_in(2));
            world.deliver(flying);
        }
        _ => {
            if event == Event::Deliver && dice.once_in(16) {
                world.network.remember(&flying, dice.below(8));
            }
            world.deliver(flying);
        }
    }
}

/// A message on its way; the oldest one of its link where messages keep their order.
fn pick(world: &World, dice: &mut Dice) -> usize {
    let at = dice.below(world.network.queue.len());
    if !world.ordered {
        return at;
    }
    let link = |at: usize| {
        let flying = world.network.look(at);
        flying.map(|flying| (flying.message.from, flying.message.to))
    };
    let picked = link(at);
    (0..at).find(|first| link(*first) == picked).unwrap_or(at)
}

/// Nobody hears of a leader for so long that everybody may vote again, and one asks for votes.
fn silence(world: &mut World, dice: &mut Dice, candidate: usize) {
    for at in 0..world.members.len() {
        let member = &world.members[at];
        let ticks = member.config.election_ticks;
        let hears = |raft: &Raft| raft.leader().is_some_and(|leader| leader != raft.id());
        if member.raft.as_ref().is_some_and(hears) {
            for _ in 0..ticks {
                world.step(at, Input::Tick);
            }
        }
    }
    world.step(candidate, Input::Campaign);
    // An election takes four rounds; what the winner has replicated then depends on the rest.
    let among = dice.roll() | 1 << candidate;
    let rounds = if dice.once_in(6) {
        0
    } else {
        3 + dice.below(4)
    };
    burst(world, among, rounds);
}

fn break_things(world: &mut World, dice: &mut Dice, event: Event, at: usize) {
    let runs = world.members[at].raft.is_some();
    match event {
        Event::Crash if runs => {
            let kept = dice.below(world.members[at].writes.len() + 1);
            world.crash(at, kept);
        }
        Event::Restart => {
            let down = |at: &usize| world.members[*at].raft.is_none();
            let first = (at..world.members.len()).chain(0..at).find(down);
            if let Some(first) = first {
                world.start(first, dice);
            }
        }
        Event::Cut => cut(world, dice, at),
        _ => {}
    }
}

fn cut(world: &mut World, dice: &mut Dice, at: usize) {
    world.moves += 1;
    match dice.below(3) {
        0 => world.cut = 0,
        1 => {
            let to = dice.below(world.members.len());
            world.cut |= world.link(at, to);
        }
        _ => {
            for other in 0..world.members.len() {
                world.cut |= world.link(at, other) | world.link(other, at);
            }
        }
    }
}

fn disk_work(world: &mut World, dice: &mut Dice, event: Event, at: usize) {
    if world.members[at].raft.is_none() {
        return;
    }
    match event {
        Event::Sync => _ = world.sync(at, 1),
        Event::SyncAll => _ = world.sync(at, usize::MAX),
        Event::Apply => {
            let member = &world.members[at];
            let open = member.committed.0 - member.applied.0;
            let some = 1 + dice.below(usize::try_from(open).unwrap_or(0) + 1) as u64;
            let some = if dice.once_in(2) {
                open
            } else {
                some.min(open)
            };
            world.apply(at, LogIndex(member.applied.0 + some));
        }
        Event::Snapshot => world.take_snapshot(leader_or(world, dice, at)),
        _ => {
            let at = leader_or(world, dice, at);
            world.check_purgeable(at);
            let member = &world.members[at];
            let purgeable = member.raft.as_ref().map_or(LogIndex(0), Raft::purgeable);
            let start = member.memory.start.index;
            let covered = member
                .disk
                .snapshot
                .map_or(LogIndex(0), |file| file.last.index);
            let durable = member.raft.as_ref().map_or(LogIndex(0), Raft::durable);
            let held_back = purgeable < covered.min(member.applied).min(durable);
            world.note(held_back, Event::PurgeHeldBack);
            let some = purgeable.0.saturating_sub(start.0);
            let some = dice.below(usize::try_from(some).unwrap_or(0) + 1) as u64;
            world.purge(at, LogIndex(start.0 + some));
        }
    }
}

fn tick(world: &mut World, dice: &mut Dice, at: usize) {
    for _ in 0..=dice.below(4) {
        world.step(at, Input::Tick);
    }
}

fn ask_core(world: &mut World, dice: &mut Dice, event: Event, at: usize) {
    let at = match event {
        Event::Read => leader_or(world, dice, at),
        // Others refuse; a few such requests suffice to see that.
        Event::Propose | Event::Transfer if !dice.once_in(8) => world.leader().unwrap_or(at),
        _ => at,
    };
    let member = &world.members[at];
    if member.raft.is_none() {
        return;
    }
    let id = member.id();
    match event {
        Event::Tick => tick(world, dice, at),
        Event::Propose => {
            let input = proposal(world, dice);
            world.step(at, input);
        }
        Event::Read => {
            world.next_read += 1;
            let seq = world.next_read;
            world.ghost.asks(id, seq);
            world.step(at, Input::ReadIndex { seq });
        }
        Event::Transfer => {
            let wish = dice.below(world.members.len() + 1);
            let to = world.members.get(wish).map(|member| member.id().node);
            world.step(at, Input::Transfer { to });
        }
        Event::Unreachable => {
            let peer = world.members[dice.below(world.members.len())].id();
            world.step(at, Input::Unreachable { peer });
        }
        Event::Campaign => world.step(at, Input::Campaign),
        Event::Stop => world.step(at, Input::Stop),
        _ => give_birth(world),
    }
}

/// In every second case somebody who leads or believes to lead: there snapshots and reads matter.
fn leader_or(world: &World, dice: &mut Dice, at: usize) -> usize {
    let leaders = || (0..world.members.len()).filter(|at| world.members[*at].leads());
    let count = leaders().count();
    if count == 0 || dice.once_in(2) {
        return at;
    }
    leaders().nth(dice.below(count)).unwrap_or(at)
}

/// Only the lowest id initialises, as the members' pins see to (DESIGN 6.1).
pub(crate) fn give_birth(world: &mut World) {
    if let Some(configuration) = world.birth.clone() {
        world.step(0, Input::Initialize(configuration));
    }
}

pub(crate) fn proposal(world: &mut World, dice: &mut Dice) -> Input {
    if dice.once_in(64) {
        return Input::Propose(vec![oversized()]);
    }
    let first = world.next_payload;
    world.next_payload += 1 + u32::try_from(dice.below(3)).unwrap_or(0);
    Input::Propose((first..world.next_payload).map(command).collect())
}

/// Some of the members get on with each other for a moment: writes complete and messages between them
/// arrive in order, while the others see nothing of it.
fn burst(world: &mut World, among: u64, rounds: usize) {
    for _ in 0..rounds {
        for at in (0..world.members.len()).filter(|at| among >> at & 1 == 1) {
            let wrote = world.sync(at, usize::MAX);
            world.note(wrote, Event::WrittenWithin);
        }
        exchange(world, among);
    }
}

/// All messages on their way between some of the members arrive.
pub(crate) fn exchange(world: &mut World, among: u64) {
    let mut arriving = std::mem::take(&mut world.network.queue);
    arriving.retain(|number| {
        let inside = world.network.get(*number).is_some_and(|flying| {
            let ends = [flying.message.from, flying.message.to].map(super::ids::place);
            ends.iter().all(|end| among >> end & 1 == 1)
        });
        if !inside {
            world.network.queue.push(*number);
        }
        inside
    });
    for number in arriving {
        if let Some(flying) = world.network.take(number) {
            world.coverage.hit(Event::ArrivedWithin);
            world.deliver(flying);
        }
    }
}

impl World {
    /// Somebody who leads or believes to lead.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.members.iter().position(Member::leads)
    }

    /// The image takes committed entries, unless another image is about to replace it.
    pub(crate) fn apply(&mut self, at: usize, index: LogIndex) {
        let member = &mut self.members[at];
        if !member.is_installing() && index > member.applied {
            member.applied = index;
            self.step(at, Input::Applied(index));
        }
    }

    /// A snapshot ends at what is applied and durable.
    pub(crate) fn take_snapshot(&mut self, at: usize) {
        let member = &mut self.members[at];
        let durable = member.raft.as_ref().map_or(LogIndex(0), Raft::durable);
        let index = member.applied.min(durable);
        let newest = member
            .disk
            .snapshot
            .map_or(LogIndex(0), |file| file.last.index);
        let Some(term) = member.disk.term_at(index).filter(|_| index > newest) else {
            return;
        };
        let last = EntryId::new(term, index);
        let configuration = member.disk.configuration_at(index);
        member.disk.snapshot = Some(SnapshotFile {
            last,
            configuration,
        });
        self.step(at, Input::SnapshotTaken { last });
    }

    /// The log forgets whole entries on disk and in memory alike.
    pub(crate) fn purge(&mut self, at: usize, index: LogIndex) {
        let member = &mut self.members[at];
        if index > member.disk.start.index && member.disk.term_at(index).is_some() {
            member.disk.purge(index);
            member.memory.purge(index);
            let start = member.memory.start;
            self.step(at, Input::Purged { start });
        }
    }
}
