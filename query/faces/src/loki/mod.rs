//! The HTTP API of Loki, under `/loki`, so that whatever asks a Loki can ask Meshlake.
//!
//! ```text
//! /loki/api/v1/query, query_range                  GET, or POST of a form
//! /loki/api/v1/labels, label/{name}/values, series
//! /loki/api/v1/index/stats, index/volume, index/volume_range, detected_labels, detected_fields, detected_field/{name}/values, patterns
//! /loki/api/v1/format_query, status/buildinfo
//! /loki/api/v1/tail                               WebSocket
//! /ready
//! ```
//! A client is given `http://HOST:7070/loki` and asks `/loki/api/v1` below it; who was given the host alone asks the same paths
//! one level higher, so both are there. Codes and texts of errors are Loki's: plain text.
//!
//! Source: <https://grafana.com/docs/loki/latest/reference/loki-http-api/>. As on the other paths of this port there is no CORS and a
//! page of another origin may not POST.

mod tail;
mod queries;
mod browse;
mod volume;
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
use axum::routing::get;

use crate::FaceState;
use crate::origin::is_of_another_page;
use error::ApiError;

/// What people see who open the address that is meant for programs.
const HERE: &str = "This is the API of Loki: give this address to Grafana, logcli or whatever asks a Loki.\n";

/// The paths below `/loki`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/", get(here))
        .nest("/api/v1", api())
        .nest("/loki/api/v1", api())
        .route("/ready", get(status::ready))
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "404 page not found"))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not answer this method")
        })
        .layer(middleware::from_fn(refuse_other_pages))
}

/// Says what is here. Also at the address with a slash behind.
pub async fn here() -> &'static str {
    HERE
}

fn api() -> Router<FaceState> {
    Router::new()
        .route("/query", get(queries::instant).post(queries::instant))
        .route("/query_range", get(queries::range).post(queries::range))
        .route("/labels", get(browse::label_names).post(browse::label_names))
        .route("/label", get(browse::label_names).post(browse::label_names))
        .route("/label/{name}/values", get(browse::label_values).post(browse::label_values))
        .route("/series", get(browse::series).post(browse::series))
        .route("/index/stats", get(browse::stats).post(browse::stats))
        .route("/index/volume", get(volume::whole).post(volume::whole))
        .route("/index/volume_range", get(volume::range).post(volume::range))
        .route("/detected_labels", get(browse::detected_labels).post(browse::detected_labels))
        .route("/detected_fields", get(browse::detected_fields).post(browse::detected_fields))
        .route("/detected_field/{name}/values", get(browse::detected_values).post(browse::detected_values))
        .route("/patterns", get(status::patterns).post(status::patterns))
        .route("/drilldown-limits", get(status::limits))
        .route("/tail", get(tail::answer))
        .route("/format_query", get(queries::format).post(queries::format))
        .route("/status/buildinfo", get(status::build))
}

/// GET changes nothing and its answers cannot be read by others; a POST makes us work.
async fn refuse_other_pages(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && is_of_another_page(request.headers(), request.uri()) {
        return ApiError::new(StatusCode::FORBIDDEN, "a page of another origin may not ask").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests;
