//! Who may speak to this node: the checks that every peer call passes before the core sees it (DESIGN 6.1).

use dmq_api::peer as proto;
use dmq_metadata::{FeatureLevel, Incarnation};
use dmq_raft::{MemberId, NodeId};

use super::PeerInfo;
use super::convert::{ConvertError, member_from_proto, member_to_proto};
use crate::identity::NodeIdentity;

/// Why a call is refused. The text goes to the caller, who logs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another DMQ cluster.
    #[error("this node belongs to cluster `{ours}`, the caller to `{theirs}`")]
    Cluster {
        /// Our cluster.
        ours: String,
        /// The caller's.
        theirs: String,
    },
    /// Another log history.
    #[error("this node is of incarnation {ours}, the caller of {theirs}")]
    Incarnation {
        /// Ours.
        ours: Incarnation,
        /// The caller's.
        theirs: Incarnation,
    },
    /// The call was meant for another node.
    #[error("the call is addressed to node {wanted}, this is node {ours}: check the address book")]
    Node {
        /// Whom the caller wants.
        wanted: NodeId,
        /// Who we are.
        ours: NodeId,
    },
    /// The call was meant for an earlier or later disk of this node.
    #[error("the call is addressed to {wanted}, this is {ours}")]
    Directory {
        /// Whom the caller wants.
        wanted: MemberId,
        /// Who we are.
        ours: MemberId,
    },
    /// The caller claims our own node id.
    #[error("the caller says that it is node {0}, which is this node: two nodes have one id")]
    SameNode(NodeId),
    /// The two binaries share no feature level.
    #[error("no common feature level: this node knows {ours:?}, the caller {theirs:?}")]
    Features {
        /// Ours.
        ours: (u32, u32),
        /// The caller's.
        theirs: (u32, u32),
    },
    /// The call cannot be read.
    #[error("{0}")]
    Malformed(#[from] ConvertError),
}

/// The own side of every handshake.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// Who we are.
    pub identity: NodeIdentity,
    /// The REST address that we tell.
    pub url: String,
    /// The feature levels that this binary knows.
    pub features: (FeatureLevel, FeatureLevel),
}

impl Addressee {
    /// The address of a call to `to`.
    pub fn address(&self, to: MemberId) -> proto::PeerAddress {
        proto::PeerAddress {
            cluster_id: self.identity.cluster.to_string(),
            incarnation: Some(incarnation_to_proto(self.identity.incarnation)),
            from: Some(member_to_proto(self.identity.member)),
            to: Some(member_to_proto(to)),
            advertised_url: self.url.clone(),
            features: Some(self.range()),
        }
    }

    /// The first call to a node whose directory is not known yet.
    pub fn hello(&self, to: NodeId) -> proto::HelloRequest {
        proto::HelloRequest {
            cluster_id: self.identity.cluster.to_string(),
            incarnation: Some(incarnation_to_proto(self.identity.incarnation)),
            from: Some(member_to_proto(self.identity.member)),
            to_node_id: to.0,
            advertised_url: self.url.clone(),
            features: Some(self.range()),
        }
    }

    /// The answer to `Hello`.
    pub fn hello_reply(&self, initialized: bool, pinned: Option<[u8; 32]>) -> proto::HelloReply {
        proto::HelloReply {
            cluster_id: self.identity.cluster.to_string(),
            incarnation: Some(incarnation_to_proto(self.identity.incarnation)),
            from: Some(member_to_proto(self.identity.member)),
            advertised_url: self.url.clone(),
            features: Some(self.range()),
            initialized,
            pinned_digest: pinned.map(|digest| digest.to_vec().into()),
        }
    }

    fn range(&self) -> proto::FeatureRange {
        proto::FeatureRange {
            min: self.features.0.0,
            max: self.features.1.0,
        }
    }

