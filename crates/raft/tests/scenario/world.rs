//! The members of a scenario and the messages between them; nothing moves unless a command says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dmq_raft::{Effects, Input, IoSeq, LogIndex, MemberId, Message, MessageBody};

use super::node::Node;
use super::show;

#[derive(Default)]
pub(crate) struct World {
    pub(crate) nodes: BTreeMap<u32, Node>,
    /// On their way, oldest first.
    pub(crate) network: Vec<Message>,
    /// What the commands of the present block printed.
    pub(crate) out: String,
    /// Print only decisions, no writes and messages.
    pub(crate) quiet: bool,
}

impl World {
    pub(crate) fn node(&mut self, id: u32) -> &mut Node {
        self.nodes
            .get_mut(&id)
            .unwrap_or_else(|| panic!("there is no node {id}"))
    }

    pub(crate) fn say(&mut self, id: u32, line: &str) {
        let name = show::name(self.node(id).config.id);
        writeln!(self.out, "{name} {line}").unwrap();
    }

    fn detail(&mut self, id: u32, line: &str) {
        if !self.quiet {
            self.say(id, line);
        }
    }

    /// One step of one member, with everything that follows at once.
    pub(crate) fn step(&mut self, id: u32, input: Input) {
        let node = self.node(id);
        let Some(raft) = &mut node.raft else {
            return;
        };
        let effects = raft.step(input);
        self.perform(id, effects);
    }

    fn perform(&mut self, id: u32, mut effects: Effects) {
        for line in show::news(&effects) {
            self.say(id, &line);
        }
        if let Some(write) = effects.persist.take() {
            self.detail(id, &show::write(&write));
            let node = self.node(id);
            node.memory.take(&write);
            node.writes.push_back(write);
        }
        let install = effects.install.as_ref().map(|i| (i.after, i.last.index));
        let node = self.node(id);
        node.install = install.or(node.install);
        for outgoing in std::mem::take(&mut effects.send) {
            let mut message = outgoing.message;
            if let Some(range) = outgoing.fill {
                self.node(id)
                    .fill(&mut message, *range.start(), *range.end());
            }
            self.dispatch(id, message, outgoing.after);
        }
        for snapshot in std::mem::take(&mut effects.send_snapshots) {
            self.dispatch(id, snapshot.message, None);
        }
        if let Some(range) = &effects.committed {
            self.apply(id, *range.end());
        }
    }

    /// The state machine of a scenario has applied an entry as soon as it is committed, unless an
    /// image is still to be installed.
    fn apply(&mut self, id: u32, index: LogIndex) {
        if self.node(id).install.is_none() {
            self.step(id, Input::Applied(index));
        }
    }

    fn dispatch(&mut self, id: u32, message: Message, after: Option<IoSeq>) {
        let shown = show::message(&message);
        if let Some(io) = after {
            self.detail(id, &format!("holds {shown} until {}", show::io(io)));
            self.node(id).held.push((io, message));
        } else {
            self.detail(id, &format!("sends {shown}"));
            self.network.push(message);
        }
    }

    /// Completes the oldest writes of a member, all of them if no number is given.
    pub(crate) fn sync(&mut self, id: u32, count: Option<usize>) {
        for _ in 0..count.unwrap_or(usize::MAX) {
            let Some(io) = self.node(id).sync_one() else {
                return;
            };
            self.confirm(id, io);
        }
    }

    /// Tells the core that a write is durable, and lets go what waited for it.
    pub(crate) fn confirm(&mut self, id: u32, io: IoSeq) {
        self.detail(id, &format!("has {} durable", show::io(io)));
        for message in self.node(id).release(io) {
            self.dispatch(id, message, None);
        }
        self.step(id, Input::Persisted(io));
        let node = self.node(id);
        if let Some((_, index)) = node.install.take_if(|(after, _)| *after <= io) {
            self.step(id, Input::Applied(index));
        }
    }

    /// Hands a message over, if its receiver is there and the connection too.
    pub(crate) fn deliver(&mut self, mut message: Message) {
        let (from, to) = (message.from.node.0, message.to.node.0);
        let isolated = |id: &u32| self.nodes.get(id).is_some_and(|node| node.isolated);
        let cut = [from, to].iter().any(isolated);
        let down = self.nodes.get(&to).is_none_or(|node| node.raft.is_none());
        if cut || down {
            if !self.quiet {
                writeln!(self.out, "lost {}", show::message(&message)).unwrap();
            }
            return;
        }
        if let MessageBody::InstallSnapshot {
            last,
            configuration,
            ..
        } = &mut message.body
        {
            let file = (*last, configuration.clone());
            let disk = &mut self.node(to).disk;
            if disk
                .snapshot
                .as_ref()
                .is_none_or(|(known, _)| known.index < last.index)
                && message.to == self.node(to).config.id
            {
                self.node(to).disk.snapshot = Some(file);
            }
        }
        self.step(to, Input::Message(message));
    }

    /// Syncs and delivers until nothing moves.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1000 {
            let ids: Vec<u32> = self.nodes.keys().copied().collect();
            let busy = self.nodes.values().any(|node| !node.writes.is_empty());
            if !busy && self.network.is_empty() {
                return;
            }
            for id in ids {
                self.sync(id, None);
            }
            for message in std::mem::take(&mut self.network) {
                self.deliver(message);
            }
        }
        panic!("the members never come to rest");
    }

    /// Every member of the scenario under its present directory.
    pub(crate) fn member(&mut self, id: u32) -> MemberId {
        self.node(id).config.id
    }
}
