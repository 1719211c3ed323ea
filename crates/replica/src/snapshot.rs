//! Images to snapshot files and back: the container is the log's, the content the metadata's.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmq_log::{Disk, Identity, SnapshotError, SnapshotMeta, SnapshotReader, SnapshotStore};
use dmq_metadata::{Image, snapshot};
use dmq_raft::{Configuration, EntryId, LogIndex};

use crate::mutant;
use crate::{HeldImage, View};

/// How many snapshot files are kept: the newest, and the one before it in case the newest is damaged.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Why a snapshot file did not become an image, or an image a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFailure {
    /// The file.
    #[error(transparent)]
    File(#[from] SnapshotError),
    /// The content.
    #[error("snapshot at {last}: {source}")]
    Content {
        /// Its position.
        last: EntryId,
        /// What is wrong.
        source: snapshot::SnapshotError,
    },
    /// The content is not what the file says it is.
    #[error("snapshot at {last}: the content is at index {index} with hash {hash}")]
    Mismatch {
        /// Its position.
        last: EntryId,
        /// Index of the image in it.
        index: dmq_metadata::MetadataIndex,
        /// Hash of the image in it.
        hash: dmq_metadata::StateHash,
    },
}

/// Writes an image as a durable snapshot file and removes older ones but one. Returns the file's size in
/// bytes. Runs on a thread of its own: the image is a version that nobody changes.
pub fn write_snapshot<D: Disk>(
    store: &SnapshotStore<D>,
    identity: &Identity,
    held: &HeldImage,
) -> Result<u64, SnapshotFailure> {
    let image = &held.image;
    let meta = SnapshotMeta {
        last: held.last,
        configuration: configuration_of(held),
        cluster_id: identity.cluster_id.clone(),
        incarnation: identity.incarnation,
        feature_level: image.feature_level().0,
        state_hash: image.state_hash().0,
    };
    let mut writer = store.create(meta)?;
    snapshot::write(image, |piece| writer.write(piece))?;
    let info = writer.finish(counts(image))?;
    store.retain(SNAPSHOTS_KEPT)?;
    Ok(info.file_bytes)
}

fn configuration_of(held: &HeldImage) -> (LogIndex, Configuration) {
    if mutant::is("snapshot-without-configuration") {
        return (LogIndex(0), Configuration::default());
    }
    (held.configuration.0, held.configuration.1.as_ref().clone())
}

fn counts(image: &Image) -> BTreeMap<String, u64> {
    let counted = [
        ("topics", image.topics().count()),
        ("partitions", image.partitions().count()),
        ("brokers", image.brokers().count()),
        ("dedup", image.dedup_entries().count()),
    ];
    counted
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count as u64))
        .collect()
}

/// The image of the snapshot at this position, and the file's size in bytes.
pub(crate) fn load_snapshot<D: Disk>(
    store: &SnapshotStore<D>,
    last: EntryId,
) -> Result<(View, u64), SnapshotFailure> {
    load(&store.reader(last)?)
}

/// The image of an open snapshot, and the file's size in bytes.
pub(crate) fn load<D: Disk>(reader: &SnapshotReader<D>) -> Result<(View, u64), SnapshotFailure> {
    let info = reader.info();
    let last = info.meta.last;
    let content = |source| SnapshotFailure::Content { last, source };
    let mut rows = snapshot::Reader::new();
    for chunk in reader.chunks()? {
        rows.push(&chunk?).map_err(content)?;
    }
    let image = rows.finish().map_err(content)?;
    let (index, hash) = (image.index(), image.state_hash());
    if index.0 != last.index.0 || hash.0 != info.meta.state_hash {
        return Err(SnapshotFailure::Mismatch { last, index, hash });
    }
    let (configuration_index, configuration) = info.meta.configuration.clone();
    let configuration = (configuration_index, Arc::new(configuration));
    Ok((
        View {
            image,
            last,
            configuration,
        },
        info.file_bytes,
    ))
}
