//! The commands of scenario files; `testdata/README.md` explains them.

use bytes::Bytes;
use dmq_raft::{
    Config, Configuration, Entry, EntryKind, HardState, Input, IoSeq, LogIndex, MemberId,
    MembershipChange, Message, NodeId, Term,
};

use super::node::{Disk, Node, member};
use super::world::World;
use super::{inject, show};

/// A command line: words, and `key=value` options.
pub(crate) struct Line<'a> {
    words: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
    place: &'a str,
}

/// Runs one line. `place` says where it stands, for messages of the runner.
pub(crate) fn run(world: &mut World, line: &str, place: &str) {
    let (options, words): (Vec<&str>, Vec<&str>) =
        line.split_whitespace().partition(|word| word.contains('='));
    let options = options
        .iter()
        .filter_map(|option| option.split_once('='))
        .collect();
    let line = Line {
        words,
        options,
        place,
    };
    match line.word(0) {
        "quorum" | "nodes" | "node" => create(world, &line),
        "quiet" | "verbose" => world.quiet = line.word(0) == "quiet",
        "settle" => settle(world, &line),
        "deliver" | "drop" | "duplicate" | "delay" => network(world, &line),
        "inject" => inject::run(world, &line),
        "status" | "log" | "peers" | "network" | "lengths" | "configuration" | "purgeable"
        | "ignored" => show_state(world, &line),
        _ => at_node(world, &line),
    }
}

impl<'a> Line<'a> {
    pub(crate) fn word(&self, at: usize) -> &'a str {
        self.words
            .get(at)
            .unwrap_or_else(|| panic!("{}: word {at} is missing", self.place))
    }

    pub(crate) fn number(&self, at: usize) -> u64 {
        self.parse(self.word(at))
    }

    pub(crate) fn id(&self, at: usize) -> u32 {
        self.parse(self.word(at).trim_start_matches('n'))
    }

    pub(crate) fn option(&self, key: &str) -> Option<&'a str> {
        self.options
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    pub(crate) fn numeric<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.option(key).map(|value| self.parse(value))
    }

    pub(crate) fn list(&self, key: &str) -> Option<Vec<u64>> {
        let items = |value: &'a str| value.split(',').filter(|item| !item.is_empty());
        self.option(key)
            .map(|value| items(value).map(|item| self.parse(item)).collect())
    }

    pub(crate) fn parse<T: std::str::FromStr>(&self, text: &str) -> T {
        text.parse()
            .unwrap_or_else(|_| self.fail(&format!("`{text}` is not understood")))
    }

    pub(crate) fn fail(&self, what: &str) -> ! {
        panic!("{}: {what}", self.place)
    }
}

/// `quorum 3`: members that hold configuration entry 1@1. `nodes 3`: uninitialised ones.
/// `node 2 term=5 log=1,1,4 voters=1,2,3`: one with this log, whose first entry is the configuration.
fn create(world: &mut World, line: &Line<'_>) {
    let count = u32::try_from(line.number(1)).unwrap();
    let single = line.word(0) == "node";
    if !single {
        world.network.clear();
    }
    for id in if single { count..=count } else { 1..=count } {
        let voters = line
            .list("voters")
            .unwrap_or_else(|| (1..=u64::from(count)).collect());
        let as_member = |id: &u64| member(u32::try_from(*id).unwrap(), 1);
        let mut configuration = Configuration::of_voters(voters.iter().map(as_member));
        let list = |key| line.list(key).unwrap_or_default();
        configuration.learners = list("learners").iter().map(as_member).collect();
        configuration.outgoing = list("outgoing").iter().map(as_member).collect();
        let terms = match line.word(0) {
            "nodes" => Vec::new(),
            _ => line.list("log").unwrap_or_else(|| vec![1]),
        };
        let newest = terms.last().copied().unwrap_or(0);
        let term = Term(line.numeric("term").unwrap_or(newest));
        let hard = HardState { term, vote: None };
        let entries = entries(&terms, &configuration);
        let disk = Disk {
            hard,
            entries,
            ..Disk::default()
        };
        world
            .nodes
            .insert(id, Node::new(config(line, member(id, 1)), disk));
    }
}

fn entries(terms: &[u64], configuration: &Configuration) -> Vec<Entry> {
    let entry = |(index, term): (u64, &u64)| {
        let (kind, payload) = match index {
            1 => (EntryKind::Configuration, configuration.encode()),
            _ => (EntryKind::Command, Bytes::from(format!("{term}.{index}"))),
        };
        Entry {
            index: LogIndex(index),
            term: Term(*term),
            kind,
            payload,
        }
    };
    (1..).zip(terms).map(entry).collect()
}

