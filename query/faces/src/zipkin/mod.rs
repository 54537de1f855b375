//! Zipkin's v2 API for reading under `/zipkin`, for Grafana's Zipkin source and whatever else asks a Zipkin.
//!
//! ```text
//! /api/v2/services, spans, remoteServices, traces, trace/{id}, traceMany, dependencies, autocompleteKeys, autocompleteValues
//! ```
//! Nothing is received here: spans come as OTLP. Source: <https://zipkin.io/zipkin-api/>, release 2.x of `zipkin2-api.yaml`, and the
//! OpenTelemetry specification for how spans of OTLP look in Zipkin. Limits: no key is completed.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod answers;
mod parameters;
mod translate;
mod error;

use axum::Router;
use axum::routing::get;

use crate::FaceState;

/// What people see who open the address that is meant for programs.
const HERE: &str = "This is the API of Zipkin: give this address to Grafana, or whatever asks a Zipkin.\n";

/// The paths below `/zipkin`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/", get(here))
        .route("/health", get(answers::health))
        .route("/config.json", get(answers::config))
        .route("/api/v2/services", get(answers::services))
        .route("/api/v2/spans", get(answers::spans))
        .route("/api/v2/remoteServices", get(answers::remote_services))
        .route("/api/v2/traces", get(answers::traces))
        .route("/api/v2/trace/{trace_id}", get(answers::trace))
        .route("/api/v2/traceMany", get(answers::many))
        .route("/api/v2/dependencies", get(answers::dependencies))
        .route("/api/v2/autocompleteKeys", get(answers::keys))
        .route("/api/v2/autocompleteValues", get(answers::values))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_found)
}

/// Says what is here.
pub async fn here() -> &'static str {
    HERE
}

#[cfg(test)]
mod tests;
