//! The parts at work: each takes what its queue holds, or a part of it, at a moment that the schedule picks.

use dmq_raft::{LogIndex, Message, MessageBody};
use dmq_replica::{
    Answer, ApplierInput, ApplierOutput, ApplierStop, DriverInput, DriverOutput, ExitReason,
    FeedInput, LogInput, LogOutput, PinError, RequestError, Ticket, fill, write_snapshot,
};

use super::history::Violation;
use super::mail::Delivery;
use super::node::{Part, Process};
use super::params::MS;
use super::world::{Event, World};

impl World {
    /// Wakes a part, unless it is on its way already.
    pub(super) fn wake(&mut self, node: usize, part: Part) {
        let delay = self.delay_of(node, part);
        let life = self.nodes[node].life;
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.woken.insert(part) {
            self.after(delay, Event::Work(node, life, part));
        }
    }

    /// How long a part lets its queue wait, in microseconds.
    fn delay_of(&mut self, node: usize, part: Part) -> u64 {
        let slow = self.nodes[node].slow_disk_until > self.now;
        let longest = match part {
            Part::Driver => 200,
            Part::Log if slow => 500 * MS,
            Part::Log => self.params.disk_max,
            Part::Applier => 2_000,
            Part::Feed => 1_000,
            Part::Store => 8_000,
            Part::Snapshot => 200_000,
        };
        self.nodes[node].rng.between(5, longest)
    }

    /// A part takes its turn.
    pub(super) fn work(&mut self, node: usize, life: u32, part: Part) -> Result<(), Violation> {
        if self.nodes[node].life != life {
            return Ok(());
        }
        let Some(process) = &mut self.nodes[node].process else {
            return Ok(());
        };
        process.woken.remove(&part);
        match part {
            Part::Driver => self.drive(node),
            Part::Log => {
                self.write_log(node);
                Ok(())
            }
            Part::Applier => self.apply(node),
            Part::Feed => {
                self.feed(node);
                Ok(())
            }
            Part::Store => self.store(node),
            Part::Snapshot => {
                self.snapshot(node);
                Ok(())
            }
        }
    }

    /// Some of what waits: all, or a random first part of it.
    fn some(&mut self, node: usize, waiting: usize) -> usize {
        let rng = &mut self.nodes[node].rng;
        if rng.chance(500) {
            waiting
        } else {
            rng.index(waiting + 1)
        }
    }

    fn process(&mut self, node: usize) -> Option<&mut Process> {
        self.nodes[node].process.as_mut()
    }

    fn drive(&mut self, node: usize) -> Result<(), Violation> {
        let waiting = self
            .process(node)
            .map_or(0, |process| process.driver_inbox.len());
        let count = self.some(node, waiting).max(1).min(waiting);
        let Some(process) = self.process(node) else {
            return Ok(());
        };
        let inputs: Vec<_> = process.driver_inbox.drain(..count).collect();
        let outputs = process.driver.turn(&mut inputs.into_iter());
        if count < waiting {
            self.wake(node, Part::Driver);
        }
        for output in outputs {
            self.route(node, output)?;
        }
        Ok(())
    }

