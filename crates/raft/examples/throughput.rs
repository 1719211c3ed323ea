//! How many entries per second the cores of a quorum replicate in one thread, without I/O: `cargo run
//! --release -p dmq-raft --example throughput`. The engine must never be what limits a quorum. Counts
//! the thread's own time where the system tells it, so that a busy machine does not blur the figures.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it prints figures"
)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dmq_raft::{
    Config, Configuration, DirectoryId, Effects, Entry, EntryKind, EntryMeta, HardState, Input,
    LogIndex, MemberId, Message, MessageBody, NodeId, Raft, Restored, Role, Term,
};

/// A member whose writes are durable at once.
struct Member {
    raft: Raft,
    log: Vec<Entry>,
}

fn main() {
    println!("members  batch   entries/s      batches/s");
    for members in [1, 3, 5] {
        for batch in [1, 16, 256] {
            let (entries, elapsed) = measure(members, batch);
            let rate = entries as f64 / elapsed.as_secs_f64();
            println!(
                "{members:>7}  {batch:>5}  {rate:>10.0}  {:>13.0}",
                rate / batch as f64
            );
        }
    }
}

fn measure(members: u32, batch: usize) -> (u64, Duration) {
    let mut quorum = quorum(members);
    let mut queue = VecDeque::new();
    step(&mut quorum, &mut queue, 0, Input::Campaign);
    run(&mut quorum, &mut queue);
    assert!(
        quorum[0].raft.role() == Role::Leader,
        "the first member leads"
    );
    let payload = Bytes::from(vec![7; 200]);
    let (begin, rounds) = (Stopwatch::start(), 400_000 / (batch + 1) + 1);
    for _ in 0..rounds {
        let batch = vec![payload.clone(); batch];
        step(&mut quorum, &mut queue, 0, Input::Propose(batch));
        run(&mut quorum, &mut queue);
    }
    let elapsed = begin.elapsed();
    let entries = (rounds * batch) as u64;
    let last = quorum[0].raft.last().index;
    assert!(quorum[0].raft.commit() == last, "everything is committed");
    (entries, elapsed)
}

/// Time on the processor, or by the clock where that is not told.
struct Stopwatch {
    wall: Instant,
    busy: Option<u64>,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            busy: busy_nanoseconds(),
        }
    }

    fn elapsed(&self) -> Duration {
        let spent = busy_nanoseconds()
            .zip(self.busy)
            .map(|(now, then)| now - then);
        spent.map_or_else(|| self.wall.elapsed(), Duration::from_nanos)
    }
}

fn busy_nanoseconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn quorum(members: u32) -> Vec<Member> {
    let id = |node| MemberId {
        node: NodeId(node),
        directory: DirectoryId(u128::from(node)),
    };
    let configuration = Configuration::of_voters((1..=members).map(id));
    let payload = configuration.encode();
    let (index, term, kind) = (LogIndex(1), Term(1), EntryKind::Configuration);
    let first = Entry {
        index,
        term,
        kind,
        payload,
    };
    let restored = Restored {
        hard_state: HardState { term, vote: None },
        entries: vec![EntryMeta {
            term,
            kind,
            size_bytes: first.size_bytes(),
            configuration: Some(configuration),
        }],
        ..Restored::default()
    };
    let member = |node| Member {
        raft: Raft::new(Config::new(id(node), u64::from(node)), restored.clone()),
        log: vec![first.clone()],
    };
    (1..=members).map(member).collect()
}

/// One step; what it writes is durable at once.
fn step(quorum: &mut [Member], queue: &mut VecDeque<Message>, at: usize, input: Input) {
    let member = &mut quorum[at];
    let effects = member.raft.step(input);
    let io = effects.persist.as_ref().map(|write| write.io);
    absorb(member, queue, effects);
    if let Some(io) = io {
        let effects = member.raft.step(Input::Persisted(io));
        absorb(member, queue, effects);
    }
}

fn absorb(member: &mut Member, queue: &mut VecDeque<Message>, effects: Effects) {
    if let Some(write) = effects.persist {
        member.log.extend(write.entries);
    }
    for outgoing in effects.send {
        let mut message = outgoing.message;
        if let (MessageBody::Append { entries, .. }, Some(range)) =
            (&mut message.body, outgoing.fill)
        {
            let at = |index: LogIndex| usize::try_from(index.0 - 1).unwrap_or(0);
            *entries = member.log[at(*range.start())..=at(*range.end())].to_vec();
        }
        queue.push_back(message);
    }
}

fn run(quorum: &mut [Member], queue: &mut VecDeque<Message>) {
    while let Some(message) = queue.pop_front() {
        let at = usize::try_from(message.to.node.0 - 1).unwrap_or(0);
        step(quorum, queue, at, Input::Message(message));
    }
}
