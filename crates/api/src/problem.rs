//! RFC 9457 problem documents: the body of every error.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rest::membership::Membership;
use crate::status::Code;

/// Media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Longest `detail`, in bytes: a caller's value is quoted, but not echoed without bound.
const DETAIL_LENGTH_MAX: usize = 1_000;

/// The body of every answer that is not a success (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `urn:dmq:error:` and the code in lower case.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short text, the same for every occurrence of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong this time: field, value and rule where there are such.
    pub detail: String,
    /// The error code, for example `TOPIC_ALREADY_EXISTS`.
    pub code: String,
    /// Nothing was done, and the same request may succeed later.
    pub retriable: bool,
    /// The request may or may not have taken effect; repeat it with the same `Idempotency-Key`.
    pub outcome_unknown: bool,
    /// The field, parameter or header that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The controller's node id, with `NOT_CONTROLLER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_id: Option<u32>,
    /// The controller's REST address, with `NOT_CONTROLLER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_url: Option<String>,
    /// The index of the newest committed configuration, with `STALE_MEMBERSHIP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership_index: Option<u64>,
    /// What the change that is under way leads to, with `MEMBERSHIP_CHANGING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Box<Membership>>,
}

impl Problem {
    /// A problem of this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let row = code.row();
        Self {
            kind: format!(
                "urn:dmq:error:{}",
                row.name.to_ascii_lowercase().replace('_', "-")
            ),
            title: row.title.to_owned(),
            status: row.status.as_u16(),
            detail: shortened(detail.into()),
            code: row.name.to_owned(),
            retriable: row.retriable,
            outcome_unknown: row.outcome_unknown,
            field: None,
            leader_id: None,
            leader_url: None,
            membership_index: None,
            target: None,
        }
    }

    /// A problem of one field: names it, its value and the rule.
    pub fn of_field(code: Code, field: &str, value: &str, rule: &str) -> Self {
        let value = shortened(value.to_owned());
        Self::new(code, format!("{field} is '{value}': {rule}")).with_field(field)
    }

    /// The same problem, naming a field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > DETAIL_LENGTH_MAX {
        let cut = (0..=DETAIL_LENGTH_MAX)
            .rev()
            .find(|&at| text.is_char_boundary(at));
        text.truncate(cut.unwrap_or(0));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_without_a_leader_has_the_shape_of_rfc_9457() {
        let problem =
            Problem::of_field(Code::InvalidPartitions, "numPartitions", "0", "at least 1");
        let expected = serde_json::json!({
            "type": "urn:dmq:error:invalid-partitions",
            "title": "Invalid number of partitions",
            "status": 422,
            "detail": "numPartitions is '0': at least 1",
            "code": "INVALID_PARTITIONS",
            "retriable": false,
            "outcomeUnknown": false,
            "field": "numPartitions",
        });
        assert_eq!(serde_json::to_value(problem).unwrap(), expected);
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let problem = Problem::new(Code::InvalidTopic, "é".repeat(4_000));
        assert!(problem.detail.len() <= DETAIL_LENGTH_MAX + 3);
        assert!(problem.detail.ends_with("é..."));
    }
}
