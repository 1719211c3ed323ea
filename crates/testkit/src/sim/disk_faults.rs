//! What goes wrong with disks while a process uses them: lost power, failing operations, no space, slowness.

use dmq_log::sim::{Fault, FaultKind, Operation, Survivors};

use super::faults::Done;
use super::history::Violation;
use super::params::{MS, SECOND};
use super::rng::Rng;
use super::world::{Event, World};

/// How long a process may live on after its log could not be written: what is on the way to its driver.
const ENDS_WITHIN: u64 = 5 * SECOND;
/// What can fail: the operation, on which files, and how.
const ERRORS: [(Operation, &str, FaultKind); 12] = [
    (Operation::Write, ".seg", FaultKind::Io),
    (Operation::Write, ".seg", FaultKind::Io),
    (Operation::Sync, ".seg", FaultKind::Io),
    (Operation::Sync, ".seg", FaultKind::Io),
    (Operation::SyncDir, "", FaultKind::Io),
    (Operation::Name, "", FaultKind::Io),
    (Operation::Read, "", FaultKind::Io),
    (Operation::Write, "", FaultKind::Io),
    (Operation::Sync, "", FaultKind::Io),
    (Operation::Write, ".spare", FaultKind::NoSpace),
    (Operation::Write, ".seg", FaultKind::NoSpace),
    (Operation::Write, "", FaultKind::NoSpace),
];

#[expect(clippy::unnecessary_wraps, reason = "all faults have one shape")]
impl World {
    /// The power fails now.
    pub(super) fn lose_power(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.nodes[node].process.as_ref()?;
        if !self.params.power_loss {
            self.faults.kills += 1;
            self.bury(node);
            return Some(format!("node {node} is killed"));
        }
        let survivors = self.power_failed(node, rng);
        Some(format!(
            "node {node} loses its power, unsynced: {survivors:?}"
        ))
    }

    /// The power goes away in the middle of some later write.
    pub(super) fn cut_power_soon(&mut self, node: usize, rng: &mut Rng) -> Done {
        let changes = rng.between(0, 40);
        self.nodes[node].disk.cut_power_after(changes);
        Some(format!("node {node} loses its power at write {changes}"))
    }

    /// The node is dark: of what was not synced, chance decides.
    pub(super) fn power_failed(&mut self, node: usize, rng: &mut Rng) -> Survivors {
        self.faults.power_losses += 1;
        if self.nodes[node].disk.is_without_power() {
            self.faults.power_cuts += 1;
        }
        let unsynced = self.nodes[node].disk.unsynced_changes() > 0;
        let survivors = match rng.between(0, 5) {
            0 => Survivors::None,
            1 => Survivors::All,
            2 => Survivors::Prefix {
                changes: rng.index(8),
                torn_bytes: rng.index(9_000),
            },
            _ => Survivors::Seeded(rng.next()),
        };
        match survivors {
            _ if !unsynced => {}
            Survivors::None => self.faults.lost_writes += 1,
            Survivors::All => self.faults.kept_writes += 1,
            Survivors::Seeded(_) | Survivors::Prefix { .. } | Survivors::Chosen { .. } => {
                self.faults.torn_writes += 1;
            }
        }
        self.nodes[node].process = None;
        self.nodes[node].disk.crash(survivors);
        self.bury(node);
        survivors
    }

    /// An operation will fail.
    pub(super) fn fail_disk(&mut self, node: usize, rng: &mut Rng) -> Done {
        if !self.initialized {
            return None;
        }
        let (operation, name, kind) = ERRORS[rng.index(ERRORS.len())];
        let after = u32::try_from(rng.between(0, 6)).unwrap_or(0);
        let fault = Fault {
            operation,
            name_contains: name.into(),
            after,
            kind,
        };
        self.nodes[node].disk.inject(fault);
        Some(format!(
            "node {node}'s disk fails: {operation:?} of '{name}', {kind:?}, after {after}"
        ))
    }

