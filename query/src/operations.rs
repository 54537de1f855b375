//! Which services sent spans, and what their operations are called: what people choose from before they search for traces.
//!
//! No range is asked for, and all that is kept may be a year: so names are those of the last [`HEARD`] before the newest span.
//! Jaeger looks back as far by default. Services that sent no span are not here, because nothing would be found of them.

use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use meshlake_engine::{Query, QueryError};
use meshlake_schema::UnixNanos;
use meshlake_schema::filter::Value;

/// How long before the newest span names are looked for: Jaeger's `max-span-age`.
pub const HEARD: Duration = Duration::from_secs(72 * 60 * 60);

/// Names in an answer. A menu of more is of no use to people, and one service that puts ids into names must not fill the
/// memory of those who ask.
pub const NAMES_MAX: usize = 20_000;

/// An operation, by one kind of span.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    pub name: String,
    /// OTLP `SpanKind`.
    pub kind: i32,
}

/// The services that sent spans, sorted; the first [`NAMES_MAX`].
///
/// # Errors
/// Those of [`Query::sql`].
pub async fn services(query: &Query) -> Result<Vec<String>, QueryError> {
    let Some(since) = since(query).await? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT arrow_cast(service_name, 'Utf8View') AS service FROM spans
         WHERE time >= TIMESTAMP '{since}' AND service_name <> '' GROUP BY 1 ORDER BY 1 LIMIT {NAMES_MAX}"
    );
    let batches: Vec<RecordBatch> = query.sql(&sql).await?.try_collect().await?;
    let names = batches.iter().flat_map(|batch| batch.column(0).as_string_view().iter().flatten());
    Ok(names.map(str::to_owned).collect())
}

/// The operations of a service, sorted by name, then kind; the first [`NAMES_MAX`].
///
/// # Errors
/// Those of [`Query::sql`].
pub async fn operations(query: &Query, service: &str) -> Result<Vec<Operation>, QueryError> {
    let Some(since) = since(query).await? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT arrow_cast(name, 'Utf8View') AS name, kind FROM spans
         WHERE time >= TIMESTAMP '{since}' AND service_name = $1 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT {NAMES_MAX}"
    );
    let bound = query.prepare(&sql).await?.bind(&[Some(Value::Text(service.to_owned()))])?;
    let batches: Vec<RecordBatch> = query.run(bound).await?.try_collect().await?;
    Ok(batches.iter().flat_map(operations_of).collect())
}

/// What the spans of a service call the services that they call, sorted; the first [`NAMES_MAX`].
///
/// # Errors
/// Those of [`Query::sql`].
pub async fn peers(query: &Query, service: &str) -> Result<Vec<String>, QueryError> {
    let Some(since) = since(query).await? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT arrow_cast(peer_service, 'Utf8View') AS peer FROM spans
         WHERE time >= TIMESTAMP '{since}' AND service_name = $1 AND peer_service <> ''
         GROUP BY 1 ORDER BY 1 LIMIT {NAMES_MAX}"
    );
    let bound = query.prepare(&sql).await?.bind(&[Some(Value::Text(service.to_owned()))])?;
    let batches: Vec<RecordBatch> = query.run(bound).await?.try_collect().await?;
    let names = batches.iter().flat_map(|batch| batch.column(0).as_string_view().iter().flatten());
    Ok(names.map(str::to_owned).collect())
}

/// From when on names are looked for; none when there is no span.
async fn since(query: &Query) -> Result<Option<String>, QueryError> {
    let newest = query.sql("SELECT max(time) AS newest FROM spans").await?;
    let batches: Vec<RecordBatch> = newest.try_collect().await?;
    let newest = batches.first().and_then(|batch| {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        times.is_valid(0).then(|| UnixNanos::from_micros(times.value(0)))
    });
    Ok(newest.map(|newest| newest.minus(HEARD).to_rfc3339()))
}

fn operations_of(batch: &RecordBatch) -> Vec<Operation> {
    let (names, kinds) = (batch.column(0).as_string_view(), batch.column(1).as_primitive::<Int32Type>());
    let operation = |row| Operation { name: names.value(row).to_owned(), kind: kinds.value(row) };
    (0..batch.num_rows()).map(operation).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_engine::{Engine, EngineConfig};
    use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
    use meshlake_schema::{SystemClock, Table};

    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn span(nanos: i64, service: &str, name: &str, kind: i64) -> Row {
        row(nanos, [("service_name", service.into()), ("name", name.into()), ("kind", Cell::Int(kind))])
    }

    async fn asked(rows: &[Row]) -> Query {
        let reader = SnapshotBuilder::new().hot(Table::Spans, 1, rows).reader();
        let engine = Engine::new(reader, EngineConfig::default(), Arc::new(SystemClock));
        engine.expect("no directory is named").begin("default").await.expect("a place is free")
    }

    /// The span of "old" is just too old, that of "edge" just not.
    #[tokio::test]
    async fn services_are_those_that_sent_spans_of_late() {
        let newest = 100 * HOUR;
        let rows = [
            span(newest, "b'c", "x", 2),
            span(newest - 1, "", "x", 2),
            span(newest - 72 * HOUR, "edge", "x", 2),
            span(newest - 72 * HOUR - 1_000, "old", "x", 2),
            span(newest - 5, "b'c", "y", 2),
        ];
        assert_eq!(services(&asked(&rows).await).await, Ok(vec!["b'c".to_owned(), "edge".to_owned()]));
        assert_eq!(services(&asked(&[]).await).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn peers_are_those_that_a_services_spans_name() {
        let call = |nanos: i64, peer: &str| {
            row(nanos, [("service_name", "web".into()), ("peer_service", peer.into())])
        };
        let rows = [call(1, "cart"), call(2, ""), call(3, "bank"), call(4, "cart"), span(5, "web", "x", 2)];
        let query = asked(&rows).await;
        assert_eq!(peers(&query, "web").await, Ok(vec!["bank".to_owned(), "cart".to_owned()]));
        assert_eq!(peers(&query, "cart").await, Ok(vec![]));
    }

    #[tokio::test]
    async fn operations_are_told_by_name_and_kind() {
        let rows = [
            span(5, "b'c", "y", 2),
            span(4, "b'c", "x", 3),
            span(3, "b'c", "x", 2),
            span(2, "b'c", "x", 2),
            span(1, "a", "z", 1),
        ];
        let query = asked(&rows).await;
        let operation = |name: &str, kind| Operation { name: name.to_owned(), kind };
        let want = vec![operation("x", 2), operation("x", 3), operation("y", 2)];
        assert_eq!(operations(&query, "b'c").await, Ok(want));
        assert_eq!(operations(&query, "nobody").await, Ok(vec![]));
    }
}
