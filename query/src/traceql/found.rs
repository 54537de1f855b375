//! What is told of a trace that was found.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use meshlake_engine::Query;
use meshlake_schema::Budget;
use meshlake_schema::rows::RowsError;
use meshlake_traceql::tree::{Body, Field};
use meshlake_traceql::{Spanset, Status, Trace, Value, evaluate};

use super::error::{Error, of_rows};
use super::plan::Plan;
use super::rows::SpanRows;

/// One trace.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundTrace {
    pub trace_id: String,
    /// Of the earliest span without a parent; none if that is not there.
    pub root_service: Option<String>,
    pub root_name: Option<String>,
    /// Of the earliest span, nanoseconds since the epoch.
    pub start_nano: i64,
    /// From the first start to the last end.
    pub duration_nano: i64,
    /// By name; spans without a service are under the empty one.
    pub services: BTreeMap<String, ServiceStats>,
    /// At least one, the first [`SPANSETS_MAX`] of them.
    pub spansets: Vec<FoundSpanset>,
    /// How many more there are.
    pub spansets_left: usize,
}

/// Spansets that are told of one trace: `by()` of what every span has another value of makes one for each. Guess, not measured.
const SPANSETS_MAX: usize = 1_000;

impl FoundTrace {
    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let of_values = |values: &[(String, Value<'static>)]| values.len() * VALUE_BYTES;
        let of_span =
            |span: &FoundSpan| size_of::<FoundSpan>() + span.name.len() + of_values(&span.attributes);
        let of_set = |set: &FoundSpanset| {
            let spans: usize = set.spans.iter().map(of_span).sum();
            size_of::<FoundSpanset>() + of_values(&set.attributes) + spans
        };
        let spansets: usize = self.spansets.iter().map(of_set).sum();
        size_of::<FoundTrace>() + self.services.len() * VALUE_BYTES + spansets
    }
}

/// Bytes of a name and a value. Guess, not measured.
const VALUE_BYTES: usize = 128;

/// Spans of one service in a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServiceStats {
    pub spans: usize,
    /// Whose status is error.
    pub errors: usize,
}

/// Spans that the query left together.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSpanset {
    pub matched: usize,
    /// The first of them by start.
    pub spans: Vec<FoundSpan>,
    /// What they were grouped and compared by, as it is written: `by(name)`, `count()`.
    pub attributes: Vec<(String, Value<'static>)>,
}

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSpan {
    pub span_id: String,
    pub name: String,
    pub start_nano: i64,
    pub duration_nano: i64,
    /// What the query asks about, by key, without what it has no value of.
    pub attributes: Vec<(String, Value<'static>)>,
}

/// Why traces could not be looked at.
#[derive(Debug)]
pub enum Failure {
    Rows(RowsError),
    Language(meshlake_traceql::Error),
}

impl Failure {
    pub fn into_error(self, query: &Query) -> Error {
        match self {
            Failure::Rows(error) => of_rows(&error).into(),
            Failure::Language(error) => Error::of(error, query),
        }
    }
}

/// The traces of a batch, each whole, that the query of a plan finds.
///
/// # Errors
/// When the budget ends, or for a bug.
pub fn found(
    batch: &RecordBatch,
    plan: &Plan,
    spans_max: usize,
    budget: &dyn Budget,
) -> Result<Vec<FoundTrace>, Failure> {
    let Body::Spans(pipeline) = &plan.tree.body else { return Ok(Vec::new()) };
    let told = plan.told();
    let rows = SpanRows::of(batch).map_err(Failure::Rows)?;
    let mut traces = Vec::new();
    for spans in rows.traces() {
        let trace = Trace::new(&spans);
        let spansets = evaluate(pipeline, &trace, budget).map_err(Failure::Language)?;
        let is_in_range = |at: &usize| plan.is_in_range(trace.span(*at).start_nano);
        if spansets.iter().any(|spanset| spanset.spans.iter().any(is_in_range)) {
            traces.push(of_trace(&trace, spansets, &told, spans_max));
        }
    }
    Ok(traces)
}

fn of_trace(trace: &Trace<'_>, spansets: Vec<Spanset<'_>>, told: &[&Field], spans_max: usize) -> FoundTrace {
    let root = trace.root().map(|root| trace.span(root));
    let mut services: BTreeMap<String, ServiceStats> = BTreeMap::new();
    for at in 0..trace.count() {
        let span = trace.span(at);
        let stats = services.entry(span.service.unwrap_or_default().to_owned()).or_default();
        stats.spans += 1;
        stats.errors += usize::from(Status::of_code(span.status) == Status::Error);
    }
    let of_set = |spanset: Spanset<'_>| FoundSpanset {
        matched: spanset.spans.len(),
        spans: spanset.spans.iter().take(spans_max).map(|at| of_span(trace, *at, told)).collect(),
        attributes: spanset.attributes.into_iter().map(|(name, value)| (name, value.into_owned())).collect(),
    };
    FoundTrace {
        trace_id: trace.trace_id(0).to_owned(),
        root_service: root.and_then(|root| root.service).map(str::to_owned),
        root_name: root.map(|root| root.name.to_owned()),
        start_nano: (0..trace.count()).map(|at| trace.span(at).start_nano).min().unwrap_or_default(),
        duration_nano: trace.duration_nano(),
        services,
        spansets_left: spansets.len().saturating_sub(SPANSETS_MAX),
        spansets: spansets.into_iter().take(SPANSETS_MAX).map(of_set).collect(),
    }
}

fn of_span(trace: &Trace<'_>, at: usize, told: &[&Field]) -> FoundSpan {
    let span = trace.span(at);
    let mut attributes: Vec<(String, Value<'static>)> = Vec::new();
    for field in told {
        let value = trace.field(field, at);
        let key = key_of(field);
        if value != Value::Nil && attributes.iter().all(|(own, _)| *own != key) {
            attributes.push((key, value.into_owned()));
        }
    }
    FoundSpan {
        span_id: span.id.to_owned(),
        name: span.name.to_owned(),
        start_nano: span.start_nano,
        duration_nano: span.duration_nano,
        attributes,
    }
}

/// An attribute is told under its key alone, as it was sent; what is a parent's says so.
fn key_of(field: &Field) -> String {
    match field {
        Field::Attribute(attribute) if !attribute.of_parent => attribute.key.clone(),
        field => field.to_string(),
    }
}
