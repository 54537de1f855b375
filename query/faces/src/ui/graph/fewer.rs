//! The edges that are drawn where all of them would be a tangle that nobody reads: those that somebody looks for, then the busiest.
//!
//! A layered drawing of a mesh that is not layered, as of a thousand services that call each other at random, is some hundred layers of
//! crossing lines. Where namespaces do not make it smaller, its most telling part is more than all of it; how much is left out is
//! said, and each node is still in the table.

use std::collections::{BTreeMap, BTreeSet};

use super::grouped::Grouped;

/// Edges of a drawing that is not asked for whole, where it has many boxes: as many labels
/// as find room beside their lines. Guess, looked at and not measured.
pub const EDGES_DEFAULT: usize = 100;

/// How much an edge, which may stand for several of the graph, is worth drawing: first those that are of note, then by calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// It fails, or is not as it was before.
    pub is_of_note: bool,
    pub requests: f64,
}

/// The `edges_max` most telling edges and their ends, and how many edges are left out.
pub fn fewer<'a>(
    all: Grouped<'a>,
    edges_max: usize,
    worth: impl Fn(&[usize]) -> Worth,
) -> (Grouped<'a>, usize) {
    let left_out = all.between.len().saturating_sub(edges_max);
    if left_out == 0 {
        return (all, 0);
    }
    let mut order: Vec<((usize, usize), Worth)> =
        all.between.iter().map(|(ends, edges)| (*ends, worth(edges))).collect();
    order.sort_by(|(ends, a), (other_ends, b)| {
        (b.is_of_note.cmp(&a.is_of_note)).then(b.requests.total_cmp(&a.requests)).then(ends.cmp(other_ends))
    });
    let kept: BTreeSet<(usize, usize)> = order.into_iter().take(edges_max).map(|(ends, _)| ends).collect();
    let ends: BTreeSet<usize> = kept.iter().flat_map(|(source, target)| [*source, *target]).collect();
    let places: BTreeMap<usize, usize> = ends.into_iter().zip(0..).collect();
    let count = all.boxes.len();
    let boxes = all.boxes.into_iter().enumerate().filter(|(at, _)| places.contains_key(at));
    let boxes: Vec<_> = boxes.map(|(_, group)| group).collect();
    let between = all.between.into_iter().filter(|(ends, _)| kept.contains(ends));
    let between = between.map(|((source, target), edges)| ((places[&source], places[&target]), edges));
    let left_out_boxes = all.left_out + count - boxes.len();
    (Grouped { between: between.collect(), boxes, left_out: left_out_boxes }, left_out)
}

#[cfg(test)]
mod tests {
    use super::super::grouped::Group;
    use super::*;

    /// Five boxes; 0 → 1 fails, 1 → 2 is the busiest, 3 is alone, 2 → 4 has one call.
    fn check(edges_max: usize, want_boxes: &[usize], want_between: &[(usize, usize)], left_out: usize) {
        let boxes = (0..5).map(|at| (Group::Member(at), vec![at])).collect();
        let between = [((0, 1), vec![0]), ((1, 2), vec![1]), ((2, 4), vec![2])].into();
        let worth = [(true, 2.0), (false, 9.0), (false, 1.0)];
        let worth = |edges: &[usize]| Worth { is_of_note: worth[edges[0]].0, requests: worth[edges[0]].1 };
        let (found, edges_left_out) = fewer(Grouped { boxes, between, left_out: 7 }, edges_max, worth);
        let boxes: Vec<usize> = found.boxes.iter().map(|(_, members)| members[0]).collect();
        let between: Vec<(usize, usize)> = found.between.into_keys().collect();
        assert_eq!((boxes.as_slice(), between.as_slice()), (want_boxes, want_between), "{edges_max}");
        assert_eq!((found.left_out, edges_left_out), (12 - boxes.len(), left_out), "{edges_max}");
    }

    #[test]
    fn what_fails_is_kept_before_what_is_busy() {
        check(3, &[0, 1, 2, 3, 4], &[(0, 1), (1, 2), (2, 4)], 0);
        check(2, &[0, 1, 2], &[(0, 1), (1, 2)], 1);
        check(1, &[0, 1], &[(0, 1)], 2);
    }

    /// 1 → 2 alone: its ends are the boxes 0 and 1 of what is left.
    #[test]
    fn places_are_those_of_what_is_left() {
        let boxes = (0..3).map(|at| (Group::Member(at), vec![at])).collect();
        let between = [((0, 1), vec![0]), ((1, 2), vec![1])].into();
        let worth = |edges: &[usize]| Worth { is_of_note: false, requests: edges[0] as f64 };
        let (found, _) = fewer(Grouped { boxes, between, left_out: 0 }, 1, worth);
        assert_eq!(found.between.into_iter().collect::<Vec<_>>(), [((0, 1), vec![1])]);
        assert_eq!(found.boxes, [(Group::Member(1), vec![1]), (Group::Member(2), vec![2])]);
    }
}
