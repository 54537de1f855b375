//! The status of HTTP for an error of the query side, on faces whose own API has no word for more.
//!
//! Whoever asks again goes by it: 4xx not before something has changed, 503 and 504 later, 500 neither.

use axum::http::StatusCode;
use meshlake_query::QueryError;

/// The status of `error`; what is not the asker's fault is logged whole.
pub fn status_of(error: &QueryError) -> StatusCode {
    let status = match error {
        QueryError::Invalid(_)
        | QueryError::Refused(_)
        | QueryError::TooManyRows(_)
        | QueryError::TooManyBytes(_) => StatusCode::BAD_REQUEST,
        QueryError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        QueryError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        QueryError::Memory(_) | QueryError::Busy | QueryError::Snapshot(_) | QueryError::Storage(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    if status.is_server_error() {
        tracing::warn!(%error, "answer a question about traces");
    }
    status
}
