//! Which nodes of a graph stand for themselves, and which are drawn as their namespace.

use std::collections::{BTreeMap, BTreeSet};

use meshlake_query::graph::Graph;

/// Most boxes that are drawn: what a layout in a third of a second and a page of some megabytes allow.
pub const BOXES_MAX: usize = 1_500;

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group<'a> {
    /// A namespace, or all nodes without one.
    Space(Option<&'a str>),
    /// A node, by its place in the graph.
    Member(usize),
}

/// Boxes and the calls between them.
pub struct Grouped<'a> {
    /// Ascending, with the places of the nodes that each stands for.
    pub boxes: Vec<(Group<'a>, Vec<usize>)>,
    /// Places in `boxes` of both ends, with the places of the edges between them. Calls within a namespace are its own.
    pub between: BTreeMap<(usize, usize), Vec<usize>>,
    /// Boxes that are not drawn, the least busy ones.
    pub left_out: usize,
}

/// Every node for itself, or, where `opened` tells which namespaces are open, the others as their namespace.
pub fn grouped<'a>(graph: &'a Graph, opened: Option<&BTreeSet<&str>>) -> Grouped<'a> {
    let group = |at: usize| {
        let space = graph.nodes[at].identity.namespace.as_deref();
        match opened {
            Some(opened) if space.is_none_or(|space| !opened.contains(space)) => Group::Space(space),
            _ => Group::Member(at),
        }
    };
    let groups: Vec<Group<'a>> = (0..graph.nodes.len()).map(group).collect();
    let mut members: BTreeMap<Group<'a>, Vec<usize>> = BTreeMap::new();
    groups.iter().enumerate().for_each(|(at, group)| members.entry(*group).or_default().push(at));
    let count = members.len();
    let kept = busiest(graph, &groups);
    members.retain(|group, _| kept.contains(group));
    let places: BTreeMap<Group<'a>, usize> = members.keys().copied().zip(0..).collect();
    let mut between: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (at, edge) in graph.edges.iter().enumerate() {
        let ends = (groups[edge.source], groups[edge.target]);
        let is_within = ends.0 == ends.1 && matches!(ends.0, Group::Space(_));
        if let (false, Some(source), Some(target)) = (is_within, places.get(&ends.0), places.get(&ends.1)) {
            between.entry((*source, *target)).or_default().push(at);
        }
    }
    Grouped { left_out: count - members.len(), boxes: members.into_iter().collect(), between }
}

/// Those with the most calls in and out.
fn busiest<'a>(graph: &Graph, groups: &[Group<'a>]) -> BTreeSet<Group<'a>> {
    let mut calls: BTreeMap<Group<'a>, f64> = groups.iter().map(|group| (*group, 0.0)).collect();
    for edge in &graph.edges {
        for end in [edge.source, edge.target] {
            *calls.entry(groups[end]).or_default() += edge.figures.requests;
        }
    }
    let mut order: Vec<(Group<'a>, f64)> = calls.into_iter().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.into_iter().take(BOXES_MAX).map(|(group, _)| group).collect()
}