/// Ten ticks to an election, three to a heartbeat, unless the line says otherwise.
fn config(line: &Line<'_>, id: MemberId) -> Config {
    let mut config = Config::new(id, u64::from(id.node.0) * 1000);
    config.election_ticks = line.numeric("election").unwrap_or(10);
    config.heartbeat_ticks = line.numeric("heartbeat").unwrap_or(3);
    config.check_quorum_ticks = line.numeric("check-quorum").unwrap_or(15);
    config.transfer_ticks = line.numeric("transfer").unwrap_or(10);
    config.inflight_messages_max = line.numeric("inflight").unwrap_or(4);
    config.inflight_bytes_max = line.numeric("inflight-bytes").unwrap_or(8 << 20);
    config.append_entries_max = line.numeric("append-entries").unwrap_or(100);
    config.append_bytes_max = line.numeric("append-bytes").unwrap_or(1 << 20);
    config.entry_size_max = line.numeric("entry-size").unwrap_or(1000);
    config.caught_up_entries_max = line.numeric("caught-up").unwrap_or(2);
    config.uncommitted_bytes_max = line.numeric("uncommitted").unwrap_or(100_000);
    config
}

/// `settle`: sync and deliver until nothing moves, and print only decisions; `settle loud`: all.
fn settle(world: &mut World, line: &Line<'_>) {
    let quiet = world.quiet;
    world.quiet = line.words.len() == 1;
    world.settle();
    world.quiet = quiet;
}

/// `deliver [kind] [from=1] [to=2] [count=1] [order=reverse]`: takes matching messages from the
/// network. `drop` loses them, `duplicate` leaves a copy behind, `delay` moves them to the end.
fn network(world: &mut World, line: &Line<'_>) {
    let (from, to) = (line.numeric::<u32>("from"), line.numeric::<u32>("to"));
    let wanted = line.words.get(1).copied();
    let fits = |message: &Message| {
        from.is_none_or(|id| message.from.node == NodeId(id))
            && to.is_none_or(|id| message.to.node == NodeId(id))
            && wanted.is_none_or(|kind| show::kind(&message.body) == kind)
    };
    let mut left: usize = line.numeric("count").unwrap_or(usize::MAX);
    let mut taken = Vec::new();
    let mut kept = Vec::new();
    for message in std::mem::take(&mut world.network) {
        if left > 0 && fits(&message) {
            left -= 1;
            taken.push(message);
        } else {
            kept.push(message);
        }
    }
    world.network = kept;
    if taken.is_empty() {
        line.fail("no such message");
    }
    if line.option("order") == Some("reverse") {
        taken.reverse();
    }
    for message in taken {
        match line.word(0) {
            "drop" => {}
            "delay" => world.network.push(message),
            "duplicate" => {
                world.network.push(message.clone());
                world.deliver(message);
            }
            _ => world.deliver(message),
        }
    }
}

/// `status [1]`, `log [1]`, `peers 1`, `network`, `lengths`.
fn show_state(world: &mut World, line: &Line<'_>) {
    if ["network", "lengths"].contains(&line.word(0)) {
        let form = if line.word(0) == "network" {
            show::message
        } else {
            show::length
        };
        let lines: Vec<String> = world.network.iter().map(form).collect();
        world
            .out
            .extend(lines.into_iter().map(|line| format!("on the way {line}\n")));
        return;
    }
    let only = (line.words.len() > 1).then(|| line.id(1));
    let ids: Vec<u32> = world.nodes.keys().copied().collect();
    for id in ids
        .into_iter()
        .filter(|id| only.is_none_or(|only| only == *id))
    {
        let node = world.node(id);
        let Some(raft) = &node.raft else {
            world.say(id, "is down");
            continue;
        };
        match line.word(0) {
            "status" => {
                let text = show::status(&raft.status());
                world.say(id, &text);
            }
            "log" => {
                let text = show::log(node.memory.start.last, &node.memory.entries);
                world.say(id, &text);
            }
            "peers" => peers(world, id),
            "configuration" => {
                let (index, configuration) = raft.configuration();
                let text = show::placed(*index, configuration);
                world.say(id, &format!("has configuration {text}"));
            }
            "purgeable" => {
                let text = format!("may purge up to {}", raft.purgeable());
                world.say(id, &text);
            }
            _ => {
                let text = format!("ignored {} messages", raft.ignored_messages());
                world.say(id, &text);
            }
        }
    }
}

fn peers(world: &mut World, id: u32) {
    let status = world
        .node(id)
        .raft
        .as_ref()
        .map(|raft| raft.status().peers)
        .unwrap_or_default();
    for peer in status {
        let name = show::name(peer.member);
        let snapshot = if peer.in_snapshot { " in snapshot" } else { "" };
        let (matched, silent) = (peer.matched, peer.silent_ticks);
        world.say(
            id,
            &format!("knows {name} matched={matched} silent={silent}{snapshot}"),
        );
    }
}

