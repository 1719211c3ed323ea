//! A pass of the operator, done to the world, or the first few writes of one.

use std::collections::BTreeSet;

use super::watch::Log;
use super::{Set, World};
use crate::observed::{Identity, Observed, Voter};
use crate::plan::{Action, Again, Plan, Stage, plan};
use crate::report;

/// What a pass saw.
#[derive(Clone)]
pub(in crate::plan::tests) struct Sight {
    pub(in crate::plan::tests) observed: Observed,
    version: u64,
}

/// The operator did not get further.
struct Stopped;

impl World {
    /// A pass looks.
    pub(in crate::plan::tests) fn look(&self, silent: &BTreeSet<i32>) -> Sight {
        Sight {
            observed: self.seen(silent),
            version: self.version,
        }
    }

    /// A whole pass.
    pub(in crate::plan::tests) fn pass(&mut self, log: &mut Log) -> Plan {
        let sight = self.look(&BTreeSet::new());
        self.act(&sight, usize::MAX, true, log)
    }

    /// Plans what was seen and does at most so many writes of it, the status first. `fresh`: nothing happened since.
    pub(in crate::plan::tests) fn act(
        &mut self,
        sight: &Sight,
        writes: usize,
        fresh: bool,
        log: &mut Log,
    ) -> Plan {
        let made = plan(&sight.observed);
        log.note(&made);
        self.check_plan(&sight.observed, &made);
        let _ = self.write(sight, &made, writes, fresh);
        made
    }

    fn write(
        &mut self,
        sight: &Sight,
        made: &Plan,
        writes: usize,
        fresh: bool,
    ) -> Result<(), Stopped> {
        let mut version = sight.version;
        let mut left = writes;
        let previous = sight.observed.cluster.status.as_ref();
        let status = report::status(&sight.observed, made, previous);
        if previous != Some(&status) {
            take(&mut left)?;
            self.same(version)?;
            self.cluster.status = Some(status);
            self.version += 1;
            version = self.version;
        }
        for action in &made.actions {
            take(&mut left)?;
            self.perform(action, &sight.observed, &mut version, fresh)?;
        }
        if made.report.stage == Stage::Steady && made.again == Again::Idle {
            self.check_labels();
        }
        Ok(())
    }

    /// Kubernetes refuses a write that names an older version of the object.
    fn same(&self, version: u64) -> Result<(), Stopped> {
        if self.version == version {
            Ok(())
        } else {
            Err(Stopped)
        }
    }

    fn perform(
        &mut self,
        action: &Action,
        seen: &Observed,
        version: &mut u64,
        fresh: bool,
    ) -> Result<(), Stopped> {
        match action {
            Action::CreateIdentity(identity) => self.create_identity(identity),
            Action::CreateToken => self.token = true,
            Action::ApplyChildren => {}
            Action::ApplyStatefulSet {
                replicas,
                claim_sizes,
            } => return self.apply(seen, *replicas, claim_sizes, fresh),
            Action::CreateVoters(voters) => self.create_voters(voters),
            Action::Initialize {
                ordinal, voters, ..
            } => return self.initialize(*ordinal, voters),
            Action::UnlabelController { pods } => self.unlabel(pods),
            Action::LabelController { pod, uid } => return self.label(pod, uid),
            Action::BeginOperation(operation) => {
                self.same(*version)?;
                let status = self.cluster.status.get_or_insert_default();
                status.operation = Some(operation.clone());
                self.version += 1;
                *version = self.version;
            }
            Action::EndOperation => {
                self.same(*version)?;
                self.cluster.status.get_or_insert_default().operation = None;
                self.version += 1;
                *version = self.version;
            }
            Action::Transfer {
                from,
                target,
                expected_term,
            } => return self.transfer(*from, *target, *expected_term),
            Action::DeletePod {
                pod,
                uid,
                resource_version,
                ..
            } => return self.delete(pod, uid, resource_version, fresh),
        }
        Ok(())
    }

    fn create_identity(&mut self, identity: &Identity) {
        if self.identity.is_some() {
            return;
        }
        let made = self.watch.identity.clone();
        if made.is_some_and(|made| made.cluster_id != identity.cluster_id) {
            self.complain("a second identity with another cluster id".to_owned());
        }
        self.identity = Some(identity.clone());
        self.watch.identity = Some(identity.clone());
    }

    fn apply(
        &mut self,
        seen: &Observed,
        replicas: i32,
        sizes: &std::collections::BTreeMap<String, String>,
        fresh: bool,
    ) -> Result<(), Stopped> {
        if self.identity.is_none() {
            self.complain("pods are made before the identity".to_owned());
        }
        let wanted = super::Template {
            version: seen.cluster.spec.version.clone().unwrap_or_default(),
            config: seen
                .cluster
                .spec
                .config
                .get("log.level")
                .cloned()
                .unwrap_or_default(),
        };
        let Some(set) = &mut self.set else {
            let sizes = [("log", "10Gi"), ("data", "10Gi")]
                .map(|(name, size)| (name.to_owned(), size.to_owned()));
            self.set = Some(Set {
                generation: 1,
                looked_at: 0,
                template: wanted,
                replicas,
                sizes: sizes.into(),
                revisions: Vec::new(),
                update: None,
            });
            return Ok(());
        };
        let voters = self.voters.as_ref().map(Vec::len);
        let lawful = voters
            .or(self.config.as_ref().map(Vec::len))
            .map_or(seen.cluster.spec.replicas, |voters| {
                i32::try_from(voters).expect("small")
            });
        let asked = &seen.cluster.spec.storage.size;
        if sizes.is_empty() && set.sizes["log"] != *asked {
            // The StatefulSet was not seen yet; Kubernetes refuses to change its claims.
            return Err(Stopped);
        }
        let problem = if !sizes.is_empty() && *sizes != set.sizes {
            Some("claim templates cannot be changed".to_owned())
        } else {
            (fresh && replicas != lawful).then(|| format!("{replicas} pods instead of {lawful}"))
        };
        if set.template != wanted || set.replicas != replicas {
            set.template = wanted;
            set.replicas = replicas;
            set.generation += 1;
        }
        if let Some(problem) = problem {
            self.complain(problem);
        }
        Ok(())
    }

