//! What changed on the edges of a mesh between two ranges: those that appeared, that vanished, and whose calls fare worse or
//! better.
//!
//! Few calls prove nothing. An edge appeared or vanished where ten calls were to be expected of it on the side where there is
//! none, as in `troubles`; its errors differ where Fisher's test says so for all edges together, and by a percent at least; its
//! latency where the 95th percentile is half as high again, of a hundred calls on both sides. Limits: everything is per edge, so
//! a change that is spread thinly over many edges is not told.

use std::collections::BTreeMap;

use super::floors::{COMPARED_MIN, EXPECTED_MIN, FAILED_MIN, SHARE_MIN, SLOWER_MS, SLOWER_RATIO};
use crate::graph::{Graph, GraphEdge, GraphNode};
use crate::statistics::holm;
use crate::statistics::proportions::{self, Proportion};
use crate::{Figures, NodeIdentity};

/// How often a difference of errors may be told that is none, of all edges of an answer together.
const P_MAX: f64 = 0.05;

/// What became of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Worse,
    Vanished,
    Appeared,
    Better,
}

impl Change {
    pub const ALL: [Change; 4] = [Change::Worse, Change::Vanished, Change::Appeared, Change::Better];

    pub const fn name(self) -> &'static str {
        match self {
            Change::Worse => "worse",
            Change::Vanished => "vanished",
            Change::Appeared => "appeared",
            Change::Better => "better",
        }
    }
}

/// An edge that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub source: NodeIdentity,
    pub target: NodeIdentity,
    pub change: Change,
    pub now: Option<Figures>,
    pub before: Option<Figures>,
}

/// A graph, and over how many seconds it was observed.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub graph: &'a Graph,
    pub seconds: f64,
}

/// Both graphs in one, and what changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// That of now, with the edges that vanished and their ends; those have the figures of before.
    pub graph: Graph,
    /// By edge of `graph`.
    pub changes: Vec<Option<Change>>,
    /// Worst first, then by the ids of their ends.
    pub changed: Vec<Changed>,
}

type Ends<'a> = (&'a str, &'a str);

/// Compares now with before. Both graphs are by the same grouping and show the same part.
pub fn compared(now: Side<'_>, before: Side<'_>) -> Compared {
    let (of_now, of_before) = (edges(now.graph), edges(before.graph));
    let fares = fares(&of_now, &of_before);
    let mut told: BTreeMap<Ends<'_>, Change> = fares.into_iter().collect();
    let is_new = |ends: &Ends<'_>, edge: &GraphEdge| {
        !of_before.contains_key(ends) && edge.figures.rate * before.seconds >= EXPECTED_MIN
    };
    let is_gone = |ends: &Ends<'_>, edge: &GraphEdge| {
        !of_now.contains_key(ends) && edge.figures.rate * now.seconds >= EXPECTED_MIN
    };
    told.extend(
        of_now.iter().filter(|(ends, edge)| is_new(ends, edge)).map(|(ends, _)| (*ends, Change::Appeared)),
    );
    let gone = of_before.iter().filter(|(ends, edge)| is_gone(ends, edge));
    let gone: BTreeMap<Ends<'_>, &GraphEdge> = gone.map(|(ends, edge)| (*ends, *edge)).collect();
    told.extend(gone.keys().map(|ends| (*ends, Change::Vanished)));
    let graph = union(now.graph, before.graph, &gone);
    let identity = |id: &str| {
        let at = graph.nodes.binary_search_by(|node| node.identity.id.as_str().cmp(id)).ok()?;
        Some(graph.nodes[at].identity.clone())
    };
    let figures =
        |edges: &BTreeMap<Ends<'_>, &GraphEdge>, ends| edges.get(ends).map(|edge| edge.figures.clone());
    let changed = told.iter().filter_map(|(ends, change)| {
        let (source, target) = (identity(ends.0)?, identity(ends.1)?);
        Some(Changed {
            source,
            target,
            change: *change,
            now: figures(&of_now, ends),
            before: figures(&of_before, ends),
        })
    });
    let mut changed: Vec<Changed> = changed.collect();
    changed.sort_by_key(|changed| changed.change);
    let changes = graph.edges.iter().map(|edge| told.get(&ends(&graph, edge)).copied()).collect();
    Compared { changes, changed, graph }
}

