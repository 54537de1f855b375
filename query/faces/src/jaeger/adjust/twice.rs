//! A span that came twice is there once: a sender whose export timed out sends it again.

use std::collections::HashSet;

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;

/// Leaves the first of spans that are alike in everything, resource and scope too, which lie in one list then.
pub fn adjust(trace: &mut [ResourceSpans]) {
    for scope in trace.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
        let mut seen = HashSet::new();
        scope.spans.retain(|span| seen.insert(span.encode_to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CLIENT, SERVER, of, span, told};
    use super::*;

    #[test]
    fn spans_that_are_alike_in_everything_are_one() {
        let (one, other) = (span(1, 0, SERVER, (0, 9)), span(1, 0, CLIENT, (0, 9)));
        let mut trace = [of(vec![], vec![one.clone(), other, one])];
        adjust(&mut trace);
        assert_eq!(told(&mut trace), [(1, vec![]), (1, vec![])]);
    }
}