    fn same_history(
        &self,
        cluster: &str,
        incarnation: Option<proto::Incarnation>,
    ) -> Result<(), Refusal> {
        if cluster != self.identity.cluster.as_str() {
            let ours = self.identity.cluster.to_string();
            return Err(Refusal::Cluster {
                ours,
                theirs: cluster.to_owned(),
            });
        }
        let theirs = incarnation.ok_or(ConvertError::Missing("incarnation"))?;
        let theirs = Incarnation {
            number: theirs.number,
            nonce: theirs.nonce,
        };
        let ours = self.identity.incarnation;
        if theirs == ours {
            Ok(())
        } else {
            Err(Refusal::Incarnation { ours, theirs })
        }
    }

    fn common_features(
        &self,
        theirs: Option<proto::FeatureRange>,
    ) -> Result<(FeatureLevel, FeatureLevel), Refusal> {
        let theirs = theirs.ok_or(ConvertError::Missing("features"))?;
        let (min, max) = (self.features.0.0, self.features.1.0);
        if theirs.min > max || theirs.max < min {
            return Err(Refusal::Features {
                ours: (min, max),
                theirs: (theirs.min, theirs.max),
            });
        }
        Ok((FeatureLevel(theirs.min), FeatureLevel(theirs.max)))
    }
}

/// Checks the first frame of a stream or the address of a call; returns who calls.
pub fn check_address(own: &Addressee, address: &proto::PeerAddress) -> Result<PeerInfo, Refusal> {
    own.same_history(&address.cluster_id, address.incarnation)?;
    let ours = own.identity.member;
    let wanted = member_from_proto(address.to.as_ref())?;
    if wanted.node != ours.node {
        return Err(Refusal::Node {
            wanted: wanted.node,
            ours: ours.node,
        });
    }
    if wanted != ours {
        return Err(Refusal::Directory { wanted, ours });
    }
    caller(
        own,
        address.from.as_ref(),
        &address.advertised_url,
        address.features,
    )
}

/// Checks a `Hello`; returns who calls.
pub fn check_hello(own: &Addressee, hello: &proto::HelloRequest) -> Result<PeerInfo, Refusal> {
    own.same_history(&hello.cluster_id, hello.incarnation)?;
    let (wanted, ours) = (NodeId(hello.to_node_id), own.identity.member.node);
    if wanted != ours {
        return Err(Refusal::Node { wanted, ours });
    }
    caller(
        own,
        hello.from.as_ref(),
        &hello.advertised_url,
        hello.features,
    )
}

fn caller(
    own: &Addressee,
    from: Option<&proto::Member>,
    url: &str,
    features: Option<proto::FeatureRange>,
) -> Result<PeerInfo, Refusal> {
    let member = member_from_proto(from)?;
    if member.node == own.identity.member.node {
        return Err(Refusal::SameNode(member.node));
    }
    let features = own.common_features(features)?;
    Ok(PeerInfo {
        member,
        url: url.to_owned(),
        features,
        initialized: None,
    })
}

/// Checks the answer to our `Hello` to `to`: the same rules, seen from the caller.
pub(super) fn check_hello_reply(
    own: &Addressee,
    to: NodeId,
    reply: &proto::HelloReply,
) -> Result<PeerInfo, Refusal> {
    own.same_history(&reply.cluster_id, reply.incarnation)?;
    let info = caller(
        own,
        reply.from.as_ref(),
        &reply.advertised_url,
        reply.features,
    )?;
    if info.member.node != to {
        return Err(Refusal::Node {
            wanted: to,
            ours: info.member.node,
        });
    }
    Ok(PeerInfo {
        initialized: Some(reply.initialized),
        ..info
    })
}

/// A log history as peers name it.
pub(super) fn incarnation_to_proto(incarnation: Incarnation) -> proto::Incarnation {
    proto::Incarnation {
        number: incarnation.number,
        nonce: incarnation.nonce,
    }
}

#[cfg(test)]
mod tests {
    use dmq_metadata::ClusterId;
    use dmq_raft::DirectoryId;

    use super::*;

    fn addressee(node: u32) -> Addressee {
        let directory = DirectoryId(u128::from(node) * 10);
        Addressee {
            identity: NodeIdentity {
                cluster: ClusterId::parse("dmq").unwrap(),
                incarnation: Incarnation::FIRST,
                member: MemberId {
                    node: NodeId(node),
                    directory,
                },
            },
            url: format!("http://node-{node}:8080"),
            features: (FeatureLevel(1), FeatureLevel(2)),
        }
    }

