//! What handlers share.

use std::sync::Arc;

use axum::extract::FromRef;

use super::events::EventLog;
use crate::auth::AdminAuth;
use crate::handle::Handle;
use crate::metrics::Metrics;

/// The state of the router; clones share everything.
#[derive(Clone)]
pub(super) struct App {
    /// The member behind this server.
    pub(super) handle: Handle,
    /// The gate of admin routes.
    pub(super) auth: Arc<AdminAuth>,
    /// What was seen of the quorum.
    pub(super) events: Arc<EventLog>,
    /// Where requests are counted.
    pub(super) metrics: Arc<Metrics>,
}

impl FromRef<App> for Handle {
    fn from_ref(app: &App) -> Self {
        app.handle.clone()
    }
}