    fn route(&mut self, node: usize, output: DriverOutput) -> Result<(), Violation> {
        self.tell(node, || summary(&output));
        match output {
            DriverOutput::Persist(persist) => {
                self.history.appended(&persist.entries);
                self.note_configurations(&persist.entries);
                self.queue_log(node, LogInput::Persist(persist));
            }
            DriverOutput::Purge(up_to) => self.queue_log(node, LogInput::Purge(up_to)),
            DriverOutput::Send(message) => self.send_message(node, message),
            DriverOutput::Fill { message, range } => {
                let life = self.nodes[node].life;
                let delay = self.nodes[node].rng.between(10, 20 * MS);
                self.after(delay, Event::Fill(node, life, message, range));
            }
            DriverOutput::SendSnapshot(message) => self.start_transfer(node, message),
            DriverOutput::SendReport { to, report } => {
                if let Some(to) = self.position(to) {
                    self.send(node, to, &Delivery::Report(report));
                }
            }
            DriverOutput::Apply(mut committed) => {
                self.spoil(node, &mut committed);
                self.queue_applier(node, ApplierInput::Apply(committed));
            }
            DriverOutput::Install(last) => {
                self.faults.installs += 1;
                self.queue_applier(node, ApplierInput::Install(last));
            }
            DriverOutput::HoldImage => self.queue_applier(node, ApplierInput::HoldImage),
            DriverOutput::WriteSnapshot(image) => {
                if let Some(process) = self.process(node) {
                    process.snapshot_jobs.push_back(image);
                }
                self.wake(node, Part::Snapshot);
            }
            DriverOutput::Durable(index) => self.queue_feed(node, FeedInput::Durable(index)),
            DriverOutput::Answer(ticket, answer) => return self.answer(node, ticket, answer),
            DriverOutput::Pin(digest) => self.pin(node, digest),
            DriverOutput::RequestPin { to, digest } => {
                if let Some(to) = self.position(to) {
                    self.send(node, to, &Delivery::Pin { from: node, digest });
                }
            }
            DriverOutput::Event(event) => {
                if event.role == dmq_raft::Role::Leader {
                    self.note_leader(node);
                    return self.history.leads(node, event.term);
                }
            }
            DriverOutput::Alarm(alarm) => return self.alarmed(node, &alarm),
            DriverOutput::Exit(reason) => return self.exited(node, &reason),
        }
        Ok(())
    }

    fn send_message(&mut self, node: usize, message: Message) {
        if let Some(to) = self.position(message.to) {
            let open = self.network.is_open(node, to);
            let peer = message.to;
            self.send(node, to, &Delivery::Raft(message));
            if !open && self.rng.chance(20) {
                let life = self.nodes[node].life;
                self.queue_driver(node, life, DriverInput::Unreachable(peer));
            }
        }
    }

    pub(super) fn fill(
        &mut self,
        node: usize,
        life: u32,
        message: Message,
        range: &std::ops::RangeInclusive<LogIndex>,
    ) {
        if self.nodes[node].life != life {
            return;
        }
        let Some(process) = self.process(node) else {
            return;
        };
        let peer = message.to;
        match fill(&process.reader, message, range) {
            Some(message) => {
                self.faults.fills += 1;
                self.send_message(node, message);
            }
            None => self.queue_driver(node, life, DriverInput::Unreachable(peer)),
        }
    }

    fn queue_log(&mut self, node: usize, input: LogInput) {
        if let Some(process) = self.process(node) {
            process.log_inbox.push_back(input);
            process.log_idle = 0;
        }
        self.wake(node, Part::Log);
    }

    fn queue_applier(&mut self, node: usize, input: ApplierInput) {
        if let Some(process) = self.process(node) {
            process.applier.push(input);
        }
        self.wake(node, Part::Applier);
    }

    pub(super) fn queue_feed(&mut self, node: usize, input: FeedInput) {
        if let Some(process) = self.process(node) {
            process.feed_inbox.push_back(input);
        }
        self.wake(node, Part::Feed);
    }

    fn write_log(&mut self, node: usize) {
        let waiting = self
            .process(node)
            .map_or(0, |process| process.log_inbox.len());
        let count = self.some(node, waiting).max(1).min(waiting);
        let Some(process) = self.process(node) else {
            return;
        };
        let inputs: Vec<_> = process.log_inbox.drain(..count).collect();
        let outputs = process.writer.run(inputs);
        for output in &outputs {
            process.log_idle = 0;
            if let LogOutput::NoSpace(starved) = output {
                process.log_starved = *starved;
            }
        }
        self.tell(node, || format!("log {outputs:?}"));
        if count < waiting {
            self.wake(node, Part::Log);
        }
        let life = self.nodes[node].life;
        for output in outputs {
            self.queue_driver(node, life, DriverInput::Log(output));
        }
    }

    fn apply(&mut self, node: usize) -> Result<(), Violation> {
        let Some(process) = self.process(node) else {
            return Ok(());
        };
        let Some(ApplierOutput { view, feed, driver }) = process.applier.work() else {
            return Ok(());
        };
        if let Some(view) = view {
            process.view = view;
        }
        self.check_applied(node, feed.as_ref(), &driver)?;
        if let Some(input) = feed {
            self.queue_feed(node, input);
        }
        let life = self.nodes[node].life;
        for input in driver {
            self.queue_driver(node, life, input);
        }
        self.wake(node, Part::Applier);
        Ok(())
    }

