//! Which span of a trace is whose parent.
//!
//! A parent's id alone does not say: the halves of a call may share an id, as Zipkin's do, a parent may not have come,
//! and ids that nobody proved unique may make a circle. Whoever reads a trace as a tree must answer these alike, or a
//! page and a query language disagree about the same spans. It is rule 2 of `docs/calls.md`: of halves that share an
//! id the received one is the other's child, and what names that id as its parent is a child of the half of its own
//! service. Linear, however deep a trace is.

use std::collections::HashMap;

/// OTLP `SpanKind`.
const SERVER: i64 = 2;
const CLIENT: i64 = 3;
const PRODUCER: i64 = 4;
const CONSUMER: i64 = 5;

/// What of a span decides its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span<'a> {
    pub id: &'a str,
    pub parent: Option<&'a str>,
    /// Namespace and name.
    pub service: (Option<&'a str>, Option<&'a str>),
    /// OTLP `SpanKind`.
    pub kind: i64,
    /// Nanoseconds since the epoch.
    pub start: i64,
    /// Nanoseconds; below zero counts as none.
    pub duration: i64,
}

/// The place of each span's parent among `spans`; none for a root, for one whose parent is not there, and for the
/// earliest of a circle. Spans beside those at `kept` are nobody's parent or child.
pub fn parents(spans: &[Span<'_>], kept: &[usize]) -> Vec<Option<usize>> {
    let mut alike = Alike::default();
    for at in kept {
        alike.insert(&spans[*at], *at);
    }
    let mut parents = vec![None; spans.len()];
    for at in kept {
        parents[*at] = alike.parent_of(&spans[*at], *at);
    }
    for cut in circles(spans, &parents, kept) {
        parents[cut] = None;
    }
    parents
}

/// The first two of some spans: one of them is another than the one that asks.
#[derive(Debug, Clone, Copy, Default)]
struct FirstTwo([Option<usize>; 2]);

impl FirstTwo {
    fn push(&mut self, at: usize) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(at);
        }
    }

    fn other_than(&self, at: usize) -> Option<usize> {
        self.0.into_iter().flatten().find(|other| *other != at)
    }
}

/// Spans that share an id.
#[derive(Debug, Clone, Copy, Default)]
struct Halves {
    all: FirstTwo,
    made: FirstTwo,
    received: FirstTwo,
}

type Service<'a> = (Option<&'a str>, Option<&'a str>);

/// Spans by id, and by id and service; of many alike only those that can be asked for, so that nobody's ids make it slow.
#[derive(Debug, Default)]
struct Alike<'a> {
    by_id: HashMap<&'a str, Halves>,
    by_service: HashMap<(&'a str, Service<'a>), Halves>,
}

impl<'a> Alike<'a> {
    fn insert(&mut self, span: &Span<'a>, at: usize) {
        let by_id = self.by_id.entry(span.id).or_default();
        let by_service = self.by_service.entry((span.id, span.service)).or_default();
        for halves in [by_id, by_service] {
            halves.all.push(at);
            if is_made(span) {
                halves.made.push(at);
            }
            if is_received(span) {
                halves.received.push(at);
            }
        }
    }

    /// The span that the one at `at` is a child of.
    fn parent_of(&self, span: &Span<'a>, at: usize) -> Option<usize> {
        let same_id = self.by_id.get(span.id).filter(|_| is_received(span));
        if let Some(made) = same_id.and_then(|halves| halves.made.other_than(at)) {
            return Some(made);
        }
        let parent = span.parent?;
        // If both halves are of one service, the received one is nearer.
        let nearest = |halves: &Halves| halves.received.other_than(at).or_else(|| halves.all.other_than(at));
        let of_service = self.by_service.get(&(parent, span.service)).and_then(nearest);
        of_service.or_else(|| self.by_id.get(parent).and_then(nearest))
    }
}

fn is_made(span: &Span<'_>) -> bool {
    matches!(span.kind, CLIENT | PRODUCER)
}

fn is_received(span: &Span<'_>) -> bool {
    matches!(span.kind, SERVER | CONSUMER)
}

/// Of each circle of parents its earliest span.
fn circles(spans: &[Span<'_>], parents: &[Option<usize>], kept: &[usize]) -> Vec<usize> {
    const NEVER: usize = usize::MAX;
    let mut walked_from = vec![NEVER; spans.len()];
    let mut cuts = Vec::new();
    for from in kept {
        let mut at = Some(*from);
        while let Some(here) = at.filter(|here| walked_from[*here] == NEVER) {
            walked_from[here] = *from;
            at = parents[here];
        }
        // The walk has met itself, and not an earlier one.
        if let Some(first) = at.filter(|here| walked_from[*here] == *from) {
            let circle =
                std::iter::successors(Some(first), |here| parents[*here].filter(|next| *next != first));
            cuts.extend(circle.min_by_key(|here| (spans[*here].start, *here)));
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span<'a>(id: &'a str, parent: Option<&'a str>, service: &'a str, kind: i64) -> Span<'a> {
        Span { id, parent, service: (None, Some(service)), kind, start: 0, duration: 1 }
    }

    fn parents_of(spans: &[Span<'_>]) -> Vec<Option<usize>> {
        parents(spans, &(0..spans.len()).collect::<Vec<_>>())
    }

    #[test]
    fn halves_that_share_an_id_are_parent_and_child_and_have_children_of_their_own_service() {
        let spans = [
            span("call", Some("root"), "cart", SERVER),
            span("work", Some("call"), "cart", 1),
            span("call", Some("root"), "web", CLIENT),
            span("connect", Some("call"), "web", 1),
            span("root", None, "web", 1),
        ];
        assert_eq!(parents_of(&spans), [Some(2), Some(0), Some(4), Some(2), None]);
    }

    #[test]
    fn a_lost_parent_is_none_and_a_circle_is_cut_at_its_earliest() {
        let lost = [span("orphan", Some("gone"), "web", 1), span("own", Some("own"), "web", 1)];
        assert_eq!(parents_of(&lost), [None, None]);
        let mut circle = [("b", "a"), ("a", "c"), ("c", "b")].map(|(id, up)| span(id, Some(up), "web", 1));
        circle[0].start = 5;
        circle[2].start = 7;
        assert_eq!(parents_of(&circle), [Some(1), None, Some(0)]);
    }

    /// Looking at all that are alike for each of them would take ten thousand million looks.
    #[test]
    fn many_spans_of_one_id_are_no_more_work() {
        let spans = vec![span("same", Some("same"), "web", CLIENT); 100_000];
        let parents = parents_of(&spans);
        assert!(parents[2..].iter().all(|parent| *parent == Some(0)));
        assert_eq!([parents[0], parents[1]].iter().flatten().count(), 1, "the first two make a circle");
    }

    #[test]
    fn spans_that_are_not_kept_are_nobodys() {
        let spans = [span("a", None, "web", 1), span("b", Some("a"), "web", 1), span("a", None, "web", 1)];
        assert_eq!(parents(&spans, &[1, 2]), [None, Some(2), None]);
    }
}
