//! Jaeger's API under `/jaeger`, v1 and v3 over HTTP and both over gRPC on the same port, so that whatever asks a Jaeger can
//! ask Meshlake: Grafana's and Kiali's tracing, Jaeger's page and command line.
//!
//! ```text
//! /api/services, services/{service}/operations, operations, traces, traces/{id}, dependencies, metrics/..   v1
//! /api/v3/services, operations, traces, traces/{id}, trace-summaries, dependencies                         v3
//! jaeger.api_v2.QueryService, jaeger.api_v3.QueryService                                                   gRPC
//! ```
//! v1 is Jaeger's own model of a span, v3 is OTLP. All of them ask the same functions: a search is a query of TraceQL, a trace is
//! read and mended as Jaeger mends it, dependencies are the graph's edges.
//!
//! Source: <https://www.jaegertracing.io/docs/latest/architecture/apis/>, `jaeger-idl`, and answers of Jaeger 1.76. What
//! differs is in `docs/jaeger.md`.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod rpc;
mod v1;
mod v3;
mod monitoring;
mod asking;
mod summary;
mod translate;
mod adjust;
mod model;
mod question;
mod parameters;
mod ids;
mod failure;

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use crate::FaceState;

pub use rpc::{SERVICES, router as rpc};

/// What people see who open the address that is meant for programs. Kiali reads the version off the page of a Jaeger.
const HERE: &str = concat!(
    "<!doctype html><html lang=\"en\"><title>Jaeger's API</title><p>This is the API of Jaeger: give this address to \
     Grafana, Kiali or whatever asks a Jaeger.</p><script>const JAEGER_VERSION = {\"gitCommit\":\"\",\"gitVersion\":\"",
    env!("CARGO_PKG_VERSION"),
    "\",\"buildDate\":\"\"};</script></html>"
);

/// The paths below `/jaeger`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/", get(here))
        .nest("/api/v3", v3::router())
        .nest("/api", v1::router())
        .fallback(v1::not_found)
        .method_not_allowed_fallback(v1::not_found)
}

/// Says what is here.
pub async fn here() -> Html<&'static str> {
    Html(HERE)
}

#[cfg(test)]
mod tests;
