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
    use std::time::Duration;

    use meshlake_query::Fault;

    use super::*;

    /// Whoever retries goes by the status, so it says what the fault says: 4xx not to, 503 and 504 to, 500 neither.
    #[test]
    fn statuses_and_codes_say_whose_fault_it_is() {
        let secret = || "/var/lib/meshlake".to_owned();
        let cases = [
            (QueryError::Invalid("no column x".to_owned()), Fault::Asker, 400, "invalid_query"),
            (QueryError::Refused("not here".to_owned()), Fault::Asker, 400, "refused_query"),
            (QueryError::TooManyRows(1), Fault::Asker, 400, "too_many_rows"),
            (QueryError::TooManyBytes(1), Fault::Asker, 400, "too_many_bytes"),
            (QueryError::TimedOut(Duration::from_secs(1)), Fault::Busy, 504, "timed_out"),
            (QueryError::Memory("sort".to_owned()), Fault::Busy, 503, "out_of_memory"),
            (QueryError::Busy, Fault::Busy, 503, "busy"),
            (QueryError::Storage(secret()), Fault::Busy, 503, "storage"),
            (QueryError::Internal(secret()), Fault::Ours, 500, "internal"),
        ];
        for (error, fault, status, code) in cases {
            assert_eq!(error.fault(), fault, "{error:?}");
            let answered = ApiError::from(error.clone());
            assert_eq!((answered.status.as_u16(), answered.code), (status, code), "{error:?}");
            assert_eq!(answered.message, error.told());
            assert!(!answered.message.contains("/var"), "{}", answered.message);
        }
    }
}
