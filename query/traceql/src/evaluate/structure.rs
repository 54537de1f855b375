//! Structural operators: which spans stand so to others, by sorting and searching.
//!
//! With `n` spans on both sides it takes time in the order of `n log n`, and none for the other spans of the trace: a
//! pipeline may have parted it into as many spansets as it has spans. Siblings name the same parent, which need not have
//! come: they are known before it.

use std::collections::HashMap;

use crate::trace::Trace;
use crate::tree::{Relation, Sides, Structure};

/// The spans that the operator gives of two ascending lists, ascending.
pub(super) fn related(
    trace: &Trace<'_>,
    structure: Structure,
    left: &[usize],
    right: &[usize],
) -> Vec<usize> {
    let stands = relation_to(trace, structure.relation, left, right);
    let picked = |is_wanted: bool| {
        let pairs = right.iter().zip(&stands);
        pairs.filter(move |(_, stands)| **stands == is_wanted).map(|(at, _)| *at).collect::<Vec<_>>()
    };
    match structure.spans {
        Sides::Right => picked(true),
        Sides::RightWithout => picked(false),
        Sides::Both => {
            let back = relation_to(trace, inverse(structure.relation), right, left);
            let others = left.iter().zip(back).filter(|(_, stands)| *stands).map(|(at, _)| *at);
            super::union(&picked(true), &others.collect::<Vec<_>>())
        }
    }
}

fn inverse(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}

/// Whether each of `right` stands so to any of `left`.
fn relation_to(trace: &Trace<'_>, relation: Relation, left: &[usize], right: &[usize]) -> Vec<bool> {
    let walk = &trace.walk;
    match relation {
        Relation::Child => {
            let is_child = |at: &usize| walk.parent(*at).is_some_and(|up| left.binary_search(&up).is_ok());
            right.iter().map(is_child).collect()
        }
        Relation::Parent => {
            let mut parents: Vec<usize> = left.iter().filter_map(|at| walk.parent(*at)).collect();
            parents.sort_unstable();
            right.iter().map(|at| parents.binary_search(at).is_ok()).collect()
        }
        Relation::Descendant => descendants(trace, left, right),
        Relation::Ancestor => {
            let mut lefts: Vec<i64> = left.iter().map(|at| walk.left(*at)).collect();
            lefts.sort_unstable();
            let is_ancestor = |at: &usize| {
                let first_inside = lefts.partition_point(|number| *number <= walk.left(*at));
                lefts.get(first_inside).is_some_and(|number| *number < walk.right(*at))
            };
            right.iter().map(is_ancestor).collect()
        }
        Relation::Sibling => siblings(trace, left, right),
    }
}

/// Numbers of the walk lie inside one another or apart: a span is below one of those that began before it if and only if
/// the latest end of them lies behind it.
fn descendants(trace: &Trace<'_>, left: &[usize], right: &[usize]) -> Vec<bool> {
    let walk = &trace.walk;
    let mut numbers: Vec<(i64, i64)> = left.iter().map(|at| (walk.left(*at), walk.right(*at))).collect();
    numbers.sort_unstable();
    let mut latest_end = 0;
    for (_, end) in &mut numbers {
        latest_end = latest_end.max(*end);
        *end = latest_end;
    }
    let is_descendant = |at: &usize| {
        let before = numbers.partition_point(|(number, _)| *number < walk.left(*at));
        before.checked_sub(1).is_some_and(|last| numbers[last].1 > walk.right(*at))
    };
    right.iter().map(is_descendant).collect()
}

/// What siblings have in common: the parent's place, or its id if it is not there.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Parent<'a> {
    There(usize),
    Missing(&'a str),
}

fn siblings(trace: &Trace<'_>, left: &[usize], right: &[usize]) -> Vec<bool> {
    let parent = |at: usize| match trace.walk.parent(at) {
        Some(parent) => Some(Parent::There(parent)),
        None => trace.facts[at].parent.map(Parent::Missing),
    };
    let mut counts: HashMap<Parent<'_>, usize> = HashMap::new();
    for parent in left.iter().filter_map(|at| parent(*at)) {
        *counts.entry(parent).or_default() += 1;
    }
    let is_sibling = |at: &usize| {
        let count = parent(*at).and_then(|parent| counts.get(&parent)).copied().unwrap_or_default();
        count > usize::from(left.binary_search(at).is_ok())
    };
    right.iter().map(is_sibling).collect()
}