    /// What node 2 says to node 1, with one thing changed.
    fn address(change: impl FnOnce(&mut proto::PeerAddress)) -> Result<PeerInfo, Refusal> {
        let (caller, callee) = (addressee(2), addressee(1));
        let mut address = caller.address(callee.identity.member);
        change(&mut address);
        check_address(&callee, &address)
    }

    fn refused(change: impl FnOnce(&mut proto::PeerAddress), part: &str) {
        let text = address(change).unwrap_err().to_string();
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }

    #[test]
    fn a_call_that_is_addressed_right_tells_who_calls() {
        let info = address(|_| {}).unwrap();
        assert_eq!(info.member, addressee(2).identity.member);
        assert_eq!(info.url, "http://node-2:8080");
        assert_eq!(info.features, (FeatureLevel(1), FeatureLevel(2)));
        assert_eq!(info.initialized, None);
    }

    #[test]
    fn another_cluster_or_history_is_refused() {
        refused(
            |call| call.cluster_id = "other".into(),
            "cluster `dmq`, the caller to `other`",
        );
        let nonce = |call: &mut proto::PeerAddress| {
            call.incarnation = Some(proto::Incarnation {
                number: 1,
                nonce: 5,
            });
        };
        refused(nonce, "incarnation 1, the caller of 1-0000000000000005");
        refused(|call| call.incarnation = None, "`incarnation` is missing");
    }

    #[test]
    fn a_call_for_another_node_or_an_earlier_disk_is_refused() {
        let other = |node, directory: u128| {
            let member = MemberId {
                node: NodeId(node),
                directory: DirectoryId(directory),
            };
            move |call: &mut proto::PeerAddress| call.to = Some(member_to_proto(member))
        };
        refused(other(3, 10), "addressed to node 3, this is node 1");
        let wiped = address(other(1, 11)).unwrap_err();
        assert!(matches!(wiped, Refusal::Directory { .. }), "{wiped}");
        refused(|call| call.to = None, "`member` is missing");
    }

    #[test]
    fn two_nodes_with_one_id_are_noticed() {
        let twin = |call: &mut proto::PeerAddress| {
            let member = MemberId {
                node: NodeId(1),
                directory: DirectoryId(99),
            };
            call.from = Some(member_to_proto(member));
        };
        refused(twin, "two nodes have one id");
    }

    #[test]
    fn binaries_without_a_common_feature_level_are_refused() {
        let features = |min, max| {
            move |call: &mut proto::PeerAddress| {
                call.features = Some(proto::FeatureRange { min, max });
            }
        };
        refused(features(3, 4), "no common feature level");
        refused(features(0, 0), "no common feature level");
        assert!(address(features(2, 9)).is_ok());
    }

    #[test]
    fn malformed_ids_are_refused() {
        let bytes = |call: &mut proto::PeerAddress| {
            call.from = Some(proto::Member {
                node_id: 2,
                directory_id: vec![1, 2].into(),
            });
        };
        refused(bytes, "a UUID of 16 bytes");
        let zero = |call: &mut proto::PeerAddress| {
            call.from = Some(proto::Member {
                node_id: 0,
                directory_id: vec![0; 16].into(),
            });
        };
        refused(zero, "at least 1");
    }

    #[test]
    fn the_answer_to_hello_is_checked_like_a_call() {
        let (caller, callee) = (addressee(2), addressee(1));
        let hello = caller.hello(NodeId(1));
        assert_eq!(
            check_hello(&callee, &hello).unwrap().member,
            caller.identity.member
        );
        assert!(check_hello(&callee, &caller.hello(NodeId(3))).is_err());

        let reply = callee.hello_reply(false, Some([7; 32]));
        let info = check_hello_reply(&caller, NodeId(1), &reply).unwrap();
        assert_eq!(info.initialized, Some(false));
        let misdirected = check_hello_reply(&caller, NodeId(3), &reply).unwrap_err();
        assert!(matches!(misdirected, Refusal::Node { .. }), "{misdirected}");
    }
}
