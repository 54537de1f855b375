//! `GET /api/v1/exemplars?service=&edge=&errors=&min_ms=&from=&to=&limit=`: calls whose traces can be read, see
//! `meshlake_query::calls::exemplars`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::list::{CallJson, call_json};
use super::{one_of, parameters, range, unknown_parameters};
use crate::FaceState;
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::calls::LoadError;
use meshlake_query::calls::exemplars::{Asked, exemplars};
use meshlake_query::exemplars::{EXEMPLARS_DEFAULT, EXEMPLARS_MAX, Wanted};

const PARAMETERS: [&str; 7] = ["service", "edge", "errors", "min_ms", "from", "to", "limit"];

const YES_OR_NO: [(&str, bool); 4] = [("false", false), ("true", true), ("0", false), ("1", true)];

/// Stand between the ids of the two ends of an edge: the first may stand in a URI as it is, the second is how people write it.
const BETWEEN: [&str; 2] = [",", "->"];

#[derive(Deserialize)]
struct Given {
    service: Option<String>,
    edge: Option<String>,
    errors: Option<String>,
    min_ms: Option<String>,
    limit: Option<usize>,
}

/// The answer. Failed calls come first, then slow ones; each has a trace of its own, which `/api/v1/traces/{trace_id}` tells.
#[derive(Serialize)]
pub struct ExemplarsJson {
    from: String,
    to: String,
    limit: usize,
    exemplars: Vec<CallJson>,
    warnings: Vec<String>,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<ExemplarsJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let range = range(asked, None)?;
    let limit = given.limit.unwrap_or(EXEMPLARS_DEFAULT);
    if !(1..=EXEMPLARS_MAX).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit={limit} is not between 1 and {EXEMPLARS_MAX}")));
    }
    let asked = Asked {
        range,
        wanted: Wanted {
            service: given.service.as_deref().filter(|service| !service.is_empty()),
            edge: given.edge.as_deref().filter(|edge| !edge.is_empty()).map(edge).transpose()?,
        },
        failed_only: one_of("errors", given.errors.as_deref(), &YES_OR_NO)?,
        duration_min: duration_min(given.min_ms.as_deref())?,
        most: limit,
    };
    let query = state.engine.begin(&tenant).await.map_err(LoadError::from)?;
    let found = exemplars(&query, &asked).await?;
    Ok(Json(ExemplarsJson {
        from: range.from().to_rfc3339(),
        to: range.to().to_rfc3339(),
        limit,
        exemplars: found.calls.into_iter().map(call_json).collect(),
        warnings: found.warnings.into_iter().chain(unknown_parameters(&uri, &PARAMETERS)).collect(),
    }))
}

fn edge(given: &str) -> Result<(&str, &str), ApiError> {
    let ends = BETWEEN.iter().find_map(|between| given.split_once(between));
    let ends = ends.filter(|(from, to)| !from.is_empty() && !to.is_empty());
    ends.ok_or_else(|| {
        ApiError::bad_request(format!("edge={given} is not CALLER,CALLEE, ids or names of nodes"))
    })
}

/// Nanoseconds; none is 0, which every call takes.
fn duration_min(given: Option<&str>) -> Result<i64, ApiError> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(0) };
    let millis = given.parse().ok().filter(|millis: &f64| millis.is_finite() && *millis >= 0.0);
    let millis = millis
        .ok_or_else(|| ApiError::bad_request(format!("min_ms={given} is not a number of milliseconds")))?;
    Ok((millis * 1e6) as i64)
}
