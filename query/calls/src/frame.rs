//! What of all calls a picture shows.
//!
//! Names and evidence are chosen by all that was counted, whatever is shown, so that a part of a picture has the figures
//! that it has in the whole; but what is told apart, and held with its latencies, is only what is shown: the operations
//! of one service by minute are some thousand cells, those of all services a million.

use crate::nodes::NodeIdentity;

/// What is shown: nodes, edges or both; of all services, of one, or near one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    extent: Extent,
    has_nodes: bool,
    has_edges: bool,
    has_outline: bool,
    has_latencies: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Extent {
    Whole,
    Of(String),
    Around { node: String, depth: usize },
}

impl Frame {
    /// Every node and every edge.
    pub fn whole() -> Frame {
        Frame {
            extent: Extent::Whole,
            has_nodes: true,
            has_edges: true,
            has_outline: false,
            has_latencies: true,
        }
    }

    /// All of the nodes called `service`, by id or by name, and of the edges that begin or end there; without one, everything.
    pub fn whole_of(service: Option<&str>) -> Frame {
        let extent = service.map_or(Extent::Whole, |service| Extent::Of(service.to_owned()));
        Frame { extent, ..Frame::whole() }
    }

    /// What nodes received: those called `service`, by id or by name, and parts of it; without one, all.
    pub fn nodes(service: Option<&str>) -> Frame {
        Frame { has_edges: false, ..Frame::whole_of(service) }
    }

    /// Edges that begin or end at a node called `service`; without one, all.
    pub fn edges(service: Option<&str>) -> Frame {
        Frame { has_nodes: false, ..Frame::whole_of(service) }
    }

    /// The nodes called `node`, by id or by name, those up to so many edges away, against or along the calls, and the edges among
    /// all of these. What else there is is outlined.
    pub fn around(node: &str, depth: usize) -> Frame {
        Frame { extent: Extent::Around { node: node.to_owned(), depth }, ..Frame::whole() }.outlined()
    }

    /// The same, and of edges that it does not show how many calls they have; see [`crate::picture::Outlined`].
    #[must_use]
    pub fn outlined(self) -> Frame {
        Frame { has_outline: true, ..self }
    }

    /// The same without latencies and protocols: what the picture says of those means nothing.
    #[must_use]
    pub fn without_latencies(self) -> Frame {
        Frame { has_latencies: false, ..self }
    }

    /// Whether it shows a part only.
    pub fn is_narrow(&self) -> bool {
        self.extent != Extent::Whole
    }

    /// Whether each node is what is shown, a part of it, or near it along `edges` between their places.
    pub(super) fn asked(&self, nodes: &[NodeIdentity], edges: impl Iterator<Item = (u32, u32)>) -> Vec<bool> {
        match &self.extent {
            Extent::Whole => vec![true; nodes.len()],
            Extent::Of(service) => {
                nodes.iter().map(|node| node.is_called(service) || node.is_of(service)).collect()
            }
            Extent::Around { node, depth } => {
                let near = nodes.iter().map(|held| held.is_called(node)).collect();
                neighbourhood(near, edges, *depth)
            }
        }
    }

    /// Whether it shows an edge between nodes of which these are asked for.
    pub(super) fn shows_edge(&self, is_source_asked: bool, is_target_asked: bool) -> bool {
        let is_inside = match self.extent {
            Extent::Around { .. } => is_source_asked && is_target_asked,
            Extent::Whole | Extent::Of(_) => is_source_asked || is_target_asked,
        };
        self.has_edges && is_inside
    }

    pub(super) fn has_nodes(&self) -> bool {
        self.has_nodes
    }

    pub(super) fn has_latencies(&self) -> bool {
        self.has_latencies
    }

    pub(super) fn has_outline(&self) -> bool {
        self.has_outline
    }
}

/// These nodes and those up to so many edges away.
fn neighbourhood(mut near: Vec<bool>, edges: impl Iterator<Item = (u32, u32)>, depth: usize) -> Vec<bool> {
    let edges: Vec<[usize; 2]> = edges.map(|(source, target)| [source as usize, target as usize]).collect();
    for _ in 0..depth {
        let next: Vec<usize> =
            edges.iter().filter(|ends| near[ends[0]] != near[ends[1]]).flatten().copied().collect();
        if next.is_empty() {
            break;
        }
        next.into_iter().for_each(|node| near[node] = true);
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 -> 1 -> 2 -> 3, and 4 calls 1; 5 calls itself.
    #[test]
    fn what_is_near_is_so_many_edges_away() {
        let near = |start: usize, depth| {
            let edges = [(0, 1), (1, 2), (2, 3), (4, 1), (5, 5)];
            let near = neighbourhood((0..6).map(|node| node == start).collect(), edges.into_iter(), depth);
            near.iter().enumerate().filter(|(_, near)| **near).map(|(node, _)| node).collect::<Vec<_>>()
        };
        assert_eq!(near(2, 0), [2]);
        assert_eq!(near(2, 1), [1, 2, 3]);
        assert_eq!(near(2, 2), [0, 1, 2, 3, 4]);
        assert_eq!(near(2, usize::MAX), [0, 1, 2, 3, 4]);
        assert_eq!(near(5, 3), [5]);
    }
}
