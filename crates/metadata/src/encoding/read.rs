//! Small steps from what a message holds to what the domain means, with the error that names the field.

use uuid::Uuid;

use super::DecodeError;
use crate::ids::BrokerId;
use crate::outcome::Rejection;
use crate::partition::LeaderRecovery;

/// A malformed message.
pub(super) fn malformed(what: &'static str, reason: impl Into<String>) -> DecodeError {
    DecodeError::Malformed {
        what,
        reason: reason.into(),
    }
}

/// Protobuf that cannot be read at all.
pub(super) fn broken(what: &'static str) -> impl Fn(prost::DecodeError) -> DecodeError {
    move |error| malformed(what, error.to_string())
}

/// A name that breaks its rule: no version wrote it.
pub(super) fn bad_name(what: &'static str) -> impl Fn(Rejection) -> DecodeError {
    move |rejection| malformed(what, rejection.message)
}

/// A field that every version writes.
pub(super) fn present<T>(what: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| malformed(what, "it is missing"))
}

/// 16 bytes as UUID.
pub(super) fn uuid(what: &'static str, bytes: &[u8]) -> Result<Uuid, DecodeError> {
    Uuid::from_slice(bytes).map_err(|_| wrong_length(what, bytes))
}

/// 16 bytes, big endian, as number.
pub(super) fn u128(what: &'static str, bytes: &[u8]) -> Result<u128, DecodeError> {
    bytes
        .try_into()
        .map(u128::from_be_bytes)
        .map_err(|_| wrong_length(what, bytes))
}

/// A TCP port.
pub(super) fn port(number: u32) -> Result<u16, DecodeError> {
    u16::try_from(number).map_err(|_| malformed("port", format!("{number} is above 65535")))
}

/// Numbers of brokers.
pub(super) fn brokers(numbers: Vec<u32>) -> Vec<BrokerId> {
    numbers.into_iter().map(BrokerId).collect()
}

/// Recovery state; a number from a newer version is unknown.
pub(super) fn recovery(number: u32) -> Result<LeaderRecovery, DecodeError> {
    match number {
        0 => Ok(LeaderRecovery::Recovered),
        1 => Ok(LeaderRecovery::Recovering),
        _ => Err(DecodeError::UnknownEntry(format!(
            "leader recovery state {number}"
        ))),
    }
}

fn wrong_length(what: &'static str, bytes: &[u8]) -> DecodeError {
    malformed(what, format!("{} bytes instead of 16", bytes.len()))
}
