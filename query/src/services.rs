//! Which services were heard of, and when.
//!
//! A service is heard of when it sent a span or its own proxy logged a request: the callee's proxy for
//! server-side rows, the caller's for client-side and gateway rows. Services that others only name
//! (a database without telemetry) are nodes of the graph, not services here. An empty name is none: spans
//! without one are of `unknown_service`, as in the graph.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use meshlake_engine::{Engine, Query, QueryError};
use meshlake_schema::UnixNanos;

const NANOS_PER_MICRO: i64 = 1_000;

/// The start of the newest row that can tell of a call.
const NEWEST_SQL: &str = "SELECT max(time) AS newest FROM (SELECT max(time) AS time FROM spans \
                          UNION ALL SELECT max(time) FROM requests)";

/// A service that was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub service: String,
    pub namespace: Option<String>,
    /// Starts of its first and last row in the range.
    pub first_seen: UnixNanos,
    pub last_seen: UnixNanos,
    /// Spans of any kind that the service or its proxy sent.
    pub spans: i64,
    /// Calls that the service's own proxy logged, towards it or away from it.
    pub requests: i64,
}

/// The services heard of in `[from, to)`, sorted by name and namespace.
///
/// # Errors
/// Those of [`Engine::begin`] and [`Query::sql`].
pub async fn services(
    engine: &Engine,
    tenant: &str,
    from: UnixNanos,
    to: UnixNanos,
) -> Result<Vec<Service>, QueryError> {
    services_in(&engine.begin(tenant).await?, from, to).await
}

/// As [`services`], from the snapshot of a query: who waits for a second place while holding one may wait for somebody who does the
/// same.
///
/// # Errors
/// Those of [`Query::sql`].
pub async fn services_in(query: &Query, from: UnixNanos, to: UnixNanos) -> Result<Vec<Service>, QueryError> {
    let found = query.sql(&services_sql(from, to)).await?;
    let batches: Vec<RecordBatch> = found.try_collect().await?;
    Ok(batches.iter().flat_map(services_of).collect())
}

/// The start of the newest row that can tell of a call, of any time; none when there is no row.
///
/// # Errors
/// Those of [`Engine::sql`].
pub async fn newest(engine: &Engine, tenant: &str) -> Result<Option<UnixNanos>, QueryError> {
    let found = engine.sql(tenant, NEWEST_SQL).await?;
    let batches: Vec<RecordBatch> = found.try_collect().await?;
    let newest = batches.first().and_then(|batch| {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        times.is_valid(0).then(|| of_micros(times.value(0)))
    });
    Ok(newest)
}

fn services_sql(from: UnixNanos, to: UnixNanos) -> String {
    let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
    let unknown = meshlake_calls::span_rows::UNKNOWN_SERVICE;
    let in_range = format!("time >= TIMESTAMP '{from}' AND time < TIMESTAMP '{to}'");
    format!(
        "SELECT arrow_cast(service, 'Utf8View') AS service, arrow_cast(namespace, 'Utf8View') AS namespace,
                min(first_seen) AS first_seen, max(last_seen) AS last_seen,
                CAST(sum(spans) AS BIGINT) AS spans, CAST(sum(requests) AS BIGINT) AS requests
         FROM (
            SELECT coalesce(nullif(service_name, ''), '{unknown}') AS service,
                   nullif(service_namespace, '') AS namespace, min(time) AS first_seen,
                   max(time) AS last_seen, count(*) AS spans, 0 AS requests
            FROM spans WHERE {in_range} GROUP BY 1, 2
            UNION ALL
            SELECT nullif(CASE WHEN observer = 'server' THEN destination_service ELSE source_service END, ''),
                   nullif(CASE WHEN observer = 'server' THEN destination_namespace ELSE source_namespace END, ''),
                   min(time), max(time), 0, sum(CASE WHEN counted THEN 1 ELSE 0 END)
            FROM requests WHERE {in_range} GROUP BY 1, 2
         )
         WHERE service IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
}

/// The rows of [`services_sql`]'s answer.
fn services_of(batch: &RecordBatch) -> Vec<Service> {
    let columns = batch.columns();
    let (names, namespaces) = (columns[0].as_string_view(), columns[1].as_string_view());
    let seen = [&columns[2], &columns[3]].map(AsArray::as_primitive::<TimestampMicrosecondType>);
    let counts = [&columns[4], &columns[5]].map(AsArray::as_primitive::<Int64Type>);
    let rows = (0..batch.num_rows()).map(|row| Service {
        service: names.value(row).to_owned(),
        namespace: namespaces.is_valid(row).then(|| namespaces.value(row).to_owned()),
        first_seen: of_micros(seen[0].value(row)),
        last_seen: of_micros(seen[1].value(row)),
        spans: counts[0].value(row),
        requests: counts[1].value(row),
    });
    rows.collect()
}

fn of_micros(micros: i64) -> UnixNanos {
    UnixNanos(micros.saturating_mul(NANOS_PER_MICRO))
}
