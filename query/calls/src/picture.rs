//! The calls of a range as nodes and edges, each call once: what golden metrics and the graph are cut from.
//!
//! There is one set of calls. Evidence is chosen by service and by edge, whatever the grouping, and a grouping only
//! sorts the calls that were chosen into parts: each total is the same under every one.

use crate::cell_key::Evidence;
use crate::measure::Measure;
use crate::nodes::NodeIdentity;
use crate::one_call::CallSeen;
use crate::range::Range;

/// Calls that a node received in one bucket, by operation, instance, cluster or value if asked for.
#[derive(Debug, Clone)]
pub struct NodeCell {
    /// Place in [`Picture::nodes`].
    pub node: usize,
    pub detail: Option<String>,
    pub bucket: u16,
    pub evidence: Evidence,
    pub measure: Measure,
}

/// Calls of an edge in one bucket.
#[derive(Debug, Clone)]
pub struct EdgeCell {
    /// Places in [`Picture::nodes`].
    pub source: usize,
    pub target: usize,
    pub bucket: u16,
    /// What `measure` was counted from; rows, where of some both.
    pub evidence: Evidence,
    pub measure: Measure,
    /// Of those, refused before they reached the target.
    pub refused: f64,
    /// Calls by spans, and by rows of `requests`, each alone.
    pub by_spans: f64,
    pub by_requests: f64,
}

/// An edge of which nothing is told but how many calls it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlined {
    /// Places in [`Picture::nodes`].
    pub source: usize,
    pub target: usize,
    /// In thousandths of a call.
    pub requests_milli: u64,
}

/// Nodes and edges of a range.
#[derive(Debug, Clone)]
pub struct Picture {
    pub range: Range,
    /// Sorted by id. Those of what is shown, and where the frame says that the rest is outlined all that have calls.
    pub nodes: Vec<NodeIdentity>,
    /// Sorted by node, detail, bucket.
    pub node_cells: Vec<NodeCell>,
    /// Sorted by source, target, bucket.
    pub edge_cells: Vec<EdgeCell>,
    /// The other edges, where the frame says that they are outlined. Sorted by source, target.
    pub outlined: Vec<Outlined>,
    /// The newest calls, where they are listed, in no order; of each node and edge as many as are asked for, or more.
    pub calls: Vec<CallSeen>,
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meshlake_schema::UnixNanos;

    use super::*;
    use crate::choice::Source;
    use crate::fixture::{
        self, CALL, CLIENT, CONSUMER, FROM_SECOND, PRODUCER, Request, SERVED, SERVER, SPAN, Span, edges,
        kind, nodes, picture, picture_of,
    };
    use crate::fold::{Fold, Question};
    use crate::frame::Frame;
    use crate::grouping::{By, Grain};

    const A: (&str, &str) = ("default", "a");
    const B: (&str, &str) = ("default", "b");

    /// One call of a to b as spans, in a trace of its own.
    fn traced(trace: u128) -> [Span; 2] {
        let made = Span { trace, kind: CLIENT, service: A, ..SPAN };
        [made, Span { id: 2, parent: 1, kind: SERVER, service: B, ..made }]
    }

    fn evidence(source: Source) -> (Vec<String>, Vec<String>) {
        // Two calls by proxies, one of them traced.
        let picture = picture_of(&[CALL, CALL, SERVED, SERVED], &traced(1), source, By::Service, Grain::Node);
        (edges(&picture), nodes(&picture))
    }

    #[test]
    fn proxies_and_spans_are_never_summed() {
        let two = (vec!["default/a -> default/b 2/0".to_owned()], vec!["default/b 2/0".to_owned()]);
        let one = (vec!["default/a -> default/b 1/0".to_owned()], vec!["default/b 1/0".to_owned()]);
        assert_eq!(evidence(Source::Auto), two);
        assert_eq!(evidence(Source::Requests), two);
        assert_eq!(evidence(Source::Spans), one);
    }

    #[test]
    fn both_kinds_of_evidence_are_told_beside_the_choice() {
        let picture = picture(&[CALL, CALL, SERVED, SERVED], &traced(1));
        let edge = &picture.edge_cells[0];
        assert_eq!((edge.evidence, edge.by_requests, edge.by_spans), (Evidence::Requests, 2.0, 1.0));
    }

