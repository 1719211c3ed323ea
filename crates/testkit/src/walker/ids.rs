//! Who is who in a walk: node `n` is member `n - 1` of the world, under one directory after another.

use dmq_raft::{DirectoryId, MemberId, NodeId};

/// Nodes of a walk at most: the cut links are bits of one word.
pub(crate) const NODES_MAX: usize = 8;

/// The member at `at` in its `generation`th directory, from 0.
pub(crate) fn member_id(at: usize, generation: u8) -> MemberId {
    let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
    MemberId {
        node: NodeId(number),
        directory: DirectoryId(u128::from(number) << 64 | u128::from(generation)),
    }
}

/// The place of a member's node in the world.
#[inline]
pub(crate) fn place(id: MemberId) -> usize {
    id.node.0 as usize - 1
}

pub(crate) fn generation(id: MemberId) -> u8 {
    id.directory.0.to_le_bytes()[0]
}

/// A small number for a member that no other member of the walk has, whatever its node.
pub(crate) fn life(id: MemberId) -> usize {
    usize::from(generation(id)) * NODES_MAX + place(id)
}

/// Another life of the same node, that nobody ever lives.
pub(crate) fn stranger(id: MemberId) -> MemberId {
    MemberId {
        directory: DirectoryId(id.directory.0 ^ 1 << 100),
        ..id
    }
}
