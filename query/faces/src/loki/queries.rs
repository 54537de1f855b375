//! `query`, `query_range` and `format_query`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use meshlake_query::logql::{Query, Steps};
use meshlake_query::logs::{self, Lines, Numbers};
use serde_json::{Value, json};

use super::error::ApiError;
use super::parameters::{Parameters, QUERY_NANOS};
use super::written;
use crate::FaceState;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Steps of a range that names none, about: Loki's.
const STEPS: i64 = 250;

/// `query`: numbers at one time.
pub async fn instant(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    parameters.limit()?;
    let time = parameters.time("time")?.unwrap_or(parameters.now);
    let Query::Metric(metric) = parameters.query().await? else {
        let text = "log queries are not supported as an instant query type, please change your query to a range query type";
        return Err(ApiError::bad_request(text));
    };
    let steps = Steps::instant(time);
    let answer = logs::numbers(&state.engine, &parameters.tenant, Numbers { metric, steps }).await?;
    Ok(written::instant(answer, time))
}

/// `query_range`: lines of a range, or numbers each step.
pub async fn range(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let (from, to) = parameters.range(QUERY_NANOS)?;
    let (limit, direction) = (parameters.limit()?, parameters.direction()?);
    let step = parameters.length("step")?;
    match parameters.query().await? {
        Query::Log(log) => {
            let question = Lines { log, from, to, limit, direction };
            let found = logs::lines(&state.engine, &parameters.tenant, question).await?;
            Ok(written::streams(&found, parameters.categorizes))
        }
        Query::Metric(metric) => {
            let seconds = (to.0.saturating_sub(from.0)) / NANOS_PER_SECOND / STEPS;
            let step = step.unwrap_or(seconds.max(1) * NANOS_PER_SECOND);
            let steps = Steps::range(from.0, to.0, step)?;
            let answer = logs::numbers(&state.engine, &parameters.tenant, Numbers { metric, steps }).await?;
            Ok(written::range(answer, steps))
        }
    }
}

/// `format_query`: the query with its operators in parentheses.
pub async fn format(parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let query = parameters.query().await?;
    Ok(Json(json!({"status": "success", "data": query.to_string()})))
}
