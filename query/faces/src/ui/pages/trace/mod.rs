//! `/trace/{id}`: one trace as a waterfall, with its critical path and what time is each span's own; what an analysis says of it;
//! of the span that was chosen all that was sent; and beside it what proxies and logs tell, and another trace.

mod waterfall;
mod visible;
mod verdicts;
mod beside;
mod details;
mod rows;

use arrow::array::RecordBatch;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::join;
use maud::{Markup, html};
use meshlake_query::analysis::anatomy::dissected;
use meshlake_query::analysis::compared::compared;
use meshlake_query::explore::beside::beside;
use meshlake_query::trace::{SPANS_MAX, trace};
use meshlake_query::tree::tree;
use meshlake_query::{Query, QueryError};
use meshlake_schema::parents::Span;
use meshlake_schema::rows::RowsError;
use meshlake_schema::{Table, TimeRange, UnixNanos};

use super::{Failure, answer, shown};
use crate::ui::asked::Asked;
use crate::ui::shell::{Page, Place, notes, section};
use crate::{FaceState, trace_id};
use rows::{Columns, Row};
use waterfall::Waterfall;

/// How long before and after a trace rows with its id are looked for: clocks differ, and connections are told when they end.
const AROUND_NANOS: i64 = 600_000_000_000;

/// Answers the page.
pub async fn page(State(state): State<FaceState>, Path(id): Path<String>, asked: Asked) -> Response {
    let (status, body) = match built(&state, &asked, &id).await {
        Ok(Some(body)) => (StatusCode::OK, body),
        Ok(None) => (StatusCode::NOT_FOUND, no_such_trace(&asked)),
        Err(failure) => (failure.status(), failure.shown(&asked)),
    };
    let title = format!("{} {id}", asked.words().trace);
    answer(&asked, status, &Page { place: Place::Inside, title, has_range: false, data_since: None, body })
}

/// Answers all rows of the waterfall, for the script that draws those in view.
pub async fn rows(State(state): State<FaceState>, Path(id): Path<String>, asked: Asked) -> Response {
    let json = async {
        let Some(id) = trace_id::parse(&id) else { return Ok::<_, Failure>(None) };
        let query = state.engine.begin(&asked.tenant).await?;
        let found = trace(&query, &id).await?.spans;
        let columns = columns(&found)?;
        let rows = told(&found, &columns);
        Ok((!rows.is_empty()).then_some(fall(&asked, &rows, true)?.json()))
    };
    match json.await {
        Ok(Some(json)) => Json(json).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(failure) => failure.status().into_response(),
    }
}

fn no_such_trace(asked: &Asked) -> Markup {
    html! { div class="note warn" role="status" { (asked.words().no_such_trace) } }
}

async fn built(state: &FaceState, asked: &Asked, id: &str) -> Result<Option<Markup>, Failure> {
    let words = asked.words();
    let Some(id) = trace_id::parse(id) else { return Ok(None) };
    let query = state.engine.begin(&asked.tenant).await?;
    let found = trace(&query, &id).await?;
    let columns = columns(&found.spans)?;
    let rows = told(&found.spans, &columns);
    if rows.is_empty() {
        return Ok(None);
    }
    let waterfall = fall(asked, &rows, false)?;
    let chosen = asked.get("span").and_then(|span| rows.iter().find(|row| row.id() == span));
    let details =
        chosen.map(|row| details::details(asked, row)).transpose().map_err(|error| unread(&error))?;
    let analysed: Vec<_> = rows.iter().map(Row::analysed).collect();
    let anatomy = dissected(&analysed);
    let warnings =
        if found.is_truncated { vec![format!("{SPANS_MAX} {}", words.spans_not_shown)] } else { vec![] };
    let around = TimeRange {
        from: UnixNanos(waterfall.begin().saturating_sub(AROUND_NANOS)),
        to: UnixNanos(waterfall.begin().saturating_add(waterfall.nanos()).saturating_add(AROUND_NANOS)),
    };
    let (requests, logs, other) = join!(
        requests(&query, asked, &id, around, waterfall.begin()),
        logs(&query, asked, &id, around, waterfall.begin()),
        other(&query, asked, &id),
    );
    Ok(Some(html! {
        (waterfall.summary())
        (notes(&warnings, words.warnings))
        (verdicts::verdicts(asked, &anatomy))
        (section("spans", words.spans, &waterfall.shown()))
        @if let Some(details) = details { (details) }
        (shown(asked, requests, |found| found))
        (shown(asked, logs, |found| found))
        (shown(asked, other, |found| found))
    }))
}

/// The trace with what of it is seen; with all that is below closed spans if `is_open`.
fn fall<'a>(asked: &'a Asked, rows: &'a [Row<'a>], is_open: bool) -> Result<Waterfall<'a>, Failure> {
    let spans: Vec<Span<'_>> = rows.iter().map(Row::span).collect();
    let placed = tree(&spans);
    let matching = asked
        .get("find")
        .map(|text| rows::matching(rows, text))
        .transpose()
        .map_err(|error| unread(&error))?;
    let closed = if is_open { Vec::new() } else { waterfall::closed(asked) };
    let seen = visible::visible(&placed, matching.as_deref(), |span| closed.contains(&rows[span].id()));
    Ok(Waterfall::of(asked, rows, placed, seen))
}

fn columns(found: &[RecordBatch]) -> Result<Vec<Columns<'_>>, Failure> {
    Ok(found.iter().map(Columns::of).collect::<Result<_, _>>().map_err(|error| unread(&error))?)
}

fn told<'a>(found: &'a [RecordBatch], columns: &'a [Columns<'a>]) -> Vec<Row<'a>> {
    let batches = found.iter().zip(columns);
    batches
        .flat_map(|(batch, columns)| (0..batch.num_rows()).map(move |row| Row { columns, batch, row }))
        .collect()
}

async fn requests(
    query: &Query,
    asked: &Asked,
    id: &str,
    around: TimeRange,
    begin: i64,
) -> Result<Markup, Failure> {
    let found = beside(query, Table::Requests, id, around, beside::Requests::NAMES).await?;
    beside::requests(asked, &found, begin)
}

async fn logs(
    query: &Query,
    asked: &Asked,
    id: &str,
    around: TimeRange,
    begin: i64,
) -> Result<Markup, Failure> {
    let found = beside(query, Table::Logs, id, around, beside::Logs::NAMES).await?;
    beside::logs(asked, &found, id, begin)
}

/// The comparison with the trace that is asked for, and the way to ask for one.
async fn other(query: &Query, asked: &Asked, id: &str) -> Result<Markup, Failure> {
    let Some(with) = asked.get("with") else { return Ok(verdicts::compared(asked, None)) };
    let words = asked.words();
    let complaint = |text: &str| notes(&[format!("{with}: {text}")], words.warnings);
    let Some(other) = trace_id::parse(with.trim()) else {
        return Ok(html! { (verdicts::compared(asked, None)) (complaint(words.explore.no_trace_id)) });
    };
    Ok(match compared(query, id, &other).await? {
        Ok(found) => verdicts::compared(asked, Some(&found)),
        Err(_) => html! { (verdicts::compared(asked, None)) (complaint(words.no_such_trace)) },
    })
}

fn unread(error: &RowsError) -> QueryError {
    QueryError::Internal(format!("read spans: {error}"))
}

#[cfg(test)]
mod tests;
