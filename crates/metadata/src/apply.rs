//! The only way forward for an image: one entry, decided against the rows, then taken in.

mod brokers;
mod context;
mod dedup;
mod elections;
mod features;
mod isr;
mod topics;

use std::sync::Arc;

use self::context::{Context, Decision};
use crate::changes::{Change, Changes};
use crate::command::{Command, Envelope};
use crate::ids::{FeatureLevel, LeaderEpoch, MetadataIndex, PartitionEpoch};
use crate::image::Image;
use crate::mutant;
use crate::outcome::{Outcome, Rejection, RejectionCode};
use crate::partition::Partition;
use crate::validate;

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
    #[error(
        "entry {index} needs feature level {level}, but this version knows up to {max}: \
         upgrade this node", max = FeatureLevel::MAX
    )]
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
    check_known(index, envelope)?;
    advance(image, index)?;
    let mut log_time = image.log_time().max(envelope.log_time);
    if mutant::is("log-time-falls") {
        log_time = envelope.log_time;
    }
    image.set_log_time(log_time);
    let (answer, rows) = if image.feature_level() == FeatureLevel::ZERO {
        let (outcome, rows) = execute(image, envelope);
        (
            dedup::Answer {
                outcome,
                answered_at: None,
            },
            rows,
        )
    } else {
        dedup::answer_once(image, envelope)
    };
    let (log_time, feature_level) = (image.log_time(), image.feature_level());
    Ok(Applied {
        outcome: answer.outcome,
        changes: Changes {
            rows,
            log_time,
            feature_level,
        },
        answered_at: answer.answered_at,
    })
}

/// Passes an entry that is none of ours: a no-op of a new term, or a configuration of the quorum.
/// Only the index changes.
///
/// # Errors
/// [`ApplyError::OutOfOrder`].
pub fn advance(image: &mut Image, index: MetadataIndex) -> Result<(), ApplyError> {
    if index != image.index().next() {
        return Err(ApplyError::OutOfOrder {
            index,
            image: image.index(),
        });
    }
    image.set_index(index);
    Ok(())
}

/// How far both epochs of every partition rise when a new log history begins ([`begin_anew_at`]): above all that the part
/// of the earlier history that is lost can have given out. A partition would have to change its leader or ISR a million
/// times between the survivor's last entry and the end of the others.
pub const PARTITION_EPOCH_GAP: u32 = 1 << 20;

/// Moves an image on without entries, to the position at which a new log history begins (forced recovery,
/// DESIGN 6.1). All epochs stay above what the earlier history gave out: those that are taken from the index by the
/// caller's choice of `index`, those that partitions count by themselves by a gap of 2^20.
///
/// # Errors
/// [`ApplyError::OutOfOrder`]: the position does not lie behind the image.
pub fn begin_anew_at(image: &mut Image, index: MetadataIndex) -> Result<(), ApplyError> {
    if index <= image.index() {
        return Err(ApplyError::OutOfOrder {
            index,
            image: image.index(),
        });
    }
    image.set_index(index);
    let rows: Vec<Partition> = image.partitions().map(|row| begun_anew(row)).collect();
    for row in rows {
        image.absorb(&Change::PutPartition(Arc::new(row)));
    }
    Ok(())
}

/// Leader and ISR are as before; whoever holds an epoch of the earlier history is fenced, and asks.
fn begun_anew(row: &Partition) -> Partition {
    let (leader, state) = (row.leader_epoch.0, row.partition_epoch.0);
    Partition {
        leader_epoch: LeaderEpoch(leader.saturating_add(PARTITION_EPOCH_GAP)),
        partition_epoch: PartitionEpoch(state.saturating_add(PARTITION_EPOCH_GAP)),
        ..row.clone()
    }
}

/// The answer that the command would get as the next entry, without making it one (`validateOnly`).
/// Deduplication is left out: nothing is done, so nothing is done twice.
pub fn preview(image: &Image, envelope: &Envelope) -> Outcome {
    let context = Context {
        image,
        index: image.index().next(),
        envelope,
    };
    decide(&context).map(|decision| decision.reply)
}

/// A level that this binary does not know makes the entry unknown, whatever it would have been answered.
fn check_known(index: MetadataIndex, envelope: &Envelope) -> Result<(), ApplyError> {
    match envelope.command {
        Command::SetFeatureLevel(level) if level > FeatureLevel::MAX => {
            Err(ApplyError::UnknownEntry { index, level })
        }
        _ => Ok(()),
    }
}

/// Decides the command and takes what was decided into the image.
fn execute(image: &mut Image, envelope: &Envelope) -> (Outcome, Vec<Change>) {
    let index = image.index();
    match decide(&Context {
        image,
        index,
        envelope,
    }) {
        Err(rejection) => (Err(rejection), Vec::new()),
        Ok(decision) => {
            take_in(image, &decision);
            (Ok(decision.reply), decision.changes)
        }
    }
}

fn take_in(image: &mut Image, decision: &Decision) {
    for change in &decision.changes {
        image.absorb(change);
    }
    if let Some(level) = decision.feature_level {
        image.set_feature_level(level);
    }
}

/// What the command does to this image. Reads only.
fn decide(context: &Context<'_>) -> Result<Decision, Rejection> {
    let command = &context.envelope.command;
    check_level(context.image.feature_level(), command)?;
    validate::check(command)?;
    match command {
        Command::CreateTopic(create) => topics::create(context, create),
        Command::DeleteTopic(delete) => topics::delete(context, delete),
        Command::UpdatePartition(update) => isr::update(context, update),
        Command::UpdateLeader(update) => elections::elect(context, update),
        Command::RegisterBroker(register) => brokers::register(context, register),
        Command::FenceBroker(session) => brokers::fence(context, *session),
        Command::UnfenceBroker(session) => brokers::unfence(context, *session),
        Command::SetFeatureLevel(level) => features::set(context, *level),
    }
}

/// At level 0 nothing but the step to a higher level is known.
fn check_level(level: FeatureLevel, command: &Command) -> Result<(), Rejection> {
    if level > FeatureLevel::ZERO || matches!(command, Command::SetFeatureLevel(_)) {
        return Ok(());
    }
    let rule = "the feature level in force, 0, knows only SET_FEATURE_LEVEL";
    Err(Rejection::new(
        RejectionCode::UnsupportedVersion,
        "command",
        command.name(),
        rule,
    ))
}
