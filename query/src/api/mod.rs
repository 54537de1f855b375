//! The HTTP face of the engine: which path is answered by whom, and what all requests have in common.
//!
//! One file per resource, and none imports another. Here are the tenant, the time range, the headers that
//! every answer carries, and the router. GET never changes anything, there is no CORS, and POST takes only
//! `application/json`, so a page of another origin can neither read nor trigger an answer. Limits: requests
//! are not authenticated; the tenant is what the header says, so the port belongs behind a proxy that sets it.

mod page;
mod calls;
mod sql;
mod traces;
mod services;
mod ledger;
mod ranges;
mod error;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tracing::Instrument as _;

use crate::engine::Engine;
use crate::page::Endpoints;

pub use error::ApiError;
pub use ranges::{TimeRange, rfc3339};

/// Records that were accepted and are not durable yet, as the collector counts them in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    pub tenant: String,
    /// traces, logs, metrics or requests.
    pub signal: String,
    pub source: String,
    pub records: u64,
}

/// Asks the collector what is in flight.
pub type InFlightSource = Arc<dyn Fn() -> Vec<InFlight> + Send + Sync>;

/// What every handler gets.
#[derive(Clone)]
pub struct ApiState {
    pub engine: Engine,
    /// Answers nothing where the query side runs without a collector.
    pub in_flight: InFlightSource,
    /// Where senders reach the collector; the page tells people.
    pub endpoints: Endpoints,
}

impl ApiState {
    /// State of an API whose page shows the default addresses.
    pub fn new(engine: Engine, in_flight: InFlightSource) -> Self {
        ApiState { engine, in_flight, endpoints: Endpoints::default() }
    }

    /// The same with the addresses that the collector really listens on.
    #[must_use]
    pub fn with_endpoints(self, endpoints: Endpoints) -> Self {
        ApiState { endpoints, ..self }
    }
}

/// Every path that the query side answers.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/", get(page::answer))
        .route("/style.css", get(page::style))
        .route("/icon.svg", get(page::icon))
        .route("/api/v1/golden", get(calls::golden::answer))
        .route("/api/v1/graph", get(calls::graph::answer))
        .route("/api/v1/sql", post(sql::answer))
        .route("/api/v1/traces/{trace_id}", get(traces::answer))
        .route("/api/v1/services", get(services::answer))
        .route("/api/v1/ledger", get(ledger::answer))
        .fallback(async || ApiError::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(middleware::from_fn(with_headers))
        .layer(middleware::from_fn(traced))
        .with_state(state)
}

/// One span per request, until its head is answered: part of our own traces, named by the semantic
/// conventions for HTTP server spans. The path is an attribute and not the name, because it holds trace ids.
async fn traced(request: Request, next: Next) -> Response {
    let span = tracing::info_span!(
        "request",
        otel.name = %request.method(),
        otel.kind = "server",
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        http.response.status_code = tracing::field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", i64::from(response.status().as_u16()));
    response
}

/// Set on every answer that does not set it itself. Source: OWASP secure headers; the page has no script.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'self'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static("()")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// The tenant that is asked for: the `X-Scope-OrgID` header, or `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant(pub String);

const TENANT_HEADER: &str = "x-scope-orgid";
const DEFAULT_TENANT: &str = "default";

/// Bytes of a tenant's name, and which bytes besides letters and digits: the rules of Loki, Mimir and Tempo.
const TENANT_BYTES_MAX: usize = 150;
const TENANT_PUNCTUATION: &[u8] = b"!-_.*'()";

impl Tenant {
    fn parse(name: &[u8]) -> Option<Tenant> {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || TENANT_PUNCTUATION.contains(byte);
        let named = !name.is_empty() && name != b"." && name != b"..";
        let valid = named && name.len() <= TENANT_BYTES_MAX && name.iter().all(allowed);
        let name = valid.then(|| str::from_utf8(name).ok()).flatten()?;
        Some(Tenant(name.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut named = parts.headers.get_all(TENANT_HEADER).iter();
        let tenant = match (named.next(), named.next()) {
            (None, _) => Some(Tenant(DEFAULT_TENANT.to_owned())),
            (Some(name), None) => Tenant::parse(name.as_bytes()),
            (Some(_), Some(_)) => None,
        };
        tenant.ok_or_else(|| ApiError::bad_request("X-Scope-OrgID is not a tenant's name"))
    }
}

#[cfg(test)]
mod tests;