/// `tick 1 [20]`, `campaign 1`, `propose 1 a b`, and the other commands that begin with a node.
fn at_node(world: &mut World, line: &Line<'_>) {
    let id = line.id(1);
    match line.word(0) {
        "tick" => {
            for _ in 0..line.words.get(2).map_or(1, |count| line.parse(count)) {
                world.step(id, Input::Tick);
            }
        }
        "campaign" => world.step(id, Input::Campaign),
        "propose" => {
            let payloads = line.words[2..]
                .iter()
                .map(|word| Bytes::from((*word).to_owned()));
            world.step(id, Input::Propose(payloads.collect()));
        }
        "fill" => {
            let payload = Bytes::from(vec![b'x'; usize::try_from(line.number(2)).unwrap()]);
            world.step(id, Input::Propose(vec![payload]));
        }
        "read" => world.step(
            id,
            Input::ReadIndex {
                seq: line.number(2),
            },
        ),
        "transfer" => {
            let to = (line.words.len() > 2).then(|| NodeId(line.id(2)));
            world.step(id, Input::Transfer { to });
        }
        "voters" | "add-learner" | "remove-learner" => change(world, line, id),
        "stop" => world.step(id, Input::Stop),
        "sync" => {
            world.sync(id, line.words.get(2).map(|count| line.parse(count)));
        }
        "confirm" => world.confirm(id, IoSeq(line.number(2))),
        _ => at_disk(world, line, id),
    }
}

/// `voters 1 1,2',3`, `add-learner 1 4`, `remove-learner 1 4`, each with `expect=1`: the index of the last
/// committed configuration unless the line says otherwise.
fn change(world: &mut World, line: &Line<'_>, id: u32) {
    let change = match line.word(0) {
        "voters" => {
            let names = line.word(2).split(',');
            MembershipChange::Voters(names.map(|name| named(line, name)).collect())
        }
        "add-learner" => MembershipChange::AddLearner(named(line, line.word(2))),
        _ => MembershipChange::RemoveLearner(NodeId(line.id(2))),
    };
    let status = world.node(id).raft.as_ref().unwrap().status();
    let expected = match line.numeric("expect") {
        Some(index) => LogIndex(index),
        None => status.committed_configuration_index,
    };
    world.step(id, Input::ChangeMembership { change, expected });
}

/// `3` is node 3 under its first directory, `3'` under its next.
fn named(line: &Line<'_>, name: &str) -> MemberId {
    let number = name.trim_end_matches('\'');
    let wiped = u32::try_from(name.len() - number.len()).unwrap();
    member(line.parse(number), 1 + wiped)
}

fn at_disk(world: &mut World, line: &Line<'_>, id: u32) {
    match line.word(0) {
        "initialize" => {
            let voters = line.list("voters").unwrap_or_default();
            let members = voters
                .iter()
                .map(|id| world.member(u32::try_from(*id).unwrap()));
            let configuration = Configuration::of_voters(members.collect::<Vec<_>>());
            world.step(id, Input::Initialize(configuration));
        }
        "snapshot" => snapshot(world, id),
        "purge" => {
            let node = world.node(id);
            node.memory.purge(LogIndex(line.number(2)));
            let start = node.disk.purge(LogIndex(line.number(2)));
            world.step(id, Input::Purged { start });
        }
        "snapshot-failed" => {
            let to = world.member(line.id(2));
            world.step(id, Input::SnapshotFailed { to });
        }
        "unreachable" => {
            let peer = world.member(line.id(2));
            world.step(id, Input::Unreachable { peer });
        }
        "crash" => world.node(id).crash(),
        "start" => world.node(id).start(),
        "isolate" => world.node(id).isolated = true,
        "heal" => world.node(id).isolated = false,
        "wipe" => {
            let old = world.node(id).config.clone();
            let life = u32::try_from(old.id.directory.0 >> 64).unwrap();
            let config = Config {
                id: member(id, life + 1),
                ..old
            };
            world.nodes.insert(id, Node::new(config, Disk::default()));
        }
        other => line.fail(&format!("unknown command `{other}`")),
    }
}

/// Takes a snapshot of what is applied and durable.
fn snapshot(world: &mut World, id: u32) {
    let node = world.node(id);
    let status = node.raft.as_ref().unwrap().status();
    let index = status.applied.min(status.durable);
    let last = node
        .disk
        .entries
        .iter()
        .find(|e| e.index == index)
        .map(Entry::id)
        .unwrap();
    node.disk.snapshot = Some((last, node.disk.configuration_at(index)));
    world.step(id, Input::SnapshotTaken { last });
    world.say(id, &format!("has snapshot {last}"));
}
