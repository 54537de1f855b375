//! The API of Meshlake's own: `/api/v1/*`, JSON, one file per resource.

mod operate;
mod traces;
mod spans;
mod calls;
mod sql;
mod tail;
mod services;
mod ledger;
mod status;
mod tenant;
mod ranges;
mod error;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::FaceState;
use crate::origin::is_of_another_page;
use error::ApiError;
use ranges::TimeRange;
use tenant::Tenant;

/// What the paths of OTLP/HTTP start with.
const COLLECTOR_PATHS: &str = "/v1/";

/// The paths below `/api/v1`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/golden", get(calls::golden::answer))
        .route("/graph", get(calls::graph::answer))
        .route("/exemplars", get(calls::exemplars::answer))
        .route("/calls", get(calls::list::answer))
        .route("/versions", get(operate::versions::answer))
        .route("/balance", get(operate::balance::answer))
        .route("/policies", get(operate::policies::answer))
        .route("/gateways", get(operate::gateways::answer))
        .route("/saturation", get(operate::saturation::answer))
        .route("/rollouts", get(operate::rollouts::answer))
        .route("/dark", get(operate::dark::answer))
        .route("/sql", post(sql::answer))
        .route("/traces/compare", get(traces::analysis::compare))
        .route("/traces/{trace_id}", get(traces::answer))
        .route("/traces/{trace_id}/analysis", get(traces::analysis::answer))
        .route("/spans/compare", get(spans::compare))
        .route("/tail", get(tail::answer))
        .route("/services", get(services::answer))
        .route("/ledger", get(ledger::answer))
        .route("/status", get(status::answer))
        .layer(middleware::from_fn(refuse_other_pages))
}

/// GET changes nothing and its answers cannot be read by others; a POST makes us work.
async fn refuse_other_pages(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && is_of_another_page(request.headers(), request.uri()) {
        return ApiError::forbidden("a page of another origin may not ask").into_response();
    }
    next.run(request).await
}

/// Answers paths that nobody knows. Who sends telemetry here took the wrong one of our ports.
pub async fn no_such_path(State(state): State<FaceState>, uri: Uri) -> ApiError {
    let path = uri.path();
    if path.starts_with(COLLECTOR_PATHS) {
        let collector = &state.endpoints.otlp_http;
        return ApiError::not_found(format!("telemetry is not taken here but at http://{collector}{path}"));
    }
    ApiError::not_found("there is nothing at this path")
}

/// Answers methods that a path does not take.
pub async fn no_such_method() -> ApiError {
    ApiError::method_not_allowed()
}

#[cfg(test)]
mod tests;
