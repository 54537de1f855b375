//! A trace as a tree: where each span stands, what time is its own, and which time the whole waited for.
//!
//! A span's own time is what none of its children ran in. The *critical path* is the chain of work without which the
//! root would have ended earlier: from the root's end backwards, through the child that ended last, and from its start
//! on to the last that had ended by then; what lies between is the span's own. A child that ran beside it is not on
//! the path, however long it took. So the path's pieces add up to the root's duration, and a millisecond saved on it is
//! one saved for whoever waited.
//!
//! Source: Zhang et al., "CRISP: Critical Path Analysis of Large-Scale Microservice Architectures", USENIX ATC 2022.
//!
//! Parents are found as everywhere (`schema/src/parents.rs`). Work that goes on when its parent has ended counts as far
//! as the parent lasted. Pure and linear but for sorting, however deep a trace is.

use std::cmp::Reverse;
use std::collections::HashSet;

use meshlake_schema::parents::{Span, parents};

/// A span at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its place among the spans given.
    pub span: usize,
    /// Ancestors that are there.
    pub depth: u32,
    /// It names a parent that is not there, or that is its own descendant.
    pub is_orphan: bool,
    pub self_nanos: i64,
    /// Its own part of the critical path of the tree that it is in.
    pub critical_nanos: i64,
}

/// The spans in the order in which a tree is read: each before its children, siblings by start. One that was stored
/// twice is there once.
pub fn tree(spans: &[Span<'_>]) -> Vec<Placed> {
    let mut seen = HashSet::new();
    let kept: Vec<usize> = (0..spans.len()).filter(|at| seen.insert(spans[*at])).collect();
    let forest = Forest::grow(spans, &kept);
    let mut placed: Vec<Placed> = forest.in_order(spans);
    let critical = forest.critical(spans);
    for place in &mut placed {
        place.critical_nanos = critical[place.span];
    }
    placed
}

/// When a span ran: nanoseconds, the end not before the start.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: i64,
    end: i64,
}

impl Run {
    fn of(span: &Span<'_>) -> Run {
        Run { start: span.start, end: span.start.saturating_add(span.duration.max(0)) }
    }

    /// The part of it within `other`.
    fn within(self, other: Run) -> Run {
        let start = self.start.clamp(other.start, other.end);
        Run { start, end: self.end.clamp(start, other.end) }
    }
}

/// All by the spans' places.
struct Forest {
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
    is_orphan: Vec<bool>,
}

