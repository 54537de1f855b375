//! `format_query` and `parse_query`: queries as text and as trees, without evaluating them.

use axum::extract::State;
use axum::response::Response;
use meshlake_query::prometheus;
use meshlake_query::promql::Expr;
use serde_json::json;

use super::error::ApiError;
use super::parameters::Parameters;
use super::tree::tree;
use super::written::{self, Notes};
use crate::FaceState;

/// The query, written as Prometheus writes it.
pub async fn format(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let expr = parsed(&state, &parameters).await?;
    Ok(written::data(&json!(expr.pretty()), Notes::default()))
}

/// The tree of the query.
pub async fn parse(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let expr = parsed(&state, &parameters).await?;
    Ok(written::data(&tree(&expr), Notes::default()))
}

async fn parsed(state: &FaceState, parameters: &Parameters) -> Result<Expr, ApiError> {
    let tree = prometheus::parsed(&state.prometheus, &parameters.tenant, parameters.query()).await;
    tree.map_err(ApiError::of_query)
}
