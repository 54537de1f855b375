//! The faces: one folder an API that people or programs ask. A face renders what `meshlake_query` answers; it never
//! computes, and none imports another. Here is what they share: what they answer from, who asks, and the headers
//! that every answer over HTTP carries.
//!
//! GET never changes anything, there is no CORS, and POST is refused to pages of other origins, so that they can
//! neither read nor trigger an answer. Limits: requests are not authenticated; the tenant is what the header
//! says, so the port belongs behind a proxy that sets it.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod native;
mod prometheus;
mod tempo;
mod jaeger;
mod zipkin;
mod loki;
mod flight;
mod ui;
mod postgres;
mod cells;
mod compress;
mod origin;
mod portable;
mod duration;
mod conditions;
mod found;
mod codes;
mod attributes;
mod trace_id;
mod otlp;
mod grpc;
mod tenant;
mod watching;

pub use flight::service as flight_service;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use meshlake_query::Engine;
use meshlake_query::prometheus::Prometheus;
use tracing::Instrument as _;

pub use postgres::protocol as postgres;

/// Where the collector and the other faces listen. An address of all interfaces (`0.0.0.0`, `::`) is none that can be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// `host:port` of OTLP/gRPC and Envoy's access log service.
    pub otlp_grpc: String,
    /// `host:port` of OTLP/HTTP.
    pub otlp_http: String,
    /// `host:port` of the Postgres wire protocol; none where it is not served.
    pub postgres: Option<String>,
    /// The same of Arrow Flight SQL.
    pub flight_sql: Option<String>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Endpoints {
            otlp_grpc: "127.0.0.1:4317".to_owned(),
            otlp_http: "127.0.0.1:4318".to_owned(),
            postgres: Some("127.0.0.1:7432".to_owned()),
            flight_sql: Some("127.0.0.1:7050".to_owned()),
        }
    }
}

/// What every face answers from.
#[derive(Clone)]
pub struct FaceState {
    pub engine: Engine,
    /// Where senders reach the collector; the page tells people.
    pub endpoints: Endpoints,
    /// The same engine, with what its sources of series keep between questions.
    pub prometheus: Prometheus,
    /// How many days of calls are kept; 0 is for ever. Clients ask for no more than that.
    pub calls_days: u32,
}

impl FaceState {
    /// State of faces whose page shows the default addresses, and that know no end of what is kept.
    pub fn new(engine: Engine) -> Self {
        let prometheus = Prometheus::new(engine.clone());
        FaceState { engine, endpoints: Endpoints::default(), prometheus, calls_days: 0 }
    }
}

/// The services of gRPC on the port of HTTP, by full name.
const GRPC_SERVICES: &[&str] =
    &["grpc.health.v1.Health", jaeger::SERVICES[0], jaeger::SERVICES[1], tempo::SERVICE];

/// Every path that the query side answers over HTTP, and every method over gRPC beside it.
pub fn router(state: FaceState) -> Router {
    Router::new()
        .merge(ui::router())
        .nest("/api/v1", native::router())
        .nest("/prometheus", prometheus::router())
        .route("/prometheus/", get(prometheus::here))
        .nest("/tempo", tempo::router())
        .route("/tempo/", get(tempo::here))
        .merge(tempo::grpc_router())
        .nest("/jaeger", jaeger::router())
        .route("/jaeger/", get(jaeger::here))
        .merge(jaeger::rpc())
        .nest("/zipkin", zipkin::router())
        .route("/zipkin/", get(zipkin::here))
        .merge(grpc::router(GRPC_SERVICES))
        .nest("/loki", loki::router())
        .route("/loki/", get(loki::here))
        .fallback(no_such_path)
        .method_not_allowed_fallback(native::no_such_method)
        .layer(middleware::from_fn(with_headers))
        .layer(middleware::from_fn(traced))
        .with_state(state)
}

/// Answers in the words of whoever asked.
async fn no_such_path(state: State<FaceState>, headers: HeaderMap, uri: Uri) -> Response {
    match grpc::is_grpc(&headers) {
        true => grpc::no_such_method(uri.path()),
        false => native::no_such_path(state, uri).await.into_response(),
    }
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

/// Set on every answer that does not set it itself. Source: OWASP secure headers; scripts of the pages are
/// files of ours that ask nobody else, and no markup can hold one.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
