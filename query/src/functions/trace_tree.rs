//! `trace_tree(trace_id)`: the spans of a trace as a tree, a row per span, in the order in which a tree is read; see
//! [`crate::tree`].

use arrow::array::RecordBatch;
use meshlake_engine::{Arguments, Parameter, ParameterKind, Query, QueryError};
use meshlake_schema::UnixNanos;
use meshlake_schema::parents::Span;
use meshlake_schema::rows::{Booleans, Integers, RowsError, Text};
use meshlake_schema::{Table, read_columns};

use super::{Column, Function, Value, parameter};
use crate::trace::{kind_name, spans_of, status_name};
use crate::tree::{Placed, tree};

const NANOS_PER_MILLI: f64 = 1e6;

read_columns! {
    /// What is shown of a span.
    struct Columns of Table::Spans {
        span_id: Text,
        parent_span_id: Text,
        service_name: Text,
        service_namespace: Text,
        name: Text,
        kind: Integers,
        time_unix_nano: Integers,
        duration_nano: Integers,
        status_code: Integers,
        outcome: Text,
        is_proxy: Booleans,
    }
}

/// A span as it is shown.
pub(super) struct Row {
    trace_id: String,
    span: Shown,
    position: i64,
    place: Placed,
}

/// What is shown of a span whatever its place.
struct Shown {
    span_id: String,
    parent_span_id: Option<String>,
    service: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    kind: Option<i64>,
    start: i64,
    duration: i64,
    status_code: Option<i64>,
    outcome: Option<String>,
    is_proxy: Option<bool>,
}

const COLUMNS: &[Column<Row>] = &[
    Column { name: "trace_id", value: Value::Text(|row| Some(&row.trace_id)) },
    Column { name: "position", value: Value::Integer(|row| Some(row.position)) },
    Column { name: "depth", value: Value::Integer(|row| Some(i64::from(row.place.depth))) },
    Column { name: "span_id", value: Value::Text(|row| Some(&row.span.span_id)) },
    Column { name: "parent_span_id", value: Value::Text(|row| row.span.parent_span_id.as_deref()) },
    Column { name: "is_orphan", value: Value::Boolean(|row| Some(row.place.is_orphan)) },
    Column { name: "service_name", value: Value::Text(|row| row.span.service.as_deref()) },
    Column { name: "service_namespace", value: Value::Text(|row| row.span.namespace.as_deref()) },
    Column { name: "name", value: Value::Text(|row| row.span.name.as_deref()) },
    Column { name: "kind", value: Value::Text(|row| Some(kind_name(row.span.kind))) },
    Column { name: "time", value: Value::Time(|row| Some(UnixNanos(row.span.start))) },
    Column { name: "duration_ms", value: Value::Number(|row| Some(millis(row.span.duration))) },
    Column { name: "self_ms", value: Value::Number(|row| Some(millis(row.place.self_nanos))) },
    Column { name: "critical_ms", value: Value::Number(|row| Some(millis(row.place.critical_nanos))) },
    Column { name: "status", value: Value::Text(|row| Some(status_name(row.span.status_code))) },
    Column { name: "outcome", value: Value::Text(|row| row.span.outcome.as_deref()) },
    Column { name: "is_proxy", value: Value::Boolean(|row| row.span.is_proxy) },
];

fn millis(nanos: i64) -> f64 {
    nanos as f64 / NANOS_PER_MILLI
}

const PARAMETERS: [Parameter; 1] = [parameter("trace_id", ParameterKind::Text)];

pub(super) const TRACE_TREE: Function<Row> = Function {
    name: "trace_tree",
    parameters: &PARAMETERS,
    columns: COLUMNS,
    answer: |query, arguments| Box::pin(async move { answer(&query, &arguments).await }),
};

async fn answer(query: &Query, given: &Arguments) -> Result<Vec<Row>, QueryError> {
    let missing = || QueryError::Invalid("trace_tree: name a trace id, 32 hex digits".to_owned());
    let trace_id = given.text("trace_id").ok_or_else(missing)?.to_lowercase();
    let trace = spans_of(query, &trace_id, Some(Columns::NAMES)).await?;
    let mut shown = Vec::new();
    for batch in &trace.spans {
        shown.extend(shown_of(batch).map_err(|error| QueryError::Internal(error.to_string()))?);
    }
    let spans: Vec<Span<'_>> = shown.iter().map(Shown::span).collect();
    let placed = tree(&spans);
    drop(spans);
    let mut shown: Vec<Option<Shown>> = shown.into_iter().map(Some).collect();
    let rows = placed.into_iter().zip(0..).filter_map(|(place, position)| {
        Some(Row { trace_id: trace_id.clone(), span: shown[place.span].take()?, position, place })
    });
    Ok(rows.collect())
}

fn shown_of(batch: &RecordBatch) -> Result<Vec<Shown>, RowsError> {
    let columns = Columns::of(batch)?;
    let text = |column: &Text<'_>, row: usize| column.named(row).map(str::to_owned);
    let shown = (0..batch.num_rows()).map(|row| Shown {
        span_id: text(&columns.span_id, row).unwrap_or_default(),
        parent_span_id: text(&columns.parent_span_id, row),
        service: text(&columns.service_name, row),
        namespace: text(&columns.service_namespace, row),
        name: text(&columns.name, row),
        kind: columns.kind.get(row),
        start: columns.time_unix_nano.or_zero(row),
        duration: columns.duration_nano.or_zero(row),
        status_code: columns.status_code.get(row),
        outcome: text(&columns.outcome, row),
        is_proxy: columns.is_proxy.get(row),
    });
    Ok(shown.collect())
}

impl Shown {
    fn span(&self) -> Span<'_> {
        Span {
            id: &self.span_id,
            parent: self.parent_span_id.as_deref(),
            service: (self.namespace.as_deref(), self.service.as_deref()),
            kind: self.kind.unwrap_or_default(),
            start: self.start,
            duration: self.duration,
        }
    }
}
