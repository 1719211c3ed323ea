//! What a walk may do at each step, and how it chooses.

use bytes::Bytes;
use dmq_raft::{Configuration, EntryId, Input, LogIndex, Message, Role};

use super::coverage::Event;
use super::dice::Dice;
use super::disk::SnapshotFile;
use super::world::World;

/// The actions with their usual weights. Every walk multiplies each weight by a factor of its own
/// ("swarm testing"): some walks hardly ever crash, others do little else.
const ACTIONS: [(Event, usize); 22] = [
    (Event::Tick, 50),
    (Event::Deliver, 300),
    (Event::Drop, 12),
    (Event::Duplicate, 12),
    (Event::Propose, 30),
    (Event::Sync, 50),
    (Event::SyncAll, 50),
    (Event::Apply, 30),
    (Event::Crash, 6),
    (Event::Restart, 20),
    (Event::Snapshot, 18),
    (Event::Purge, 18),
    (Event::Transfer, 3),
    (Event::Read, 12),
    (Event::Unreachable, 4),
    (Event::Campaign, 8),
    (Event::Stop, 1),
    (Event::Cut, 4),
    (Event::Birth, 4),
    (Event::Corrupt, 2),
    (Event::Burst, 30),
    (Event::Silence, 10),
];

const FACTORS: [usize; 6] = [0, 1, 1, 1, 2, 5];

/// What a walk is mostly about.
#[derive(Clone, Copy)]
enum Mood {
    /// Every action with a weight of its own.
    Swarm,
    /// A leader every few actions, members left behind, snapshots for them.
    Churn,
    /// Elections and little else: figure 8 of the Raft paper takes four of them with one entry
    /// replicated in between.
    Duel,
}

fn factor(mood: Mood, event: Event, chance: usize) -> usize {
    match (mood, event) {
        // A walk in which nobody hears or remembers anything finds nothing.
        (
            Mood::Swarm,
            Event::Tick | Event::Deliver | Event::SyncAll | Event::Apply | Event::Restart,
        ) => chance.max(1),
        (Mood::Swarm, _) => chance,
        (_, Event::Silence) => 12,
        (_, Event::Restart) => 8,
        (_, Event::Crash) => 4,
        (_, Event::Birth) | (Mood::Churn, Event::Deliver) => 1,
        (Mood::Churn, Event::Burst | Event::Propose | Event::Read) => 2,
        (Mood::Churn, Event::Snapshot | Event::Purge | Event::Apply) => 3,
        _ => 0,
    }
}

/// Messages on their way at most, of which a walk picks one; older ones are lost first, so that it
/// keeps moving.
const NETWORK_MAX: [usize; 3] = [10, 25, 60];

/// Chooses and performs actions.
pub(crate) struct Walker {
    pub(crate) dice: Dice,
    weights: [usize; ACTIONS.len()],
    /// Messages between two members keep their order.
    ordered: bool,
    network_max: usize,
    next_payload: u64,
    next_read: u64,
    birth: Option<Configuration>,
}

impl Walker {
    pub(crate) fn new(mut dice: Dice, birth: Option<Configuration>) -> Self {
        let mood = [Mood::Swarm, Mood::Swarm, Mood::Churn, Mood::Duel][dice.below(4)];
        let weights = ACTIONS
            .map(|(event, usual)| usual * factor(mood, event, FACTORS[dice.below(FACTORS.len())]));
        let ordered = dice.once_in(3);
        let network_max = NETWORK_MAX[dice.below(NETWORK_MAX.len())];
        Self {
            dice,
            weights,
            ordered,
            network_max,
            next_payload: 0,
            next_read: 0,
            birth,
        }
    }

