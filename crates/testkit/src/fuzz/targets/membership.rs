//! The configuration in an entry, a segment's first frame, a snapshot's header and a peer's message.

use std::collections::BTreeSet;

use dmq_raft::{Configuration, DirectoryId, MemberId, NodeId};

use crate::fuzz::{Answer, Form, Target};

/// The decoder of configurations.
pub(super) const TARGET: Target = Target {
    name: "configuration",
    form: Form::Protobuf,
    run,
    seeds,
    memory_base: 64 << 10,
    memory_factor: 64,
};

/// What is decoded is encoded to the same configuration, in the one form that equal ones share; its arithmetic never
/// breaks down.
fn run(input: &[u8]) -> Answer {
    let configuration = match Configuration::decode(input) {
        Ok(configuration) => configuration,
        Err(error) => return Answer::refused(&error),
    };
    let bytes = configuration.encode();
    assert_eq!(
        Configuration::decode(&bytes).as_ref(),
        Ok(&configuration),
        "what is encoded decodes to the same"
    );
    let everybody = configuration.members().count();
    assert_eq!(
        configuration.has_quorum(|_| true),
        configuration.quorum_value(|_| 1_u64) == 1,
        "{everybody} members"
    );
    assert!(!configuration.has_quorum(|_| false), "nobody decides");
    match configuration.validate() {
        Ok(()) => Answer::taken(&configuration),
        Err(error) => Answer::taken(&configuration).or(Answer::refused(&error)),
    }
}

/// A member whose directory follows from its number.
pub(super) fn member(node: u32) -> MemberId {
    MemberId {
        node: NodeId(node),
        directory: DirectoryId(u128::from(node) << 64 | 0xd1),
    }
}

/// A configuration of these nodes.
pub(super) fn of(voters: &[u32], learners: &[u32]) -> Configuration {
    let members = |nodes: &[u32]| nodes.iter().copied().map(member).collect::<BTreeSet<_>>();
    Configuration {
        voters: members(voters),
        learners: members(learners),
        ..Configuration::default()
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let joint = Configuration {
        outgoing: of(&[1, 2, 3], &[]).voters,
        ..of(&[3, 4, 5], &[6])
    };
    let all = [
        joint,
        Configuration::default(),
        of(&[1], &[]),
        of(&[1, 2, 3], &[4]),
        of(&[1, 2, 3, 4, 5, 6, 7], &[8, 9]),
    ];
    all.iter().map(|one| one.encode().to_vec()).collect()
}
