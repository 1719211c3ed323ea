//! The StatefulSet controller, kubelets, and what a user does to pods.

use uuid::Uuid;

use super::{Disk, PodSim, Set, World};

/// Seconds from a pod's creation until its node runs.
const START: i64 = 2;
/// Seconds that a stop takes.
const STOP: i64 = 2;

impl World {
    /// One second passes.
    pub(in crate::plan::tests) fn tick(&mut self) {
        self.now += 1;
        let before = self.pods.clone();
        self.look_at_the_set();
        self.end_stopped_pods();
        self.create_pods();
        self.start_pods();
        self.replicate();
        self.judge_pods();
        for (ordinal, pod) in &mut self.pods {
            if before.get(ordinal) != Some(pod) {
                pod.version += 1;
            }
        }
        self.note_recoveries();
    }

    fn look_at_the_set(&mut self) {
        let Some(set) = &mut self.set else { return };
        if set.looked_at == set.generation && set.update.is_some() {
            return;
        }
        set.looked_at = set.generation;
        set.update = Some(revision_of(set));
    }

    fn end_stopped_pods(&mut self) {
        let now = self.now;
        self.pods
            .retain(|_, pod| pod.stuck || pod.stopping_since.is_none_or(|then| now - then < STOP));
        for ordinal in self.doomed_claims.clone() {
            if !self.pods.contains_key(&ordinal) {
                self.doomed_claims.remove(&ordinal);
                self.disks.remove(&ordinal);
                self.watch.data_was_lost = true;
            }
        }
    }

    fn create_pods(&mut self) {
        let Some(set) = &self.set else { return };
        let (Some(revision), replicas) = (set.update, set.replicas) else {
            return;
        };
        for ordinal in 0..replicas {
            if self.pods.contains_key(&ordinal) {
                continue;
            }
            let pod = PodSim {
                uid: self.fresh(),
                version: self.fresh(),
                revision,
                created: self.now,
                up_since: None,
                ready_since: None,
                unready_since: Some(self.now),
                stopping_since: None,
                stuck: false,
                flapping_until: 0,
                labelled: false,
            };
            self.pods.insert(ordinal, pod);
        }
    }

    fn start_pods(&mut self) {
        let Some(set) = &self.set else { return };
        let revisions = set.revisions.clone();
        let mut formatted = Vec::new();
        for (ordinal, pod) in &mut self.pods {
            let can =
                !revisions[pod.revision].broken() && !pod.stuck && !self.no_room.contains(ordinal);
            if can && pod.up_since.is_none() && self.now - pod.created >= START {
                pod.up_since = Some(self.now);
                formatted.push(*ordinal);
            }
        }
        for ordinal in formatted {
            if !self.disks.contains_key(&ordinal) {
                let directory = Uuid::from_u128(u128::from(self.fresh()));
                let disk = Disk {
                    directory,
                    configured: false,
                    matched: 0,
                };
                self.disks.insert(ordinal, disk);
            }
        }
    }

    fn judge_pods(&mut self) {
        let (now, commit) = (self.now, self.commit);
        for (ordinal, pod) in &mut self.pods {
            let disk = self.disks.get(ordinal);
            let caught_up =
                disk.is_some_and(|disk| !disk.configured || commit - disk.matched <= 1_000);
            let up = pod.up_since.is_some_and(|then| then < now);
            let steady = pod.flapping_until <= now && pod.stopping_since.is_none();
            // Readiness is latched: it does not go away when a member falls behind.
            let ready = up && steady && (pod.ready_since.is_some() || caught_up);
            match (ready, pod.ready_since) {
                (true, None) => {
                    pod.ready_since = Some(now);
                    pod.unready_since = None;
                }
                (false, Some(_)) => {
                    pod.ready_since = None;
                    pod.unready_since = Some(now);
                }
                _ => {}
            }
        }
    }

    /// Somebody tells a pod to stop.
    pub(in crate::plan::tests) fn stop(&mut self, ordinal: i32) {
        let now = self.now;
        if let Some(pod) = self.pods.get_mut(&ordinal)
            && pod.stopping_since.is_none()
        {
            pod.stopping_since = Some(now);
            pod.version += 1;
        }
    }

    /// A pod is gone from one moment to the next, its volume stays.
    pub(in crate::plan::tests) fn lose_pod(&mut self, ordinal: i32) {
        self.pods.remove(&ordinal);
        if self.leader == Some(ordinal) {
            self.leader = None;
        }
    }

    /// A Kubernetes node dies: its pod neither runs nor stops.
    pub(in crate::plan::tests) fn lose_node(&mut self, ordinal: i32) {
        let now = self.now;
        if self.leader == Some(ordinal) {
            self.leader = None;
        }
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.stuck = true;
            pod.up_since = None;
            pod.ready_since = None;
            pod.unready_since = Some(now);
            pod.stopping_since.get_or_insert(now);
            pod.version += 1;
        }
    }

    /// A volume is gone, and its pod with it.
    pub(in crate::plan::tests) fn lose_data(&mut self, ordinal: i32) {
        self.lose_pod(ordinal);
        if self.disks.remove(&ordinal).is_some() {
            self.watch.data_was_lost = true;
        }
    }
}

fn revision_of(set: &mut Set) -> usize {
    if let Some(known) = set
        .revisions
        .iter()
        .position(|known| *known == set.template)
    {
        return known;
    }
    set.revisions.push(set.template.clone());
    set.revisions.len() - 1
}
