//! Birth of a quorum (DESIGN 6.1): every voter pins the digest of the initialise request before the lowest
//! one makes it entry 1. Decides only; pinning and asking are outputs.

use std::collections::BTreeSet;

use dmq_raft::{IoSeq, MemberId};
use sha2::{Digest, Sha256};

use crate::{InitializeRequest, MemberIdentity, PinDigest, PinError, RequestError, Ticket};

/// How often an unreachable voter is asked again, in ticks.
const ASK_AGAIN_TICKS: u64 = 20;

/// What this member knows about its own birth.
#[derive(Clone, Debug)]
pub(super) struct Bootstrap {
    identity: MemberIdentity,
    pinned: Option<PinDigest>,
    running: Option<Running>,
    /// Peers' calls that wait until this digest is pinned.
    asked_by: Vec<(Ticket, PinDigest)>,
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
}

impl InitializeRequest {
    /// SHA-256 of the canonical form: every voter pins this.
    pub fn digest(&self) -> PinDigest {
        let mut hash = Sha256::new();
        hash.update(b"dmq initialize 1\n");
        hash.update(format!("{}\n", self.cluster_id));
        hash.update(format!(
            "{} {:016x}\n",
            self.incarnation.number, self.incarnation.nonce
        ));
        for voter in &self.voters {
            hash.update(format!("{voter}\n"));
        }
        hash.finalize().into()
    }

    /// Checks what can be checked without asking anybody.
    fn check(&self, me: &MemberIdentity) -> Result<(), RequestError> {
        if self.cluster_id != me.cluster_id {
            return Err(conflict(
                "clusterId",
                &self.cluster_id,
                "this node's",
                &me.cluster_id,
            ));
        }
        if self.incarnation != me.incarnation {
            let (named, own) = (self.incarnation.to_string(), me.incarnation.to_string());
            return Err(conflict("incarnation", &named, "this node's", &own));
        }
        if !matches!(self.voters.len(), 1 | 3 | 5 | 7) {
            let count = self.voters.len();
            return Err(RequestError::Invalid(format!(
                "voters has {count} members; a quorum has 1, 3, 5 or 7"
            )));
        }
        let nodes: BTreeSet<_> = self.voters.iter().map(|voter| voter.node).collect();
        if nodes.len() != self.voters.len() {
            return Err(RequestError::Invalid("voters names a node twice".into()));
        }
        match self.voters.first() {
            Some(lowest) if *lowest == me.member => Ok(()),
            Some(lowest) => Err(conflict(
                "voters",
                &lowest.to_string(),
                "the lowest voter must be the node that is asked, with its directory id",
                &me.member.to_string(),
            )),
            None => Ok(()),
        }
    }
}

fn conflict(field: &str, value: &str, rule: &str, own: &str) -> RequestError {
    RequestError::Conflict(format!("{field} is '{value}', {rule} is '{own}'"))
}

impl Bootstrap {
    /// What the data directory says.
    pub(super) fn new(identity: MemberIdentity, pinned: Option<PinDigest>) -> Self {
        Self {
            identity,
            pinned,
            running: None,
            asked_by: Vec::new(),
        }
    }

    /// `POST /quorum:initialize`.
    pub(super) fn initialize(
        &mut self,
        ticket: Ticket,
        request: InitializeRequest,
        initialized: bool,
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
            None if initialized => Some(self.repeat(ticket, digest)),
            None => {
                let (tickets, stage) = (vec![ticket], Stage::PinningSelf);
                self.running = Some(Running {
                    digest,
                    request,
                    tickets,
                    stage,
                    deadline,
                });
                Some(Step::Pin(digest))
            }
        }
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
        initialized: bool,
    ) -> Step {
        match self.pinned {
            Some(pinned) if pinned == digest => Step::Pinned(ticket),
            Some(_) => Step::Fail(ticket, RequestError::Conflict(pinned_otherwise())),
            None if initialized => {
                let text = "this node is not empty: it has a configuration";
                Step::Fail(ticket, RequestError::Conflict(text.into()))
            }
            None => {
                self.asked_by.push((ticket, digest));
                Step::Pin(digest)
            }
        }
    }

    /// The directory has (or has not) stored a digest.
    pub(super) fn pin_stored(
        &mut self,
        digest: PinDigest,
        result: &Result<(), PinError>,
        now: u64,
    ) -> Vec<Step> {
        if result.is_ok() {
            self.pinned = Some(digest);
        }
        let waiting = self.asked_by.extract_if(.., |(_, asked)| *asked == digest);
        let mut steps: Vec<Step> = waiting
            .map(|(ticket, _)| match result {
                Ok(()) => Step::Pinned(ticket),
                Err(error) => Step::Fail(ticket, RequestError::Conflict(error.to_string())),
            })
            .collect();
        let mine = self
            .running
            .as_ref()
            .is_some_and(|running| running.digest == digest && running.stage == Stage::PinningSelf);
        if mine {
            steps.extend(match result {
                Ok(()) => self.ask_others(now),
                Err(error) => self.fail(&RequestError::Conflict(error.to_string())),
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
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let (digest, deadline) = (running.digest, running.deadline);
        let Stage::PinningOthers { missing, ask_at } = &mut running.stage else {
            return Vec::new();
        };
        if now >= deadline {
            let names: Vec<_> = missing.iter().map(|voter| voter.node.to_string()).collect();
            let text = format!("node {} did not answer; try again", names.join(", "));
            return self.fail(&RequestError::Unavailable(text));
        }
        if now < *ask_at {
            return Vec::new();
        }
        *ask_at = now + ASK_AGAIN_TICKS;
        missing
            .iter()
            .map(|voter| Step::Ask(*voter, digest))
            .collect()
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

/// What a voter says that has pinned another body.
fn pinned_otherwise() -> String {
    "this node has pinned another initialize request".into()
}
