//! What every version of Jaeger's API asks for, in its own words: services, operations, traces, dependencies.

use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use meshlake_query::Range;
use meshlake_query::dependencies::{self as counted, Dependency};
use meshlake_query::operations::{self, Operation};
use meshlake_query::trace::SPANS_MAX;
use meshlake_schema::UnixNanos;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::adjust::adjust;
use super::failure::Failure;
use super::question::Question;
use super::translate::kind_name;
use crate::FaceState;
use crate::found;

/// All spans of one trace, as they are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeTrace {
    pub spans: Vec<ResourceSpans>,
    /// Of the trace as a whole.
    pub warnings: Vec<String>,
}

/// Services that sent spans.
///
/// # Errors
/// Those of the engine.
pub async fn services(state: &FaceState, tenant: &str) -> Result<Vec<String>, Failure> {
    let query = state.engine.begin(tenant).await?;
    Ok(operations::services(&query).await?)
}

/// Operations of a service, of one kind of span if it is named.
///
/// # Errors
/// Those of the engine.
pub async fn operations_of(
    state: &FaceState,
    tenant: &str,
    service: &str,
    kind: Option<&str>,
) -> Result<Vec<Operation>, Failure> {
    let query = state.engine.begin(tenant).await?;
    let mut operations = operations::operations(&query, service).await?;
    operations.retain(|operation| kind.is_none_or(|kind| kind_of(operation) == kind));
    Ok(operations)
}

/// OpenTracing's name of an operation's kind; empty where spans tell none.
pub fn kind_of(operation: &Operation) -> &'static str {
    kind_name(operation.kind).unwrap_or_default()
}

/// A trace by its id.
///
/// # Errors
/// [`Failure::NoTrace`]; those of the engine.
pub async fn trace_of(
    state: &FaceState,
    tenant: &str,
    trace_id: &str,
    is_raw: bool,
) -> Result<WholeTrace, Failure> {
    let found = found::trace_of(state, tenant, trace_id).await?;
    found.map(|found| shown(found, is_raw)).ok_or(Failure::NoTrace)
}

/// The traces that a search finds, newest first, one after the other; see [`found::traces_of`].
///
/// # Errors
/// As there.
pub async fn traces_of(
    state: &FaceState,
    tenant: &str,
    question: &Question,
) -> Result<BoxStream<'static, Result<WholeTrace, Failure>>, Failure> {
    let (query, range, is_raw) = (question.query(), question.range(), question.is_raw);
    let found = found::traces_of(state, tenant, query, range, question.traces_max).await?;
    Ok(found.map(move |trace| Ok(shown(trace?, is_raw))).boxed())
}

fn shown(found: found::WholeTrace, is_raw: bool) -> WholeTrace {
    let found::WholeTrace { mut spans, is_cut } = found;
    if !is_raw {
        adjust(&mut spans);
    }
    let cut = || format!("the trace has more than {SPANS_MAX} spans; these are the earliest");
    WholeTrace { spans, warnings: is_cut.then(cut).into_iter().collect() }
}

/// Who calls whom in the range of `lookback` before `end`.
///
/// # Errors
/// [`Failure::Asker`] for an empty range; those of folding calls.
pub async fn dependencies(
    state: &FaceState,
    tenant: &str,
    end: UnixNanos,
    lookback: Duration,
) -> Result<Vec<Dependency>, Failure> {
    let range = Range::new(end.minus(lookback), end, None);
    let range = range.map_err(|error| Failure::Asker(error.to_string()))?;
    Ok(counted::dependencies(&state.engine, tenant, range).await?)
}