fn ends<'a>(graph: &'a Graph, edge: &GraphEdge) -> Ends<'a> {
    (&graph.nodes[edge.source].identity.id, &graph.nodes[edge.target].identity.id)
}

fn edges(graph: &Graph) -> BTreeMap<Ends<'_>, &GraphEdge> {
    graph.edges.iter().map(|edge| (ends(graph, edge), edge)).collect()
}

/// The edges that are on both sides and fare otherwise than before.
fn fares<'a>(
    now: &BTreeMap<Ends<'a>, &GraphEdge>,
    before: &BTreeMap<Ends<'_>, &GraphEdge>,
) -> Vec<(Ends<'a>, Change)> {
    let both = now.iter().filter_map(|(ends, edge)| Some((*ends, &edge.figures, &before.get(ends)?.figures)));
    let both: Vec<(Ends<'a>, &Figures, &Figures)> = both.collect();
    let tests: Vec<_> = both
        .iter()
        .map(|(_, now, before)| proportions::compare(proportion(before), proportion(now)))
        .collect();
    let p_values: Vec<f64> =
        tests.iter().map(|test| test.as_ref().map_or(1.0, |test| test.p_value)).collect();
    let judged = both.into_iter().zip(holm::adjusted(&p_values)).filter_map(|((ends, now, before), p)| {
        let by_errors = (p < P_MAX).then(|| by_errors(now, before)).flatten();
        by_errors.or_else(|| by_latency(now, before)).map(|change| (ends, change))
    });
    judged.collect()
}

fn proportion(figures: &Figures) -> Proportion {
    let calls = figures.requests.round() as u64;
    Proportion { errors: (figures.errors.round() as u64).min(calls), calls }
}

fn by_errors(now: &Figures, before: &Figures) -> Option<Change> {
    let (more, fewer) = (now.error_ratio - before.error_ratio, before.error_ratio - now.error_ratio);
    let is_worse = more >= SHARE_MIN && now.errors >= FAILED_MIN;
    let is_better = fewer >= SHARE_MIN && before.errors >= FAILED_MIN;
    is_worse.then_some(Change::Worse).or(is_better.then_some(Change::Better))
}

fn by_latency(now: &Figures, before: &Figures) -> Option<Change> {
    let (now_ms, before_ms) = (now.p95_ms?, before.p95_ms?);
    let is_slower = |slow: f64, fast: f64| slow >= fast * SLOWER_RATIO && slow - fast >= SLOWER_MS;
    if now.requests < COMPARED_MIN || before.requests < COMPARED_MIN {
        return None;
    }
    let is_worse = is_slower(now_ms, before_ms);
    is_worse.then_some(Change::Worse).or(is_slower(before_ms, now_ms).then_some(Change::Better))
}

/// The graph of now, with these edges of before and their ends.
fn union(now: &Graph, before: &Graph, gone: &BTreeMap<Ends<'_>, &GraphEdge>) -> Graph {
    let mut nodes: BTreeMap<&str, &GraphNode> = BTreeMap::new();
    let ids: BTreeMap<&str, &GraphNode> =
        before.nodes.iter().map(|node| (node.identity.id.as_str(), node)).collect();
    let ends_of_gone = gone.keys().flat_map(|(source, target)| [*source, *target]);
    nodes.extend(ends_of_gone.filter_map(|id| Some((id, *ids.get(id)?))));
    nodes.extend(now.nodes.iter().map(|node| (node.identity.id.as_str(), node)));
    let places: BTreeMap<&str, usize> = nodes.keys().copied().zip(0..).collect();
    let mut all = edges(now);
    all.extend(gone.iter().map(|(ends, edge)| (*ends, *edge)));
    let placed = all.into_iter().map(|((source, target), edge)| GraphEdge {
        source: places[source],
        target: places[target],
        ..edge.clone()
    });
    Graph {
        edges: placed.collect(),
        nodes: nodes.into_values().cloned().collect(),
        hidden: now.hidden,
        warnings: now.warnings.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Request, SERVED, picture};
    use crate::graph::graph;
    use crate::shown::Wanted;

    /// So many calls of a to a service, of which so many failed, that took so many milliseconds; in a minute.
    fn calls(to: &'static str, count: usize, errors: usize, millis: i64) -> Vec<Request> {
        let call = |at| Request {
            destination: ("x", to),
            outcome: if at < errors { "error" } else { "ok" },
            millis,
            ..SERVED
        };
        (0..count).map(call).collect()
    }

    fn told(now: &[Vec<Request>], before: &[Vec<Request>]) -> (Vec<String>, Compared) {
        let graph = |rows: &[Vec<Request>]| graph(&picture(&rows.concat(), &[]), &Wanted::default());
        let (now, before) = (graph(now), graph(before));
        let found = compared(Side { graph: &now, seconds: 60.0 }, Side { graph: &before, seconds: 60.0 });
        let changed = found.changed.iter().map(|edge| format!("{} {}", edge.target.name, edge.change.name()));
        (changed.collect(), found)
    }

    #[test]
    fn edges_appear_and_vanish_from_ten_calls_on() {
        let now = [calls("kept", 10, 0, 1), calls("new", 10, 0, 1), calls("few", 9, 0, 1)];
        let before = [calls("kept", 10, 0, 1), calls("old", 10, 0, 1), calls("odd", 9, 0, 1)];
        let (changed, found) = told(&now, &before);
        assert_eq!(changed, ["old vanished", "new appeared"]);
        let drawn = found.graph.edges.iter().zip(&found.changes);
        let drawn = drawn.map(|(edge, change)| {
            (found.graph.nodes[edge.target].identity.name.as_str(), change.map(Change::name))
        });
        let want = [("few", None), ("kept", None), ("new", Some("appeared")), ("old", Some("vanished"))];
        assert_eq!(drawn.collect::<Vec<_>>(), want);
        assert!((found.changed[0].now.is_none(), found.changed[1].before.is_none()) == (true, true));
    }

    /// 0 of 200 and 10 of 200: Fisher's p is 0.002. 0 of 200 and 3 of 200: 0.25. One in a thousand more is no percent.
    #[test]
    fn errors_that_chance_would_not_make_are_worse() {
        let check = |now: (usize, usize), before: (usize, usize), want: &[&str]| {
            let (changed, _) = told(&[calls("b", now.0, now.1, 1)], &[calls("b", before.0, before.1, 1)]);
            assert_eq!(changed, want, "{now:?} {before:?}");
        };
        check((200, 10), (200, 0), &["b worse"]);
        check((200, 0), (200, 10), &["b better"]);
        check((200, 3), (200, 0), &[]);
        check((20_000, 100), (20_000, 10), &[]);
    }

    #[test]
    fn latency_is_worse_half_as_high_again_of_a_hundred_calls() {
        let check = |count, now, before, want: &[&str]| {
            let (changed, _) = told(&[calls("b", count, 0, now)], &[calls("b", count, 0, before)]);
            assert_eq!(changed, want, "{count} {now} {before}");
        };
        check(100, 20, 10, &["b worse"]);
        check(100, 10, 20, &["b better"]);
        check(99, 20, 10, &[]);
        check(100, 6, 2, &[]);
    }

    /// Twenty edges with p = 0.02 each: one of them is to be expected by chance.
    #[test]
    fn many_edges_are_judged_together() {
        const NAMES: [&str; 20] = [
            "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "b0", "b1", "b2", "b3", "b4", "b5", "b6",
            "b7", "b8", "b9", "c0",
        ];
        let now: Vec<_> = NAMES.map(|name| calls(name, 100, 6, 1)).into();
        let before: Vec<_> = NAMES.map(|name| calls(name, 100, 0, 1)).into();
        assert_eq!(told(&now, &before).0, [""; 0]);
        assert_eq!(told(&now[..1], &before[..1]).0, ["a1 worse"]);
    }
}
