//! Birth of a quorum (DESIGN 6.1): every voter pins the digest of the initialise request before the lowest
//! one makes it entry 1. Decides only; pinning and asking are outputs.

use std::collections::BTreeSet;

use dmq_raft::{IoSeq, MemberId};

use crate::{InitializeRequest, MemberIdentity, PinDigest, PinError, RequestError, Ticket};

/// How often an unreachable voter is asked again, in ticks.
const ASK_AGAIN_TICKS: u64 = 20;

/// What this member knows about its own birth.
#[derive(Clone, Debug)]
pub(super) struct Bootstrap {
    identity: MemberIdentity,
    pinned: Option<PinDigest>,
    /// On its way to the disk: from now on every other body is refused.
    pinning: Option<PinDigest>,
    running: Option<Running>,
    asked_by: Vec<Call>,
}

/// A peer's call that waits until a digest is pinned.
#[derive(Clone, Debug)]
struct Call {
    ticket: Ticket,
    digest: PinDigest,
    deadline: u64,
}

/// What this member has taken part in so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Nothing: no entry, no term, no vote.
    Empty,
    /// Somebody's elections or entries, without a configuration in the log yet.
    Touched,
    /// It has a configuration.
    Initialized,
}

#[derive(Clone, Debug)]
struct Running {
    digest: PinDigest,
    request: InitializeRequest,
    tickets: Vec<Ticket>,
    stage: Stage,
    deadline: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    PinningSelf,
    /// Voters that have not pinned yet.
    PinningOthers {
        missing: BTreeSet<MemberId>,
        ask_at: u64,
    },
    /// Entry 1 is being written.
    Writing(IoSeq),
}

/// What the driver does next for a birth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Store this digest durably.
    Pin(PinDigest),
    /// Ask this voter to pin.
    Ask(MemberId, PinDigest),
    /// Every voter has pinned: make this entry 1.
    Initialize(InitializeRequest),
    /// Answer a caller.
    Done(Ticket),
    /// Answer a peer: its digest is pinned.
    Pinned(Ticket),
    /// Refuse a caller or a peer.
    Fail(Ticket, RequestError),
    /// Entry 1 is durable: begin the first election.
    Campaign,
    /// The disk has bound this member to two bodies: end the process.
    Fatal(String),
}

impl Bootstrap {
    /// What the data directory says.
    pub(super) fn new(identity: MemberIdentity, pinned: Option<PinDigest>) -> Self {
        Self {
            identity,
            pinned,
            pinning: None,
            running: None,
            asked_by: Vec::new(),
        }
    }

    /// `POST /quorum:initialize`.
    pub(super) fn initialize(
        &mut self,
        ticket: Ticket,
        request: InitializeRequest,
        past: Past,
        deadline: u64,
    ) -> Option<Step> {
        let digest = request.digest();
        if let Err(error) = request.check(&self.identity) {
            return Some(Step::Fail(ticket, error));
        }
        match &mut self.running {
            Some(running) if running.digest == digest => {
                running.tickets.push(ticket);
                None
            }
            Some(_) => {
                let error = RequestError::Conflict("another initialize is running".into());
                Some(Step::Fail(ticket, error))
            }
            None if past == Past::Initialized => Some(self.repeat(ticket, digest)),
            None => {
                if let Err(error) = self.may_bind(digest, past) {
                    return Some(Step::Fail(ticket, error));
                }
                let (tickets, stage) = (vec![ticket], Stage::PinningSelf);
                self.running = Some(Running {
                    digest,
                    request,
                    tickets,
                    stage,
                    deadline,
                });
                self.pin(digest)
            }
        }
    }

