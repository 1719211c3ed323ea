//! The one table of errors: code -> HTTP status, whether a retry is safe, whether the outcome is unknown.

use std::fmt;

use dmq_metadata::RejectionCode;
use http::StatusCode;

/// What an error code means to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name on the wire, for example `NOT_CONTROLLER`.
    pub name: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// The same request may be sent again: nothing was done, and it may succeed then.
    pub retriable: bool,
    /// The request may or may not have taken effect.
    pub outcome_unknown: bool,
    /// Short text for people, the same for every occurrence.
    pub title: &'static str,
}

/// Whether a retry is safe, as one word for the table.
#[derive(Clone, Copy)]
enum Retry {
    /// Nothing was done and nothing will change by itself.
    Never,
    /// Nothing was done; try again.
    Safe,
    /// It may have been done.
    Unknown,
}

/// Defines [`Code`] and its rows, so that no code exists without one.
macro_rules! table {
    ($($variant:ident $name:literal $status:ident $retry:ident $title:literal;)*) => {
        /// Every error code of the REST interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The row of this code.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$variant => Row {
                        name: $name,
                        status: StatusCode::$status,
                        retriable: matches!(Retry::$retry, Retry::Safe),
                        outcome_unknown: matches!(Retry::$retry, Retry::Unknown),
                        title: $title,
                    },)*
                }
            }

            /// The code of a name on the wire.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

table! {
    MalformedRequest "MALFORMED_REQUEST" BAD_REQUEST Never "Request is not valid HTTP";
    MalformedJson "MALFORMED_JSON" BAD_REQUEST Never "Body is not valid JSON";
    UnknownField "UNKNOWN_FIELD" BAD_REQUEST Never "Unknown field";
    DuplicateField "DUPLICATE_FIELD" BAD_REQUEST Never "Field given twice";
    InvalidType "INVALID_TYPE" BAD_REQUEST Never "Value of the wrong type";
    InvalidParameter "INVALID_PARAMETER" BAD_REQUEST Never "Parameter cannot be read";
    InvalidHeader "INVALID_HEADER" BAD_REQUEST Never "Header cannot be read";
    Unauthenticated "UNAUTHENTICATED" UNAUTHORIZED Never "Token missing or wrong";
    Forbidden "FORBIDDEN" FORBIDDEN Never "Not allowed";
    NotFound "NOT_FOUND" NOT_FOUND Never "No such path";
    MethodNotAllowed "METHOD_NOT_ALLOWED" METHOD_NOT_ALLOWED Never "Method not allowed";
    RequestTimeout "REQUEST_TIMEOUT" REQUEST_TIMEOUT Safe "Request did not arrive in time";
    Conflict "CONFLICT" CONFLICT Never "Contradicts the present state";
    StaleTerm "STALE_TERM" CONFLICT Never "Expected another term";
    StaleMembership "STALE_MEMBERSHIP" CONFLICT Never "Expected another membership index";
    MembershipChanging "MEMBERSHIP_CHANGING" CONFLICT Never "Another change of members is under way";
    NotCaughtUp "NOT_CAUGHT_UP" CONFLICT Never "Member is not caught up";
    UnknownMember "UNKNOWN_MEMBER" NOT_FOUND Never "No such member";
    Compacted "COMPACTED" GONE Never "Position is no longer kept";
    PreconditionFailed "PRECONDITION_FAILED" PRECONDITION_FAILED Never "If-Match is not met";
    BodyTooLarge "BODY_TOO_LARGE" PAYLOAD_TOO_LARGE Never "Body too large";
    UriTooLong "URI_TOO_LONG" URI_TOO_LONG Never "URI too long";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" UNSUPPORTED_MEDIA_TYPE Never "Content type not supported";
    HeadersTooLarge "HEADERS_TOO_LARGE" REQUEST_HEADER_FIELDS_TOO_LARGE Never "Headers too large";
    InvalidRequest "INVALID_REQUEST" UNPROCESSABLE_ENTITY Never "Request breaks a rule";
    Internal "INTERNAL" INTERNAL_SERVER_ERROR Never "Defect of the server";

    NotController "NOT_CONTROLLER" SERVICE_UNAVAILABLE Safe "Not the controller";
    NoLeader "NO_LEADER" SERVICE_UNAVAILABLE Safe "No controller is known";
    LeaderChanged "LEADER_CHANGED" SERVICE_UNAVAILABLE Safe "Controller changed; not done";
    NoQuorum "NO_QUORUM" SERVICE_UNAVAILABLE Safe "No majority answers";
    Uninitialized "UNINITIALIZED" SERVICE_UNAVAILABLE Safe "Quorum is not initialised";
    Stopping "STOPPING" SERVICE_UNAVAILABLE Safe "Node is stopping";
    NotReady "NOT_READY" SERVICE_UNAVAILABLE Safe "Node has not caught up yet";
    NotLive "NOT_LIVE" SERVICE_UNAVAILABLE Safe "Node does not work";
    Overloaded "OVERLOADED" SERVICE_UNAVAILABLE Safe "Too many requests in flight";
    NoSpace "NO_SPACE" SERVICE_UNAVAILABLE Safe "No space left for the log";
    Unavailable "UNAVAILABLE" SERVICE_UNAVAILABLE Safe "Something needed is not there";
    ReadTimeout "READ_TIMEOUT" GATEWAY_TIMEOUT Safe "Index was not applied in time";
    OutcomeUnknown "OUTCOME_UNKNOWN" GATEWAY_TIMEOUT Unknown "Outcome unknown";

    TopicAlreadyExists "TOPIC_ALREADY_EXISTS" CONFLICT Never "Topic exists";
    InvalidTopic "INVALID_TOPIC" UNPROCESSABLE_ENTITY Never "Invalid topic name";
    InvalidPartitions "INVALID_PARTITIONS" UNPROCESSABLE_ENTITY Never "Invalid number of partitions";
    InvalidReplicationFactor "INVALID_REPLICATION_FACTOR" UNPROCESSABLE_ENTITY Never "Invalid replication factor";
    InvalidReplicaAssignment "INVALID_REPLICA_ASSIGNMENT" UNPROCESSABLE_ENTITY Never "Invalid replica assignment";
    InvalidConfig "INVALID_CONFIG" UNPROCESSABLE_ENTITY Never "Invalid topic setting";
    UnknownTopicOrPartition "UNKNOWN_TOPIC_OR_PARTITION" NOT_FOUND Never "No such topic or partition";
    UnknownTopicId "UNKNOWN_TOPIC_ID" NOT_FOUND Never "No topic of that id";
    NewerStateKnown "NEWER_STATE_KNOWN" CONFLICT Never "Caller knows a newer state";
    FencedLeaderEpoch "FENCED_LEADER_EPOCH" CONFLICT Never "Leader epoch is stale";
    InvalidUpdateVersion "INVALID_UPDATE_VERSION" CONFLICT Never "Partition epoch is stale";
    IneligibleReplica "INELIGIBLE_REPLICA" UNPROCESSABLE_ENTITY Never "Replica is not eligible";
    ElectionNotNeeded "ELECTION_NOT_NEEDED" CONFLICT Never "Leads already";
    PreferredLeaderNotAvailable "PREFERRED_LEADER_NOT_AVAILABLE" CONFLICT Never "Preferred replica cannot lead";
    EligibleLeadersNotAvailable "ELIGIBLE_LEADERS_NOT_AVAILABLE" CONFLICT Never "No replica can lead";
    StaleBrokerEpoch "STALE_BROKER_EPOCH" CONFLICT Never "Broker epoch is stale";
    BrokerIdNotRegistered "BROKER_ID_NOT_REGISTERED" NOT_FOUND Never "No such broker";
    DuplicateBrokerRegistration "DUPLICATE_BROKER_REGISTRATION" CONFLICT Never "Broker is registered and alive";
    InconsistentClusterId "INCONSISTENT_CLUSTER_ID" CONFLICT Never "Belongs to another cluster";
    InvalidRegistration "INVALID_REGISTRATION" UNPROCESSABLE_ENTITY Never "Invalid broker registration";
    UnsupportedVersion "UNSUPPORTED_VERSION" UNPROCESSABLE_ENTITY Never "Feature level does not allow it";
    FeatureUpdateFailed "FEATURE_UPDATE_FAILED" CONFLICT Never "Feature level cannot be set";
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" UNPROCESSABLE_ENTITY Never "Key was used for another request";
    TooManyRequests "TOO_MANY_REQUESTS" TOO_MANY_REQUESTS Safe "Too many requests";
}

