//! The service graph: who calls whom, how often, how well, and on what evidence.
//!
//! Nodes and edges are cut from a [`Picture`] of one bucket, so that every number is also a row of the
//! golden metrics. Edges keep what both ends saw, and say how complete that is.

use crate::measure::{MILLI, Protocol};
use crate::shown::{Shown, Wanted};
use crate::{EdgeCell, Evidence, Figures, Frame, NodeCell, NodeIdentity, Picture};

/// A node and the calls it received.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    pub identity: NodeIdentity,
    /// All zero for a node that only calls.
    pub figures: Figures,
    /// What the figures were counted from; `None` for a node that received nothing.
    pub evidence: Option<Evidence>,
    /// Calls on the edges into it that are not shown.
    pub hidden_requests: f64,
}

/// An edge and the calls on it.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphEdge {
    /// Places in [`Graph::nodes`].
    pub source: usize,
    pub target: usize,
    pub protocol: Protocol,
    pub figures: Figures,
    pub evidence: Evidence,
    pub retries: f64,
    /// Calls that the client side refused: they are on the edge and not at the target.
    pub refused: f64,
    pub seen_by_client: bool,
    pub seen_by_server: bool,
    /// Calls by each kind of evidence alone; never to be added.
    pub by_spans: f64,
    pub by_requests: f64,
    /// How far the two ends agree: of the received sides that there should be, the share of which both ends
    /// told, 0..=1; 0 when one end saw nothing. `None` where an end cannot report: a database, a queue, an
    /// external host, unknown callers.
    pub completeness: Option<f64>,
}

/// What is in the picture and not shown; nothing unless something else was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hidden {
    pub nodes: usize,
    pub edges: usize,
    /// Calls on those edges.
    pub requests: f64,
}

/// Nodes sorted by id, edges by the ids of source and target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<GraphEdge>,
    pub hidden: Hidden,
    pub warnings: Vec<String>,
}

/// The frame of a picture that shows all that is wanted: what is far from a focus need not be added up.
pub fn frame(wanted: &Wanted<'_>) -> Frame {
    wanted.focus.map_or_else(Frame::whole, |focus| Frame::around(focus.node, focus.depth))
}

/// The graph of what is wanted of a picture, which must have been taken without a step, in the [`frame`] of that or whole.
pub fn graph(picture: &Picture, wanted: &Wanted<'_>) -> Graph {
    let Shown { nodes: order, edges: is_shown } = Shown::of(picture, wanted);
    let place = |node: usize| order.binary_search(&node).ok();
    let mut hidden: Vec<(usize, u64)> =
        picture.outlined.iter().map(|edge| (edge.target, edge.requests_milli)).collect();
    let mut edges = Vec::new();
    for (cell, is_shown) in picture.edge_cells.iter().zip(is_shown) {
        match (place(cell.source), place(cell.target)) {
            (Some(source), Some(target)) if is_shown => edges.push(edge(picture, cell, source, target)),
            _ => hidden.push((cell.target, cell.measure.requests_milli())),
        }
    }
    let calls = |milli: u64| milli as f64 / MILLI as f64;
    let mut hidden_in = vec![0; picture.nodes.len()];
    hidden.iter().for_each(|(target, milli)| hidden_in[*target] += milli);
    let hidden = Hidden {
        nodes: picture.nodes.len() - order.len(),
        edges: hidden.len(),
        requests: calls(hidden_in.iter().sum()),
    };
    let mut cells = vec![None; picture.nodes.len()];
    picture.node_cells.iter().for_each(|cell| cells[cell.node] = Some(cell));
    let shown = order.iter().map(|at| node(picture, cells[*at], *at, calls(hidden_in[*at])));
    let warnings = picture.warnings.iter().cloned().chain(wanted.unknown(picture)).collect();
    Graph { edges, nodes: shown.collect(), hidden, warnings }
}

fn node(picture: &Picture, cell: Option<&NodeCell>, at: usize, hidden_requests: f64) -> GraphNode {
    let evidence = cell.map(|cell| cell.evidence);
    let measure = cell.map(|cell| cell.measure.clone()).unwrap_or_default();
    let seconds = picture.range.bucket_seconds(0);
    let figures = Figures::of(&measure, evidence.unwrap_or(Evidence::Requests), seconds);
    GraphNode { identity: picture.nodes[at].clone(), figures, evidence, hidden_requests }
}

