//! The HTTP API of Prometheus, under `/prometheus`, so that whatever asks a Prometheus can ask Meshlake.
//!
//! ```text
//! /api/v1/query, query_range, query_exemplars      GET, or POST of a form
//! /api/v1/series, labels, label/{name}/values, metadata
//! /api/v1/format_query, parse_query
//! /api/v1/status/{buildinfo,runtimeinfo,config,flags,tsdb}, rules, alerts, targets, ..
//! /api/v1/read                                     remote read
//! /federate                                        the latest samples as text
//! /-/healthy, /-/ready
//! ```
//! Codes, kinds and texts of errors are Prometheus's, as people and programs know them. What Prometheus tells of its own
//! scraping, rules and database is answered where clients ask for it, and empty where there is none of it here.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>, and answers of release 0.316.0 (3.16). As on the
//! other paths of this port there is no CORS and a page of another origin may not POST.

mod queries;
mod browse;
mod texts;
mod tree;
mod federate;
mod read;
mod status;
mod written;
mod parameters;
mod times;
mod error;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::FaceState;
use crate::compress::gzipped;
use crate::origin::is_of_another_page;
use error::ApiError;

/// What people see who open the address that is meant for programs.
const HERE: &str =
    "This is the API of Prometheus: give this address to Grafana, Kiali or whatever asks a Prometheus.\n";

/// The paths below `/prometheus`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/", get(here))
        .nest("/api/v1", api())
        .route("/federate", get(federate::answer))
        .route("/-/healthy", get(status::healthy))
        .route("/-/ready", get(status::ready))
        .fallback(async || ApiError::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(middleware::from_fn(gzipped))
        .layer(middleware::from_fn(refuse_other_pages))
}

/// Says what is here. Also at the address with a slash behind, which clients look at to know whether a server is there.
pub async fn here() -> &'static str {
    HERE
}

fn api() -> Router<FaceState> {
    Router::new()
        .route("/query", get(queries::instant).post(queries::instant))
        .route("/query_range", get(queries::range).post(queries::range))
        .route("/query_exemplars", get(queries::exemplars).post(queries::exemplars))
        .route("/series", get(browse::series).post(browse::series))
        .route("/labels", get(browse::label_names).post(browse::label_names))
        .route("/label/{name}/values", get(browse::label_values))
        .route("/metadata", get(browse::metadata))
        .route("/format_query", get(texts::format).post(texts::format))
        .route("/parse_query", get(texts::parse).post(texts::parse))
        .route("/read", post(read::answer))
        .route("/status/buildinfo", get(status::build))
        .route("/status/runtimeinfo", get(status::runtime))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(status::database))
        .route("/rules", get(status::rules))
        .route("/alerts", get(status::alerts))
        .route("/alertmanagers", get(status::alertmanagers))
        .route("/targets", get(status::targets))
        .route("/targets/metadata", get(status::target_metadata))
        .route("/scrape_pools", get(status::scrape_pools))
}

/// GET changes nothing and its answers cannot be read by others; a POST makes us work.
async fn refuse_other_pages(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && is_of_another_page(request.headers(), request.uri()) {
        return ApiError::new(StatusCode::FORBIDDEN, "bad_data", "a page of another origin may not ask")
            .into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests;
