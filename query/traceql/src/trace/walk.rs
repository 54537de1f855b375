//! Where the spans of a trace stand, as numbers of a walk through its trees.
//!
//! The walk counts up when it comes to a span and when it leaves it. So one span is below another if its numbers lie
//! between the other's: ancestors and descendants of many spans are found by sorting, and not by climbing.
//!
//! Source: nested sets, Celko, "Trees and Hierarchies in SQL", chapter 4.

use std::cmp::Reverse;

use super::Span;

/// All by the spans' places.
#[derive(Debug)]
pub(crate) struct Walk {
    parents: Vec<Option<usize>>,
    /// The count on the way in, from 1, and on the way out.
    lefts: Vec<i64>,
    rights: Vec<i64>,
    child_counts: Vec<i64>,
}

impl Walk {
    /// Of spans that have nothing to do with one another.
    pub(super) fn apart(count: usize) -> Walk {
        let (parents, none) = (vec![None; count], vec![0; count]);
        Walk { parents, lefts: none.clone(), rights: none.clone(), child_counts: none }
    }

    /// Through the spans with these parents, which make no circle; children by start.
    pub(super) fn through(facts: &[Span<'_>], parents: Vec<Option<usize>>) -> Walk {
        let count = facts.len();
        let mut order: Vec<usize> = (0..count).collect();
        order
            .sort_by_key(|at| (facts[*at].start_nano, Reverse(facts[*at].duration_nano), facts[*at].id, *at));
        let (mut tops, mut children) = (Vec::new(), vec![Vec::new(); count]);
        for at in order {
            match parents[at] {
                Some(parent) => children[parent].push(at),
                None => tops.push(at),
            }
        }
        let mut walk = Walk {
            lefts: vec![0; count],
            rights: vec![0; count],
            child_counts: children.iter().map(|children| children.len() as i64).collect(),
            parents,
        };
        walk.number(tops, &children);
        walk
    }

    fn number(&mut self, tops: Vec<usize>, children: &[Vec<usize>]) {
        let mut counter = 0;
        let mut waiting: Vec<usize> = tops.into_iter().rev().collect();
        while let Some(at) = waiting.last().copied() {
            counter += 1;
            if self.lefts[at] > 0 {
                self.rights[at] = counter;
                waiting.pop();
            } else {
                self.lefts[at] = counter;
                waiting.extend(children[at].iter().rev());
            }
        }
    }

    /// The span that it is a child of, if that is there.
    pub(crate) fn parent(&self, at: usize) -> Option<usize> {
        self.parents[at]
    }

    pub(crate) fn left(&self, at: usize) -> i64 {
        self.lefts[at]
    }

    pub(crate) fn right(&self, at: usize) -> i64 {
        self.rights[at]
    }

    pub(crate) fn child_count(&self, at: usize) -> i64 {
        self.child_counts[at]
    }
}