    /// Whether this member may agree to a body: one body for ever, and the first one only while nothing has
    /// happened to it.
    fn may_bind(&self, digest: PinDigest, past: Past) -> Result<(), RequestError> {
        let text = match (self.pinned.or(self.pinning), past) {
            (Some(bound), _) if bound == digest => return Ok(()),
            (None, Past::Empty) => return Ok(()),
            (Some(_), _) => "this node has pinned another initialize request",
            (None, Past::Touched) => "this node is not empty: it has taken part in an election",
            (None, Past::Initialized) => "this node is not empty: it has a configuration",
        };
        Err(RequestError::Conflict(text.into()))
    }

    /// Stores a digest, once however many ask for it.
    fn pin(&mut self, digest: PinDigest) -> Option<Step> {
        let is_new = self.pinning.replace(digest).is_none();
        is_new.then_some(Step::Pin(digest))
    }

    /// The answer of a member that has a configuration: the same body again is fine.
    fn repeat(&self, ticket: Ticket, digest: PinDigest) -> Step {
        if self.pinned == Some(digest) {
            return Step::Done(ticket);
        }
        let text = "this node is initialised already, with another voter set";
        Step::Fail(ticket, RequestError::Conflict(text.into()))
    }

    /// A peer asks this voter to pin.
    pub(super) fn pin_request(
        &mut self,
        ticket: Ticket,
        digest: PinDigest,
        past: Past,
        deadline: u64,
    ) -> Option<Step> {
        if let Err(error) = self.may_bind(digest, past) {
            return Some(Step::Fail(ticket, error));
        }
        if self.pinned == Some(digest) {
            return Some(Step::Pinned(ticket));
        }
        self.asked_by.push(Call {
            ticket,
            digest,
            deadline,
        });
        self.pin(digest)
    }

    /// The directory has (or has not) stored a digest.
    pub(super) fn pin_stored(
        &mut self,
        digest: PinDigest,
        result: &Result<(), PinError>,
        now: u64,
    ) -> Vec<Step> {
        self.pinning.take_if(|pinning| *pinning == digest);
        if result.is_ok() && *self.pinned.get_or_insert(digest) != digest {
            let text = "the data directory has pinned two initialize requests";
            return vec![Step::Fatal(text.into())];
        }
        let result = result.as_ref().map_err(pin_failure);
        let waiting = self.asked_by.extract_if(.., |call| call.digest == digest);
        let mut steps: Vec<Step> = waiting
            .map(|call| match &result {
                Ok(()) => Step::Pinned(call.ticket),
                Err(error) => Step::Fail(call.ticket, error.clone()),
            })
            .collect();
        let mine = self
            .running
            .as_ref()
            .is_some_and(|running| running.digest == digest && running.stage == Stage::PinningSelf);
        if mine {
            steps.extend(match &result {
                Ok(()) => self.ask_others(now),
                Err(error) => self.fail(error),
            });
        }
        steps
    }

