//! `GET /api/v1/spans/compare?service=&operation=&failed=&slower_than=&from=&to=`: what slow or failed spans have in common; see
//! `meshlake_query::analysis::contrast`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use meshlake_query::analysis::contrast::{Asked, OverRepresented, Selected, contrast};
use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::{one_of, parameters, unknown_parameters};
use super::{ApiError, Tenant, TimeRange};
use crate::FaceState;
use crate::duration;

const PARAMETERS: [&str; 6] = ["service", "operation", "failed", "slower_than", "from", "to"];

#[derive(Deserialize)]
struct Given {
    service: Option<String>,
    operation: Option<String>,
    failed: Option<String>,
    slower_than: Option<String>,
}

/// Answers the request.
pub async fn compare(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    range: TimeRange,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let given: Given = parameters(&uri)?;
    let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (service, operation) = (named(&given.service), named(&given.operation));
    let asked = Asked {
        range: meshlake_schema::TimeRange { from: range.from, to: range.to },
        service: service.as_deref(),
        operation: operation.as_deref(),
        selected: selected(&given)?,
    };
    let query = state.engine.begin(&tenant).await?;
    let found = contrast(&query, &asked).await?;
    Ok(Json(json!({
        "from": range.from.to_rfc3339(),
        "to": range.to.to_rfc3339(),
        "selected": found.selected,
        "rest": found.rest,
        "values": found.values.iter().map(value_json).collect::<Vec<_>>(),
        "warnings": found.warnings.into_iter().chain(unknown_parameters(&uri, &PARAMETERS)).collect::<Vec<_>>(),
    })))
}

/// Failed spans, unless a duration is given.
fn selected(given: &Given) -> Result<Selected, ApiError> {
    let failed = one_of(
        "failed",
        given.failed.as_deref(),
        &[("", None), ("true", Some(true)), ("false", Some(false))],
    )?;
    let slower_than = given.slower_than.as_deref().filter(|text| !text.is_empty());
    match (failed, slower_than) {
        (None | Some(true), None) => Ok(Selected::Failed),
        (None | Some(false), Some(text)) => duration::parse(text).map(Selected::Slow).ok_or_else(|| {
            let message = format!("slower_than={text} is not a duration like 250ms, 1.5s or 2m");
            ApiError::bad_request(message)
        }),
        (Some(true), Some(_)) => Err(ApiError::bad_request("failed and slower_than exclude each other")),
        (Some(false), None) => {
            Err(ApiError::bad_request("nothing selects spans: failed=true or slower_than=2s"))
        }
    }
}

fn value_json(value: &OverRepresented) -> Value {
    json!({
        "attribute": value.attribute,
        "value": value.value,
        "selected": value.selected,
        "rest": value.rest,
        "selected_share": value.selected_share,
        "rest_share": value.rest_share,
        "lift": value.lift,
        "p_value": value.p_value,
    })
}
