//! The spans of one trace, as whoever has them gives them, and where each stands among the others.
//!
//! The trait asks for single values and copies nothing, so that rows of columns can answer it as well as structs. What
//! follows from all spans together (parents, numbers of the walk, root, duration) is made once for a trace, in time linear
//! but for sorting, however deep it is. Parents are found as everywhere (`schema::parents`).

mod walk;
mod values;

use meshlake_schema::parents;

use crate::tree::Scope;
use crate::value::Value;
use walk::Walk;

/// The spans of one trace, each stored once, in an order of the caller's that decides the order of answers.
pub trait Spans {
    fn count(&self) -> usize;

    /// 32 lower-case hex digits; of all spans the same, but where spans of many traces are looked at one by one.
    fn trace_id(&self, at: usize) -> &str;

    /// What the span at a place has without attributes.
    fn span(&self, at: usize) -> Span<'_>;

    /// The attribute of that key; nil without one. The scope is span, resource or instrumentation.
    fn attribute(&self, at: usize, scope: Scope, key: &str) -> Value<'_>;

    /// Calls for each attribute of span or resource, keys and values.
    fn for_each_attribute<'s>(&'s self, at: usize, scope: Scope, visit: &mut dyn FnMut(&'s str, Value<'s>));

    fn event_count(&self, at: usize) -> usize;

    /// Name, and nanoseconds since the epoch, 0 where the sender did not say when.
    fn event(&self, at: usize, event: usize) -> (&str, i64);

    fn event_attribute(&self, at: usize, event: usize, key: &str) -> Value<'_>;

    fn link_count(&self, at: usize) -> usize;

    /// Ids of trace and span.
    fn link(&self, at: usize, link: usize) -> (&str, &str);

    fn link_attribute(&self, at: usize, link: usize, key: &str) -> Value<'_>;
}

/// What a span has without attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span<'a> {
    /// 16 lower-case hex digits, and so the parent's.
    pub id: &'a str,
    pub parent: Option<&'a str>,
    pub name: &'a str,
    /// OTLP `SpanKind`.
    pub kind: i64,
    /// OTLP `StatusCode`.
    pub status: i64,
    /// Empty without one.
    pub status_message: &'a str,
    /// Nanoseconds since the epoch.
    pub start_nano: i64,
    /// Nanoseconds; below zero of a clock that was set back.
    pub duration_nano: i64,
    /// `service.namespace` and `service.name`.
    pub namespace: Option<&'a str>,
    pub service: Option<&'a str>,
    /// Of the instrumentation; empty without one.
    pub scope_name: &'a str,
    pub scope_version: &'a str,
}

impl Span<'_> {
    pub fn end_nano(&self) -> i64 {
        self.start_nano.saturating_add(self.duration_nano)
    }
}

/// A trace that can be asked.
pub struct Trace<'a> {
    pub(crate) spans: &'a dyn Spans,
    pub(crate) facts: Vec<Span<'a>>,
    pub(crate) walk: Walk,
    /// The earliest span without a parent.
    root: Option<usize>,
    /// End of the last minus start of the first.
    duration_nano: i64,
}

impl<'a> Trace<'a> {
    pub fn new(spans: &'a dyn Spans) -> Trace<'a> {
        let facts: Vec<Span<'a>> = (0..spans.count()).map(|at| spans.span(at)).collect();
        let placed: Vec<parents::Span<'_>> = facts
            .iter()
            .map(|span| parents::Span {
                id: span.id,
                parent: span.parent,
                service: (span.namespace, span.service),
                kind: span.kind,
                start: span.start_nano,
                duration: span.duration_nano,
            })
            .collect();
        let parents = parents::parents(&placed, &(0..facts.len()).collect::<Vec<_>>());
        let is_root = |at: &usize| facts[*at].parent.is_none();
        let by_start = |at: &usize| (facts[*at].start_nano, facts[*at].id, *at);
        let root = (0..facts.len()).filter(is_root).min_by(|a, b| by_start(a).cmp(&by_start(b)));
        let start = facts.iter().map(|span| span.start_nano).min().unwrap_or_default();
        let end = facts.iter().map(|span| span.end_nano().max(span.start_nano)).max().unwrap_or_default();
        let walk = Walk::through(&facts, parents);
        Trace { spans, facts, walk, root, duration_nano: end.saturating_sub(start) }
    }

    /// Spans that are looked at one by one, of whatever traces: none is another's parent or root. For queries of which
    /// [`Selected`](crate::Selected) says that spans are alone, and for conditions of single spans.
    pub fn of_rows(spans: &'a dyn Spans) -> Trace<'a> {
        let facts: Vec<Span<'a>> = (0..spans.count()).map(|at| spans.span(at)).collect();
        let walk = Walk::apart(facts.len());
        Trace { spans, facts, walk, root: None, duration_nano: 0 }
    }

    pub fn count(&self) -> usize {
        self.facts.len()
    }

    /// What the span at a place has without attributes.
    pub fn span(&self, at: usize) -> &Span<'a> {
        &self.facts[at]
    }

    /// The id of the trace that the span at a place is of.
    pub fn trace_id(&self, at: usize) -> &'a str {
        self.spans.trace_id(at)
    }

    /// The earliest span without a parent.
    pub fn root(&self) -> Option<usize> {
        self.root
    }

    /// End of the last span minus start of the first, nanoseconds.
    pub fn duration_nano(&self) -> i64 {
        self.duration_nano
    }
}
