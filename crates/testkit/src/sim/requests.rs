//! Clients' requests on their way to drivers and their answers on the way back.

use dmq_metadata::RejectionCode;
use dmq_raft::{LogIndex, Role};
use dmq_replica::{Answer, DriverInput, Heartbeat, Proposal, ReadRequest, RequestError, Ticket};

use super::client::{Call, Next, Task};
use super::history::Violation;
use super::params::{MS, Pace, SECOND};
use super::world::{Event, World};

/// Longest time until a request is answered by a controller that keeps its majority: another member may have
/// a full disk meanwhile, and a third be down.
const LEADER_ANSWERS_WITHIN: u64 = 15 * SECOND;
/// Longest time until a request is answered by a member that does not lead (any more): 1.5 s that an orphan
/// waits for its decision, 1 s for the database, and slack for queues and clocks.
const ANSWERS_WITHIN: u64 = 3_500 * MS;
/// What it is longer where an election takes up to two seconds instead of one.
const QUIET_EXTRA: u64 = 2 * SECOND;
/// The same for reads, which may wait a second for a majority and then five for an index, by clocks that differ. A
/// member that was removed can be told an index that it never reaches.
const READS_WITHIN: u64 = 6_500 * MS;

impl World {
    /// A client begins a task, or tries the one it has again.
    pub(super) fn client_acts(&mut self, number: usize, turn: u32) {
        if self.clients[number].turn != turn {
            return;
        }
        if self.clients[number].task.is_none() {
            if self.quiet {
                return;
            }
            let any = self.rng.index(self.nodes.len());
            let view = self.nodes[any]
                .process
                .as_ref()
                .map(|process| &process.view);
            let task = self.clients[number].choose(view);
            self.clients[number].task = Some(task);
        }
        let target = self.clients[number].target(self.nodes.len());
        // Few clients ask who is no member, and none when all must be served.
        let outsider = self.parts.get(target) == Some(&false);
        let avoided = outsider && (!self.chaos || self.rng.chance(900));
        if avoided || self.nodes[target].process.is_none() {
            self.clients[number].leader = None;
            return self.client_after(number, 20 * MS);
        }
        self.ask(number, target);
    }

    /// A client does something later, and nothing before.
    pub(super) fn client_after(&mut self, number: usize, delay: u64) {
        self.clients[number].turn += 1;
        let turn = self.clients[number].turn;
        self.after(delay, Event::Client(number, turn));
    }

    /// From now on clients do not rest for long; those that wait for no answer begin at once.
    pub(super) fn clients_hurry(&mut self) {
        let waiting: Vec<_> = self.calls.values().map(|call| call.client).collect();
        for number in 0..self.clients.len() {
            self.clients[number].hurry();
            if !waiting.contains(&number) {
                let delay = self.rng.between(MS, 60 * MS);
                self.client_after(number, delay);
            }
        }
    }

    fn ask(&mut self, number: usize, target: usize) {
        let ticket = self.ticket();
        let told = self.history.told();
        let client = &mut self.clients[number];
        let Some(task) = client.task.clone() else {
            return;
        };
        let mut attempt = None;
        let input = match &task {
            Task::Write { key, command, ack } => {
                let envelope = client.envelope(key, command);
                attempt = Some(envelope.request_id);
                DriverInput::Propose(Proposal {
                    ticket,
                    envelope,
                    ack: *ack,
                })
            }
            Task::Read => read(ticket, true, None),
            Task::ReadOwn => read(ticket, false, Some(told)),
            Task::Heartbeat(broker) => DriverInput::Heartbeat(Heartbeat {
                ticket,
                broker: *broker,
                epoch: client.registered,
                seen: None,
                want_fence: false,
                want_shut_down: false,
            }),
        };
        let life = self.nodes[target].life;
        let sent_at = self.now;
        let call = Call {
            client: number,
            node: target,
            attempt,
            told,
            sent_at,
        };
        self.calls.insert(ticket, call);
        self.queue_driver(target, life, input);
    }

