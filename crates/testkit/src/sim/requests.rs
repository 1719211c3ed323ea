//! Clients' requests on their way to drivers and their answers on the way back.

use dmq_metadata::RejectionCode;
use dmq_raft::LogIndex;
use dmq_replica::{Answer, DriverInput, Heartbeat, Proposal, ReadRequest, Ticket};

use super::client::{Call, Next, Task};
use super::history::Violation;
use super::params::{MS, SECOND};
use super::world::{Event, World};

/// Longest time until a request at a running process is answered.
const ANSWER_WITHIN: u64 = 15 * SECOND;

impl World {
    /// A client begins a task, or tries the one it has again.
    pub(super) fn client_acts(&mut self, number: usize) {
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
        if self.nodes[target].process.is_none() {
            self.clients[number].leader = None;
            return self.after(20 * MS, Event::Client(number));
        }
        self.ask(number, target);
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
                epoch: None,
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
        if self.admin_calls.remove(&ticket) {
            return Ok(());
        }
        let Some(call) = self.calls.remove(&ticket) else {
            return Err(format!("node {node} answers {ticket:?} twice: {answer:?}"));
        };
        self.check_answer(node, &call, answer)?;
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
        self.after(pause, Event::Client(number));
    }

    fn retry(&mut self, number: usize) {
        let pause = self.rng.between(5, 80) * MS;
        self.after(pause, Event::Client(number));
    }

    /// The process is gone: its connections break, and who waited does not know what became of it.
    pub(super) fn connections_break(&mut self, node: usize) {
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
    pub(super) fn check_answers(&self) -> Result<(), Violation> {
        let late = self.calls.iter().find(|(_, call)| {
            let slow = self.nodes[call.node].slow_until;
            self.now > call.sent_at.max(slow) + ANSWER_WITHIN
        });
        match late {
            Some((ticket, call)) => Err(format!("{ticket:?} is not answered: {call:?}")),
            None => Ok(()),
        }
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
