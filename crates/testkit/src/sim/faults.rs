//! The nemesis: kills, cuts links, stops processes and takes databases away. Disks have a file of their own.

use dmq_raft::Role;
use dmq_replica::DriverInput;
use dmq_store::memory::CommitFault;

use super::history::Violation;
use super::params::{MS, SECOND};
use super::plan::{Kind, Planned};
use super::rng::Rng;
use super::world::{Event, World};

/// What was done, in words; `None` if there was nothing to do it to.
pub(super) type Done = Option<String>;

#[expect(clippy::unnecessary_wraps, reason = "all faults have one shape")]
impl World {
    /// Carries out one part of the plan.
    ///
    /// # Errors
    /// Damage that a member did not notice.
    pub(super) fn fault(&mut self, number: usize) -> Result<(), Violation> {
        let Some(Planned { kind, seed, .. }) = self.plan.get(number).copied() else {
            return Ok(());
        };
        if !self.chaos {
            return Ok(());
        }
        let mut rng = Rng::new(seed);
        let node = self.victim(&mut rng);
        let done = match kind {
            Kind::Kill => self.kill(node),
            Kind::LosePower => self.lose_power(node, &mut rng),
            Kind::CutPower => self.cut_power_soon(node, &mut rng),
            Kind::KillAll => self.kill_all(&mut rng),
            Kind::Isolate => self.isolate(node, &mut rng),
            Kind::OneWay => self.cut_one_way(node, &mut rng),
            Kind::Split => self.split(&mut rng),
            Kind::Pause => self.pause(node, &mut rng),
            Kind::Stop => self.stop(node, &mut rng),
            Kind::HandOver => self.transfer_leadership(node, &mut rng),
            Kind::TakeStore => self.take_store(node, &mut rng),
            Kind::BreakCommit => self.break_commit(node, &mut rng),
            Kind::FillDisk => self.fill_disk(node, &mut rng),
            Kind::DiskError => self.fail_disk(node, &mut rng),
            Kind::SlowDisk => self.slow_disk(node, &mut rng),
            Kind::Rot => self.rot(node, &mut rng)?,
            Kind::Members => self.wish_members(&mut rng),
            Kind::Heal => self.heal(),
        };
        if let Some(what) = done {
            self.tell(node, || what.clone());
            self.told(number, what);
        }
        Ok(())
    }

    /// Any node, the controller more often.
    fn victim(&self, rng: &mut Rng) -> usize {
        let any = rng.index(self.nodes.len());
        if rng.chance(500) {
            self.controller().unwrap_or(any)
        } else {
            any
        }
    }

