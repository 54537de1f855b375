//! `GET /api/v1/services?from&to`: which services were heard of in a range.
//!
//! A service is heard of when it sent a span or its own proxy logged a request: the callee's proxy for
//! server-side rows, the caller's for client-side and gateway rows. Services that others only name
//! (a database without telemetry) are nodes of the graph, not services here.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use meshlake_schema::UnixNanos;
use serde::Serialize;
use serde_json::json;

use super::{ApiError, ApiState, Tenant, TimeRange, rfc3339};
use crate::engine::QueryError;

const NANOS_PER_MICRO: i64 = 1_000;

#[derive(Serialize)]
struct Service {
    service: String,
    namespace: Option<String>,
    first_seen: String,
    last_seen: String,
    /// Spans of any kind that the service or its proxy sent.
    spans: i64,
    /// Calls that the service's own proxy logged, towards it or away from it.
    requests: i64,
}

/// Answers `{"from","to","services":[...]}`, sorted by name and namespace.
pub async fn answer(
    State(state): State<ApiState>,
    Tenant(tenant): Tenant,
    range: TimeRange,
) -> Result<Response, ApiError> {
    let found = state.engine.sql(&tenant, &services_sql(range)).await?;
    let batches: Vec<RecordBatch> = found.stream.try_collect().await.map_err(QueryError::from)?;
    let services: Vec<Service> = batches.iter().flat_map(services).collect();
    let (from, to) = (rfc3339(range.from), rfc3339(range.to));
    Ok(Json(json!({"from": from, "to": to, "services": services})).into_response())
}

fn services_sql(range: TimeRange) -> String {
    let (from, to) = (rfc3339(range.from), rfc3339(range.to));
    let in_range = format!("time >= TIMESTAMP '{from}' AND time < TIMESTAMP '{to}'");
    format!(
        "SELECT service, namespace, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
                CAST(sum(spans) AS BIGINT) AS spans, CAST(sum(requests) AS BIGINT) AS requests
         FROM (
            SELECT service_name AS service, service_namespace AS namespace, min(time) AS first_seen,
                   max(time) AS last_seen, count(*) AS spans, 0 AS requests
            FROM spans WHERE {in_range} GROUP BY 1, 2
            UNION ALL
            SELECT CASE WHEN observer = 'server' THEN destination_service ELSE source_service END,
                   CASE WHEN observer = 'server' THEN destination_namespace ELSE source_namespace END,
                   min(time), max(time), 0, sum(CASE WHEN counted THEN 1 ELSE 0 END)
            FROM requests WHERE {in_range} GROUP BY 1, 2
         )
         WHERE service IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
}

/// The rows of [`services_sql`]'s answer.
fn services(batch: &RecordBatch) -> Vec<Service> {
    let columns = batch.columns();
    let (names, namespaces) = (columns[0].as_string_view(), columns[1].as_string_view());
    let seen = [&columns[2], &columns[3]].map(AsArray::as_primitive::<TimestampMicrosecondType>);
    let counts = [&columns[4], &columns[5]].map(AsArray::as_primitive::<Int64Type>);
    let time = |micros: i64| rfc3339(UnixNanos(micros.saturating_mul(NANOS_PER_MICRO)));
    let rows = (0..batch.num_rows()).map(|row| Service {
        service: names.value(row).to_owned(),
        namespace: namespaces.is_valid(row).then(|| namespaces.value(row).to_owned()),
        first_seen: time(seen[0].value(row)),
        last_seen: time(seen[1].value(row)),
        spans: counts[0].value(row),
        requests: counts[1].value(row),
    });
    rows.collect()
}