    /// One action, of a kind and at a member that chance picks.
    pub(crate) fn act(&mut self, world: &mut World) {
        let (event, _) = ACTIONS[self.dice.weighted(&self.weights)];
        let at = self.dice.below(world.members.len());
        world.coverage.hit(event);
        match event {
            Event::Deliver if world.network.is_empty() => self.ask_core(world, Event::Tick, at),
            Event::Deliver | Event::Drop | Event::Duplicate | Event::Corrupt => {
                self.move_message(world, event);
            }
            Event::Crash | Event::Restart | Event::Cut => self.break_things(world, event, at),
            Event::Burst => {
                let (among, rounds) = (self.dice.roll(), 1 + self.dice.below(6));
                burst(world, among, rounds);
            }
            Event::Silence => self.silence(world, at),
            Event::Sync | Event::SyncAll | Event::Apply | Event::Snapshot | Event::Purge => {
                self.disk_work(world, event, at);
            }
            _ => self.ask_core(world, event, at),
        }
        if world.network.len() > self.network_max {
            let oldest = world.network.remove(0);
            world.lost(&oldest.message);
        }
    }

    fn move_message(&mut self, world: &mut World, event: Event) {
        if world.network.is_empty() {
            return;
        }
        let mut at = self.dice.below(world.network.len());
        if self.ordered {
            let link = |at: usize| {
                let message = &world.network[at].message;
                (message.from, message.to)
            };
            let picked = link(at);
            at = (0..=at).find(|first| link(*first) == picked).unwrap_or(at);
        }
        match event {
            Event::Drop => {
                let flying = world.network.remove(at);
                world.lost(&flying.message);
            }
            Event::Duplicate => {
                let copy = world.network[at].clone();
                world.deliver(copy);
            }
            Event::Corrupt => {
                let mut copy = world.network[at].clone();
                copy.corrupt(self.dice.once_in(2));
                world.deliver(copy);
            }
            _ => {
                let flying = world.network.remove(at);
                world.deliver(flying);
            }
        }
    }

    /// Nobody hears of a leader for so long that everybody may vote again, and one asks for votes.
    fn silence(&mut self, world: &mut World, candidate: usize) {
        for at in 0..world.members.len() {
            let ticks = world.members[at].config.election_ticks;
            if !is_leader(&world.members[at]) {
                for _ in 0..ticks {
                    world.step(at, Input::Tick);
                }
            }
        }
        world.step(candidate, Input::Campaign);
        // An election takes four rounds; what the winner has replicated then depends on the rest.
        let among = self.dice.roll() | 1 << candidate;
        let rounds = if self.dice.once_in(6) {
            0
        } else {
            3 + self.dice.below(4)
        };
        burst(world, among, rounds);
    }

    fn break_things(&mut self, world: &mut World, event: Event, at: usize) {
        let runs = world.members[at].raft.is_some();
        match event {
            Event::Crash if runs => {
                let kept = self.dice.below(world.members[at].writes.len() + 1);
                world.crash(at, kept);
            }
            Event::Restart if !runs => world.start(at, &mut self.dice),
            Event::Cut => match self.dice.below(3) {
                0 => world.cut = 0,
                1 => {
                    let to = self.dice.below(world.members.len());
                    world.cut |= world.link(at, to);
                }
                _ => {
                    for other in 0..world.members.len() {
                        world.cut |= world.link(at, other) | world.link(other, at);
                    }
                }
            },
            _ => {}
        }
    }

    fn disk_work(&mut self, world: &mut World, event: Event, at: usize) {
        if world.members[at].raft.is_none() {
            return;
        }
        match event {
            Event::Sync => world.sync(at, 1),
            Event::SyncAll => world.sync(at, usize::MAX),
            Event::Apply => {
                let member = &world.members[at];
                let open = member.committed.0 - member.applied.0;
                let some = 1 + self.dice.below(usize::try_from(open).unwrap_or(0) + 1) as u64;
                let some = if self.dice.once_in(2) {
                    open
                } else {
                    some.min(open)
                };
                world.apply(at, LogIndex(member.applied.0 + some));
            }
            Event::Snapshot => world.take_snapshot(self.leader_or(world, at)),
            _ => {
                let at = self.leader_or(world, at);
                let purgeable = world.members[at]
                    .raft
                    .as_ref()
                    .map_or(0, |r| r.purgeable().0);
                let start = world.members[at].memory.start.index.0;
                let some = purgeable.saturating_sub(start);
                let some = self.dice.below(usize::try_from(some).unwrap_or(0) + 1) as u64;
                world.purge(at, LogIndex(start + some));
            }
        }
    }

