//! Spans as they become durable. Lines are [`crate::logs::tail`]'s.

use std::collections::BTreeSet;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use meshlake_engine::{Engine, Followed, QueryError};
use meshlake_schema::rows::{Integers, RowsError, Text};
use meshlake_schema::{Table, UnixNanos, read_columns};

use crate::trace::{kind_name, status_name};
use crate::traceql::Sieve;

read_columns! {
    /// What is told of a span.
    struct SpanRows of Table::Spans {
        time_unix_nano: Integers,
        duration_nano: Integers,
        service_name: Text,
        name: Text,
        kind: Integers,
        status_code: Integers,
        trace_id: Text,
        span_id: Text,
        parent_span_id: Text,
    }
}

/// A span that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanSeen {
    /// Its start.
    pub time: UnixNanos,
    pub duration_nano: i64,
    pub service: Option<String>,
    pub name: String,
    pub kind: &'static str,
    pub status: &'static str,
    pub trace_id: String,
    pub span_id: String,
    pub parent_span_id: Option<String>,
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Spans that were asked for; there may be none.
    Spans(Vec<SpanSeen>),
    /// Rows went to files unseen; there may have been spans among them that were asked for.
    Missed,
}

/// The spans that pass, from now on. Ends only with an error, or when it is dropped.
///
/// # Errors
/// As [`Engine::follow`].
pub async fn spans(
    engine: &Engine,
    tenant: &str,
    sieve: Sieve,
) -> Result<BoxStream<'static, Result<Seen, QueryError>>, QueryError> {
    let told = SpanRows::NAMES.iter().chain(sieve.columns()).copied();
    let columns: BTreeSet<&str> = told.collect();
    let rows = engine.follow(Table::Spans, &columns.into_iter().collect::<Vec<_>>(), tenant).await?;
    let seen = rows.map_err(QueryError::Snapshot).and_then(move |followed| {
        let seen = seen(&followed, &sieve);
        async move { seen.map_err(|error| QueryError::Internal(error.to_string())) }
    });
    Ok(seen.boxed())
}

fn seen(followed: &Followed, sieve: &Sieve) -> Result<Seen, RowsError> {
    let Followed::Rows { rows, .. } = followed else { return Ok(Seen::Missed) };
    let spans = SpanRows::of(rows)?;
    let text = |column: Text<'_>, row: usize| column.named(row).map(str::to_owned);
    let span = |row: usize| SpanSeen {
        time: UnixNanos(spans.time_unix_nano.or_zero(row)),
        duration_nano: spans.duration_nano.or_zero(row),
        service: text(spans.service_name, row),
        name: text(spans.name, row).unwrap_or_default(),
        kind: kind_name(spans.kind.get(row)),
        status: status_name(spans.status_code.get(row)),
        trace_id: text(spans.trace_id, row).unwrap_or_default(),
        span_id: text(spans.span_id, row).unwrap_or_default(),
        parent_span_id: text(spans.parent_span_id, row),
    };
    Ok(Seen::Spans(sieve.passing(rows)?.into_iter().map(span).collect()))
}
