//! `format_query` and `parse_query`: queries as text and as trees, without evaluating them.

use axum::http::StatusCode;
use axum::response::Response;
use meshlake_query::promql::{self, Expr};
use serde_json::json;

use super::error::ApiError;
use super::parameters::Parameters;
use super::tree::tree;
use super::written::{self, Notes};

/// The query, written as Prometheus writes it.
pub async fn format(parameters: Parameters) -> Result<Response, ApiError> {
    let expr = parsed(&parameters).await?;
    Ok(written::data(&json!(expr.pretty()), Notes::default()))
}

/// The tree of the query.
pub async fn parse(parameters: Parameters) -> Result<Response, ApiError> {
    let expr = parsed(&parameters).await?;
    Ok(written::data(&tree(&expr), Notes::default()))
}

/// On a thread of its own: to compile regular expressions can take a while.
async fn parsed(parameters: &Parameters) -> Result<Expr, ApiError> {
    let query = parameters.query();
    let parsing = tokio::task::spawn_blocking(move || promql::parse(&query)).await;
    let failed = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed");
    parsing.map_err(failed)?.map_err(ApiError::of_query)
}
