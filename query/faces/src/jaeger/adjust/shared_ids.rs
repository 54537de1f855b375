//! Halves of a call that share an id get one each: the made half keeps it, the received one is its child by a new id.
//!
//! Zipkin's clients use one id for both halves, and Jaeger's page needs each span to have its own. New ids are the lowest
//! that the trace does not use, so that an answer is the same twice.

use std::collections::HashSet;

use meshlake_schema::parents::{Span as Placed, parents};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{spans, spans_mut};
use crate::attributes::{hex, service_name};

/// What of a span is needed to place it.
struct Half {
    id: Vec<u8>,
    hex: String,
    parent: Option<String>,
    service: String,
    kind: i32,
    start: i64,
    duration: i64,
}

/// Gives received halves that share their id with a made half an id of their own.
pub fn adjust(trace: &mut [ResourceSpans]) {
    let halves: Vec<Half> = halves(trace);
    let made: HashSet<&[u8]> =
        halves.iter().filter(|half| is_made(half.kind)).map(|half| half.id.as_slice()).collect();
    let is_shared = |half: &Half| is_received(half.kind) && made.contains(half.id.as_slice());
    if !halves.iter().any(is_shared) {
        return;
    }
    let mut unused = Unused { used: halves.iter().map(|half| half.id.clone()).collect(), last: 0 };
    let new_ids: Vec<Option<Vec<u8>>> =
        halves.iter().map(|half| is_shared(half).then(|| unused.next())).collect();
    let shared: HashSet<&str> =
        halves.iter().filter(|half| is_shared(half)).map(|half| half.hex.as_str()).collect();
    let placed: Vec<Placed<'_>> = halves.iter().map(Half::placed).collect();
    let parents = parents(&placed, &(0..placed.len()).collect::<Vec<_>>());
    for (at, span) in spans_mut(trace).enumerate() {
        let half = &halves[at];
        let parent_is_shared = half.parent.as_deref().is_some_and(|parent| shared.contains(parent));
        if let (true, Some(parent)) = (is_shared(half) || parent_is_shared, parents[at]) {
            span.parent_span_id = new_ids[parent].clone().unwrap_or_else(|| halves[parent].id.clone());
        }
        if let Some(id) = &new_ids[at] {
            span.span_id.clone_from(id);
        }
    }
}

fn halves(trace: &[ResourceSpans]) -> Vec<Half> {
    let half = |(resource, span): (&ResourceSpans, &opentelemetry_proto::tonic::trace::v1::Span)| Half {
        id: span.span_id.clone(),
        hex: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        service: service_name(resource.resource.as_ref()).unwrap_or_default(),
        kind: span.kind,
        start: span.start_time_unix_nano as i64,
        duration: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as i64,
    };
    spans(trace).map(half).collect()
}

impl Half {
    fn placed(&self) -> Placed<'_> {
        Placed {
            id: &self.hex,
            parent: self.parent.as_deref(),
            service: (None, Some(&self.service)),
            kind: i64::from(self.kind),
            start: self.start,
            duration: self.duration,
        }
    }
}

fn is_made(kind: i32) -> bool {
    [SpanKind::Client, SpanKind::Producer].iter().any(|made| *made as i32 == kind)
}

fn is_received(kind: i32) -> bool {
    [SpanKind::Server, SpanKind::Consumer].iter().any(|received| *received as i32 == kind)
}

/// Ids that no span of the trace has.
struct Unused {
    used: HashSet<Vec<u8>>,
    last: u64,
}

impl Unused {
    /// There are 2^64 ids, and no trace has as many spans.
    fn next(&mut self) -> Vec<u8> {
        loop {
            self.last += 1;
            let id = self.last.to_be_bytes().to_vec();
            if !self.used.contains(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CLIENT, SERVER, id, of, span, text};
    use super::*;

    /// Id and parent of each span.
    fn ids(trace: &[ResourceSpans]) -> Vec<(Vec<u8>, Vec<u8>)> {
        spans(trace).map(|(_, span)| (span.span_id.clone(), span.parent_span_id.clone())).collect()
    }

    /// Ids 1 and 2 are taken; the callee's child moves with its half, the caller's stays with the made one.
    #[test]
    fn the_received_half_becomes_a_child_of_the_made_one() {
        let caller =
            vec![span(1, 0, CLIENT, (0, 100)), span(7, 1, CLIENT, (10, 90)), span(2, 7, 1, (11, 12))];
        let callee = vec![span(7, 1, SERVER, (20, 80)), span(9, 7, 1, (30, 40))];
        let service = |name| vec![text("service.name", name)];
        let mut trace = [of(service("a"), caller), of(service("b"), callee)];
        adjust(&mut trace);
        let want = [(1, 0), (7, 1), (2, 7), (3, 7), (9, 3)].map(|(own, parent)| (id(own), id(parent)));
        assert_eq!(ids(&trace), want);
    }

    #[test]
    fn ids_that_nobody_shares_stay() {
        let trace = [of(
            vec![],
            vec![span(1, 0, SERVER, (0, 9)), span(2, 1, CLIENT, (1, 2)), span(2, 1, CLIENT, (3, 4))],
        )];
        let mut adjusted = trace.clone();
        adjust(&mut adjusted);
        assert_eq!(adjusted, trace);
    }
}