    /// By proxies n calls: by spans they are taken from 5 % and 20 calls more on.
    #[test]
    fn spans_that_exceed_rows_are_taken_and_told() {
        for (rows, traces, want) in [(20, 39, 20), (20, 40, 40), (600, 629, 600), (600, 630, 630)] {
            let spans: Vec<Span> = (1..=traces).flat_map(traced).collect();
            let picture = picture(&vec![SERVED; rows], &spans);
            assert_eq!(nodes(&picture), [format!("default/b {want}/0")], "{rows} rows, {traces} traces");
            assert_eq!(edges(&picture), [format!("default/a -> default/b {want}/0")]);
            assert_eq!(picture.warnings.len(), usize::from(want == traces), "{:?}", picture.warnings);
        }
    }

    #[test]
    fn without_a_proxy_at_the_callee_spans_count_there() {
        // The caller's proxy sees whole requests, so the edge is counted from it; the node from its spans.
        let spans: Vec<Span> = (1..=3).flat_map(traced).collect();
        let picture = picture(&[CALL; 4], &spans);
        assert_eq!(edges(&picture), ["default/a -> default/b 4/0"]);
        assert_eq!(nodes(&picture), ["default/b 3/0"]);
        assert_eq!(picture.node_cells[0].evidence, Evidence::Spans);
    }

    #[test]
    fn messages_are_on_the_graph_beside_the_rows_of_proxies() {
        let sent = Span { kind: PRODUCER, service: A, queue: "orders", ..SPAN };
        let taken = Span { id: 2, parent: 1, kind: CONSUMER, service: B, ..sent };
        let picture = picture(&[SERVED], &[sent, taken]);
        assert_eq!(
            edges(&picture),
            ["default/a -> default/b 1/0", "default/a -> orders 1/0", "orders -> default/b 1/0"]
        );
        assert_eq!(nodes(&picture), ["default/b 2/0", "orders 1/0"]);
    }

    /// b's proxy knows that a called; b's span does not, for a is not traced.
    #[test]
    fn a_caller_unknown_to_spans_is_not_added_to_the_one_that_proxies_know() {
        let picture = picture(&[SERVED], &[Span { kind: SERVER, service: B, ..SPAN }]);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0"]);
    }

    #[test]
    fn a_node_without_reports_is_the_sum_of_its_edges() {
        let from = |caller| Request { source: ("default", caller), destination: ("", "api.example"), ..CALL };
        let picture = picture(&[from("a"), from("c"), Request { outcome: "error", ..from("c") }], &[]);
        assert_eq!(nodes(&picture), ["api.example 3/1"]);
    }

    /// Rows in the first ten minutes, spans in the next: a range of both is the sum of the two.
    #[test]
    fn two_ranges_add_up_to_both() {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let requests_in = |from, to| {
            let range = Range::new(at(from), at(to), None).expect("not empty");
            let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
            let mut fold = Fold::new(question);
            fold.add_requests(&fixture::requests(&[SERVED, SERVED, SERVED]));
            let later = traced(1).map(|span| Span { second: 1_300, ..span });
            fold.add_spans(&fixture::spans(&[later, traced(2)].concat()));
            let picture = fold.finish().expect("a few cells");
            picture.node_cells.iter().map(|cell| cell.measure.requests()).sum::<f64>()
        };
        assert_eq!((requests_in(600, 1_200), requests_in(1_200, 1_800)), (3.0, 1.0));
        assert_eq!(requests_in(600, 1_800), 4.0);
    }

    #[test]
    fn services_may_be_called_like_the_nodes_of_the_unknown() {
        let named = |name| Request { source: ("", name), destination: ("", name), ..SERVED };
        let unknown = Request { source: ("", ""), ..SERVED };
        let picture = picture(&[named("client"), named("unknown"), unknown], &[]);
        assert_eq!(nodes(&picture), ["client 1/0", "default/b 1/0", "unknown 1/0"]);
        assert_eq!(kind(&picture, "client"), Some("service"));
        assert_eq!(kind(&picture, "unknown"), Some("service"));
        assert_eq!(kind(&picture, "client@default/b"), Some("client"));
    }

