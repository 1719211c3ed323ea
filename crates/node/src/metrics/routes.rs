//! Requests by route, method and status, with their times.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The methods that routes have; others share the last place.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
/// The statuses that routes answer with; others share the last place, `0`.
const STATUSES: [u16; 22] = [
    200, 204, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 414, 415, 422, 429, 431, 500, 501,
    503, 504, 0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u16,
}

/// The families of all routes.
#[derive(Clone, Debug)]
pub(super) struct RouteFamilies {
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram>,
}

/// The counters of one path. After the first request of a kind, counting takes no lock but a histogram's.
#[derive(Debug)]
pub struct RouteMetrics {
    path: String,
    families: RouteFamilies,
    methods: [MethodMetrics; METHODS.len()],
}

#[derive(Debug, Default)]
struct MethodMetrics {
    seconds: OnceLock<Histogram>,
    requests: [OnceLock<Counter>; STATUSES.len()],
}

impl RouteFamilies {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let requests = Family::default();
        // From 100 microseconds to 13 s.
        let new_histogram: fn() -> Histogram =
            || Histogram::new(exponential_buckets(0.000_1, 2.0, 18));
        let seconds = Family::new_with_constructor(new_histogram);
        registry.register("requests", "Requests answered", requests.clone());
        let help = "Time from the end of the headers to the answer";
        registry.register_with_unit("request", help, Unit::Seconds, seconds.clone());
        Self { requests, seconds }
    }

    pub(super) fn route(&self, path: &str) -> RouteMetrics {
        RouteMetrics {
            path: path.to_owned(),
            families: self.clone(),
            methods: std::array::from_fn(|_| MethodMetrics::default()),
        }
    }

    pub(super) fn unmatched(&self, method: &Method, status: StatusCode) {
        let labels = Answered {
            route: "unmatched".to_owned(),
            method: METHODS[method_place(method)],
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
    }
}

impl RouteMetrics {
    /// Counts one answered request.
    pub fn observe(&self, method: &Method, status: StatusCode, elapsed: Duration) {
        let (at_method, at_status) = (method_place(method), status_place(status));
        let metrics = &self.methods[at_method];
        let requests = metrics.requests[at_status].get_or_init(|| {
            let labels = Answered {
                route: self.path.clone(),
                method: METHODS[at_method],
                status: STATUSES[at_status],
            };
            self.families.requests.get_or_create_owned(&labels)
        });
        requests.inc();
        let seconds = metrics.seconds.get_or_init(|| {
            let labels = Route {
                route: self.path.clone(),
                method: METHODS[at_method],
            };
            self.families.seconds.get_or_create_owned(&labels)
        });
        seconds.observe(elapsed.as_secs_f64());
    }
}

fn method_place(method: &Method) -> usize {
    METHODS
        .iter()
        .position(|name| *name == method.as_str())
        .unwrap_or(METHODS.len() - 1)
}

fn status_place(status: StatusCode) -> usize {
    STATUSES
        .iter()
        .position(|code| *code == status.as_u16())
        .unwrap_or(STATUSES.len() - 1)
}