    fn ask_others(&mut self, now: u64) -> Vec<Step> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let mut missing = running.request.voters.clone();
        missing.remove(&self.identity.member);
        let digest = running.digest;
        let mut steps: Vec<Step> = missing
            .iter()
            .map(|voter| Step::Ask(*voter, digest))
            .collect();
        if missing.is_empty() {
            steps.push(Step::Initialize(running.request.clone()));
        }
        running.stage = Stage::PinningOthers {
            missing,
            ask_at: now + ASK_AGAIN_TICKS,
        };
        steps
    }

    /// A voter has answered.
    pub(super) fn pin_reply(&mut self, from: MemberId, result: Result<(), PinError>) -> Vec<Step> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let Stage::PinningOthers { missing, .. } = &mut running.stage else {
            return Vec::new();
        };
        match result {
            Ok(()) if missing.remove(&from) && missing.is_empty() => {
                vec![Step::Initialize(running.request.clone())]
            }
            Ok(()) | Err(PinError::Unreachable(_)) => Vec::new(),
            Err(PinError::Refused(reason)) => {
                let text = format!("node {} refuses: {reason}", from.node);
                self.fail(&RequestError::Conflict(text))
            }
        }
    }

    /// Entry 1 is on its way to the disk.
    pub(super) fn writing(&mut self, io: IoSeq) {
        if let Some(running) = &mut self.running {
            running.stage = Stage::Writing(io);
        }
    }

    /// Writes up to here are durable.
    pub(super) fn persisted(&mut self, io: IoSeq) -> Vec<Step> {
        let is_over =
            |running: &mut Running| matches!(running.stage, Stage::Writing(own) if own <= io);
        let Some(running) = self.running.take_if(is_over) else {
            return Vec::new();
        };
        let done = running.tickets.into_iter().map(Step::Done);
        std::iter::once(Step::Campaign).chain(done).collect()
    }

    /// Time goes by: voters that did not answer are asked again, until the deadline.
    pub(super) fn tick(&mut self, now: u64) -> Vec<Step> {
        let late = self.asked_by.extract_if(.., |call| now >= call.deadline);
        let mut steps: Vec<Step> = late
            .map(|call| Step::Fail(call.ticket, slow_disk()))
            .collect();
        steps.extend(match &self.running {
            Some(running) if now >= running.deadline => self.expire(),
            Some(_) => self.ask_again(now),
            None => Vec::new(),
        });
        steps
    }

    fn ask_again(&mut self, now: u64) -> Vec<Step> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let digest = running.digest;
        match &mut running.stage {
            Stage::PinningOthers { missing, ask_at } if now >= *ask_at => {
                *ask_at = now + ASK_AGAIN_TICKS;
                let ask = |voter: &MemberId| Step::Ask(*voter, digest);
                missing.iter().map(ask).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The callers' time is over. An entry that is being written becomes durable or ends the process: the
    /// birth goes on, only nobody waits for it any more.
    fn expire(&mut self) -> Vec<Step> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let error = match &running.stage {
            Stage::Writing(_) => {
                let tickets = std::mem::take(&mut running.tickets);
                let unknown = |ticket| Step::Fail(ticket, RequestError::OutcomeUnknown);
                return tickets.into_iter().map(unknown).collect();
            }
            Stage::PinningSelf => slow_disk(),
            Stage::PinningOthers { missing, .. } => {
                let names: Vec<_> = missing.iter().map(|voter| voter.node.to_string()).collect();
                let text = format!("node {} did not answer; try again", names.join(", "));
                RequestError::Unavailable(text)
            }
        };
        self.fail(&error)
    }

    /// The process ends. Returns who waits, and why that is all they learn.
    pub(super) fn drain(&mut self) -> Vec<(Ticket, RequestError)> {
        let calls = self.asked_by.drain(..).map(|call| call.ticket);
        let mut waiting: Vec<_> = calls
            .map(|ticket| (ticket, RequestError::Stopping))
            .collect();
        if let Some(running) = self.running.take() {
            let error = match running.stage {
                Stage::Writing(_) => RequestError::OutcomeUnknown,
                _ => RequestError::Stopping,
            };
            let tickets = running.tickets.into_iter();
            waiting.extend(tickets.map(|ticket| (ticket, error.clone())));
        }
        waiting
    }

    /// Gives up; pins stay, the same body may come again.
    pub(super) fn fail(&mut self, error: &RequestError) -> Vec<Step> {
        let tickets = self
            .running
            .take()
            .map_or_else(Vec::new, |running| running.tickets);
        tickets
            .into_iter()
            .map(|ticket| Step::Fail(ticket, error.clone()))
            .collect()
    }
}

/// A full or broken disk is no reason to give up for good; another body is.
fn pin_failure(error: &PinError) -> RequestError {
    match error {
        PinError::Refused(reason) => RequestError::Conflict(reason.clone()),
        PinError::Unreachable(reason) => RequestError::Unavailable(reason.clone()),
    }
}

fn slow_disk() -> RequestError {
    RequestError::Unavailable("the request is not pinned on this node's disk yet; try again".into())
}