    fn create_voters(&mut self, voters: &[Voter]) {
        if self.voters.is_some() {
            return;
        }
        let replicas = self.set.as_ref().map_or(0, |set| set.replicas);
        let right = (0..replicas).all(|ordinal| {
            let id = u32::try_from(ordinal + 1).expect("small");
            let disk = self.disks.get(&ordinal);
            disk.is_some_and(|disk| {
                !disk.configured
                    && voters.contains(&Voter {
                        id,
                        directory_id: disk.directory,
                    })
            })
        });
        let all = i32::try_from(voters.len()).is_ok_and(|count| count == replicas);
        if !right || !all || self.config.is_some() {
            self.complain(format!(
                "voters from other than {replicas} empty members: {voters:?}"
            ));
        }
        self.voters = Some(voters.to_vec());
    }

    fn initialize(&mut self, ordinal: i32, voters: &[Voter]) -> Result<(), Stopped> {
        if self.voters.as_deref() != Some(voters) {
            self.complain("initialises with other voters than were written down".to_owned());
        }
        // Asking a member again that did it already is answered and changes nothing.
        let again = self.disks.get(&ordinal).is_some_and(|disk| disk.configured);
        let other = self
            .config
            .as_deref()
            .is_some_and(|config| config != voters);
        if other || self.term > 0 && !again {
            self.complain("initialises a second time".to_owned());
        }
        let lowest = voters.iter().map(|voter| voter.id).min();
        if lowest != u32::try_from(ordinal + 1).ok() {
            self.complain(format!("asks {ordinal} to initialise"));
        }
        let pinned = voters.iter().all(|voter| {
            let ordinal = i32::try_from(voter.id).expect("small") - 1;
            self.up(ordinal)
                && self
                    .disks
                    .get(&ordinal)
                    .is_some_and(|disk| disk.directory == voter.directory_id)
        });
        let disk = self.disks.get_mut(&ordinal).ok_or(Stopped)?;
        if !pinned {
            return Err(Stopped);
        }
        disk.configured = true;
        self.config = Some(voters.to_vec());
        Ok(())
    }

    fn unlabel(&mut self, pods: &[String]) {
        for (ordinal, pod) in &mut self.pods {
            if pod.labelled && pods.contains(&format!("meta-{ordinal}")) {
                pod.labelled = false;
                pod.version += 1;
            }
        }
    }

    fn label(&mut self, name: &str, uid: &str) -> Result<(), Stopped> {
        let pod = self.pods.get_mut(&ordinal(name)).ok_or(Stopped)?;
        if pod.uid.to_string() != uid {
            return Err(Stopped);
        }
        pod.labelled = true;
        pod.version += 1;
        Ok(())
    }

    /// Nothing more to do means that exactly the leader is labelled.
    fn check_labels(&mut self) {
        let labelled: Vec<i32> = self
            .pods
            .iter()
            .filter(|(_, pod)| pod.labelled)
            .map(|(ordinal, _)| *ordinal)
            .collect();
        if labelled.len() > 1 {
            self.complain(format!("{labelled:?} all have the controller's label"));
        }
    }

    fn transfer(&mut self, from: i32, target: u32, term: u64) -> Result<(), Stopped> {
        let to = i32::try_from(target).expect("small") - 1;
        self.watch.transfers += 1;
        if self.leader != Some(from) || self.term != term || !self.holds(to) || self.transfers_fail
        {
            return Err(Stopped);
        }
        if self
            .set
            .as_ref()
            .is_none_or(|set| set.update != Some(self.pods[&to].revision))
        {
            self.complain(format!("leadership goes to {to}, which is outdated"));
        }
        self.lead(to);
        Ok(())
    }

    fn delete(&mut self, name: &str, uid: &str, version: &str, fresh: bool) -> Result<(), Stopped> {
        let ordinal = ordinal(name);
        let pod = self.pods.get(&ordinal).ok_or(Stopped)?;
        if pod.uid.to_string() != uid
            || pod.version.to_string() != version
            || pod.stopping_since.is_some()
        {
            return Err(Stopped);
        }
        self.check_deletion(ordinal, fresh);
        if self.config.is_some() && self.up(ordinal) {
            // What did not run before is not down by our hand.
            self.watch.by_our_hand.insert(ordinal);
        }
        *self.watch.restarts.entry(ordinal).or_default() += 1;
        self.stop(ordinal);
        Ok(())
    }
}

fn take(left: &mut usize) -> Result<(), Stopped> {
    *left = left.checked_sub(1).ok_or(Stopped)?;
    Ok(())
}

fn ordinal(name: &str) -> i32 {
    let digits = name.rsplit('-').next().unwrap_or_default();
    digits.parse().expect("a pod's name")
}
