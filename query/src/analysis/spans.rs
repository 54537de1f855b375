//! The spans of one trace, with what an analysis looks at.

use meshlake_engine::{Query, QueryError};
use meshlake_schema::parents::Span;
use meshlake_schema::rows::{Integers, RowsError, Text};
use meshlake_schema::{Table, read_columns};

use crate::trace::spans_of;

read_columns! {
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
        status_message: Text,
        outcome: Text,
    }
}

/// OTLP `StatusCode`.
const ERROR: i64 = 2;

/// One span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceSpan {
    pub span_id: String,
    pub parent_span_id: Option<String>,
    /// Empty where none was told.
    pub service: String,
    pub namespace: Option<String>,
    pub name: String,
    /// OTLP `SpanKind`.
    pub kind: i64,
    /// Nanoseconds since the epoch.
    pub start: i64,
    pub duration: i64,
    /// Its outcome is an error, or its own status says so.
    pub is_error: bool,
    pub status_message: Option<String>,
}

impl TraceSpan {
    /// What decides its place in the tree.
    pub(super) fn placed(&self) -> Span<'_> {
        Span {
            id: &self.span_id,
            parent: self.parent_span_id.as_deref(),
            service: (self.namespace.as_deref(), Some(&self.service)),
            kind: self.kind,
            start: self.start,
            duration: self.duration,
        }
    }

    /// The end; not before the start.
    pub(super) fn end(&self) -> i64 {
        self.start.saturating_add(self.duration.max(0))
    }
}

/// The spans of the trace with that id, and whether there are more than could be held.
///
/// # Errors
/// Those of [`Query::scan`].
pub(super) async fn read(query: &Query, trace_id: &str) -> Result<(Vec<TraceSpan>, bool), QueryError> {
    let trace = spans_of(query, trace_id, Some(Columns::NAMES)).await?;
    let mut spans = Vec::new();
    for batch in &trace.spans {
        let columns =
            Columns::of(batch).map_err(|error: RowsError| QueryError::Internal(error.to_string()))?;
        spans.extend((0..batch.num_rows()).map(|row| columns.get(row)));
    }
    Ok((spans, trace.is_truncated))
}

impl Columns<'_> {
    fn get(&self, row: usize) -> TraceSpan {
        let text = |column: &Text<'_>| column.named(row).map(str::to_owned);
        TraceSpan {
            span_id: text(&self.span_id).unwrap_or_default(),
            parent_span_id: text(&self.parent_span_id),
            service: text(&self.service_name).unwrap_or_default(),
            namespace: text(&self.service_namespace),
            name: text(&self.name).unwrap_or_default(),
            kind: self.kind.or_zero(row),
            start: self.time_unix_nano.or_zero(row),
            duration: self.duration_nano.or_zero(row),
            is_error: self.status_code.get(row) == Some(ERROR) || self.outcome.get(row) == Some("error"),
            status_message: text(&self.status_message),
        }
    }
}
