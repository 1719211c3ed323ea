//! Changes to and from their message, for whoever follows the metadata from afar.

use std::sync::Arc;

use prost::Message;

use super::read::{broken, present, uuid};
use super::wire::{self, ChangeKind};
use super::{DecodeError, FORMAT};
use crate::changes::{Change, Changes};
use crate::ids::{BrokerId, TopicId};
use crate::row::Settings;

/// Bytes of the effect of one entry.
pub fn encode_changes(changes: &Changes) -> Vec<u8> {
    let settings = Settings {
        feature_level: changes.feature_level,
        log_time: changes.log_time,
    };
    let message = wire::Changes {
        format: FORMAT,
        settings: Some((&settings).into()),
        rows: changes.rows.iter().map(to_wire).collect(),
    };
    message.encode_to_vec()
}

/// Reads the effect of one entry.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_changes(bytes: &[u8]) -> Result<Changes, DecodeError> {
    let message = wire::Changes::decode(bytes).map_err(broken("changes"))?;
    if message.format != FORMAT {
        return Err(DecodeError::UnknownEntry(format!(
            "changes of format {}",
            message.format
        )));
    }
    let settings: Settings = present("settings of changes", message.settings)?.into();
    let rows = message
        .rows
        .into_iter()
        .map(from_wire)
        .collect::<Result<_, _>>()?;
    Ok(Changes {
        rows,
        log_time: settings.log_time,
        feature_level: settings.feature_level,
    })
}

fn to_wire(change: &Change) -> wire::Change {
    let kind = match change {
        Change::PutTopic(row) => ChangeKind::PutTopic(row.as_ref().into()),
        Change::DeleteTopic(id) => ChangeKind::DeleteTopic(id.0.into()),
        Change::PutPartition(row) => ChangeKind::PutPartition(row.as_ref().into()),
        Change::DeletePartitions(id) => ChangeKind::DeletePartitions(id.0.into()),
        Change::PutBroker(row) => ChangeKind::PutBroker(row.as_ref().into()),
        Change::DeleteBroker(id) => ChangeKind::DeleteBroker(id.0),
        Change::PutDedup(row) => ChangeKind::PutDedup(row.as_ref().into()),
        Change::DeleteDedup(key) => ChangeKind::DeleteDedup(key.into()),
    };
    wire::Change { kind: Some(kind) }
}

fn from_wire(message: wire::Change) -> Result<Change, DecodeError> {
    let unknown = || DecodeError::UnknownEntry("a change of unknown kind".to_owned());
    Ok(match message.kind.ok_or_else(unknown)? {
        ChangeKind::PutTopic(row) => Change::PutTopic(Arc::new(row.try_into()?)),
        ChangeKind::DeleteTopic(id) => Change::DeleteTopic(TopicId(uuid("topic id", &id)?)),
        ChangeKind::PutPartition(row) => Change::PutPartition(Arc::new(row.try_into()?)),
        ChangeKind::DeletePartitions(id) => {
            Change::DeletePartitions(TopicId(uuid("topic id", &id)?))
        }
        ChangeKind::PutBroker(row) => Change::PutBroker(Arc::new(row.try_into()?)),
        ChangeKind::DeleteBroker(id) => Change::DeleteBroker(BrokerId(id)),
        ChangeKind::PutDedup(row) => Change::PutDedup(Arc::new(row.try_into()?)),
        ChangeKind::DeleteDedup(key) => Change::DeleteDedup(key.try_into()?),
    })
}