    #[test]
    fn a_service_is_one_node_with_and_without_its_namespace() {
        let picture = picture(&[SERVED, Request { destination: ("", "b"), ..SERVED }], &[]);
        assert_eq!(nodes(&picture), ["default/b 2/0"]);
    }

    #[test]
    fn the_same_rows_in_another_order_are_the_same_picture() {
        let calls: Vec<Request> = (0..50).map(|i| Request { millis: i * 7 % 13, ..CALL }).collect();
        let turned: Vec<Request> = calls.iter().rev().copied().collect();
        let sums = |rows: &[Request]| {
            let picture = picture(rows, &[]);
            picture.edge_cells.iter().map(|edge| edge.measure.clone()).collect::<Vec<_>>()
        };
        assert_eq!(sums(&calls), sums(&turned));
    }

    #[test]
    fn versions_of_a_service_are_nodes_when_asked() {
        let rows = ["v1", "v2", "v2"].map(|version| Request { version, ..SERVED });
        let picture = picture_of(&rows, &[], Source::Auto, By::Version, Grain::Node);
        assert_eq!(nodes(&picture), ["default/b:v1 1/0", "default/b:v2 2/0"]);
    }

    /// 2,500 operations of one service, called once each, and one of another: asked for the other alone, the
    /// limit of 2,000 is spent on it.
    #[test]
    fn a_limit_is_spent_on_what_was_asked_for() {
        let span = |id: u64, name, service| Span { trace: u128::from(id), name, service, ..SPAN };
        let names: Vec<&'static str> =
            (0..2_500).map(|i| &*Box::leak(format!("op {i}").into_boxed_str())).collect();
        let mut spans: Vec<Span> =
            names.iter().zip(1..).map(|(name, id)| span(id, *name, ("", "busy"))).collect();
        spans.push(span(9_999, "GET /quiet", ("", "quiet")));
        let details = |only| {
            let range = fixture::range();
            let question = Question { range, by: By::Service, grain: Grain::Operation, source: Source::Auto };
            let mut fold = Fold::new(question).framed(Frame::nodes(only));
            fold.add_spans(&fixture::spans(&spans));
            let picture = fold.finish().expect("a few cells");
            let node = picture.nodes.iter().position(|node| node.name == "quiet").expect("it is there");
            let mut cells = picture.node_cells.iter().filter(|cell| cell.node == node);
            (cells.next().and_then(|cell| cell.detail.clone()), picture.warnings.len())
        };
        assert_eq!(details(Some("quiet")), (Some("GET /quiet".to_owned()), 0));
        assert_eq!(details(None).1, 1);
    }

    /// Names of INTERNAL spans are no operations: they take nothing from those that are.
    #[test]
    fn names_of_internal_spans_take_no_operation_away() {
        let names: Vec<&'static str> =
            (0..2_500).map(|i| &*Box::leak(format!("work {i}").into_boxed_str())).collect();
        let internal = |(name, id): (&&'static str, u64)| Span {
            kind: fixture::INTERNAL,
            id,
            parent: 1,
            name,
            second: FROM_SECOND,
            ..SPAN
        };
        let mut spans: Vec<Span> = names.iter().zip(2..).map(internal).collect();
        spans.push(Span { name: "GET /", ..SPAN });
        let picture = picture_of(&[], &spans, Source::Auto, By::Service, Grain::Operation);
        assert_eq!(picture.node_cells[0].detail.as_deref(), Some("GET /"));
        assert!(picture.warnings.is_empty(), "{:?}", picture.warnings);
    }

    #[test]
    fn buckets_add_up_to_the_range() {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let range = Range::new(at(1_000), at(1_060), Some(Duration::from_secs(20))).expect("not empty");
        let mut fold =
            Fold::new(Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto });
        let rows: Vec<Request> = (0..30).map(|i| Request { second: FROM_SECOND + i, ..SERVED }).collect();
        fold.add_requests(&fixture::requests(&rows));
        let picture = fold.finish().expect("a few cells");
        let told: Vec<_> =
            picture.node_cells.iter().map(|cell| (cell.bucket, cell.measure.requests())).collect();
        assert_eq!(told, [(0, 20.0), (1, 10.0)]);
    }
}
