//! The applier's thread: applies committed entries and publishes the view.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use dmq_log::Disk;
use dmq_metadata::{FeatureLevel, MetadataIndex, StateHash, Term};
use dmq_replica::{Applier, ApplierInput, ApplierOutput, DriverInput, FeedInput};

use super::Work;
use crate::handle::View;
use crate::metrics::Metrics;
use crate::queue::{Receiver, Sender};

/// State hashes that are kept for `GET /state-hash?index=`: one for every entry, 40 bytes each.
const HASHES_KEPT: usize = 8_192;

/// The hashes of the newest entries.
#[derive(Debug, Default)]
pub struct HashRing(Mutex<VecDeque<(MetadataIndex, StateHash, FeatureLevel)>>);

impl HashRing {
    /// The hash after the entry at `index`, if it is kept.
    pub fn at(&self, index: MetadataIndex) -> Option<(StateHash, FeatureLevel)> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = ring
            .binary_search_by_key(&index, |(index, ..)| *index)
            .ok()?;
        ring.get(position).map(|(_, hash, level)| (*hash, *level))
    }

    fn note(&self, feed: &FeedInput) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match feed {
            FeedInput::Changes { sets, .. } => {
                ring.extend(sets.iter().map(|set| {
                    (
                        MetadataIndex(set.id.index.0),
                        set.state_hash,
                        set.feature_level,
                    )
                }));
                let surplus = ring.len().saturating_sub(HASHES_KEPT);
                ring.drain(..surplus);
            }
            FeedInput::Replaced(_) => ring.clear(),
            FeedInput::Start(_) | FeedInput::Durable(_) | FeedInput::Stored(_) => {}
        }
    }
}

/// Where the applier's outputs go.
pub struct ApplierPorts {
    /// The published view.
    pub view: Arc<ArcSwap<View>>,
    /// The kept hashes.
    pub hashes: Arc<HashRing>,
    /// To the projector feed.
    pub feed: tokio::sync::mpsc::Sender<FeedInput>,
    /// To the driver.
    pub driver: Sender<Work>,
    /// Where batches are counted.
    pub metrics: Arc<Metrics>,
}

/// Runs until the queue is closed.
pub fn run<D: Disk>(mut applier: Applier<D>, inbox: &Receiver<ApplierInput>, ports: &ApplierPorts) {
    let mut batch = Vec::new();
    let mut idle = true;
    loop {
        // With work at hand only what has arrived already is taken along.
        let deadline = (!idle).then(Instant::now);
        if !inbox.drain_until(&mut batch, deadline) {
            return;
        }
        batch.drain(..).for_each(|input| applier.push(input));
        let started = Instant::now();
        match applier.work() {
            None => idle = true,
            Some(output) => {
                idle = false;
                count(&output, started, &ports.metrics);
                hand_on(output, ports);
            }
        }
    }
}

fn count(output: &ApplierOutput, started: Instant, metrics: &Metrics) {
    for input in &output.driver {
        match input {
            DriverInput::Applied(batch) => {
                metrics
                    .apply
                    .observe_batch(started.elapsed(), batch.entries.len());
            }
            DriverInput::ApplierStopped(_) => {
                metrics.apply.errors.inc();
            }
            _ => {}
        }
    }
}

/// The view as REST handlers read it.
pub fn published(view: &dmq_replica::View) -> View {
    View {
        image: view.image.clone(),
        term: Term(view.last.term.0),
    }
}

/// The view before the answers: whoever is answered because of this output must find it. The hashes before
/// the view: whoever sees an index must find the hashes up to it.
fn hand_on(output: ApplierOutput, ports: &ApplierPorts) {
    if let Some(feed) = &output.feed {
        ports.hashes.note(feed);
    }
    if let Some(view) = output.view {
        ports.view.store(Arc::new(published(&view)));
    }
    if let Some(feed) = output.feed {
        drop(ports.feed.blocking_send(feed));
    }
    if !output.driver.is_empty() {
        ports
            .driver
            .push_all_always(output.driver.into_iter().map(Work::Input));
    }
}

#[cfg(test)]
mod tests {
    use dmq_metadata::{Changes, ClusterId, Image, LogTime};
    use dmq_raft::{Configuration, EntryId, LogIndex};
    use dmq_replica::ChangeSet;

    use super::*;

    /// Entries of the test: their hashes are all kept.
    const ENTRIES: u64 = 4_000;

    fn applied(image: &mut Image, index: u64) -> ApplierOutput {
        dmq_metadata::advance(image, MetadataIndex(index)).unwrap();
        let configuration = (LogIndex(1), Arc::new(Configuration::default()));
        let id = EntryId {
            index: LogIndex(index),
            term: dmq_raft::Term(1),
        };
        let view = dmq_replica::View {
            image: image.clone(),
            last: id,
            configuration: configuration.clone(),
        };
        let set = ChangeSet {
            id,
            changes: Changes::default(),
            configuration,
            state_hash: image.state_hash(),
            feature_level: image.feature_level(),
            log_time: LogTime(0),
            size_bytes: 0,
        };
        ApplierOutput {
            view: Some(view.clone()),
            feed: Some(FeedInput::Changes {
                sets: vec![set],
                view,
            }),
            driver: Vec::new(),
        }
    }

    #[test]
    fn whoever_sees_an_index_finds_its_hash() {
        let mut image = Image::new(ClusterId::parse("dmq").unwrap());
        let first = View {
            image: image.clone(),
            term: Term(1),
        };
        let (feed, _fed) = tokio::sync::mpsc::channel(usize::try_from(ENTRIES).unwrap());
        let ports = ApplierPorts {
            view: Arc::new(ArcSwap::from_pointee(first)),
            hashes: Arc::default(),
            feed,
            driver: crate::queue::bounded(1).0,
            metrics: Arc::new(Metrics::new()),
        };
        let (view, hashes) = (Arc::clone(&ports.view), Arc::clone(&ports.hashes));
        let reader = std::thread::spawn(move || {
            loop {
                let seen = view.load().image.index();
                let kept = seen.0 == 0 || hashes.at(seen).is_some();
                if !kept || seen.0 == ENTRIES {
                    return kept;
                }
            }
        });
        for index in 1..=ENTRIES {
            hand_on(applied(&mut image, index), &ports);
        }
        assert!(reader.join().unwrap(), "an index without its hash");
    }
}