    /// The disk has no room for a while.
    pub(super) fn fill_disk(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.faults.full_disks += 1;
        self.nodes[node].disk.set_capacity(0);
        let long = rng.between(100 * MS, 4 * SECOND);
        let until = self.now + long;
        self.nodes[node].slow_until = until.max(self.nodes[node].slow_until);
        self.after(long, Event::Space(node));
        Some(format!("node {node}'s disk is full for {} ms", long / MS))
    }

    /// Every write of the log takes up to half a second for a while.
    pub(super) fn slow_disk(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.faults.slow_disks += 1;
        let long = rng.between(500 * MS, 6 * SECOND);
        let until = self.now + long;
        self.nodes[node].slow_disk_until = until;
        self.nodes[node].slow_until = (until + SECOND).max(self.nodes[node].slow_until);
        Some(format!("node {node}'s disk is slow for {} ms", long / MS))
    }

    /// Counts the errors that have struck. Returns whether there were any in the present life.
    pub(super) fn note_struck(&mut self, node: usize) -> bool {
        for struck in self.nodes[node].disk.take_struck() {
            self.tell(node, || format!("{struck:?}"));
            self.nodes[node].struck_in = Some(self.nodes[node].life);
            let faults = &mut self.faults;
            let count = match (struck.kind, struck.operation) {
                (FaultKind::NoSpace, _) if struck.name.contains(".spare") => {
                    &mut faults.no_space_spares
                }
                (FaultKind::NoSpace, _) => &mut faults.no_space_writes,
                (_, Operation::Read) => &mut faults.failed_reads,
                (_, Operation::Sync | Operation::SyncDir) => &mut faults.failed_syncs,
                (_, Operation::Write) => &mut faults.failed_writes,
                (_, Operation::Name) => &mut faults.failed_names,
            };
            *count += 1;
        }
        self.nodes[node].struck_in == Some(self.nodes[node].life)
    }

    /// A process ends because its log failed: it must have left the segments alone since.
    ///
    /// # Errors
    /// It tried again, or there was nothing wrong with the disk.
    pub(super) fn log_failed(&mut self, node: usize, reason: &str) -> Result<(), Violation> {
        if self.nodes[node].disk.is_without_power() {
            let mut rng = self.nodes[node].rng.split();
            self.power_failed(node, &mut rng);
            return Ok(());
        }
        if !self.note_struck(node) {
            return Err(format!("node {node} ends, but its disk works: {reason}"));
        }
        self.check_left_alone(node)?;
        self.faults.ended_by_disk += 1;
        self.bury(node);
        Ok(())
    }

    /// After a failed write or sync nobody touches the log any more, and the process ends.
    ///
    /// # Errors
    /// It was written again, or the process lives on.
    pub(super) fn check_disk(&mut self, node: usize) -> Result<(), Violation> {
        self.note_struck(node);
        self.check_left_alone(node)?;
        if self.nodes[node].process.is_none() || !self.nodes[node].disk.has_failed_log() {
            self.nodes[node].log_failed_at = None;
            return Ok(());
        }
        let now = self.now;
        let since = *self.nodes[node].log_failed_at.get_or_insert(now);
        let from = since.max(self.nodes[node].slow_until);
        if now > from + ENDS_WITHIN {
            return Err(format!("node {node} goes on without its log since {since}"));
        }
        Ok(())
    }

    fn check_left_alone(&self, node: usize) -> Result<(), Violation> {
        match self.nodes[node].disk.stats().after_failure {
            0 => Ok(()),
            again => Err(format!(
                "node {node} touched its log {again} times after a write or sync had failed"
            )),
        }
    }

    /// The disk works from now on.
    pub(super) fn disk_recovers(&mut self, node: usize) {
        let disk = &self.nodes[node].disk;
        disk.set_capacity(u64::MAX);
        disk.clear_faults();
        if !disk.is_without_power() {
            disk.keep_power();
        }
        self.nodes[node].slow_disk_until = 0;
    }
}
