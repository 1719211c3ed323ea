//! The nemesis: kills, loses power, cuts links, stops processes, fills disks and takes databases away.

use dmq_log::sim::Survivors;
use dmq_replica::DriverInput;
use dmq_store::memory::CommitFault;

use super::params::{MS, SECOND};
use super::world::{Event, World};

impl World {
    /// One fault, and the time of the next.
    pub(super) fn next_fault(&mut self) {
        if !self.chaos {
            return;
        }
        let gap = self.rng.between(1, 2 * self.params.fault_gap);
        self.after(gap, Event::Fault);
        let node = self.victim();
        match self.rng.between(0, 99) {
            0..=15 => self.kill(node),
            16..=27 => self.lose_power(node),
            28..=31 => self.cut_power_soon(node),
            32..=35 => self.kill_all(),
            36..=50 => self.partition(node),
            51..=58 => self.cut_one_way(node),
            59..=68 => self.pause(node),
            69..=76 => self.stop(node),
            77..=82 => self.transfer_leadership(node),
            83..=88 => self.take_store(node),
            89..=92 => self.break_commit(node),
            93..=95 => self.fill_disk(node),
            _ => self.network.heal(),
        }
    }

    /// Any node, the leader more often.
    fn victim(&mut self) -> usize {
        let leader = self.nodes.iter().position(|node| {
            node.process
                .as_ref()
                .is_some_and(|p| p.driver.status().role == dmq_raft::Role::Leader)
        });
        let any = self.rng.index(self.nodes.len());
        if self.rng.chance(500) {
            leader.unwrap_or(any)
        } else {
            any
        }
    }

    /// `kill -9`: the page cache stays.
    fn kill(&mut self, node: usize) {
        if self.nodes[node].process.take().is_some() {
            self.faults.kills += 1;
            self.nodes[node].disk.kill();
            self.bury(node);
        }
    }

    fn lose_power(&mut self, node: usize) {
        if !self.params.power_loss {
            return self.kill(node);
        }
        if self.nodes[node].process.is_some() {
            self.power_failed(node);
        }
    }

    /// The power goes away in the middle of some later write.
    fn cut_power_soon(&mut self, node: usize) {
        if self.params.power_loss {
            let changes = self.rng.between(0, 40);
            self.nodes[node].disk.cut_power_after(changes);
        }
    }

    /// The node is dark: of what was not synced, chance decides.
    pub(super) fn power_failed(&mut self, node: usize) {
        self.faults.power_losses += 1;
        self.nodes[node].process = None;
        let survivors = match self.rng.between(0, 3) {
            0 => Survivors::None,
            1 => Survivors::All,
            _ => Survivors::Seeded(self.rng.next()),
        };
        self.tell(node, || {
            format!("loses power, of unsynced data survive: {survivors:?}")
        });
        self.nodes[node].disk.crash(survivors);
        self.bury(node);
    }

    fn kill_all(&mut self) {
        for node in 0..self.nodes.len() {
            if self.rng.chance(500) {
                self.kill(node);
            } else {
                self.lose_power(node);
            }
        }
    }

    /// A process is gone: connections break, and it is started again some time later.
    pub(super) fn bury(&mut self, node: usize) {
        self.tell(node, || "is gone".into());
        self.nodes[node].disk.kill();
        self.nodes[node].paused_until = 0;
        self.nodes[node].database.break_lock();
        self.connections_break(node);
        let delay = self.rng.between(5 * MS, 3 * SECOND);
        self.after(delay, Event::Start(node));
    }

    fn partition(&mut self, node: usize) {
        self.faults.partitions += 1;
        let nodes = self.nodes.len();
        self.network.isolate(node, nodes);
        let delay = self.rng.between(100 * MS, 5 * SECOND);
        self.after(delay, Event::Heal);
    }

    fn cut_one_way(&mut self, node: usize) {
        self.faults.one_way_cuts += 1;
        let other = self.rng.index(self.nodes.len());
        if self.rng.chance(500) {
            self.network.cut(node, other);
        } else {
            (0..self.nodes.len()).for_each(|other| self.network.cut(other, node));
        }
        let delay = self.rng.between(100 * MS, 4 * SECOND);
        self.after(delay, Event::Heal);
    }

    /// SIGSTOP, and SIGCONT later.
    fn pause(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            self.faults.pauses += 1;
            let until = self.now + self.rng.between(50 * MS, 4 * SECOND);
            self.nodes[node].paused_until = until;
            self.nodes[node].slow_until = until;
        }
    }

    /// SIGTERM.
    fn stop(&mut self, node: usize) {
        let life = self.nodes[node].life;
        if self.nodes[node].process.is_some() && !self.nodes[node].stopping {
            self.faults.stops += 1;
            self.nodes[node].stopping = true;
            self.queue_driver(node, life, DriverInput::Stop);
            let delay = self.rng.between(0, 4 * SECOND);
            self.after(delay, Event::Drained(node, life));
        }
    }

    fn transfer_leadership(&mut self, node: usize) {
        self.faults.handovers += 1;
        let ticket = self.ticket();
        let life = self.nodes[node].life;
        let target = self.rng.index(self.nodes.len());
        let to = self
            .rng
            .chance(500)
            .then(|| self.nodes[target].member().node);
        self.admin_calls.insert(ticket);
        let input = DriverInput::Transfer {
            ticket,
            to,
            expected_term: None,
        };
        self.queue_driver(node, life, input);
    }

    /// The database goes away; sometimes it comes back empty.
    fn take_store(&mut self, node: usize) {
        self.faults.store_outages += 1;
        let database = &self.nodes[node].database;
        if self.rng.chance(300) {
            database.clear();
        }
        database.set_down(true);
        let delay = self.rng.between(50 * MS, 5 * SECOND);
        self.after(delay, Event::StoreUp(node));
    }

    fn break_commit(&mut self, node: usize) {
        self.faults.broken_commits += 1;
        let fault = if self.rng.chance(500) {
            CommitFault::Applied
        } else {
            CommitFault::Lost
        };
        self.nodes[node].database.fail_next_commit(fault);
    }

    fn fill_disk(&mut self, node: usize) {
        self.faults.full_disks += 1;
        self.nodes[node].disk.set_capacity(0);
        let until = self.now + self.rng.between(100 * MS, 4 * SECOND);
        self.nodes[node].slow_until = until;
        self.after(until - self.now, Event::Space(node));
    }

    /// Faults end: everything works again, and must.
    pub(super) fn calm(&mut self) {
        self.chaos = false;
        self.network.calm();
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.set_capacity(u64::MAX);
            self.nodes[node].database.set_down(false);
            if self.nodes[node].process.is_none() {
                self.after(MS, Event::Start(node));
            }
        }
    }
}
