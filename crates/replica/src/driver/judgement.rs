//! Reports between members, and what follows when state hashes differ (DESIGN 6.8).

use super::Driver;
use super::reports::Judgement;
use crate::{AlarmKind, DriverInput, DriverOutput, MemberReport};

/// This member's state is wrong: it hands over if it leads, and ends.
#[derive(Clone, Debug)]
pub(super) struct Doom {
    /// One sentence.
    pub(super) reason: String,
}

impl Driver {
    pub(super) fn peer_report(&mut self, report: MemberReport) {
        let from_leader = self.role.leader == Some(report.from);
        self.reports.merge(report, from_leader);
        self.judge();
    }

    pub(super) fn tick_reports(&mut self) {
        self.report_due |= self.now.is_multiple_of(self.settings.report_ticks);
    }

    /// A follower reports to the controller, the controller shares the table with all.
    pub(super) fn send_reports(&mut self) {
        if !std::mem::take(&mut self.report_due) {
            return;
        }
        self.judge();
        let own = self.identity.member;
        let configuration = self.configuration.1.clone();
        self.reports.forget_strangers(&configuration);
        if self.leads() {
            let report = self.reports.shared(&configuration);
            for to in configuration.members().filter(|member| **member != own) {
                self.out.push(DriverOutput::SendReport {
                    to: *to,
                    report: report.clone(),
                });
            }
        } else if let Some(to) = self.role.leader {
            self.out.push(DriverOutput::SendReport {
                to,
                report: self.reports.own(),
            });
        }
    }

    fn judge(&mut self) {
        let judgement = self.reports.judge(&self.configuration.1);
        let own = self.identity.member;
        match judgement {
            Judgement::Agreed => {
                self.alarm(AlarmKind::Diverged, false, String::new());
                self.alarm(AlarmKind::Corrupt, false, String::new());
            }
            Judgement::Diverged(index) => {
                let text = format!("state hashes differ at index {index} and no majority agrees");
                self.alarm(AlarmKind::Diverged, true, text);
            }
            Judgement::Corrupt { index, members } if members.contains(&own) => {
                let text = format!("this node's state differs from the majority's at {index}");
                self.alarm(AlarmKind::Corrupt, true, text.clone());
                self.condemn(text);
            }
            Judgement::Corrupt { index, members } => {
                let nodes: Vec<_> = members.iter().map(|m| m.node.to_string()).collect();
                let nodes = nodes.join(", ");
                let text =
                    format!("the state of node {nodes} differs from the majority's at {index}");
                self.alarm(AlarmKind::Diverged, true, text);
            }
        }
    }

    /// A corrupt controller hands over first; everyone else ends at once.
    fn condemn(&mut self, reason: String) {
        if self.doom.is_none() {
            self.doom = Some(Doom { reason });
            self.handle(DriverInput::Stop);
        }
    }

    /// Raises or ends an alarm, once.
    pub(super) fn alarm(&mut self, kind: AlarmKind, raised: bool, detail: String) {
        let changed = if raised {
            self.alarms.insert(kind, detail.clone()).as_ref() != Some(&detail)
        } else {
            self.alarms.remove(&kind).is_some()
        };
        if changed {
            self.out.push(DriverOutput::Alarm(crate::Alarm {
                kind,
                raised,
                detail,
            }));
        }
    }
}
