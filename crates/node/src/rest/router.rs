//! Which route leads to which handler, with what is counted around each.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use dmq_api::problem::Problem;
use dmq_api::status::Code;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::error::ApiError;
use super::state::App;
use super::{
    brokers, cluster, controller, events, features, health, membership, partitions, probes, quorum,
    topics,
};
use crate::metrics::RouteMetrics;

/// Which routes a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Everything, on one port.
    Full,
    /// Everything but health and metrics: the REST port where `management.port` is set.
    Api,
    /// Health and metrics only: `management.port`.
    Management,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "DMQ Metadata",
        description = "The metadata quorum of DMQ: topics, partitions, brokers and the quorum itself. Every error is a problem document (RFC 9457). Writes go to the controller; others answer 503 with X-Controller-Leader and its address in the problem document.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "topics", description = "Topics"),
        (name = "partitions", description = "Partitions of a topic"),
        (name = "brokers", description = "Brokers and their heartbeats"),
        (name = "cluster", description = "The cluster as a whole"),
        (name = "quorum", description = "The metadata quorum"),
        (name = "health", description = "Health, metrics, this description"),
    ),
    components(schemas(Problem)),
    modifiers(&AdminToken),
)]
struct Description;

/// The security scheme of admin routes.
struct AdminToken;

impl Modify for AdminToken {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token of auth.admin-token-file; without one, loopback only",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("adminToken", SecurityScheme::Http(scheme));
    }
}

/// The description of all routes.
pub(super) fn document() -> &'static Document {
    static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
        let (_, document) = described(Surface::Full, &|routes| routes).split_for_parts();
        document
    });
    &DOCUMENT
}

/// The router of a surface.
pub(super) fn router(app: App, surface: Surface) -> Router {
    let count = {
        let app = app.clone();
        move |routes: Routes| counted(&app, routes)
    };
    let (router, _) = described(surface, &count).split_for_parts();
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(app)
}

/// The handlers of one path, with their description.
type Routes = UtoipaMethodRouter<App>;

/// All routes of a surface, each passed through `wrap`.
fn described(surface: Surface, wrap: &dyn Fn(Routes) -> Routes) -> OpenApiRouter<App> {
    let mut groups = Vec::new();
    if surface != Surface::Management {
        groups.extend(api_routes());
    }
    if surface != Surface::Api {
        groups.extend(management_routes());
    }
    groups.into_iter().fold(
        OpenApiRouter::with_openapi(Description::openapi()),
        |router, routes| router.routes(wrap(routes)),
    )
}

fn api_routes() -> Vec<Routes> {
    vec![
        routes!(controller::get_controller),
        routes!(topics::create_topic, topics::list_topics),
        routes!(topics::get_topic, topics::delete_topic),
        routes!(partitions::get_partition, partitions::update_partition),
        routes!(partitions::elect_leader),
        routes!(brokers::register_broker, brokers::list_brokers),
        routes!(brokers::get_broker),
        routes!(brokers::heartbeat),
        routes!(brokers::plain_heartbeat),
        routes!(cluster::get_cluster),
        routes!(quorum::get_quorum),
        routes!(quorum::initialize_quorum),
        routes!(quorum::transfer_leadership),
        routes!(membership::change_voters),
        routes!(membership::add_observer),
        routes!(membership::remove_observer),
        routes!(events::quorum_events),
        routes!(quorum::list_snapshots, quorum::take_snapshot),
        routes!(probes::probe_pre_restart),
        routes!(probes::probe_post_restart),
        routes!(features::get_features, features::set_features),
        routes!(features::get_state_hash),
        routes!(health::get_openapi),
    ]
}

fn management_routes() -> Vec<Routes> {
    vec![
        routes!(health::livez),
        routes!(health::readyz),
        routes!(health::get_metrics),
    ]
}

/// Counts requests of a path under its template. The counters are looked up here, once.
fn counted(app: &App, routes: Routes) -> Routes {
    let path = routes.1.paths.keys().next().cloned().unwrap_or_default();
    let metrics = Arc::new(app.metrics.route(&path));
    routes.map(|methods| methods.layer(from_fn_with_state(metrics, observe)))
}

async fn observe(
    State(metrics): State<Arc<RouteMetrics>>,
    request: Request,
    next: Next,
) -> Response {
    let (started, method) = (Instant::now(), request.method().clone());
    let response = next.run(request).await;
    metrics.observe(&method, response.status(), started.elapsed());
    response
}

async fn no_such_path(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path();
    let response = ApiError::of_field(Code::NotFound, "path", path, "no such path").into_response();
    app.metrics.unmatched(request.method(), response.status());
    response
}

async fn no_such_method(request: Request) -> Response {
    let method = request.method().as_str();
    let rule = "not a method of this path; see the Allow header";
    ApiError::of_field(Code::MethodNotAllowed, "method", method, rule).into_response()
}
