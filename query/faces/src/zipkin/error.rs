//! What a failed request is answered with: a line of text, as Zipkin's own.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use meshlake_query::calls::LoadError;
use meshlake_query::{QueryError, traceql};

use crate::codes::status_of;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub text: String,
}

impl ApiError {
    pub fn bad_request(text: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub fn no_trace(trace_id: &str) -> ApiError {
        ApiError { status: StatusCode::NOT_FOUND, text: format!("{trace_id} not found") }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        ApiError { status: status_of(&error), text: error.told() }
    }
}

impl From<traceql::Error> for ApiError {
    fn from(error: traceql::Error) -> Self {
        match error {
            traceql::Error::Query(error) => error.into(),
            error => ApiError::bad_request(error.told()),
        }
    }
}

impl From<LoadError> for ApiError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Query(error) => error.into(),
            LoadError::TooManyCells(error) => ApiError::bad_request(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, self.text + "\n").into_response()
    }
}

/// A path or a method that is not there.
pub async fn not_found() -> ApiError {
    ApiError { status: StatusCode::NOT_FOUND, text: "there is nothing at this path".to_owned() }
}
