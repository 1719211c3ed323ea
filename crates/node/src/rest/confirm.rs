//! A node's status that a majority stands behind: what an operator may act on.

use std::sync::Arc;

use dmq_metadata::MetadataIndex;

use crate::handle::{Consistency, Handle, NodeStatus, ReadRequest, RequestError};

/// The status after this read. If the read is linearizable, its controller is one that a majority has confirmed
/// since the call began: the term is the same before and behind the read, so nobody else led meanwhile.
pub(super) async fn status(
    handle: &Handle,
    read: ReadRequest,
) -> Result<Arc<NodeStatus>, RequestError> {
    let before = handle.status().term;
    let linearizable = read.consistency == Consistency::Linearizable;
    handle.read(read).await?;
    let after = handle.status();
    if linearizable && (after.term != before || after.leader.is_none()) {
        return Err(RequestError::LeaderChanged);
    }
    Ok(after)
}

/// The status of a controller that a majority has confirmed in this very term. One that was deposed and has
/// not heard of it yet would call its lost voters healthy.
pub(super) async fn led(handle: &Handle) -> Result<Arc<NodeStatus>, RequestError> {
    leading(&handle.status())?;
    let read = ReadRequest {
        consistency: Consistency::Linearizable,
        min_index: MetadataIndex(0),
        timeout: None,
    };
    let confirmed = status(handle, read).await?;
    leading(&confirmed)?;
    Ok(confirmed)
}

fn leading(status: &NodeStatus) -> Result<(), RequestError> {
    if status.is_leader() {
        return Ok(());
    }
    Err(RequestError::NotController {
        leader: status.leader,
        url: status.leader_url.clone(),
    })
}
