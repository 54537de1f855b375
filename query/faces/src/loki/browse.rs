//! Labels, series, how much there is, and fields that lines have.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use meshlake_query::logs::{self, Field, FieldKind, Lines};
use serde_json::{Value, json};

use super::error::ApiError;
use super::parameters::{BROWSE_NANOS, Parameters, QUERY_NANOS};
use crate::FaceState;

/// `labels`.
pub async fn label_names(
    State(state): State<FaceState>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let times = parameters.range(BROWSE_NANOS)?;
    let logs: Vec<_> = parameters.selector().await?.into_iter().collect();
    let found = logs::label_names(&state.engine, &parameters.tenant, logs, times).await?;
    Ok(success(&found.into_keys().collect::<Vec<_>>()))
}

/// `label/{name}/values`.
pub async fn label_values(
    State(state): State<FaceState>,
    Path(label): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let times = parameters.range(BROWSE_NANOS)?;
    let logs: Vec<_> = parameters.selector().await?.into_iter().collect();
    Ok(success(&logs::label_values(&state.engine, &parameters.tenant, &label, logs, times).await?))
}

/// `series`.
pub async fn series(State(state): State<FaceState>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let times = parameters.range(BROWSE_NANOS)?;
    let logs = parameters.selectors().await?;
    let found = logs::stream_labels(&state.engine, &parameters.tenant, logs, times).await?;
    let series = found.iter().map(|labels| {
        let labels = labels.iter().map(|label| (label.name.to_string(), label.value.to_string()));
        labels.collect::<BTreeMap<_, _>>()
    });
    Ok(success(&series.collect::<Vec<_>>()))
}

fn success(data: &impl serde::Serialize) -> Json<Value> {
    Json(json!({"status": "success", "data": data}))
}

/// `index/stats`.
pub async fn stats(State(state): State<FaceState>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    let times = parameters.range(QUERY_NANOS)?;
    let missing = || ApiError::bad_request("only label matchers are supported");
    let log = parameters.selector().await?.ok_or_else(missing)?;
    let counted = logs::counted(&state.engine, &parameters.tenant, log, times).await?;
    // There are no chunks here: a stream's lines lie beside those of others.
    let logs::Counted { streams, entries, bytes } = counted;
    Ok(Json(json!({"streams": streams, "chunks": streams, "entries": entries, "bytes": bytes})))
}

/// `detected_labels`.
pub async fn detected_labels(
    State(state): State<FaceState>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let times = parameters.range(QUERY_NANOS)?;
    let logs: Vec<_> = parameters.selector().await?.into_iter().collect();
    let found = logs::label_names(&state.engine, &parameters.tenant, logs, times).await?;
    let labels = found.iter().map(|(label, values)| json!({"label": label, "cardinality": values.len()}));
    Ok(Json(json!({"detectedLabels": labels.collect::<Vec<_>>()})))
}

/// `detected_fields`.
pub async fn detected_fields(
    State(state): State<FaceState>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let (fields, limit) = fields(&state, &parameters).await?;
    let told = fields.iter().map(|field| {
        let parsers = field.parser.map(|parser| vec![parser]);
        let cardinality = field.values.len();
        json!({"label": field.label, "type": type_name(field.kind), "cardinality": cardinality, "parsers": parsers})
    });
    Ok(Json(json!({"fields": told.collect::<Vec<_>>(), "limit": limit})))
}

/// `detected_field/{name}/values`.
pub async fn detected_values(
    State(state): State<FaceState>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let (fields, limit) = fields(&state, &parameters).await?;
    let values = fields.into_iter().find(|field| field.label == name).map(|field| field.values);
    Ok(Json(json!({"values": values.unwrap_or_default(), "limit": limit})))
}

/// The fields, and of how many lines at most.
async fn fields(state: &FaceState, parameters: &Parameters) -> Result<(Vec<Field>, usize), ApiError> {
    let (from, to) = parameters.range(QUERY_NANOS)?;
    let limit = match parameters.first("line_limit") {
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=logs::LINES_MAX).contains(limit));
            limit.ok_or_else(|| {
                ApiError::bad_request(format!("line_limit is not from 1 to {}", logs::LINES_MAX))
            })?
        }
        None => LINES,
    };
    let missing = || ApiError::bad_request("a query is missing");
    let log = parameters.selector().await?.ok_or_else(missing)?;
    let question = Lines { log, from, to, limit, direction: logs::Direction::Backward };
    Ok((logs::detected_fields(&state.engine, &parameters.tenant, question).await?, limit))
}

/// Lines that fields are looked for in, where a request names none: Loki's.
const LINES: usize = 100;

/// Loki's word.
fn type_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "string",
        FieldKind::Integer => "int",
        FieldKind::Float => "float",
        FieldKind::Boolean => "boolean",
        FieldKind::Duration => "duration",
        FieldKind::Bytes => "bytes",
    }
}
