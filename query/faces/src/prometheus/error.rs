//! What a failed request is answered with: `{"status":"error","errorType":..,"error":..}` and Prometheus's codes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use meshlake_query::promql::Error;
use serde_json::json;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    /// Prometheus's word for the kind.
    pub kind: &'static str,
    pub text: String,
}

impl ApiError {
    pub fn new(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Self {
        ApiError { status, kind, text: text.into() }
    }

    pub fn bad_data(text: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_data", text)
    }

    /// Of one parameter, in the form that Prometheus gives it.
    pub fn invalid(parameter: &str, text: impl std::fmt::Display) -> Self {
        ApiError::bad_data(format!("invalid parameter {parameter:?}: {text}"))
    }

    pub fn not_found(text: impl Into<String>) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", text)
    }

    pub fn method_not_allowed() -> Self {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "bad_data", "this path does not answer this method")
    }

    /// Of a query: what is wrong with its text is named as the parameter that it is.
    pub fn of_query(error: Error) -> Self {
        match error {
            Error::BadData(text) => ApiError::invalid("query", text),
            other => ApiError::from(other),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, kind) = match &error {
            Error::BadData(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            Error::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            Error::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Error::Canceled(_) => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
            Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        ApiError::new(status, kind, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"status": "error", "errorType": self.kind, "error": self.text});
        (self.status, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_prometheus_codes() {
        let text = || "x".to_owned();
        let cases = [
            (Error::BadData(text()), 400, "bad_data", "x"),
            (Error::Execution(text()), 422, "execution", "x"),
            (Error::Timeout(text()), 503, "timeout", "query timed out in x"),
            (Error::Canceled(text()), 503, "canceled", "query was canceled in x"),
            (Error::Internal(text()), 500, "internal", "x"),
        ];
        for (error, status, kind, text) in cases {
            let api = ApiError::from(error.clone());
            assert_eq!((api.status.as_u16(), api.kind, api.text.as_str()), (status, kind, text), "{error:?}");
        }
        assert_eq!(ApiError::of_query(Error::BadData(text())).text, "invalid parameter \"query\": x");
        assert_eq!(ApiError::of_query(Error::Execution(text())).text, "x");
    }
}
