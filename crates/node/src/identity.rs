//! Who this node is: what its data directory says, in the words of each crate.

use dmq_metadata::{ClusterId, Incarnation};
use dmq_raft::MemberId;

/// The identity that `format` wrote into the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The DMQ cluster.
    pub cluster: ClusterId,
    /// The log history.
    pub incarnation: Incarnation,
    /// The member: node id and directory id.
    pub member: MemberId,
}

impl NodeIdentity {
    /// The node id in the domain's words.
    pub fn node(&self) -> dmq_metadata::NodeId {
        node_id(self.member.node)
    }

    /// The directory id in the domain's words.
    pub fn directory(&self) -> dmq_metadata::DirectoryId {
        directory_id(self.member.directory)
    }
}

/// Raft's node id in the domain's words.
pub fn node_id(id: dmq_raft::NodeId) -> dmq_metadata::NodeId {
    dmq_metadata::NodeId(id.0)
}

/// The domain's node id in raft's words.
pub fn raft_node_id(id: dmq_metadata::NodeId) -> dmq_raft::NodeId {
    dmq_raft::NodeId(id.0)
}

/// Raft's directory id in the domain's words.
pub fn directory_id(id: dmq_raft::DirectoryId) -> dmq_metadata::DirectoryId {
    dmq_metadata::DirectoryId(uuid::Uuid::from_u128(id.0))
}

/// The domain's directory id in raft's words.
pub fn raft_directory_id(id: dmq_metadata::DirectoryId) -> dmq_raft::DirectoryId {
    dmq_raft::DirectoryId(id.0.as_u128())
}

/// Reads the form that [`Incarnation`] prints: `1` for the first history, else `<number>-<16 hex digits>`.
pub fn parse_incarnation(text: &str) -> Result<Incarnation, String> {
    let rule = || {
        format!("`{text}`; the rule: <number> or <number>-<hexadecimal nonce>, number at least 1")
    };
    let (number, nonce) = match text.split_once('-') {
        None => (text, 0),
        Some((number, nonce)) => (number, u64::from_str_radix(nonce, 16).map_err(|_| rule())?),
    };
    match number.parse() {
        Ok(number) if number > 0 => Ok(Incarnation { number, nonce }),
        _ => Err(rule()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_is_read_as_it_is_printed() {
        for incarnation in [
            Incarnation::FIRST,
            Incarnation {
                number: 3,
                nonce: 0x00ab_cdef_0123_4567,
            },
        ] {
            assert_eq!(parse_incarnation(&incarnation.to_string()), Ok(incarnation));
        }
    }

    #[test]
    fn other_texts_are_no_incarnation() {
        for text in ["", "0", "-1", "1-", "1-xyz", "one", "1-2-3"] {
            assert!(parse_incarnation(text).is_err(), "{text}");
        }
    }
}
