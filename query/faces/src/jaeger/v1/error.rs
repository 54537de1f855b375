//! What a failed request of v1 is answered with: Jaeger's envelope without data, and its codes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::jaeger::failure::Failure;

/// An answer: `{"data", "total", "limit", "offset", "errors"}`.
pub fn envelope(data: &Value, total: usize, errors: &Value) -> Value {
    json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors})
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError(pub Failure);

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        ApiError(failure)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.0.http();
        let errors = json!([{"code": status.as_u16(), "msg": self.0.to_string()}]);
        (status, Json(envelope(&Value::Null, 0, &errors))).into_response()
    }
}

/// A path or a method that is not there.
pub async fn not_found() -> Response {
    let errors = json!([{"code": 404, "msg": "there is nothing at this path"}]);
    (StatusCode::NOT_FOUND, Json(envelope(&Value::Null, 0, &errors))).into_response()
}
