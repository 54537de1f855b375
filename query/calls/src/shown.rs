//! Which part of a picture a graph shows: what is near a node, in a namespace, busy enough, or failing.
//!
//! A filter only leaves out. What is shown has the figures that it has in the whole graph, so that a node that is shown
//! without some of its callers still says how many calls it received; what is left out is counted, never lost. An edge
//! is shown with both of its ends, a node for its own sake where it fits the filters itself.

use std::collections::{BTreeSet, VecDeque};

use crate::measure::Protocol;
use crate::{EdgeCell, NodeIdentity, NodeKind, Picture};

/// How far from the focus a node may be when nothing is said: its callers and callees.
pub const DEPTH_DEFAULT: usize = 1;

/// Namespaces that a warning names where there is none of the name that was asked for.
const NAMESPACES_TOLD_MAX: usize = 10;

/// The part of a graph around one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Focus<'a> {
    /// Id or name of a node; a name stands for all nodes that have it.
    pub node: &'a str,
    /// How many edges away a node may be, against or along the calls.
    pub depth: usize,
}

/// What of a picture is wanted; everything by default.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wanted<'a> {
    /// Distances are along edges that the filters below leave.
    pub focus: Option<Focus<'a>>,
    /// Nodes of this namespace, and whom they call or are called by.
    pub namespace: Option<&'a str>,
    /// Edges and nodes of at least so many requests a second.
    pub rate_min: f64,
    /// Edges and nodes with errors.
    pub errors_only: bool,
    /// Nodes of this kind, and whom they call or are called by.
    pub kind: Option<NodeKind>,
    /// Edges on which mostly this is spoken, and their ends.
    pub protocol: Option<Protocol>,
}

/// The part of a picture that is shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// Places in [`Picture::nodes`], ascending.
    pub nodes: Vec<usize>,
    /// By place in [`Picture::edge_cells`].
    pub edges: Vec<bool>,
}

impl Shown {
    /// Chooses in a picture that was taken without a step.
    pub fn of(picture: &Picture, wanted: &Wanted<'_>) -> Shown {
        let fits: Vec<bool> = picture.edge_cells.iter().map(|edge| wanted.fits_edge(picture, edge)).collect();
        let kept: BTreeSet<usize> = match wanted.focus {
            Some(focus) => neighbourhood(picture, focus, &fits),
            None => {
                let ends = edges(picture, &fits).flat_map(|edge| [edge.source, edge.target]);
                wanted.nodes(picture).chain(ends).collect()
            }
        };
        let is_shown = |edge: &EdgeCell| kept.contains(&edge.source) && kept.contains(&edge.target);
        let shown = picture.edge_cells.iter().zip(&fits).map(|(edge, fits)| *fits && is_shown(edge));
        Shown { edges: shown.collect(), nodes: kept.into_iter().collect() }
    }
}

impl Wanted<'_> {
    fn is_in_namespace(&self, node: &NodeIdentity) -> bool {
        self.namespace.is_none_or(|namespace| node.namespace.as_deref() == Some(namespace))
    }

    fn fits_edge(&self, picture: &Picture, edge: &EdgeCell) -> bool {
        let seconds = picture.range.bucket_seconds(edge.bucket);
        [edge.source, edge.target].iter().any(|end| self.is_in_namespace(&picture.nodes[*end]))
            && edge.measure.requests() / seconds >= self.rate_min
            && (!self.errors_only || edge.measure.errors() > 0.0)
            && [edge.source, edge.target].iter().any(|end| self.is_of_kind(&picture.nodes[*end]))
            && self.protocol.is_none_or(|protocol| edge.measure.protocol() == protocol)
    }

    fn is_of_kind(&self, node: &NodeIdentity) -> bool {
        self.kind.is_none_or(|kind| node.kind == kind)
    }

    /// The nodes that are wanted for their own sake. One that received nothing has no rate and no errors, and none speaks a
    /// protocol but on an edge.
    fn nodes(&self, picture: &Picture) -> impl Iterator<Item = usize> {
        let mut received = vec![(0.0, 0.0); picture.nodes.len()];
        for cell in &picture.node_cells {
            let seconds = picture.range.bucket_seconds(cell.bucket);
            received[cell.node] = (cell.measure.requests() / seconds, cell.measure.errors());
        }
        let nodes = picture.nodes.iter().zip(received).enumerate();
        nodes.filter_map(|(at, (node, (rate, errors)))| {
            let is_failing = !self.errors_only || errors > 0.0;
            let fits = self.is_in_namespace(node) && self.is_of_kind(node) && self.protocol.is_none();
            (fits && rate >= self.rate_min && is_failing).then_some(at)
        })
    }

    /// What to say where the picture has nothing that goes by the names that were asked for.
    pub(super) fn unknown(&self, picture: &Picture) -> Vec<String> {
        let is_node = |focus: &Focus<'_>| picture.nodes.iter().any(|node| node.is_called(focus.node));
        let focus = self.focus.filter(|focus| !is_node(focus));
        let focus = focus.map(|focus| format!("no node is called `{}` in this range", focus.node));
        let is_empty = !picture.nodes.iter().any(|node| self.is_in_namespace(node));
        let namespace = self.namespace.filter(|_| is_empty);
        let namespace = namespace.map(|namespace| {
            let there_are = namespaces(picture);
            format!("no node is in the namespace `{namespace}` in this range; there are {there_are}")
        });
        focus.into_iter().chain(namespace).collect()
    }
}

fn namespaces(picture: &Picture) -> String {
    let known: BTreeSet<&str> = picture.nodes.iter().filter_map(|node| node.namespace.as_deref()).collect();
    let more = known.len().saturating_sub(NAMESPACES_TOLD_MAX);
    let named: Vec<&str> = known.into_iter().take(NAMESPACES_TOLD_MAX).collect();
    match (named.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => named.join(", "),
        (false, more) => format!("{} and {more} more", named.join(", ")),
    }
}

fn edges<'a>(picture: &'a Picture, fits: &'a [bool]) -> impl Iterator<Item = &'a EdgeCell> {
    picture.edge_cells.iter().zip(fits).filter(|(_, fits)| **fits).map(|(edge, _)| edge)
}

/// The focus itself, and what edges that fit lead to.
fn neighbourhood(picture: &Picture, focus: Focus<'_>, fits: &[bool]) -> BTreeSet<usize> {
    let start = picture.nodes.iter().enumerate().filter(|(_, node)| node.is_called(focus.node));
    let mut kept: BTreeSet<usize> = start.map(|(at, _)| at).collect();
    let mut queue: VecDeque<(usize, usize)> = kept.iter().map(|at| (*at, 0)).collect();
    while let Some((at, distance)) = queue.pop_front() {
        if distance == focus.depth {
            continue;
        }
        for edge in edges(picture, fits) {
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
