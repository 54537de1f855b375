//! A link to no trace is left out: Jaeger's page would draw a reference to nothing.

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::spans_mut;
use super::warnings::warn;

/// Leaves out links without the id of a trace, with a warning each.
pub fn adjust(trace: &mut [ResourceSpans]) {
    for span in spans_mut(trace) {
        let links = span.links.len();
        span.links.retain(|link| link.trace_id.iter().any(|byte| *byte != 0));
        for _ in span.links.len()..links {
            warn(span, "Invalid span link removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::span::Link;

    use super::super::fixture::{of, span, told};
    use super::*;

    #[test]
    fn links_to_no_trace_are_left_out() {
        let link = |trace_id: Vec<u8>| Link { trace_id, ..Link::default() };
        let mut spans = vec![span(1, 0, 1, (0, 1))];
        spans[0].links = vec![link(vec![]), link(vec![1; 16]), link(vec![0; 16])];
        let mut trace = [of(vec![], spans)];
        adjust(&mut trace);
        assert_eq!(trace[0].scope_spans[0].spans[0].links, [link(vec![1; 16])]);
        assert_eq!(told(&mut trace), [(1, vec!["Invalid span link removed".to_owned(); 2])]);
    }
}