fn edge(picture: &Picture, cell: &EdgeCell, source: usize, target: usize) -> GraphEdge {
    let ends_report = [cell.source, cell.target].iter().all(|end| picture.nodes[*end].kind.reports());
    GraphEdge {
        source,
        target,
        protocol: cell.measure.protocol(),
        figures: Figures::of(&cell.measure, cell.evidence, picture.range.bucket_seconds(cell.bucket)),
        evidence: cell.evidence,
        retries: cell.measure.retries(),
        refused: cell.refused,
        seen_by_client: cell.measure.made() > 0.0,
        seen_by_server: cell.measure.received() > 0.0,
        by_spans: cell.by_spans,
        by_requests: cell.by_requests,
        completeness: if ends_report { cell.measure.completeness() } else { None },
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, CALL, CLIENT, Request, SERVED, SPAN, Span, picture};
    use crate::shown::Focus;
    use crate::{By, Fold, Grain, NodeKind, Question, Source};

    use super::*;

    fn chain() -> Picture {
        let calls = |from, to| Request { source: ("x", from), destination: ("x", to), ..SERVED };
        picture(&[calls("a", "b"), calls("b", "c"), calls("c", "d"), calls("e", "b")], &[])
    }

    fn around(node: &str, depth: usize) -> Wanted<'_> {
        Wanted { focus: Some(Focus { node, depth }), ..Wanted::default() }
    }

    fn ids(focus: &str, depth: usize) -> Vec<String> {
        let graph = graph(&chain(), &around(focus, depth));
        graph.nodes.into_iter().map(|node| node.identity.id).collect()
    }

    #[test]
    fn a_focus_looks_both_ways_as_far_as_told() {
        assert_eq!(ids("c", 0), ["x/c"]);
        assert_eq!(ids("x/c", 1), ["x/b", "x/c", "x/d"]);
        assert_eq!(ids("c", 2), ["x/a", "x/b", "x/c", "x/d", "x/e"]);
        assert_eq!(ids("nobody", 9), Vec::<String>::new());
    }

    #[test]
    fn edges_of_a_focus_join_its_own_nodes() {
        let graph = graph(&chain(), &around("d", 1));
        let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.source, edge.target)).collect();
        assert_eq!(edges, [(0, 1)]);
    }

    /// 4 calls left the client, 3 arrived: 3/4. An arrival without its departure lowers it just as much.
    #[test]
    fn completeness_is_how_far_both_ends_agree() {
        let completeness =
            |rows: &[Request]| graph(&picture(rows, &[]), &Wanted::default()).edges[0].completeness;
        assert_eq!(completeness(&[CALL, CALL, CALL, CALL, SERVED, SERVED, SERVED]), Some(0.75));
        assert_eq!(completeness(&[CALL, SERVED, SERVED]), Some(0.5));
        assert_eq!(completeness(&[CALL]), Some(0.0));
        let refused = Request { flags: "UO", outcome: "error", attempts: 0, ..CALL };
        assert_eq!(completeness(&[CALL, SERVED, refused]), Some(1.0), "what was refused is not missing");
    }

    #[test]
    fn an_end_that_cannot_report_has_no_completeness() {
        let query = Span { kind: CLIENT, db_system: "mysql", server_address: "db", ..SPAN };
        assert_eq!(graph(&picture(&[], &[query]), &Wanted::default()).edges[0].completeness, None);
    }

    #[test]
    fn a_node_that_only_calls_has_no_figures() {
        let graph = graph(&picture(&[SERVED], &[]), &Wanted::default());
        let told: Vec<_> =
            graph.nodes.iter().map(|n| (n.identity.id.as_str(), n.figures.requests, n.evidence)).collect();
        assert_eq!(told, [("default/a", 0.0, None), ("default/b", 1.0, Some(Evidence::Requests))]);
    }

    /// x/a calls y/b 30 times, x/c once and fails, y/b calls z/d 6 times, of which one fails; in a minute.
    fn rows() -> Vec<Request> {
        let calls = |source, destination, count: usize, outcome| {
            vec![Request { source, destination, outcome, ..SERVED }; count]
        };
        let rows = [
            calls(("x", "a"), ("y", "b"), 30, "ok"),
            calls(("x", "a"), ("x", "c"), 1, "error"),
            calls(("y", "b"), ("z", "d"), 5, "ok"),
            calls(("y", "b"), ("z", "d"), 1, "error"),
        ];
        rows.concat()
    }

    fn mesh() -> Picture {
        picture(&rows(), &[])
    }

    #[test]
    fn a_frame_around_a_focus_shows_what_the_whole_shows_of_it() {
        let rows = fixture::requests(&rows());
        let (range, by, grain) = (fixture::range(), By::Service, Grain::Node);
        let question = Question { range, by, grain, source: Source::Auto };
        for (node, depth) in
            ["x/a", "y/b", "b", "z/d", "nobody"].iter().flat_map(|n| (0..4).map(move |d| (n, d)))
        {
            for errors_only in [false, true] {
                let wanted = Wanted { errors_only, ..around(node, depth) };
                let mut fold = Fold::new(question).framed(frame(&wanted));
                fold.add_requests(&rows);
                let framed = fold.finish().expect("a few cells");
                assert_eq!(graph(&framed, &wanted), graph(&mesh(), &wanted), "{wanted:?}");
                assert!(framed.edge_cells.len() + framed.outlined.len() == 3, "{framed:?}");
            }
        }
    }

    /// The nodes with the calls that each hides, and the edges.
    fn told(wanted: Wanted<'_>) -> (String, String, Hidden) {
        let graph = graph(&mesh(), &wanted);
        let id = |node: usize| graph.nodes[node].identity.id.as_str();
        let nodes: Vec<_> = graph
            .nodes
            .iter()
            .map(|node| match node.hidden_requests {
                0.0 => node.identity.id.clone(),
                hidden => format!("{} -{hidden}", node.identity.id),
            })
            .collect();
        let edges: Vec<_> =
            graph.edges.iter().map(|edge| format!("{}>{}", id(edge.source), id(edge.target))).collect();
        (nodes.join(" "), edges.join(" "), graph.hidden)
    }

    fn check(wanted: Wanted<'_>, nodes: &str, edges: &str, hidden: (usize, usize, f64)) {
        let (nodes_hidden, edges_hidden, requests) = hidden;
        let hidden = Hidden { nodes: nodes_hidden, edges: edges_hidden, requests };
        assert_eq!(told(wanted), (nodes.to_owned(), edges.to_owned(), hidden), "{wanted:?}");
    }

    #[test]
    fn nothing_is_hidden_unless_asked_for() {
        check(Wanted::default(), "x/a x/c y/b z/d", "x/a>x/c x/a>y/b y/b>z/d", (0, 0, 0.0));
    }

    #[test]
    fn a_namespace_is_shown_with_whom_it_talks_to() {
        let of = |namespace| Wanted { namespace: Some(namespace), ..Wanted::default() };
        check(of("x"), "x/a x/c y/b", "x/a>x/c x/a>y/b", (1, 1, 6.0));
        check(of("z"), "y/b -30 z/d", "y/b>z/d", (2, 2, 31.0));
    }

    /// 30, 6 and 1 calls in 60 s.
    #[test]
    fn edges_below_a_rate_are_hidden_and_nodes_that_nothing_else_shows() {
        let at_least = |rate_min| Wanted { rate_min, ..Wanted::default() };
        check(at_least(0.1), "x/a y/b z/d", "x/a>y/b y/b>z/d", (1, 1, 1.0));
        check(at_least(0.101), "x/a y/b", "x/a>y/b", (2, 2, 7.0));
        check(at_least(0.501), "", "", (4, 3, 37.0));
    }

    /// Six callers of ten calls each: each edge is below the rate, the node is not.
    #[test]
    fn a_busy_node_is_shown_whose_callers_are_each_not() {
        let callers = ["a", "b", "c", "d", "e", "f"];
        let rows = callers.map(|name| vec![Request { source: ("x", name), ..SERVED }; 10]).concat();
        let graph = graph(&picture(&rows, &[]), &Wanted { rate_min: 1.0, ..Wanted::default() });
        let nodes: Vec<_> = graph
            .nodes
            .iter()
            .map(|n| (n.identity.id.as_str(), n.figures.requests, n.hidden_requests))
            .collect();
        assert_eq!((nodes, graph.edges.len()), (vec![("default/b", 60.0, 60.0)], 0));
    }

    #[test]
    fn what_fails_is_shown_alone_and_filters_add_up() {
        let failing = Wanted { errors_only: true, ..Wanted::default() };
        check(failing, "x/a x/c y/b -30 z/d", "x/a>x/c y/b>z/d", (0, 1, 30.0));
        check(Wanted { rate_min: 0.1, ..failing }, "y/b -30 z/d", "y/b>z/d", (2, 2, 31.0));
        let focus = Some(Focus { node: "x/a", depth: 9 });
        check(Wanted { focus, ..failing }, "x/a x/c", "x/a>x/c", (2, 2, 36.0));
    }

    /// a calls b by HTTP, and both a database, b with a connection beside.
    #[test]
    fn kinds_and_protocols_are_chosen_with_both_ends_of_an_edge() {
        let query = Span {
            kind: CLIENT,
            db_system: "mysql",
            server_address: "db",
            service: ("default", "a"),
            ..SPAN
        };
        let asked = Span { id: 2, trace: 2, service: ("default", "b"), ..query };
        let picture = picture(&[SERVED], &[query, asked]);
        let edges = |wanted: Wanted<'_>| {
            let graph = graph(&picture, &wanted);
            let id = |node: usize| graph.nodes[node].identity.name.as_str();
            graph
                .edges
                .iter()
                .map(|edge| format!("{}>{}", id(edge.source), id(edge.target)))
                .collect::<Vec<_>>()
        };
        assert_eq!(edges(Wanted::default()), ["a>db", "a>b", "b>db"]);
        let databases = Wanted { kind: Some(NodeKind::Database), ..Wanted::default() };
        assert_eq!(edges(databases), ["a>db", "b>db"]);
        let http = Wanted { protocol: Some(Protocol::Http), ..Wanted::default() };
        assert_eq!(edges(http), ["a>b"]);
        assert_eq!(graph(&picture, &http).nodes.len(), 2, "a node that speaks it on no edge is not shown");
        assert_eq!(edges(Wanted { protocol: Some(Protocol::Http), ..databases }), [""; 0]);
    }

    #[test]
    fn a_namespace_that_is_not_there_is_answered_with_those_that_are() {
        let warnings = graph(&mesh(), &Wanted { namespace: Some("X"), ..Wanted::default() }).warnings;
        assert_eq!(warnings, ["no node is in the namespace `X` in this range; there are x, y, z"]);
    }
}
