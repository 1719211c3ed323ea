//! What a controller does by itself: it keeps log time, fences silent brokers, and sets the first
//! feature level.

use std::time::Duration;

use dmq_metadata::{Command, Envelope, LogTime, Principal, RequestId, WallTime};

use super::Driver;
use crate::{Answer, Heartbeat, HeartbeatAnswer, ReadRequest, RequestError, Ticket};

/// The controller's clock and its own duties in one term.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Office {
    /// Log time of the image when last observed before or right after the election.
    base: LogTime,
    /// When that was, in ticks.
    since: u64,
    /// An entry of this term was applied: the image holds everything from before it.
    confirmed: bool,
    level_proposed: bool,
    handing_over: bool,
    /// The image stands before an entry that it does not know, in this term and all later ones.
    barred: bool,
}

impl Office {
    /// Of a member that starts with an image of this log time.
    pub(super) fn new(base: LogTime) -> Self {
        Self {
            base,
            since: 0,
            confirmed: false,
            level_proposed: false,
            handing_over: false,
            barred: false,
        }
    }

    /// This member leads from now on: log time goes on from its image's.
    pub(super) fn take(&mut self, now: u64) {
        *self = Self {
            since: now,
            barred: self.barred,
            ..Self::new(self.base)
        };
    }

    /// The image's log time moved. A new controller's image may still lag behind: its clock jumps
    /// ahead with it, and never back.
    pub(super) fn observe(&mut self, image: LogTime, now: u64, tick: Duration) {
        if !self.confirmed || image > self.log_time(now, tick) {
            self.base = self.base.max(image);
            self.since = now;
        }
    }

    /// The image holds an entry of this term.
    pub(super) fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// The stamp for commands of this tick (DESIGN 6.6).
    pub(super) fn log_time(&self, now: u64, tick: Duration) -> LogTime {
        let micros = u128::from(now - self.since) * tick.as_micros();
        self.base
            .after_ms(u64::try_from(micros / 1_000).unwrap_or(u64::MAX))
    }

    /// Whether leadership is being moved.
    pub(super) fn is_handing_over(&self) -> bool {
        self.handing_over
    }

    /// The image moves no more: commands cannot be answered here.
    pub(super) fn bar(&mut self) {
        self.barred = true;
    }

    /// Whether this member can only hold office in name.
    pub(super) fn is_barred(&self) -> bool {
        self.barred
    }

    /// A transfer began or ended.
    pub(super) fn hand_over(&mut self, running: bool) {
        self.handing_over = running;
    }
}

impl Driver {
    /// A sign of life. Whether a broker lives is soft state, and a stale controller may hear it: but only
    /// one that a majority has confirmed meanwhile rejects a heartbeat (DESIGN 6.6).
    pub(super) fn heartbeat(&mut self, beat: &Heartbeat) {
        match self.judge_beat(beat) {
            Err(RequestError::Rejected(_)) => self.doubt(*beat),
            judged => self.answer_beat(beat.ticket, judged),
        }
    }

    /// A read round confirmed this member, and the image holds everything from before the round.
    pub(super) fn confirmed_beat(&mut self, beat: &Heartbeat) {
        let judged = self.judge_beat(beat);
        self.answer_beat(beat.ticket, judged);
    }

    fn judge_beat(&mut self, beat: &Heartbeat) -> Result<HeartbeatAnswer, RequestError> {
        if !self.leads() {
            return Err(self.not_controller());
        }
        if self.office.barred {
            return Err(cannot_apply());
        }
        if !self.office.confirmed {
            let text = "this controller has only just been elected; try again";
            return Err(RequestError::Unavailable(text.into()));
        }
        let verdict = self.sessions.beat(beat, self.now);
        let verdict = verdict.unwrap_or_else(|| Err(self.not_controller()))?;
        Ok(HeartbeatAnswer {
            broker: beat.broker,
            epoch: verdict.epoch,
            caught_up: verdict.caught_up,
            fenced: verdict.fenced,
            should_shut_down: beat.want_shut_down && verdict.fenced,
            applied: self.applied,
        })
    }

    /// A heartbeat that would be rejected waits like a linearizable read.
    fn doubt(&mut self, beat: Heartbeat) {
        self.sessions.doubt(beat);
        self.read(ReadRequest {
            ticket: beat.ticket,
            linearizable: true,
            min_index: None,
            wait_ticks: None,
        });
    }

    fn answer_beat(&mut self, ticket: Ticket, judged: Result<HeartbeatAnswer, RequestError>) {
        let answer = judged.map_or_else(Answer::Failed, Answer::Heartbeat);
        self.answer(ticket, answer);
    }

    pub(super) fn tick_office(&mut self) {
        if self.leads() && self.office.confirmed {
            self.sessions.tick(self.now);
        }
    }

    /// Commands that this controller proposes on its own account, each once until it is decided.
    pub(super) fn own_commands(&mut self) -> Vec<Command> {
        if !self.leads() || !self.office.confirmed || self.office.barred {
            return Vec::new();
        }
        let mut commands = self.sessions.take_due();
        if self.feature_level.0 == 0 && !self.office.level_proposed {
            let level = self.reports.common_level(&self.configuration.1);
            commands.extend(level.map(Command::SetFeatureLevel));
            self.office.level_proposed = level.is_some();
        }
        commands
    }

    /// Own commands did not get into the log; they are proposed again when their reason persists.
    pub(super) fn retry_own_commands(&mut self) {
        self.sessions.retry();
        self.office.level_proposed = false;
    }

    /// The envelope of an own command. Its seed only has to differ from one to the next.
    pub(super) fn own_envelope(&self, command: Command) -> Envelope {
        Envelope {
            request_id: RequestId::default(),
            principal: Principal::controller(),
            idempotency: None,
            log_time: LogTime::default(),
            wall_clock: WallTime::default(),
            seed: self.role.term.0.rotate_left(32) ^ self.now,
            command,
        }
    }
}

/// What a controller says whose image stands before an entry that it does not know.
pub(super) fn cannot_apply() -> RequestError {
    let text = "this controller's image stands before an entry that its version does not know";
    RequestError::Unavailable(text.into())
}
