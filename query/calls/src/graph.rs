//! The service graph: who calls whom, how often, how well, and on what evidence.
//!
//! Nodes and edges are cut from a [`Picture`] of one bucket, so that every number is also a row of the
//! golden metrics. Edges keep what both ends saw, and say how complete that is.

use std::collections::{BTreeSet, VecDeque};

use crate::measure::Protocol;
use crate::{EdgeCell, Evidence, Figures, NodeCell, NodeIdentity, Picture};

/// A node and the calls it received.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    pub identity: NodeIdentity,
    /// All zero for a node that only calls.
    pub figures: Figures,
    /// What the figures were counted from; `None` for a node that received nothing.
    pub evidence: Option<Evidence>,
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

/// Nodes sorted by id, edges by the ids of source and target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<GraphEdge>,
    pub warnings: Vec<String>,
}

/// How far from the focus a node may be when nothing is said: its callers and callees.
pub const DEPTH_DEFAULT: usize = 1;

/// The part of a graph around one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Focus<'a> {
    /// Id or name of a node; a name stands for all nodes that have it.
    pub node: &'a str,
    /// How many edges away a node may be, against or along the calls.
    pub depth: usize,
}

/// The graph of a picture, which must have been taken without a step.
pub fn graph(picture: &Picture, focus: Option<Focus<'_>>) -> Graph {
    let kept = focus.map(|focus| neighbourhood(picture, focus));
    let is_kept = |node: usize| kept.as_ref().is_none_or(|kept| kept.contains(&node));
    let order: Vec<usize> = (0..picture.nodes.len()).filter(|node| is_kept(*node)).collect();
    let place = |node: usize| order.binary_search(&node).ok();
    let edges = picture.edge_cells.iter().filter_map(|cell| {
        let (source, target) = (place(cell.source)?, place(cell.target)?);
        Some(edge(picture, cell, source, target))
    });
    let mut cells = vec![None; picture.nodes.len()];
    picture.node_cells.iter().for_each(|cell| cells[cell.node] = Some(cell));
    let mut warnings = picture.warnings.clone();
    if let Some(focus) = focus.filter(|_| order.is_empty()) {
        warnings.push(format!("no node is called `{}` in this range", focus.node));
    }
    Graph {
        edges: edges.collect(),
        nodes: order.iter().map(|at| node(picture, cells[*at], *at)).collect(),
        warnings,
    }
}

fn node(picture: &Picture, cell: Option<&NodeCell>, at: usize) -> GraphNode {
    let evidence = cell.map(|cell| cell.evidence);
    let measure = cell.map(|cell| cell.measure.clone()).unwrap_or_default();
    let seconds = picture.range.bucket_seconds(0);
    let figures = Figures::of(&measure, evidence.unwrap_or(Evidence::Requests), seconds);
    GraphNode { identity: picture.nodes[at].clone(), figures, evidence }
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

fn neighbourhood(picture: &Picture, focus: Focus<'_>) -> BTreeSet<usize> {
    let is_focus = |node: &NodeIdentity| node.id == focus.node || node.name == focus.node;
    let start = picture.nodes.iter().enumerate().filter(|(_, node)| is_focus(node));
    let mut kept: BTreeSet<usize> = start.map(|(at, _)| at).collect();
    let mut queue: VecDeque<(usize, usize)> = kept.iter().map(|at| (*at, 0)).collect();
    while let Some((at, distance)) = queue.pop_front() {
        if distance == focus.depth {
            continue;
        }
        for edge in &picture.edge_cells {
            let other = match at {
                at if edge.source == at => edge.target,
                at if edge.target == at => edge.source,
                _ => continue,
            };
            if kept.insert(other) {
                queue.push_back((other, distance + 1));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use crate::fixture::{CALL, CLIENT, Request, SERVED, SPAN, Span, picture};

    use super::*;

    fn chain() -> Picture {
        let calls = |from, to| Request { source: ("x", from), destination: ("x", to), ..SERVED };
        picture(&[calls("a", "b"), calls("b", "c"), calls("c", "d"), calls("e", "b")], &[])
    }

    fn ids(focus: &str, depth: usize) -> Vec<String> {
        let graph = graph(&chain(), Some(Focus { node: focus, depth }));
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
        let graph = graph(&chain(), Some(Focus { node: "d", depth: 1 }));
        let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.source, edge.target)).collect();
        assert_eq!(edges, [(0, 1)]);
    }

    /// 4 calls left the client, 3 arrived: 3/4. An arrival without its departure lowers it just as much.
    #[test]
    fn completeness_is_how_far_both_ends_agree() {
        let completeness = |rows: &[Request]| graph(&picture(rows, &[]), None).edges[0].completeness;
        assert_eq!(completeness(&[CALL, CALL, CALL, CALL, SERVED, SERVED, SERVED]), Some(0.75));
        assert_eq!(completeness(&[CALL, SERVED, SERVED]), Some(0.5));
        assert_eq!(completeness(&[CALL]), Some(0.0));
        let refused = Request { flags: "UO", outcome: "error", attempts: 0, ..CALL };
        assert_eq!(completeness(&[CALL, SERVED, refused]), Some(1.0), "what was refused is not missing");
    }

    #[test]
    fn an_end_that_cannot_report_has_no_completeness() {
        let query = Span { kind: CLIENT, db_system: "mysql", server_address: "db", ..SPAN };
        assert_eq!(graph(&picture(&[], &[query]), None).edges[0].completeness, None);
    }

    #[test]
    fn a_node_that_only_calls_has_no_figures() {
        let graph = graph(&picture(&[SERVED], &[]), None);
        let told: Vec<_> =
            graph.nodes.iter().map(|n| (n.identity.id.as_str(), n.figures.requests, n.evidence)).collect();
        assert_eq!(told, [("default/a", 0.0, None), ("default/b", 1.0, Some(Evidence::Requests))]);
    }
}
