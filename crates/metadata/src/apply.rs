//! The only way forward for an image: one entry, decided against the rows, then taken in.

use crate::changes::Changes;
use crate::command::Envelope;
use crate::ids::{FeatureLevel, MetadataIndex};
use crate::image::Image;
use crate::outcome::Outcome;

/// What an entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer to whoever proposed it.
    pub outcome: Outcome,
    /// What a store must write.
    pub changes: Changes,
    /// If deduplication gave the answer: the index of the entry that was first answered so.
    pub answered_at: Option<MetadataIndex>,
}

/// Why an entry was not applied; the image is as before. The caller stops before the entry (DESIGN 6.7).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The entry raises the feature level beyond what this binary knows.
    #[error("entry {index} needs feature level {level}, but this version knows up to {max}: upgrade this node", max = FeatureLevel::MAX)]
    UnknownEntry {
        /// The entry.
        index: MetadataIndex,
        /// The level that it sets.
        level: FeatureLevel,
    },
    /// The entry is not the one after the image.
    #[error("entry {index} does not follow the image, which is at {image}")]
    OutOfOrder {
        /// The entry.
        index: MetadataIndex,
        /// Where the image is.
        image: MetadataIndex,
    },
}

/// Applies the entry at `index`, which must be the one after the image's.
/// Same image and same entry: same outcome, changes and image, on every node.
///
/// # Errors
/// See [`ApplyError`]; the image is unchanged then.
pub fn apply(
    image: &mut Image,
    index: MetadataIndex,
    envelope: &Envelope,
) -> Result<Applied, ApplyError> {
    let _ = (image, index, envelope);
    Err(ApplyError::OutOfOrder {
        index,
        image: MetadataIndex(0),
    })
}

/// Passes an entry that is none of ours: a no-op of a new term, or a configuration of the quorum.
/// Only the index changes.
///
/// # Errors
/// [`ApplyError::OutOfOrder`].
pub fn advance(image: &mut Image, index: MetadataIndex) -> Result<(), ApplyError> {
    let _ = (image, index);
    Ok(())
}

/// The answer that the command would get as the next entry, without making it one (`validateOnly`).
/// Deduplication is left out: nothing is done, so nothing is done twice.
pub fn preview(image: &Image, envelope: &Envelope) -> Outcome {
    let _ = (image, envelope);
    Ok(crate::outcome::Reply::FeatureLevelSet(FeatureLevel::ZERO))
}
