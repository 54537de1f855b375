//! What a failed request is answered with: a plain text and Loki's codes.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use meshlake_query::QueryError;
use meshlake_query::logql::Error;
use meshlake_query::logs::LogsError;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub text: String,
}

impl ApiError {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        ApiError { status, text: text.into() }
    }

    pub fn bad_request(text: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, text)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Spent(meshlake_schema::Spent::Time) => StatusCode::GATEWAY_TIMEOUT,
            Error::Invalid { .. }
            | Error::Pipeline { .. }
            | Error::Vectors(_)
            | Error::TooManySeries(_)
            | Error::Range(_)
            | Error::Spent(_) => StatusCode::BAD_REQUEST,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let status = match &error {
            QueryError::Invalid(_)
            | QueryError::Refused(_)
            | QueryError::TooManyRows(_)
            | QueryError::TooManyBytes(_)
            | QueryError::Memory(_) => StatusCode::BAD_REQUEST,
            QueryError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            QueryError::Busy => StatusCode::TOO_MANY_REQUESTS,
            QueryError::Snapshot(_) | QueryError::Storage(_) => StatusCode::SERVICE_UNAVAILABLE,
            QueryError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::warn!(%error, "answer a question of Loki's API");
        }
        ApiError::new(status, error.told())
    }
}

impl From<LogsError> for ApiError {
    fn from(error: LogsError) -> Self {
        match error {
            LogsError::Query(error) => error.into(),
            LogsError::Read(error) => error.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text + "\n").into_response()
    }
}
