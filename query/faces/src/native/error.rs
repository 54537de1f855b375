//! What a failed request is answered with: `{"error": {"code", "message"}}` and the status that fits.
//!
//! This is the one place where the query side's errors become HTTP statuses. What is ours or the disk's is
//! logged whole and answered without details, so that no path or address leaks.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use meshlake_query::QueryError;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    /// One snake_case word that programs can match.
    pub code: &'static str,
    /// For people; names what was wrong.
    pub message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError { status, code, message: message.into() }
    }

    /// The request is wrong in itself; sending it again cannot help.
    pub fn bad_request(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub fn method_not_allowed() -> Self {
        let message = "this path does not answer this method";
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// The body was refused before it was read as a request.
    pub fn refused_body(status: StatusCode, message: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            _ => "bad_request",
        };
        // A body of the wrong shape is a bad request like any other; axum would say 422.
        let status = if code == "bad_request" { StatusCode::BAD_REQUEST } else { status };
        ApiError::new(status, code, message)
    }

    pub fn not_acceptable(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let (status, code) = match &error {
            QueryError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_query"),
            QueryError::Refused(_) => (StatusCode::BAD_REQUEST, "refused_query"),
            QueryError::TooManyRows(_) => (StatusCode::BAD_REQUEST, "too_many_rows"),
            QueryError::TooManyBytes(_) => (StatusCode::BAD_REQUEST, "too_many_bytes"),
            QueryError::TimedOut(_) => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
            QueryError::Memory(_) => (StatusCode::SERVICE_UNAVAILABLE, "out_of_memory"),
            QueryError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            QueryError::Snapshot(_) => (StatusCode::SERVICE_UNAVAILABLE, "no_snapshot"),
            QueryError::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage"),
            QueryError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        if status.is_server_error() {
            tracing::warn!(code, %error, "answer query");
        }
        ApiError::new(status, code, error.told())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        (self.status, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_of_the_disk_are_not_told() {
        let error = ApiError::from(QueryError::Storage("/var/lib/meshlake/tables/spans".to_owned()));
        assert_eq!((error.status.as_u16(), error.code), (503, "storage"));
        assert!(!error.message.contains("/var"), "{}", error.message);
    }
}
