//! Rot: a bit of what lies on a disk is another one. A member must refuse what it cannot vouch for, naming
//! file and offset, and is then replaced; it must never go on with less than it had (DESIGN 6.2).

use std::path::PathBuf;

use dmq_log::sim::SimDisk;
use dmq_log::{DataDir, Log, LogOptions, Recovered, Visit, verify};
use dmq_replica::Member;

use super::faults::Done;
use super::history::Violation;
use super::node::settings;
use super::params::{MS, SECOND};
use super::rng::Rng;
use super::world::{Event, World};

impl World {
    /// A node is switched off, and a bit of its disk flips. It is never done where the quorum would not
    /// survive the loss of that disk.
    ///
    /// # Errors
    /// The node does not notice, and has lost something.
    pub(super) fn rot(&mut self, node: usize, rng: &mut Rng) -> Result<Done, Violation> {
        if !self.can_lose(node) {
            return Ok(None);
        }
        self.disk_recovers(node);
        self.bury(node);
        // A start and an orderly end: so the last frame is an empty one, and the window of DESIGN 6.2 shut.
        let Ok(before) = self.inspect(node, &self.nodes[node].disk) else {
            return Ok(None);
        };
        self.nodes[node].disk.kill();
        let Some((file, offset)) = self.place(node, rng) else {
            return Ok(None);
        };
        let bit = u8::try_from(rng.index(8)).unwrap_or(0);
        self.nodes[node].disk.flip_bit(&file, offset, bit);
        self.faults.bit_flips += 1;
        let what = format!(
            "node {node}: bit {bit} of {} at {offset} flips",
            file.display()
        );
        let after = self.inspect(node, &self.nodes[node].disk.fork());
        self.judge_rot(node, &what, &before, after)
    }

    fn judge_rot(
        &mut self,
        node: usize,
        what: &str,
        before: &Recovered,
        after: Result<Recovered, String>,
    ) -> Result<Done, Violation> {
        match after {
            Ok(after) if same(before, &after) => Ok(Some(format!("{what}, where it does no harm"))),
            Ok(after) => Err(format!(
                "{what}, and data is lost silently: {} -> {}, {:?} -> {:?}",
                before.last(),
                after.last(),
                before.hard_state,
                after.hard_state
            )),
            Err(refusal) if what.contains(".seg") && !refusal.contains("at offset") => Err(
                format!("{what}, and the refusal does not say where: {refusal}"),
            ),
            Err(refusal) => {
                self.faults.refused_disks += 1;
                self.nodes[node].damaged = true;
                let delay = self.nodes[node].rng.between(100 * MS, 2 * SECOND);
                self.after(delay, Event::Replace(node));
                Ok(Some(format!("{what}, and it refuses to start: {refusal}")))
            }
        }
    }

    /// What a start finds on a disk: what the log holds, if a member comes up with it.
    fn inspect(&self, node: usize, disk: &SimDisk) -> Result<Recovered, String> {
        let root = self.nodes[node].root();
        let options = LogOptions::default();
        let recovered = {
            let dir = DataDir::open(disk, &root).map_err(|error| error.to_string())?;
            Log::open(&dir, options)
                .map_err(|error| error.to_string())?
                .1
        };
        let dir = DataDir::open(disk, &root).map_err(|error| error.to_string())?;
        let settings = settings(&self.params, self.nodes[node].member(), 1);
        match Member::open(&dir, settings, options) {
            Ok(_) => Ok(recovered),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A byte of the node's disk, most often one of the log that is in use.
    fn place(&self, node: usize, rng: &mut Rng) -> Option<(PathBuf, usize)> {
        let disk = &self.nodes[node].disk;
        if rng.chance(600) {
            let mut frames = Vec::new();
            let visited = verify(disk, &self.nodes[node].root(), &mut |visit| {
                if let Visit::Frame { file, offset, .. } = visit {
                    frames.push((file.to_path_buf(), offset));
                }
            });
            let (file, offset) = rng.pick(&frames)?.clone();
            visited.ok()?;
            let offset = usize::try_from(offset).ok()?;
            // Near the beginning of a frame is its header, then its records.
            let within = if rng.chance(500) { 300 } else { 4_096 };
            return Some((file, offset + rng.index(within)));
        }
        let mut files = disk.files();
        files.retain(|file| disk.contents(file).is_some_and(|bytes| !bytes.is_empty()));
        let file = rng.pick(&files)?.clone();
        let len = disk.contents(&file)?.len();
        Some((file, rng.index(len)))
    }
}

/// Whether nothing is lost: term, vote and entries are what they were.
fn same(before: &Recovered, after: &Recovered) -> bool {
    before.hard_state == after.hard_state
        && before.start == after.start
        && before.start_configuration == after.start_configuration
        && before.entries == after.entries
}
