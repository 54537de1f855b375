//! What a failed request is answered with: a text, and Tempo's codes; over gRPC the status that says the same.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use meshlake_query::traceql::Error;
use meshlake_query::{Fault, QueryError};
use tonic::{Code, Status};

use crate::grpc::status::failed;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub text: String,
}

impl ApiError {
    pub fn bad_request(text: impl Into<String>) -> Self {
        ApiError { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub fn not_found(text: impl Into<String>) -> Self {
        ApiError { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    pub fn method_not_allowed() -> Self {
        ApiError { status: StatusCode::METHOD_NOT_ALLOWED, text: "method not allowed".to_owned() }
    }

    /// Of a query's text.
    pub fn query(error: &impl std::fmt::Display) -> Self {
        ApiError::bad_request(format!("invalid TraceQL query: {error}"))
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(error) => error.into(),
            error => ApiError::bad_request(error.to_string()),
        }
    }
}

impl From<QueryError> for ApiError {
    /// What takes too much is the asker's to change, and too many requests are to come later.
    fn from(error: QueryError) -> Self {
        let status = match (&error, error.fault()) {
            (QueryError::TimedOut(_), _) => StatusCode::GATEWAY_TIMEOUT,
            (QueryError::Busy, _) => StatusCode::TOO_MANY_REQUESTS,
            (_, Fault::Asker) => StatusCode::BAD_REQUEST,
            (_, Fault::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            (_, Fault::Ours) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::warn!(%error, "answer a question of Tempo's API");
        }
        ApiError { status, text: error.told() }
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let code = match error.status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
            StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
            _ => Code::InvalidArgument,
        };
        Status::new(code, error.text)
    }
}

/// As [`ApiError`], over gRPC.
pub fn status_of(error: &Error) -> Status {
    match error {
        Error::Query(error) => failed(error),
        error => Status::invalid_argument(error.to_string()),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, format!("{}\n", self.text)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn codes_say_whether_asking_again_can_help_and_texts_tell_no_path() {
        let secret = || "/var/lib/meshlake".to_owned();
        let cases = [
            (QueryError::Refused("too deep".to_owned()), 400),
            (QueryError::TimedOut(Duration::from_secs(1)), 504),
            (QueryError::Busy, 429),
            (QueryError::Memory("much".to_owned()), 503),
            (QueryError::Storage(secret()), 503),
            (QueryError::Internal(secret()), 500),
        ];
        for (error, status) in cases {
            let answered = ApiError::from(error.clone());
            assert_eq!(answered.status.as_u16(), status, "{error:?}");
            assert!(!answered.text.contains("/var"), "{answered:?}");
        }
        assert_eq!(ApiError::from(Error::OtherKind("x")), ApiError::bad_request("x"));
    }
}
