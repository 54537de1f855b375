//! How many calls nodes and edges have, by a survey alone: enough to say what is near a node, and what is not shown.

use crate::frame::Frame;
use crate::hashing::NumberMap;
use crate::picture::Outlined;

/// Calls in thousandths, nodes by their places.
#[derive(Debug)]
pub struct Outline {
    nodes: Vec<u64>,
    edges: NumberMap<(u32, u32), u64>,
}

impl Outline {
    pub fn of(nodes: usize) -> Outline {
        Outline { nodes: vec![0; nodes], edges: NumberMap::default() }
    }

    /// Adds calls that count at the node `target`, and on the edge to it.
    pub fn add(&mut self, source: Option<u32>, target: u32, at_node: u64, on_edge: u64) {
        self.nodes[target as usize] += at_node;
        if let Some(source) = source.filter(|_| on_edge > 0) {
            *self.edges.entry((source, target)).or_default() += on_edge;
        }
    }

    /// Every edge that has calls, in no order.
    pub fn edges(&self) -> impl Iterator<Item = (u32, u32)> {
        self.edges.keys().copied()
    }

    /// Whether each node has calls, made or received.
    pub fn is_used(&self) -> Vec<bool> {
        let mut is_used: Vec<bool> = self.nodes.iter().map(|requests| *requests > 0).collect();
        self.edges()
            .flat_map(|(source, target)| [source, target])
            .for_each(|node| is_used[node as usize] = true);
        is_used
    }

    /// The edges that `frame` does not show where these nodes are asked for, in no order.
    pub fn left_out(&self, frame: &Frame, is_asked: &[bool]) -> impl Iterator<Item = Outlined> {
        let edges = self.edges.iter().map(|((source, target), requests)| Outlined {
            source: *source as usize,
            target: *target as usize,
            requests_milli: *requests,
        });
        edges.filter(|edge| !frame.shows_edge(is_asked[edge.source], is_asked[edge.target]))
    }
}
