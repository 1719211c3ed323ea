//! Hands a command to the member and turns its outcome into an answer.

use axum::response::Response;
use dmq_api::status::Code;
use dmq_metadata::{Envelope, MetadataIndex, Reply, RequestId, Term, WallTime};
use serde::Serialize;
use uuid::Uuid;

use super::error::ApiError;
use super::{convert, respond};
use crate::handle::{CommandRequest, Committed, Consistency, Handle, ReadRequest};

/// A command that was committed and not rejected.
pub(super) struct Submitted {
    /// Where it is in the log.
    pub(super) index: MetadataIndex,
    /// The term of its entry.
    pub(super) term: Term,
    /// How far the controller's database was.
    pub(super) projected: MetadataIndex,
    /// What it did.
    pub(super) reply: Reply,
}

impl Submitted {
    /// 200 with the body that `show` makes of the reply.
    pub(super) fn answer<T: Serialize>(
        &self,
        show: impl FnOnce(&Reply) -> Option<T>,
    ) -> Result<Response, ApiError> {
        let body = show(&self.reply).ok_or_else(foreign_reply)?;
        respond::committed(self, &body)
    }
}

/// Proposes a command and waits for its outcome. A rejection names the entry that it was decided at.
pub(super) async fn submit(
    handle: &Handle,
    request: CommandRequest,
) -> Result<Submitted, ApiError> {
    let Committed {
        index,
        term,
        outcome,
        projected,
    } = handle.propose(request).await?;
    match outcome {
        Ok(reply) => Ok(Submitted {
            index,
            term,
            projected,
            reply,
        }),
        Err(rejection) => Err(ApiError::from(rejection).at(index, term)),
    }
}

/// Answers as if the command were the next entry, on a linearizable view, and does nothing.
pub(super) async fn try_out<T: Serialize>(
    handle: &Handle,
    request: CommandRequest,
    show: impl FnOnce(&Reply) -> Option<T>,
) -> Result<Response, ApiError> {
    let read = ReadRequest {
        consistency: Consistency::Linearizable,
        min_index: MetadataIndex(0),
        timeout: request.timeout,
    };
    let view = handle.read(read).await?;
    let envelope = Envelope {
        request_id: RequestId(Uuid::new_v4()),
        principal: request.principal,
        idempotency: None,
        log_time: view.image.log_time(),
        wall_clock: WallTime(convert::now_ms()),
        seed: 0,
        command: request.command,
    };
    match dmq_metadata::preview(&view.image, &envelope) {
        Ok(reply) => respond::viewed(&view, &show(&reply).ok_or_else(foreign_reply)?),
        Err(rejection) => Err(ApiError::from(rejection).at(view.image.index(), view.term)),
    }
}

/// A command got another command's reply: a defect of the state machine.
fn foreign_reply() -> ApiError {
    ApiError::new(
        Code::Internal,
        "the command was answered with another command's reply",
    )
}
