//! Changes of the membership: voters and observers, each with the membership index that the caller expects.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::quorum::VoterBody;

/// Body of `PUT /quorum/voters`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VotersRequest {
    /// The whole new voter set: 1 to 7 voters, better an odd number. Whoever is new must be a caught-up observer.
    #[serde(
        default,
        deserialize_with = "crate::object::optional_list",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(required = true)]
    pub voters: Option<Vec<VoterBody>>,
    /// `committedMembershipIndex` of `GET /quorum`: the configuration that the change was decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub expected_membership_index: Option<u64>,
}

/// Body of `POST /quorum/observers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObserverRequest {
    /// Node id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub id: Option<u32>,
    /// Its data directory, as its own `GET /quorum` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub directory_id: Option<Uuid>,
    /// `committedMembershipIndex` of `GET /quorum`: the configuration that the change was decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub expected_membership_index: Option<u64>,
}

/// Parameters of `DELETE /quorum/observers/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct RemoveObserverQuery {
    /// Required: `committedMembershipIndex` of `GET /quorum`, the configuration that the change was decided on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_membership_index: Option<u64>,
}

/// A configuration: the answer to a change, or the target of one that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Index of its entry.
    pub membership_index: u64,
    /// Members that vote.
    pub voters: Vec<VoterBody>,
    /// Members that only replicate.
    pub observers: Vec<VoterBody>,
}