impl Code {
    /// Name on the wire.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().status
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<RejectionCode> for Code {
    /// The state machine's names are the wire's, but for one: its `NOT_CONTROLLER` says that the caller's
    /// epochs are ahead, which another controller's 503 would hide.
    fn from(code: RejectionCode) -> Self {
        match code {
            RejectionCode::NotController => Self::NewerStateKnown,
            other => Self::from_name(other.as_str()).unwrap_or(Self::InvalidRequest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_of_the_state_machine_has_a_code_of_its_own_name() {
        for &rejection in RejectionCode::ALL {
            let code = Code::from(rejection);
            if rejection != RejectionCode::NotController {
                assert_eq!(code.as_str(), rejection.as_str());
            }
            assert!(
                code.status().is_client_error(),
                "{rejection}: a rejection is the caller's"
            );
        }
    }

    #[test]
    fn names_are_unique_and_read_back() {
        for &code in Code::ALL {
            assert_eq!(Code::from_name(code.as_str()), Some(code));
        }
    }

    #[test]
    fn only_server_states_and_throttling_are_retriable() {
        for &code in Code::ALL {
            let row = code.row();
            assert!(!(row.retriable && row.outcome_unknown), "{code}");
            let may_pass_by_itself = row.status.is_server_error()
                || matches!(
                    row.status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                );
            assert!(!row.retriable || may_pass_by_itself, "{code}");
        }
    }
}
