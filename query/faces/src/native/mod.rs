//! The API of Meshlake's own: `/api/v1/*`, JSON, one file per resource.

mod calls;
mod sql;
mod traces;
mod services;
mod ledger;
mod tenant;
mod ranges;
mod error;

use axum::Router;
use axum::routing::{get, post};

use crate::FaceState;
use error::ApiError;
use ranges::TimeRange;
use tenant::Tenant;

/// The paths below `/api/v1`.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/golden", get(calls::golden::answer))
        .route("/graph", get(calls::graph::answer))
        .route("/sql", post(sql::answer))
        .route("/traces/{trace_id}", get(traces::answer))
        .route("/services", get(services::answer))
        .route("/ledger", get(ledger::answer))
}

/// Answers paths that nobody knows.
pub async fn no_such_path() -> ApiError {
    ApiError::not_found("there is nothing at this path")
}

/// Answers methods that a path does not take.
pub async fn no_such_method() -> ApiError {
    ApiError::method_not_allowed()
}

#[cfg(test)]
mod tests;
