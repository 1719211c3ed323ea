//! Deduplication, apply's first step: a keyed request is executed once and answered alike for 5 minutes of log time.

use std::sync::Arc;

use super::execute;
use crate::changes::Change;
use crate::command::Envelope;
use crate::dedup::{DEDUP_ENTRIES_MAX, DedupEntry, DedupKey, Idempotency};
use crate::ids::MetadataIndex;
use crate::image::Image;
use crate::mutant;
use crate::outcome::{Outcome, Rejection, RejectionCode};

/// Most expired rows that one entry removes: bounds its work, yet more leave than one entry adds.
const EXPIRED_PER_ENTRY_MAX: usize = 64;

/// An outcome, and where it was first given.
pub(super) struct Answer {
    /// The outcome.
    pub(super) outcome: Outcome,
    /// Index of the entry that was answered so, if it is another one.
    pub(super) answered_at: Option<MetadataIndex>,
}

/// Answers from memory what was answered before; else executes and remembers.
pub(super) fn answer_once(image: &mut Image, envelope: &Envelope) -> (Answer, Vec<Change>) {
    let mut changes = forget_expired(image);
    let Some(idempotency) = &envelope.idempotency else {
        let (outcome, rows) = execute(image, envelope);
        changes.extend(rows);
        return (
            Answer {
                outcome,
                answered_at: None,
            },
            changes,
        );
    };
    let key = DedupKey {
        principal: envelope.principal.clone(),
        key: idempotency.key.clone(),
    };
    if let Some(answer) = remembered(image, &key, idempotency) {
        return (answer, changes);
    }
    let (outcome, rows) = execute(image, envelope);
    changes.extend(rows);
    if outcome.is_ok() || !mutant::is("rejection-not-remembered") {
        changes.push(remember(image, key, idempotency, &outcome));
    }
    (
        Answer {
            outcome,
            answered_at: None,
        },
        changes,
    )
}

/// Removes the oldest rows whose time is over.
fn forget_expired(image: &mut Image) -> Vec<Change> {
    let now = image.log_time();
    let expired = image
        .dedup_by_age()
        .take_while(|entry| entry.is_expired(now));
    let delete = |entry: &Arc<DedupEntry>| Change::DeleteDedup(entry.key.clone());
    let changes: Vec<Change> = expired.take(EXPIRED_PER_ENTRY_MAX).map(delete).collect();
    for change in &changes {
        image.absorb(change);
    }
    changes
}

/// The answer that needs no execution: the earlier one, or that the key or the table does not allow one.
fn remembered(image: &Image, key: &DedupKey, idempotency: &Idempotency) -> Option<Answer> {
    let now = image.log_time();
    match image.dedup(key).filter(|entry| !entry.is_expired(now)) {
        Some(entry)
            if entry.fingerprint != idempotency.fingerprint
                && !mutant::is("answer-of-another-request") =>
        {
            Some(refusal(key_reused(entry)))
        }
        Some(entry) => Some(Answer {
            outcome: entry.outcome.clone(),
            answered_at: Some(entry.index),
        }),
        // Not full if any row had expired: one was cleared away just now.
        None if image.counts().dedup_entries >= DEDUP_ENTRIES_MAX => Some(refusal(table_full(key))),
        None => None,
    }
}

fn remember(
    image: &mut Image,
    key: DedupKey,
    idempotency: &Idempotency,
    outcome: &Outcome,
) -> Change {
    let change = Change::PutDedup(Arc::new(DedupEntry {
        key,
        fingerprint: idempotency.fingerprint,
        index: image.index(),
        log_time: image.log_time(),
        outcome: outcome.clone(),
    }));
    image.absorb(&change);
    change
}

fn refusal(rejection: Rejection) -> Answer {
    Answer {
        outcome: Err(rejection),
        answered_at: None,
    }
}

fn key_reused(entry: &DedupEntry) -> Rejection {
    let rule = format!(
        "the key belongs to another request, answered at index {}; use a new key for a new request",
        entry.index
    );
    Rejection::new(
        RejectionCode::IdempotencyKeyReused,
        "Idempotency-Key",
        &entry.key.key,
        &rule,
    )
}

fn table_full(key: &DedupKey) -> Rejection {
    let rule = format!("{DEDUP_ENTRIES_MAX} keyed answers of the last 5 minutes are kept already");
    Rejection::new(
        RejectionCode::TooManyRequests,
        "Idempotency-Key",
        &key.key,
        &rule,
    )
}
