//! The sums of a drawing: of nodes by what is told apart at them, and of edges, each in buckets.

use std::collections::HashSet;

use crate::cell_key::{CellKey, DetailId, Evidence};
use crate::cells::{Book, CELLS_MAX, busiest};
use crate::entry::Entry;
use crate::hashing::NumberMap;
use crate::measure::{MILLI, Measure};
use crate::packed::Amount;
use crate::picture::{EdgeCell, NodeCell};

/// Where the calls of a cell are summed, and how; nodes by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    pub node: Option<u32>,
    pub edge: Option<(u32, u32)>,
    /// On the edge, its calls are those that count; else they are only told beside those that do.
    pub counts: bool,
    /// Nothing of it counts but bytes, of calls that spans tell of.
    pub is_bytes: bool,
}

impl Place {
    pub fn is_shown(&self) -> bool {
        self.node.is_some() || self.edge.is_some()
    }
}

#[derive(Debug)]
struct NodeSum {
    evidence: Evidence,
    measure: Measure,
}

/// By node, what is told apart and bucket; by edge and bucket.
#[derive(Debug, Default)]
pub struct Sheet {
    nodes: NumberMap<(u32, DetailId, u16), NodeSum>,
    edges: NumberMap<(u32, u32, u16), EdgeCell>,
    /// What is told apart at nodes and was summed up: it stays so, for what is told apart is told whole.
    summed_up: HashSet<(u32, DetailId)>,
    overflowed: bool,
}

impl Sheet {
    /// Adds the calls of a cell.
    pub fn add(&mut self, place: &Place, key: &CellKey, amount: &Amount<'_>, book: &Book) {
        if let Some(ends) = place.edge {
            self.add_edge(ends, place, key, amount, book);
        }
        if let Some(node) = place.node {
            self.add_node(node, place, key, amount, book);
        }
    }

    fn add_edge(
        &mut self,
        (source, target): (u32, u32),
        place: &Place,
        key: &CellKey,
        amount: &Amount<'_>,
        book: &Book,
    ) {
        let bucket = key.at.bucket;
        let at = (source, target, bucket);
        if self.is_full() && !self.edges.contains_key(&at) && !self.has_room(book) {
            return;
        }
        let edge = self.edges.entry(at).or_insert_with(|| EdgeCell {
            source: source as usize,
            target: target as usize,
            bucket,
            evidence: Evidence::Spans,
            measure: Measure::default(),
            refused: 0.0,
            by_spans: 0.0,
            by_requests: 0.0,
        });
        if place.is_bytes {
            amount.add_bytes_to(&mut edge.measure);
            return;
        }
        // Thousandths are whole numbers, whose sum no order of adding changes; `shown` makes calls of them.
        let requests = amount.requests_milli() as f64;
        match key.evidence {
            Evidence::Spans => edge.by_spans += requests,
            Evidence::Requests => edge.by_requests += requests,
        }
        if place.counts {
            edge.evidence = edge.evidence.min(key.evidence);
            amount.add_to(&mut edge.measure);
            edge.refused += if key.entry == Entry::Refused { requests } else { 0.0 };
        }
    }

    fn add_node(&mut self, node: u32, place: &Place, key: &CellKey, amount: &Amount<'_>, book: &Book) {
        let is_summed_up = !self.summed_up.is_empty() && self.summed_up.contains(&(node, key.detail));
        let at = (node, if is_summed_up { DetailId::OTHER } else { key.detail }, key.at.bucket);
        if self.is_full() && !self.nodes.contains_key(&at) && !self.has_room(book) {
            return;
        }
        let evidence = if place.is_bytes { Evidence::Spans } else { key.evidence };
        let held = self.nodes.entry(at).or_insert_with(|| NodeSum { evidence, measure: Measure::default() });
        // A node may be counted from both kinds; rows are the stronger word.
        held.evidence = held.evidence.min(evidence);
        if place.is_bytes {
            amount.add_bytes_to(&mut held.measure);
        } else {
            amount.add_to(&mut held.measure);
        }
    }

    fn len(&self) -> usize {
        self.nodes.len() + self.edges.len()
    }

    /// Whether one more might find no room.
    fn is_full(&self) -> bool {
        self.overflowed || self.len() >= CELLS_MAX
    }

    /// Whether there is room for one more, all but the busiest operations being summed up if need be.
    fn has_room(&mut self, book: &Book) -> bool {
        if self.len() >= CELLS_MAX && !self.overflowed {
            self.keep(&self.busiest(book));
            // Summing up takes a look at all cells: where it makes no room to speak of, it would be done for each new one.
            self.overflowed = self.len() > CELLS_MAX - CELLS_MAX / 64;
        }
        !self.overflowed
    }

    /// What is told apart at the busiest nodes, ascending; see [`busiest`].
    fn busiest(&self, book: &Book) -> Vec<DetailId> {
        let requests = self.nodes.iter().map(|((_, detail, _), sum)| (*detail, sum.measure.requests_milli()));
        busiest(requests, |detail| book.detail_text(detail))
    }

    /// Sums up what is told apart beyond `kept`.
    fn keep(&mut self, kept: &[DetailId]) {
        for ((node, detail, bucket), sum) in std::mem::take(&mut self.nodes) {
            let is_kept = detail <= DetailId::OTHER || kept.binary_search(&detail).is_ok();
            if !is_kept {
                self.summed_up.insert((node, detail));
            }
            let at = (node, if is_kept { detail } else { DetailId::OTHER }, bucket);
            let NodeSum { evidence, measure } = sum;
            let held =
                self.nodes.entry(at).or_insert_with(|| NodeSum { evidence, measure: Measure::default() });
            held.evidence = held.evidence.min(evidence);
            held.measure.merge(&measure);
        }
    }

    /// Bytes taken, about: 1 KB of latencies each.
    pub fn bytes(&self) -> usize {
        self.len() * (size_of::<EdgeCell>() + (1 << 10))
    }

    /// Whether some calls found no room.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The cells with calls in them, at the places that nodes have here, unsorted; and whether some of what is told apart
    /// was summed up.
    pub fn shown(mut self, book: &Book) -> (Vec<NodeCell>, Vec<EdgeCell>, bool) {
        self.keep(&self.busiest(book));
        let is_cut = self.nodes.keys().any(|(_, detail, _)| *detail == DetailId::OTHER);
        // An edge that only evidence not chosen saw has no calls, and a connection's bytes alone are none.
        let nodes = self.nodes.into_iter().filter(|(_, sum)| sum.measure.requests_milli() > 0);
        let nodes = nodes.map(|((node, detail, bucket), NodeSum { evidence, measure })| NodeCell {
            node: node as usize,
            detail: book.detail_text(detail).map(str::to_owned),
            bucket,
            evidence,
            measure,
        });
        let calls = |milli: f64| milli / MILLI as f64;
        let edges = self.edges.into_values().filter(|edge| edge.measure.requests_milli() > 0);
        let edges = edges.map(|edge| EdgeCell {
            refused: calls(edge.refused),
            by_spans: calls(edge.by_spans),
            by_requests: calls(edge.by_requests),
            ..edge
        });
        (nodes.collect(), edges.collect(), is_cut)
    }
}
