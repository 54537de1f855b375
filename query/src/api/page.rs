//! `GET /`: the page for people, with its stylesheet and icon; see `crate::page`.
//!
//! The page never fails as a whole: what could not be answered is said on it, for a person with an error
//! page in front of them has no way to find out more. Its status still tells machines.

use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use axum::extract::{Query as Parameters, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use meshlake_schema::UnixNanos;
use serde::Deserialize;

use super::{ApiError, ApiState, Tenant, rfc3339};
use crate::calls::{By, Grain, Question, Range, Source, load};
use crate::engine::QueryError;
use crate::graph::{Graph, graph};
use crate::page::{Diagnosis, Heard, ICON, LedgerLine, Page, REFRESH_SECONDS, STYLE, Window};

const NANOS_PER_MICRO: i64 = 1_000;

/// The sums of the ledger by signal and receiver. Reasons come last, so that lines can be built in one pass.
const LEDGER_SQL: &str = "SELECT signal, source, event, reason, CAST(sum(records) AS BIGINT) AS records \
     FROM ledger GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4";

/// The start of the newest row that can tell of a call.
const NEWEST_SQL: &str = "SELECT max(time) AS newest FROM (SELECT max(time) AS time FROM spans UNION ALL SELECT max(time) FROM requests)";

#[derive(Deserialize)]
struct Given {
    range: Option<String>,
    refresh: Option<u64>,
}

/// Answers the page. Parameters that make no sense are those of the plain page.
pub async fn answer(State(state): State<ApiState>, Tenant(tenant): Tenant, uri: Uri) -> Response {
    let given = Parameters::<Given>::try_from_uri(&uri).ok().map(|Parameters(given)| given);
    let window = given.as_ref().and_then(|given| given.range.as_deref());
    let window = Window::ALL.into_iter().find(|known| Some(known.name()) == window).unwrap_or_default();
    let refresh = given.and_then(|given| given.refresh).filter(|seconds| REFRESH_SECONDS.contains(seconds));
    let (page, status) = page(&state, tenant, window, refresh).await;
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.render()).into_response()
}

/// The stylesheet of the page.
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// The icon of the page.
pub async fn icon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], ICON).into_response()
}

async fn page(
    state: &ApiState,
    tenant: String,
    window: Window,
    refresh_seconds: Option<u64>,
) -> (Page, StatusCode) {
    let now = state.engine.clock().now();
    let from = now.minus(Duration::from_secs(window.minutes() * 60));
    let range = Range::new(from, now, None).expect("a window has minutes");
    let found = gather(state, &tenant, range, now).await;
    let (graph, ledger, diagnosis, status) = match found {
        Ok((graph, ledger, diagnosis)) => (graph, ledger, diagnosis, StatusCode::OK),
        Err(error) => (Graph::default(), Vec::new(), Diagnosis::Failed(error.message), error.status),
    };
    let page = Page {
        window,
        refresh_seconds,
        from: range.from(),
        to: range.to(),
        range_text: (rfc3339(range.from()), rfc3339(range.to())),
        tenant,
        graph,
        ledger,
        diagnosis,
        endpoints: state.endpoints.clone(),
    };
    (page, status)
}

async fn gather(
    state: &ApiState,
    tenant: &str,
    range: Range,
    now: UnixNanos,
) -> Result<(Graph, Vec<LedgerLine>, Diagnosis), ApiError> {
    let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
    let graph = graph(&load(&state.engine, tenant, question).await?, None);
    let ledger = ledger(&rows(state, tenant, LEDGER_SQL).await?);
    if !graph.nodes.is_empty() {
        return Ok((graph, ledger, Diagnosis::Fine));
    }
    let newest = newest(&rows(state, tenant, NEWEST_SQL).await?);
    let diagnosis = Diagnosis::of_empty(&ledger, Heard { now, newest });
    Ok((graph, ledger, diagnosis))
}

async fn rows(state: &ApiState, tenant: &str, sql: &str) -> Result<Vec<RecordBatch>, ApiError> {
    let answer = state.engine.sql(tenant, sql).await?;
    Ok(answer.stream.try_collect().await.map_err(QueryError::from)?)
}

fn newest(batches: &[RecordBatch]) -> Option<UnixNanos> {
    let cells = batches.iter().flat_map(|batch| {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        times.iter().flatten().collect::<Vec<_>>()
    });
    cells.max().map(|micros| UnixNanos(micros.saturating_mul(NANOS_PER_MICRO)))
}

fn ledger(batches: &[RecordBatch]) -> Vec<LedgerLine> {
    let mut lines: Vec<LedgerLine> = Vec::new();
    for batch in batches {
        let [signals, sources, events, reasons] = [0, 1, 2, 3].map(|at| batch.column(at).as_string_view());
        let records = batch.column(4).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let (signal, source) = (signals.value(row), sources.value(row));
            if lines.last().is_none_or(|line| line.signal != signal || line.source != source) {
                let (signal, source) = (signal.to_owned(), source.to_owned());
                lines.push(LedgerLine { signal, source, ..LedgerLine::default() });
            }
            let line = lines.last_mut().expect("a line was pushed just above");
            let records = records.value(row).max(0).unsigned_abs();
            match events.value(row) {
                "received" => line.received += records,
                "accepted" => line.accepted += records,
                "rejected" => {
                    let reason = if reasons.is_valid(row) { reasons.value(row) } else { "no reason given" };
                    line.rejected.push((reason.to_owned(), records));
                }
                _ => {}
            }
        }
    }
    lines
}
