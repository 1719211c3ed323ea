//! Images that a test makes wrong, and what the members then say and do about it (DESIGN 6.8). Nothing in the
//! shipped code is touched: entries are exchanged on their way to one node's applier.

use dmq_metadata::{Envelope, WallTime};
use dmq_raft::{EntryKind, LogIndex, Role};
use dmq_replica::{Alarm, AlarmKind, CommittedEntries};

use super::history::Violation;
use super::params::Params;
use super::report::Failure;
use super::world::World;

/// Commands that spoiled nodes apply as other ones.
const SPOILED: u64 = 60;
/// Hashes are compared at indexes that this divides.
const INTERVAL: u64 = dmq_replica::HASH_INTERVAL;

/// Whose images a test makes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// That of the controller.
    Controller,
    /// Those of so many others, all in the same way.
    Others(usize),
    /// Nobody's.
    Nobody,
}

/// What members said and did about corruption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The nodes whose images were made wrong.
    pub spoiled: Vec<usize>,
    /// Commands that they applied as other ones.
    pub changed: u64,
    /// Alarms that were raised: by whom, which, and whether it led then.
    pub alarms: Vec<(usize, AlarmKind, bool)>,
    /// Nodes that ended because they are corrupt, and when, in simulated microseconds.
    pub ended: Vec<(usize, u64)>,
    /// The first other node that led after the alarm of a corrupt one, and since when.
    pub successor: Option<(usize, u64)>,
    /// The nodes that run at the end.
    pub running: Vec<usize>,
    /// The first index whose command is another one for spoiled nodes.
    pub(super) from: LogIndex,
}

/// Runs a quorum without faults, makes images wrong, and lets it go on until hashes were compared twice. `down`
/// nodes are switched off at the same time.
///
/// # Errors
/// A property that does not hold: of nodes whose images are right.
pub fn run_spoiled(params: Params, who: Who, down: usize) -> Result<Findings, Failure> {
    let told = params.clone();
    let mut world = World::new(params).map_err(|violation| Failure::early(&told, violation))?;
    match world.spoiled(who, down) {
        Ok(()) => Ok(world.findings),
        Err(violation) => Err(Failure::late(&told, violation, &world)),
    }
}

impl World {
    fn spoiled(&mut self, who: Who, down: usize) -> Result<(), Violation> {
        let end = self.params.chaos;
        let index = |world: &Self| world.history.last().0;
        if !self.run(end, |world| index(world) > INTERVAL / 2)? {
            return Err("the quorum did not get going".into());
        }
        let controller = self.controller().ok_or("nobody leads")?;
        let others = (0..self.nodes.len()).filter(|node| *node != controller);
        let others: Vec<_> = others.collect();
        let (spoiled, rest) = match who {
            Who::Controller => (vec![controller], &others[..]),
            Who::Others(count) => (others[..count].to_vec(), &others[count..]),
            Who::Nobody => (Vec::new(), &others[..]),
        };
        for node in &rest[..down] {
            self.nodes[*node].damaged = true;
            self.bury(*node);
        }
        for node in &spoiled {
            self.nodes[*node].spoiled = true;
        }
        self.findings.spoiled = spoiled;
        self.findings.from = LogIndex(index(self) + SPOILED);
        let compared = |world: &Self| index(world) > 2 * INTERVAL + INTERVAL / 4;
        if !self.run(end, compared)? {
            return Err(format!("hashes were not compared: {}", self.describe()));
        }
        let running = (0..self.nodes.len()).filter(|node| self.nodes[*node].process.is_some());
        self.findings.running = running.collect();
        Ok(())
    }

    /// A spoiled node's applier gets other commands than the rest.
    pub(super) fn spoil(&mut self, node: usize, committed: &mut CommittedEntries) {
        if !self.nodes[node].spoiled {
            return;
        }
        let from = self.findings.from;
        let changed = from..LogIndex(from.0 + SPOILED);
        for entry in &mut committed.entries {
            if changed.contains(&entry.index)
                && entry.kind == EntryKind::Command
                && let Ok(mut envelope) = Envelope::decode(&entry.payload)
            {
                envelope.wall_clock = WallTime(7);
                entry.payload = envelope.encode();
                self.findings.changed += 1;
            }
        }
    }

    /// A member raises an alarm, or ends one.
    ///
    /// # Errors
    /// Nothing that was done here may have raised it.
    pub(super) fn alarmed(&mut self, node: usize, alarm: &Alarm) -> Result<(), Violation> {
        let spoiled = self.nodes.iter().any(|node| node.spoiled);
        if alarm.raised {
            let leads = self.leads(node);
            self.findings.alarms.push((node, alarm.kind, leads));
        }
        let harmless = match alarm.kind {
            AlarmKind::NoSpace | AlarmKind::SnapshotFailed => true,
            AlarmKind::Diverged => spoiled || !alarm.raised,
            AlarmKind::Corrupt => self.nodes[node].spoiled || !alarm.raised,
            AlarmKind::ProjectionStopped | AlarmKind::UnknownEntry => !alarm.raised,
        };
        if harmless {
            Ok(())
        } else {
            Err(format!("node {node} raises {alarm:?}"))
        }
    }

    /// A member ends since its image differs from that of the majority. It is not started again.
    ///
    /// # Errors
    /// Its image is right.
    pub(super) fn found_corrupt(&mut self, node: usize, reason: &str) -> Result<(), Violation> {
        if !self.nodes[node].spoiled {
            return Err(format!(
                "node {node} ends with an image that is right: {reason}"
            ));
        }
        self.nodes[node].damaged = true;
        self.bury(node);
        self.findings.ended.push((node, self.now));
        Ok(())
    }

    /// A member says that it leads.
    pub(super) fn note_leader(&mut self, node: usize) {
        let is_corrupt = |alarm: &(usize, AlarmKind, bool)| alarm.1 == AlarmKind::Corrupt;
        let findings = &mut self.findings;
        if findings.successor.is_none()
            && findings.alarms.iter().any(is_corrupt)
            && !findings.spoiled.contains(&node)
        {
            findings.successor = Some((node, self.now));
        }
    }

    fn leads(&self, node: usize) -> bool {
        let process = self.nodes[node].process.as_ref();
        process.is_some_and(|process| process.driver.status().role == Role::Leader)
    }
}