    fn check_applied(
        &mut self,
        node: usize,
        feed: Option<&FeedInput>,
        driver: &[DriverInput],
    ) -> Result<(), Violation> {
        if self.nodes[node].spoiled {
            return Ok(());
        }
        for input in driver {
            match (input, feed) {
                (DriverInput::Applied(batch), Some(FeedInput::Changes { sets, .. })) => {
                    self.history.applied(node, sets, &batch.entries)?;
                }
                (DriverInput::Installed(installed), _) => {
                    self.history.installed(node, &installed.view)?;
                }
                (DriverInput::ApplierStopped(ApplierStop::UnknownEntry(reason)), _) => {
                    return Err(format!("node {node}'s applier stopped: {reason}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, node: usize) {
        let life = self.nodes[node].life;
        let Some(process) = self.process(node) else {
            return;
        };
        let Some(held) = process.snapshot_jobs.pop_front() else {
            return;
        };
        let written = write_snapshot(&process.snapshots, process.dir.identity(), &held);
        self.faults.snapshots += u64::from(written.is_ok());
        let result = written.map_err(|error| error.to_string());
        self.queue_driver(
            node,
            life,
            DriverInput::SnapshotWritten {
                last: held.last,
                result,
            },
        );
    }

    fn pin(&mut self, node: usize, digest: dmq_replica::PinDigest) {
        let life = self.nodes[node].life;
        let Some(process) = self.process(node) else {
            return;
        };
        let stored = process.dir.pin(digest);
        let result = stored.map_err(|error| PinError::Refused(error.to_string()));
        self.queue_driver(node, life, DriverInput::PinStored { digest, result });
    }

    fn answer(&mut self, node: usize, ticket: Ticket, answer: Answer) -> Result<(), Violation> {
        if ticket == Ticket(0) {
            return self.initialized(&answer);
        }
        let asked = self
            .process(node)
            .and_then(|process| process.pin_calls.remove(&ticket));
        let Some(asked) = asked else {
            return self.client_answered(node, ticket, &answer);
        };
        let from = self.nodes[node].member();
        let result = match answer {
            Answer::Pinned => Ok(()),
            Answer::Failed(RequestError::Conflict(text)) => Err(PinError::Refused(text)),
            other => return Err(format!("pin was answered by {other:?}")),
        };
        self.send(node, asked, &Delivery::PinReply { from, result });
        Ok(())
    }

    fn exited(&mut self, node: usize, reason: &ExitReason) -> Result<(), Violation> {
        match reason {
            ExitReason::Stopped => {
                let process = self.nodes[node].process.take();
                if let Some(Err(error)) = process.map(|process| process.writer.close())
                    && !self.note_struck(node)
                    && !self.nodes[node].disk.is_without_power()
                {
                    return Err(format!("node {node}'s log does not close: {error}"));
                }
                self.bury(node);
                Ok(())
            }
            ExitReason::LogFailed(reason) => self.log_failed(node, reason),
            ExitReason::Corrupt(reason) => self.found_corrupt(node, reason),
        }
    }
}

/// An output on one line; entries and images are only named.
fn summary(output: &DriverOutput) -> String {
    match output {
        DriverOutput::Persist(persist) => {
            let ids: Vec<_> = persist
                .entries
                .iter()
                .map(|entry| entry.id().to_string())
                .collect();
            let start = persist.start.as_ref().map(|start| start.last.to_string());
            format!(
                "persist {} {:?} start {start:?} truncate {:?} entries {}",
                persist.io.0,
                persist.hard_state,
                persist.truncate_from,
                ids.join(" ")
            )
        }
        DriverOutput::Apply(committed) => format!("apply {:?}", committed.range),
        DriverOutput::WriteSnapshot(held) => format!("write snapshot {}", held.last),
        DriverOutput::Send(message) => match &message.body {
            MessageBody::Append {
                seq,
                prev,
                last,
                commit,
                ..
            } => {
                format!(
                    "to {} append {seq} {prev}..{last} commit {commit}",
                    message.to.node
                )
            }
            body => format!("to {} in {} {body:?}", message.to.node, message.term),
        },
        other => format!("{other:?}"),
    }
}
