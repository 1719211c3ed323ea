//! Messages made by hand: what a confused, late or hostile sender may say.

use bytes::Bytes;
use dmq_raft::{Configuration, Entry, EntryId, EntryKind, LogIndex, Message, MessageBody, Term};

use super::command::Line;
use super::node::member;
use super::world::World;

/// `inject append from=1 to=2 term=3 seq=1 prev=4@2 entries=5@2,6@3 commit=4`, and other kinds. A
/// directory other than the present one: `from-life=2`, `to-life=2`. Among the entries `6@3!` is an
/// undecodable configuration, `6@3~1+2` one of voters 1 and 2.
pub(crate) fn run(world: &mut World, line: &Line<'_>) {
    let side = |key: &str, life: &str| {
        let id = line
            .numeric(key)
            .unwrap_or_else(|| line.fail("from= and to= are needed"));
        member(id, line.numeric(life).unwrap_or(1))
    };
    let term = Term(
        line.numeric("term")
            .unwrap_or_else(|| line.fail("term= is needed")),
    );
    let (from, to) = (side("from", "from-life"), side("to", "to-life"));
    let message = Message {
        from,
        to,
        term,
        body: body(world, line),
    };
    world.deliver(message);
}

fn body(world: &mut World, line: &Line<'_>) -> MessageBody {
    let number = |key: &str| line.numeric::<u64>(key).unwrap_or(0);
    let index = |key: &str| LogIndex(number(key));
    let id = |key: &str| {
        line.option(key)
            .map_or(EntryId::ZERO, |text| position(line, text))
    };
    match line.word(1) {
        "prevote" => MessageBody::PreVote { last: id("last") },
        "prevote-reply" => MessageBody::PreVoteReply {
            asked: Term(number("asked")),
            granted: true,
        },
        "vote" => MessageBody::Vote {
            last: id("last"),
            transfer: false,
        },
        "vote-reply" => MessageBody::VoteReply { granted: true },
        "heartbeat-reply" => MessageBody::HeartbeatReply {
            round: number("round"),
            stopping: false,
        },
        "heartbeat" => MessageBody::Heartbeat {
            round: number("round"),
            commit: index("commit"),
        },
        "append" => {
            let prev = id("prev");
            let entries = entries(line);
            let last = line.option("last").map(|text| position(line, text));
            let last = last.unwrap_or_else(|| entries.last().map_or(prev, Entry::id));
            MessageBody::Append {
                seq: number("seq"),
                prev,
                last,
                entries,
                commit: index("commit"),
            }
        }
        "append-reply" => {
            let result = dmq_raft::AppendResult::Matched(index("matched"));
            MessageBody::AppendReply {
                seq: number("seq"),
                result,
            }
        }
        "snapshot" => {
            let from = line.numeric("from").unwrap_or(1);
            let memory = &world.node(from).memory;
            let configuration = memory.configuration_at(LogIndex(u64::MAX));
            MessageBody::InstallSnapshot {
                seq: number("seq"),
                last: id("last"),
                configuration,
            }
        }
        "timeout-now" => MessageBody::TimeoutNow,
        other => line.fail(&format!("cannot inject `{other}`")),
    }
}

fn entries(line: &Line<'_>) -> Vec<Entry> {
    let items = line.option("entries").unwrap_or("");
    let entry = |text: &str| {
        let (place, voters) = text
            .split_once('~')
            .map_or((text, None), |(p, v)| (p, Some(v)));
        let EntryId { term, index } = position(line, place.trim_end_matches('!'));
        let (kind, payload) = match voters {
            Some(voters) => (
                EntryKind::Configuration,
                configuration(line, voters).encode(),
            ),
            None if place.ends_with('!') => (EntryKind::Configuration, Bytes::from_static(b"?")),
            None => (EntryKind::Command, Bytes::from_static(b"injected")),
        };
        Entry {
            index,
            term,
            kind,
            payload,
        }
    };
    items
        .split(',')
        .filter(|item| !item.is_empty())
        .map(entry)
        .collect()
}

/// `1+2+4`: these voters.
fn configuration(line: &Line<'_>, voters: &str) -> Configuration {
    let voters = voters.split('+').map(|id| member(line.parse(id), 1));
    Configuration::of_voters(voters)
}

/// `4@2`: index 4 of term 2.
fn position(line: &Line<'_>, text: &str) -> EntryId {
    let (index, term) = text
        .split_once('@')
        .unwrap_or_else(|| line.fail("not index@term"));
    EntryId::new(Term(line.parse(term)), LogIndex(line.parse(index)))
}