    /// The node that leads the highest term.
    pub(super) fn controller(&self) -> Option<usize> {
        let terms = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(position, node)| {
                let status = node.process.as_ref()?.driver.status();
                (status.role == Role::Leader).then_some((status.term, position))
            });
        terms.max().map(|(_, position)| position)
    }

    /// `kill -9`: the page cache stays.
    fn kill(&mut self, node: usize) -> Done {
        self.nodes[node].process.take()?;
        self.faults.kills += 1;
        self.bury(node);
        Some(format!("node {node} is killed"))
    }

    fn kill_all(&mut self, rng: &mut Rng) -> Done {
        self.faults.blackouts += 1;
        for node in 0..self.nodes.len() {
            if rng.chance(500) {
                self.kill(node);
            } else {
                self.lose_power(node, rng);
            }
        }
        Some("every node is killed or loses its power".into())
    }

    /// A process is gone: connections break, and it is started again some time later.
    pub(super) fn bury(&mut self, node: usize) {
        self.tell(node, || "is gone".into());
        self.note_struck(node);
        self.nodes[node].process = None;
        self.nodes[node].disk.kill();
        self.nodes[node].paused_until = 0;
        self.nodes[node].database.break_lock();
        self.connections_break(node);
        let rest = if self.chaos { 3 * SECOND } else { 50 * MS };
        let delay = self.nodes[node].rng.between(5 * MS, rest);
        self.after(delay, Event::Start(node));
    }

    fn heal_later(&mut self, longest: u64, rng: &mut Rng) -> u64 {
        let delay = rng.between(100 * MS, longest);
        self.after(delay, Event::Heal);
        delay / MS
    }

    fn heal(&mut self) -> Done {
        self.network.heal();
        Some("all links work again".into())
    }

    fn isolate(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.faults.partitions += 1;
        let nodes = self.nodes.len();
        self.network.isolate(node, nodes);
        let ms = self.heal_later(5 * SECOND, rng);
        Some(format!("node {node} is cut off for {ms} ms"))
    }

    fn cut_one_way(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.faults.one_way_cuts += 1;
        let other = rng.index(self.nodes.len());
        let only = rng.chance(500);
        if only {
            self.network.cut(node, other);
        } else {
            (0..self.nodes.len()).for_each(|other| self.network.cut(other, node));
        }
        let ms = self.heal_later(4 * SECOND, rng);
        Some(if only {
            format!("node {other} does not hear node {node} for {ms} ms")
        } else {
            format!("node {node} hears nobody for {ms} ms")
        })
    }

    /// Two groups; sometimes one node reaches both.
    fn split(&mut self, rng: &mut Rng) -> Done {
        let nodes = self.nodes.len();
        let left: Vec<bool> = (0..nodes).map(|_| rng.chance(500)).collect();
        let bridge = rng.chance(400).then(|| rng.index(nodes));
        for from in 0..nodes {
            for to in 0..nodes {
                if left[from] != left[to] && bridge != Some(from) && bridge != Some(to) {
                    self.network.cut(from, to);
                }
            }
        }
        if bridge.is_some() {
            self.faults.bridges += 1;
        } else {
            self.faults.splits += 1;
        }
        let ms = self.heal_later(5 * SECOND, rng);
        let group = (0..nodes).filter(|node| left[*node]).collect::<Vec<_>>();
        Some(format!(
            "nodes {group:?} are cut off from the others for {ms} ms, bridge {bridge:?}"
        ))
    }

    /// SIGSTOP, and SIGCONT later.
    fn pause(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.nodes[node].process.as_ref()?;
        self.faults.pauses += 1;
        let long = rng.between(50 * MS, 4 * SECOND);
        let until = self.now + long;
        self.nodes[node].paused_until = until;
        self.nodes[node].slow_until = until.max(self.nodes[node].slow_until);
        Some(format!("node {node} stands still for {} ms", long / MS))
    }

    /// SIGTERM.
    fn stop(&mut self, node: usize, rng: &mut Rng) -> Done {
        let life = self.nodes[node].life;
        if self.nodes[node].process.is_none() || self.nodes[node].stopping {
            return None;
        }
        self.faults.stops += 1;
        self.nodes[node].stopping = true;
        self.queue_driver(node, life, DriverInput::Stop);
        let delay = rng.between(0, 4 * SECOND);
        self.after(delay, Event::Drained(node, life));
        Some(format!("node {node} is asked to stop"))
    }

    fn transfer_leadership(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.faults.handovers += 1;
        let ticket = self.ticket();
        let life = self.nodes[node].life;
        let target = rng.index(self.nodes.len());
        let to = rng.chance(500).then(|| self.nodes[target].member().node);
        self.admin_calls.insert(ticket);
        let input = DriverInput::Transfer {
            ticket,
            to,
            expected_term: None,
        };
        self.queue_driver(node, life, input);
        Some(format!("node {node} is asked to hand over to {to:?}"))
    }

    /// The database goes away; sometimes it comes back empty.
    fn take_store(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.faults.store_outages += 1;
        let database = &self.nodes[node].database;
        let emptied = rng.chance(300);
        if emptied {
            database.clear();
        }
        database.set_down(true);
        let delay = rng.between(50 * MS, 5 * SECOND);
        self.after(delay, Event::StoreUp(node));
        Some(format!(
            "node {node}'s database is away for {} ms, emptied: {emptied}",
            delay / MS
        ))
    }

    fn break_commit(&mut self, node: usize, rng: &mut Rng) -> Done {
        self.faults.broken_commits += 1;
        let fault = if rng.chance(500) {
            CommitFault::Applied
        } else {
            CommitFault::Lost
        };
        self.nodes[node].database.fail_next_commit(fault);
        Some(format!("node {node}'s next commit breaks: {fault:?}"))
    }

    /// Faults end: everything works again, and must. A process that was being stopped is gone at once.
    pub(super) fn calm(&mut self) {
        self.chaos = false;
        self.network.calm();
        for node in 0..self.nodes.len() {
            self.disk_recovers(node);
            self.nodes[node].database.set_down(false);
            self.nodes[node].paused_until = 0;
            if self.nodes[node].stopping && self.nodes[node].process.is_some() {
                self.bury(node);
            }
            if self.nodes[node].process.is_none() {
                self.after(MS, Event::Start(node));
            }
        }
        self.parts = (0..self.nodes.len())
            .map(|node| self.takes_part(node))
            .collect();
        self.clients_hurry();
    }
}