impl Forest {
    fn grow(spans: &[Span<'_>], kept: &[usize]) -> Forest {
        let parents = parents(spans, kept);
        let is_orphan =
            (0..spans.len()).map(|at| parents[at].is_none() && spans[at].parent.is_some()).collect();
        let mut sorted = kept.to_vec();
        sorted.sort_by_key(|at| (spans[*at].start, Reverse(spans[*at].duration), *at));
        let (mut roots, mut children) = (Vec::new(), vec![Vec::new(); spans.len()]);
        for at in sorted {
            match parents[at] {
                Some(parent) => children[parent].push(at),
                None => roots.push(at),
            }
        }
        Forest { roots, children, is_orphan }
    }

    fn in_order(&self, spans: &[Span<'_>]) -> Vec<Placed> {
        let mut placed = Vec::new();
        let mut waiting: Vec<(usize, u32)> = self.roots.iter().rev().map(|root| (*root, 0)).collect();
        while let Some((span, depth)) = waiting.pop() {
            let own = Run::of(&spans[span]);
            let children = self.children[span].iter();
            let busy = covered(children.clone().map(|child| Run::of(&spans[*child]).within(own)));
            let self_nanos = own.end - own.start - busy;
            let is_orphan = self.is_orphan[span];
            placed.push(Placed { span, depth, is_orphan, self_nanos, critical_nanos: 0 });
            waiting.extend(children.rev().map(|child| (*child, depth + 1)));
        }
        placed
    }

    /// What of the critical path is each span's own.
    fn critical(&self, spans: &[Span<'_>]) -> Vec<i64> {
        let mut own = vec![0; spans.len()];
        let mut waiting: Vec<(usize, Run)> =
            self.roots.iter().map(|root| (*root, Run::of(&spans[*root]))).collect();
        while let Some((span, run)) = waiting.pop() {
            let mut children: Vec<(usize, Run)> = self.children[span]
                .iter()
                .map(|child| (*child, Run::of(&spans[*child]).within(run)))
                .collect();
            // What lasts no time is waited for by nobody.
            children.retain(|(_, child)| child.end > child.start);
            children.sort_by_key(|(_, child)| Reverse((child.end, child.start)));
            let mut until = run.end;
            for (child, on_path) in children {
                if on_path.end <= until {
                    own[span] += until - on_path.end;
                    until = on_path.start;
                    waiting.push((child, on_path));
                }
            }
            own[span] += until - run.start;
        }
        own
    }
}

/// Nanoseconds in which at least one of `runs`, which are sorted by their starts, ran.
fn covered(runs: impl Iterator<Item = Run>) -> i64 {
    let (mut nanos, mut until) = (0, i64::MIN);
    for run in runs {
        nanos += (run.end - run.start.max(until)).max(0);
        until = until.max(run.end);
    }
    nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: (Option<&str>, Option<&str>) = (None, Some("web"));
    const CART: (Option<&str>, Option<&str>) = (None, Some("cart"));

    fn span<'a>(id: &'a str, parent: &'a str, start: i64, end: i64) -> Span<'a> {
        let parent = Some(parent).filter(|parent| !parent.is_empty());
        Span { id, parent, service: WEB, kind: 1, start, duration: end - start }
    }

    /// Id, depth, own time, own time on the critical path.
    fn told<'a>(spans: &[Span<'a>]) -> Vec<(&'a str, u32, i64, i64)> {
        let placed = tree(spans).into_iter();
        placed.map(|at| (spans[at.span].id, at.depth, at.self_nanos, at.critical_nanos)).collect()
    }

    /// The root runs 0 to 100. Backwards: 90..100 is its own, b ends at 90 and begins at 40, of which 60..80 is its
    /// child's; a has ended by 40: 20..30; what is left, 30..40 and 0..20, is the root's: 10 + 10 + 20 = 40.
    #[test]
    fn the_critical_path_goes_back_through_what_ended_last() {
        let spans = [
            span("root", "", 0, 100),
            span("a", "root", 20, 30),
            span("b", "root", 40, 90),
            span("b1", "b", 60, 80),
        ];
        let want = [("root", 0, 40, 40), ("a", 1, 10, 10), ("b", 1, 30, 30), ("b1", 2, 20, 20)];
        assert_eq!(told(&spans), want);
    }

    /// Two children side by side: the one that ended first did not hold up the root. Together they cover 10..60.
    #[test]
    fn what_runs_beside_the_critical_path_is_not_on_it() {
        let spans = [span("root", "", 0, 70), span("short", "root", 10, 40), span("long", "root", 20, 60)];
        assert_eq!(told(&spans), [("root", 0, 20, 30), ("short", 1, 30, 0), ("long", 1, 40, 40)]);
    }

    /// A consumer that works on when its producer is done: 50 of its 100 lie within the root.
    #[test]
    fn work_after_the_parents_end_counts_as_far_as_the_parent_lasted() {
        let spans = [span("root", "", 0, 100), span("late", "root", 50, 150), span("later", "late", 60, 90)];
        assert_eq!(told(&spans), [("root", 0, 50, 50), ("late", 1, 70, 20), ("later", 2, 30, 30)]);
        let after = [span("root", "", 0, 10), span("after", "root", 20, 30)];
        assert_eq!(told(&after), [("root", 0, 10, 10), ("after", 1, 10, 0)]);
    }

    #[test]
    fn halves_that_share_an_id_are_parent_and_child() {
        let made = Span { kind: 3, ..span("call", "root", 10, 90) };
        let received = Span { kind: 2, service: CART, ..span("call", "root", 20, 80) };
        let inside = Span { service: CART, ..span("work", "call", 30, 40) };
        let connect = span("connect", "call", 10, 15);
        let spans = [span("root", "", 0, 100), received, inside, made, connect];
        let depths: Vec<_> = tree(&spans).iter().map(|at| (at.span, at.depth)).collect();
        // The child of the callee's service is in the received half, that of the caller's in the made one.
        assert_eq!(depths, [(0, 0), (3, 1), (4, 2), (1, 2), (2, 3)]);
    }

    #[test]
    fn a_lost_parent_makes_a_root_and_a_circle_is_cut_at_its_earliest() {
        let lost = [span("root", "", 0, 10), span("orphan", "gone", 5, 8)];
        let placed = tree(&lost);
        assert_eq!(
            placed.iter().map(|at| (at.depth, at.is_orphan)).collect::<Vec<_>>(),
            [(0, false), (0, true)]
        );
        let circle = [span("b", "a", 20, 30), span("a", "c", 10, 40), span("c", "b", 22, 25)];
        let placed: Vec<_> =
            tree(&circle).iter().map(|at| (circle[at.span].id, at.depth, at.is_orphan)).collect();
        assert_eq!(placed, [("a", 0, true), ("b", 1, false), ("c", 2, false)]);
        let own = [span("self", "self", 0, 1)];
        assert!(tree(&own)[0].is_orphan);
    }

    #[test]
    fn a_span_stored_twice_is_there_once() {
        let once = [span("root", "", 0, 10), span("a", "root", 1, 2)];
        let twice = [once[0], once[1], once[1], once[0]];
        assert_eq!(told(&twice), told(&once));
    }

    /// As deep as an answer can be: each waits for the one inside it, to the end.
    #[test]
    fn a_trace_may_be_as_deep_as_it_has_spans() {
        let ids: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
        let spans: Vec<Span<'_>> = (0..ids.len())
            .map(|n| span(&ids[n], n.checked_sub(1).map_or("", |parent| &ids[parent]), n as i64, 100_000))
            .collect();
        let placed = tree(&spans);
        assert_eq!(placed.last().map(|at| (at.depth, at.critical_nanos)), Some((49_999, 50_001)));
        assert_eq!(placed.iter().map(|at| at.critical_nanos).sum::<i64>(), 100_000);
    }

    /// Whatever the times: pieces of the path add up to the root's duration, and no span has more than it lasted.
    #[test]
    fn the_pieces_add_up_to_the_root() {
        let mut state = 7_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % limit) as i64
        };
        for _ in 0..200 {
            let ids: Vec<String> = (0..30).map(|n| n.to_string()).collect();
            let mut spans = vec![span(&ids[0], "", 0, 1_000)];
            for n in 1..ids.len() {
                let (parent, start) = (&ids[below(n as u64) as usize], below(1_200) - 100);
                spans.push(span(&ids[n], parent, start, start + below(400)));
            }
            let placed = tree(&spans);
            assert_eq!(placed.iter().map(|at| at.critical_nanos).sum::<i64>(), 1_000, "{spans:?}");
            for at in &placed {
                let duration = spans[at.span].duration;
                assert!(
                    (0..=duration).contains(&at.self_nanos) && (0..=duration).contains(&at.critical_nanos)
                );
            }
        }
    }
}
