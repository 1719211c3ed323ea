//! A member's process and its disk: it starts from what is durable, loses what is not, and completes writes.

use dmq_raft::{Input, Raft};

use super::coverage::Event;
use super::dice::Dice;
use super::world::World;

impl World {
    /// Starts a member's process from its disk.
    pub(crate) fn start(&mut self, at: usize, dice: &mut Dice) {
        self.moves += 1;
        let member = &mut self.members[at];
        member.config.seed = dice.roll();
        let restored = member.disk.recover(&self.book);
        member.memory.copy(&member.disk);
        (member.committed, member.applied) = (restored.commit, restored.commit);
        let raft = Raft::new(member.config.clone(), restored);
        member.role = raft.role();
        member.raft = Some(raft);
        self.check_view(at);
    }

    /// Power loss: of the writes under way the first `kept` reached the disk.
    pub(crate) fn crash(&mut self, at: usize, kept: usize) {
        self.moves += 1;
        let id = self.members[at].id();
        let member = &mut self.members[at];
        let (lost, landed) = (member.writes.len() - kept, kept > 0);
        for write in member.writes.drain(..).take(kept) {
            member.disk.take(&write, &mut self.book);
        }
        for (_, number) in member.held.drain(..) {
            self.network.take(number);
        }
        member.install = None;
        member.raft = None;
        // Messages whose entries were not read yet were still inside the process.
        if self.late_fill {
            self.network
                .retain(|flying| flying.message.from != id || flying.fill.is_none());
        }
        self.ghost.forget_reads(id);
        self.note(lost > 0, Event::CrashLostWrites);
        self.note(landed, Event::CrashKeptWrites);
    }

    /// Completes the oldest `count` writes of a member and reports them together. Returns whether there were
    /// any.
    pub(crate) fn sync(&mut self, at: usize, count: usize) -> bool {
        let member = &mut self.members[at];
        let mut newest = None;
        for write in member.writes.drain(..count.min(member.writes.len())) {
            member.disk.take(&write, &mut self.book);
            newest = Some(write.io);
        }
        let Some(io) = newest else {
            return false;
        };
        let installed = member.install.take_if(|(after, _)| *after <= io);
        let mut held = std::mem::take(&mut member.held);
        held.retain(|(after, number)| {
            let free = *after <= io;
            if free {
                self.leave(*number);
            }
            !free
        });
        self.members[at].held = held;
        self.step(at, Input::Persisted(io));
        if let Some((_, last)) = installed {
            self.members[at].applied = last.index;
            self.step(at, Input::Applied(last.index));
        }
        true
    }
}
