//! The API of Grafana Tempo, under `/tempo`, so that whatever asks a Tempo can ask Meshlake.
//!
//! ```text
//! /api/search                                        TraceQL, or tags
//! /api/search/tags, /api/v2/search/tags              names
//! /api/search/tag/{tag}/values, /api/v2/..           values
//! /api/traces/{id}, /api/v2/traces/{id}              JSON or protobuf
//! /api/metrics/query, /api/metrics/query_range       series
//! /api/echo, /api/status/buildinfo, /status/services, /ready
//! tempopb.StreamingQuerier                           the same over gRPC
//! ```
//! Parameters, codes and texts of errors are Tempo's, as people and programs know them; answers over HTTP are the JSON that
//! Tempo makes of the messages that go over gRPC, so both are made from one.
//!
//! Source: <https://grafana.com/docs/tempo/latest/api_docs/>; numbers of fields are those of `pkg/tempopb/tempo.proto`.
//! Limits: a stream of gRPC is one message, the whole answer; nothing is told of blocks and jobs, which are not here.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod rpc;
mod search;
mod legacy;
mod tags;
mod metrics;
mod traces;
mod status;
mod parameters;
mod json;
mod values;
mod messages;
mod error;

use axum::Router;
use axum::routing::get;

use crate::FaceState;
use error::ApiError;

pub use rpc::{SERVICE, router as grpc_router};

/// The paths below `/tempo`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/", get(here))
        .route("/api/search", get(search::answer))
        .route("/api/search/tags", get(tags::names))
        .route("/api/v2/search/tags", get(tags::names_by_scope))
        .route("/api/search/tag/{tag}/values", get(tags::values))
        .route("/api/v2/search/tag/{tag}/values", get(tags::typed_values))
        .route("/api/traces/{id}", get(traces::first_version))
        .route("/api/v2/traces/{id}", get(traces::second_version))
        .route("/api/metrics/query_range", get(metrics::range))
        .route("/api/metrics/query", get(metrics::instant))
        .route("/api/echo", get(status::echo))
        .route("/api/status/buildinfo", get(status::build))
        .route("/status/services", get(status::services))
        .route("/ready", get(status::ready))
        .fallback(async || ApiError::not_found("404 page not found"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
}

const HERE: &str = "This is the API of Tempo: give this address to Grafana or whatever asks a Tempo. Paths are Tempo's: /tempo/api/search.\n";

/// Says what is here. Also at the address with a slash behind.
pub async fn here() -> &'static str {
    HERE
}

#[cfg(test)]
mod tests;
