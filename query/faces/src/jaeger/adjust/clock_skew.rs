//! A child that lies outside its parent's time, on another host, is warned of: one of the clocks is wrong.
//!
//! Jaeger works out by how much the child's times would have to move, half of what the parent lasted longer on either side,
//! and applies it up to a maximum that is zero by default; then it warns instead, and so do we. Times are never moved:
//! what is shown is what was sent.
//!
//! Hosts are told apart by `host.id`, `host.ip`, `host.name`; a span without any is on another host than every other.
//! Linear, however deep a trace is.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::warnings::warn;
use super::{spans, spans_mut};
use crate::attributes::{attribute_of, hex, plain};
use crate::duration;

const DUPLICATE: &str = "duplicate span IDs; skipping clock skew adjustment";

/// What keys of a resource name its host, the first that is there.
const HOST_KEYS: [&str; 3] = ["host.id", "host.ip", "host.name"];

/// A span's time and place.
struct Node {
    start: i64,
    end: i64,
    host: String,
    parent: Vec<u8>,
}

/// Warns of spans that lie outside their parents', and of those whose parent is not there.
pub fn adjust(trace: &mut [ResourceSpans]) {
    let nodes: Vec<Node> = nodes(trace);
    let warnings = warnings(&nodes, &ids(trace));
    for (span, told) in spans_mut(trace).zip(warnings) {
        told.into_iter().for_each(|warning| warn(span, warning));
    }
}

fn ids(trace: &[ResourceSpans]) -> Vec<Vec<u8>> {
    spans(trace).map(|(_, span)| span.span_id.clone()).collect()
}

fn nodes(trace: &[ResourceSpans]) -> Vec<Node> {
    let node = |(resource, span): (&ResourceSpans, &opentelemetry_proto::tonic::trace::v1::Span)| Node {
        start: span.start_time_unix_nano as i64,
        end: span.end_time_unix_nano as i64,
        host: host(resource),
        parent: span.parent_span_id.clone(),
    };
    spans(trace).map(node).collect()
}

fn host(spans: &ResourceSpans) -> String {
    let attributes = spans.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    let named = HOST_KEYS.iter().find_map(|key| attribute_of(attributes, key));
    match named {
        Some(Value::ArrayValue(array)) => array.values.first().map(plain).unwrap_or_default(),
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

/// What is told of each span.
fn warnings(nodes: &[Node], ids: &[Vec<u8>]) -> Vec<Vec<String>> {
    let mut told = vec![Vec::new(); nodes.len()];
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut first = vec![true; nodes.len()];
    for (at, id) in ids.iter().enumerate() {
        if places.contains_key(id.as_slice()) {
            told[at].push(DUPLICATE.to_owned());
            first[at] = false;
        } else {
            places.insert(id, at);
        }
    }
    let mut children = vec![Vec::new(); nodes.len()];
    let mut waiting: Vec<(usize, Option<usize>, i64)> = Vec::new();
    for (at, node) in nodes.iter().enumerate().filter(|(at, _)| first[*at]) {
        match places.get(node.parent.as_slice()) {
            Some(parent) => children[*parent].push(at),
            None => {
                if !node.parent.is_empty() {
                    let parent = hex(&node.parent);
                    told[at].push(format!(
                        "parent span ID={parent} is not in the trace; skipping clock skew adjustment"
                    ));
                }
                waiting.push((at, None, 0));
            }
        }
    }
    while let Some((at, parent, inherited)) = waiting.pop() {
        let node = &nodes[at];
        let other_host = |parent: &usize| node.host.is_empty() || nodes[*parent].host != node.host;
        let skew = parent.filter(other_host).map_or(inherited, |parent| skew(node, &nodes[parent]));
        if skew != 0 {
            let by = duration::told(skew);
            told[at].push(format!("clock skew adjustment disabled; not applying calculated delta of {by}"));
        }
        waiting.extend(children[at].iter().map(|child| (*child, Some(at), skew)));
    }
    told
}

/// By how much the child would have to move: not at all if it fits into its parent or lasts longer; else into its middle,
/// as if the way there took as long as the way back.
fn skew(child: &Node, parent: &Node) -> i64 {
    let lasts = |node: &Node| node.end.saturating_sub(node.start);
    if lasts(child) > lasts(parent) {
        return parent.start.saturating_sub(child.start).max(0);
    }
    if child.start >= parent.start && child.end <= parent.end {
        return 0;
    }
    let latency = (lasts(parent) - lasts(child)) / 2;
    parent.start.saturating_add(latency).saturating_sub(child.start)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CLIENT, SERVER, attribute, of, span, text, told};
    use super::*;

    fn delta(by: &str) -> Vec<String> {
        vec![format!("clock skew adjustment disabled; not applying calculated delta of {by}")]
    }

    fn warned(mut trace: Vec<ResourceSpans>) -> Vec<(u8, Vec<String>)> {
        adjust(&mut trace);
        told(&mut trace)
    }

    /// The parent runs 100 to 200, the child 20 for 60: (100 - 60) / 2 = 20 after the parent's start is 120, 100 later. Its own
    /// child, on the same host, would move with it.
    #[test]
    fn a_child_outside_its_parent_would_move_into_its_middle() {
        let trace = vec![
            of(vec![text("host.name", "a")], vec![span(1, 0, CLIENT, (100, 200))]),
            of(vec![text("host.name", "b")], vec![span(2, 1, SERVER, (20, 80)), span(3, 2, 1, (30, 40))]),
        ];
        assert_eq!(warned(trace), [(1, vec![]), (2, delta("100ns")), (3, delta("100ns"))]);
    }

    #[test]
    fn clocks_of_one_host_do_not_differ() {
        let host = || vec![text("host.id", "a")];
        let trace = vec![of(host(), vec![span(1, 0, 1, (100, 200)), span(2, 1, 1, (20, 80))])];
        assert_eq!(warned(trace), [(1, vec![]), (2, vec![])]);
        // Without a name each is on a host of its own.
        let trace = vec![of(vec![], vec![span(1, 0, 1, (100, 200)), span(2, 1, 1, (250, 350))])];
        assert_eq!(warned(trace), [(1, vec![]), (2, delta("-150ns"))]);
    }

    /// What fits is left; what lasts longer than its parent need only not begin before it.
    #[test]
    fn a_longer_child_begins_no_earlier_than_its_parent() {
        for (times, by) in [((100, 200), None), ((110, 300), None), ((40, 300), Some("60ns"))] {
            let ips = Value::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue {
                values: vec![text("", "10.0.0.1").value.expect("a value")],
            });
            let trace = vec![
                of(vec![attribute("host.ip", ips)], vec![span(1, 0, CLIENT, (100, 200))]),
                of(vec![text("host.ip", "10.0.0.2")], vec![span(2, 1, SERVER, times)]),
            ];
            assert_eq!(warned(trace), [(1, vec![]), (2, by.map(delta).unwrap_or_default())], "{times:?}");
        }
    }

    #[test]
    fn what_cannot_be_placed_is_told() {
        let spans = vec![span(1, 9, 1, (0, 9)), span(1, 9, 2, (0, 9)), span(2, 2, 1, (0, 1))];
        let lost = "parent span ID=0000000000000009 is not in the trace; skipping clock skew adjustment";
        let want = [(1, vec![lost.to_owned()]), (1, vec![DUPLICATE.to_owned()]), (2, vec![])];
        assert_eq!(warned(vec![of(vec![], spans)]), want);
    }
}
