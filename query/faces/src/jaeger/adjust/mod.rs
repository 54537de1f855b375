//! What Jaeger mends in a trace before it shows it: of the answer, never of what is stored. `raw` asks for none of it.
//!
//! ```text
//! shared_ids    halves of a call that share an id, as Zipkin's do, get one each
//! twice         a span that came twice is there once
//! clock_skew    a child that lies outside its parent is warned of
//! addresses     an IPv4 address that came as a number is written as an address
//! library       what SDKs tell of themselves on spans moves to the resource
//! links         a link to no trace is left out
//! ```
//! Each changes a trace in place and is tested alone. What they tell of a span is in the attribute where Jaeger keeps it, so
//! that it reaches clients of every version of the API.
//!
//! Source: Jaeger's documentation and `jaegerquery/internal/adjuster` of release 2.20. Differences: an id that halves share
//! makes children of the half of their own service (rule 2 of `docs/calls.md`), not all of the received one; attributes
//! are not sorted.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod shared_ids;
mod twice;
mod clock_skew;
mod addresses;
mod library;
mod links;
mod warnings;

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

pub use warnings::taken as warnings_taken;

/// Makes all changes to the spans of one trace.
pub fn adjust(trace: &mut [ResourceSpans]) {
    shared_ids::adjust(trace);
    twice::adjust(trace);
    clock_skew::adjust(trace);
    addresses::adjust(trace);
    library::adjust(trace);
    links::adjust(trace);
}

fn spans(trace: &[ResourceSpans]) -> impl Iterator<Item = (&ResourceSpans, &Span)> {
    trace.iter().flat_map(|resource| {
        let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
        spans.map(move |span| (resource, span))
    })
}

fn spans_mut(trace: &mut [ResourceSpans]) -> impl Iterator<Item = &mut Span> {
    let scopes = trace.iter_mut().flat_map(|resource| resource.scope_spans.iter_mut());
    scopes.flat_map(|scope| scope.spans.iter_mut())
}

#[cfg(test)]
pub mod fixture;
