//! Whole traces as OTLP's messages, for faces that hand them on: one by its id, or those that a search finds.

use futures::stream::{BoxStream, StreamExt as _};
use meshlake_query::QueryError;
use meshlake_query::trace::{Trace, trace};
use meshlake_query::traceql::{ANY_DURATION, Error, Search, each, search};
use meshlake_query::traceql_language::tree;
use meshlake_schema::TimeRange;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use crate::FaceState;
use crate::otlp::resource_spans;

/// All spans of one trace; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeTrace {
    pub spans: Vec<ResourceSpans>,
    /// There are more than `meshlake_query::trace::SPANS_MAX`; these are the earliest.
    pub is_cut: bool,
}

/// The trace with that id; none if the tenant has no span of it.
///
/// # Errors
/// Those of the engine.
pub async fn trace_of(
    state: &FaceState,
    tenant: &str,
    trace_id: &str,
) -> Result<Option<WholeTrace>, QueryError> {
    let query = state.engine.begin(tenant).await?;
    whole(&trace(&query, trace_id).await?)
}

/// The traces that a search finds, newest first, one after the other; see [`each`], which reads some at a time. All are of one
/// snapshot.
///
/// # Errors
/// Those of the search at once, those of reading the traces in the stream.
pub async fn traces_of(
    state: &FaceState,
    tenant: &str,
    query: tree::Query,
    range: TimeRange,
    traces_max: usize,
) -> Result<BoxStream<'static, Result<WholeTrace, QueryError>>, Error> {
    let asked = Search { query, range, traces_max, spans_max: 0, durations: ANY_DURATION };
    let query = state.engine.begin(tenant).await?;
    let found = search(&query, &asked).await?;
    let ids: Vec<String> = found.traces.into_iter().map(|found| found.trace_id).collect();
    let traces = each(&query, ids).await?.map(|found| whole(&found?));
    Ok(traces.filter_map(|trace| std::future::ready(trace.transpose())).boxed())
}

fn whole(found: &Trace) -> Result<Option<WholeTrace>, QueryError> {
    let spans =
        resource_spans(&found.spans).map_err(|error| QueryError::Internal(format!("read spans: {error}")))?;
    Ok((!spans.is_empty()).then_some(WholeTrace { spans, is_cut: found.is_truncated }))
}