    fn ask_core(&mut self, world: &mut World, event: Event, at: usize) {
        let at = if event == Event::Read {
            self.leader_or(world, at)
        } else {
            at
        };
        let Some(raft) = &world.members[at].raft else {
            return;
        };
        let (leads, id) = (raft.role() == Role::Leader, raft.id());
        match event {
            Event::Tick => {
                for _ in 0..=self.dice.below(4) {
                    world.step(at, Input::Tick);
                }
            }
            Event::Propose => {
                // Proposals to others are refused; a few suffice to see that.
                let leader = world.members.iter().position(is_leader).unwrap_or(at);
                let at = if leads || self.dice.once_in(8) {
                    at
                } else {
                    leader
                };
                let input = self.proposal();
                world.step(at, input);
            }
            Event::Read => {
                self.next_read += 1;
                let seq = self.next_read;
                world.ghost.asks(id, seq);
                world.step(at, Input::ReadIndex { seq });
            }
            Event::Transfer => {
                let wish = self.dice.below(world.members.len() + 1);
                let to = world.members.get(wish).map(|member| member.id().node);
                let leader = world.members.iter().position(is_leader).unwrap_or(at);
                world.step(leader, Input::Transfer { to });
            }
            Event::Unreachable => {
                let peer = world.members[self.dice.below(world.members.len())].id();
                world.step(at, Input::Unreachable { peer });
            }
            Event::Campaign => world.step(at, Input::Campaign),
            Event::Stop => world.step(at, Input::Stop),
            _ => self.give_birth(world),
        }
    }

    /// In every second case somebody who leads or believes to lead: there snapshots and reads matter.
    fn leader_or(&mut self, world: &World, at: usize) -> usize {
        let leaders = world
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| is_leader(member));
        let leaders: Vec<usize> = leaders.map(|(at, _)| at).collect();
        if leaders.is_empty() || self.dice.once_in(2) {
            return at;
        }
        leaders[self.dice.below(leaders.len())]
    }

    /// Only the lowest id initialises, as the members' pins see to (DESIGN 6.1).
    pub(crate) fn give_birth(&mut self, world: &mut World) {
        if let Some(configuration) = self.birth.clone() {
            world.step(0, Input::Initialize(configuration));
        }
    }

    pub(crate) fn proposal(&mut self) -> Input {
        let count = 1 + self.dice.below(3);
        let payloads = (0..count).map(|_| {
            self.next_payload += 1;
            Bytes::copy_from_slice(&self.next_payload.to_be_bytes())
        });
        Input::Propose(payloads.collect())
    }
}

/// Some of the members get on with each other for a moment: writes complete and messages between them
/// arrive in order, while the others see nothing of it.
fn burst(world: &mut World, among: u64, rounds: usize) {
    for _ in 0..rounds {
        for at in (0..world.members.len()).filter(|at| among >> at & 1 == 1) {
            world.sync(at, usize::MAX);
        }
        let network = std::mem::take(&mut world.network);
        let in_it = |id| world.find(id).is_some_and(|at| among >> at & 1 == 1);
        let inside = |message: &Message| in_it(message.from) && in_it(message.to);
        let (arriving, staying): (Vec<_>, Vec<_>) = network
            .into_iter()
            .partition(|flying| inside(&flying.message));
        world.network = staying;
        for flying in arriving {
            world.deliver(flying);
        }
    }
}

pub(crate) fn is_leader(member: &super::world::Member) -> bool {
    member
        .raft
        .as_ref()
        .is_some_and(|raft| raft.role() == Role::Leader)
}

impl World {
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
        let durable = member
            .raft
            .as_ref()
            .map_or(LogIndex(0), dmq_raft::Raft::durable);
        let index = member.applied.min(durable);
        let newest = member
            .disk
            .snapshot
            .as_ref()
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
