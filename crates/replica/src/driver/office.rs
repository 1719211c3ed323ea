//! What a controller does by itself: it keeps log time, fences silent brokers, and sets the first
//! feature level.

use std::time::Duration;

use dmq_metadata::{Command, Envelope, LogTime, Principal, RequestId, WallTime};

use super::Driver;
use crate::{Answer, Heartbeat, HeartbeatAnswer};

/// The controller's clock and its own duties in one term.
#[derive(Clone, Debug)]
pub(super) struct Office {
    /// Log time of the image when last observed before or right after the election.
    base: LogTime,
    /// When that was, in ticks.
    since: u64,
    /// An entry of this term was applied: the image holds everything from before it.
    confirmed: bool,
    level_proposed: bool,
    handing_over: bool,
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
        }
    }

    /// This member leads from now on: log time goes on from its image's.
    pub(super) fn take(&mut self, now: u64) {
        *self = Self {
            since: now,
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

    /// A transfer began or ended.
    pub(super) fn hand_over(&mut self, running: bool) {
        self.handing_over = running;
    }
}

impl Driver {
    pub(super) fn heartbeat(&mut self, beat: &Heartbeat) {
        let answer = match self.sessions.beat(beat, self.now).filter(|_| self.leads()) {
            None => Answer::Failed(self.not_controller()),
            Some(Err(error)) => Answer::Failed(error),
            Some(Ok(verdict)) => Answer::Heartbeat(HeartbeatAnswer {
                broker: beat.broker,
                epoch: verdict.epoch,
                caught_up: verdict.caught_up,
                fenced: verdict.fenced,
                should_shut_down: beat.want_shut_down && verdict.fenced,
                applied: self.applied,
            }),
        };
        self.answer(beat.ticket, answer);
    }

    pub(super) fn tick_office(&mut self) {
        if self.leads() && self.office.confirmed {
            self.sessions.tick(self.now);
        }
    }

    /// Commands that this controller proposes on its own account, each once until it is decided.
    pub(super) fn own_commands(&mut self) -> Vec<Command> {
        if !self.leads() || !self.office.confirmed {
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