    /// A driver answers a client.
    pub(super) fn client_answered(
        &mut self,
        node: usize,
        ticket: Ticket,
        answer: &Answer,
    ) -> Result<(), Violation> {
        self.count(answer);
        if self.admin_calls.remove(&ticket) {
            return Ok(());
        }
        if self.steward.waits_for(ticket) {
            return self.members_answered(answer);
        }
        let Some(call) = self.calls.remove(&ticket) else {
            return Err(format!("node {node} answers {ticket:?} twice: {answer:?}"));
        };
        if !self.nodes[node].spoiled {
            self.check_answer(node, &call, answer)?;
        }
        let next = self.clients[call.client].react(answer);
        match next {
            Next::Done => self.task_done(call.client, node),
            Next::RetryVoid => {
                if let Some(attempt) = call.attempt {
                    self.history.void(attempt)?;
                }
                self.retry(call.client);
            }
            Next::RetryUnknown => {
                self.faults.unknown += 1;
                self.retry(call.client);
            }
            Next::Wrong => return Err(format!("node {node} answers {call:?} by {answer:?}")),
        }
        Ok(())
    }

    fn count(&mut self, answer: &Answer) {
        match answer {
            Answer::Transferred { .. } => self.faults.moved += 1,
            Answer::Failed(RequestError::LeaderChanged) => self.faults.replaced += 1,
            Answer::Failed(RequestError::NoSpace) => self.faults.refused_for_space += 1,
            _ => {}
        }
    }

    fn check_answer(&mut self, node: usize, call: &Call, answer: &Answer) -> Result<(), Violation> {
        match (answer, call.attempt) {
            (Answer::Committed(write), Some(attempt)) => {
                self.history.acknowledged(attempt, write)?;
                match &write.outcome {
                    Err(rejection) if rejection.code == RejectionCode::TopicAlreadyExists => {
                        Err(format!("a retried create was not recognised: {rejection}"))
                    }
                    _ => Ok(()),
                }
            }
            (Answer::Read { index }, None) => {
                let Some(process) = &self.nodes[node].process else {
                    return Ok(());
                };
                self.faults.reads += 1;
                self.history.read(call.told, *index, &process.view)
            }
            (Answer::Heartbeat(_), None) | (Answer::Failed(_), _) => Ok(()),
            (other, _) => Err(format!("node {node} answers {call:?} by {other:?}")),
        }
    }

    fn task_done(&mut self, number: usize, node: usize) {
        let client = &mut self.clients[number];
        client.done += 1;
        if !matches!(client.task, Some(Task::Read | Task::ReadOwn)) {
            client.leader = Some(node);
        }
        client.task = None;
        let pause = client.pause();
        self.client_after(number, pause);
    }

    fn retry(&mut self, number: usize) {
        let pause = self.rng.between(5, 80) * MS;
        self.client_after(number, pause);
    }

    /// The process is gone: its connections break, and who waited does not know what became of it.
    pub(super) fn connections_break(&mut self, node: usize) {
        self.steward.connection_breaks(node);
        let broken: Vec<_> = self
            .calls
            .extract_if(.., |_, call| call.node == node)
            .collect();
        for (_, call) in broken {
            self.clients[call.client].leader = None;
            self.retry(call.client);
        }
    }

    /// Every request at a process that runs is answered in time.
    pub(super) fn check_answers(&mut self) -> Result<(), Violation> {
        let now = self.now;
        for node in &mut self.nodes {
            let process = node.process.as_ref();
            if process.is_some_and(|process| process.driver.status().role == Role::Leader) {
                node.led_at = now;
            }
        }
        let late = self.calls.iter().find(|(_, call)| self.is_late(call));
        match late {
            Some((ticket, call)) => Err(format!("{ticket:?} is not answered: {call:?}")),
            None => Ok(()),
        }
    }
}

impl World {
    fn is_late(&self, call: &Call) -> bool {
        let node = &self.nodes[call.node];
        let from = call.sent_at.max(node.slow_until);
        let within = if call.attempt.is_some() {
            ANSWERS_WITHIN
        } else {
            READS_WITHIN
        };
        let within = match self.params.pace {
            Pace::Busy => within,
            Pace::Quiet => within + QUIET_EXTRA,
        };
        self.now > from + LEADER_ANSWERS_WITHIN || self.now > from.max(node.led_at) + within
    }
}

fn read(ticket: Ticket, linearizable: bool, min_index: Option<LogIndex>) -> DriverInput {
    DriverInput::Read(ReadRequest {
        ticket,
        linearizable,
        min_index,
        wait_ticks: None,
    })
}
