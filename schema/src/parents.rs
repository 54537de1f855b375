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
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
    for at in kept {
        by_id.entry(spans[*at].id).or_default().push(*at);
    }
    let mut parents = vec![None; spans.len()];
    for at in kept {
        parents[*at] = parent_of(spans, &by_id, *at);
    }
    for cut in circles(spans, &parents, kept) {
        parents[cut] = None;
    }
    parents
}

/// The span that `at` is a child of.
fn parent_of(spans: &[Span<'_>], by_id: &HashMap<&str, Vec<usize>>, at: usize) -> Option<usize> {
    let span = &spans[at];
    let alike = |id: &str| by_id.get(id).into_iter().flatten().copied().filter(|other| *other != at);
    if is_received(span)
        && let Some(made) = alike(span.id).find(|other| is_made(&spans[*other]))
    {
        return Some(made);
    }
    let parent = span.parent?;
    let of_service = || alike(parent).filter(|other| spans[*other].service == span.service);
    let received = |other: &usize| is_received(&spans[*other]);
    // If both halves are of one service, the received one is nearer.
    of_service()
        .find(received)
        .or_else(|| of_service().next())
        .or_else(|| alike(parent).find(received))
        .or_else(|| alike(parent).next())
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

    #[test]
    fn spans_that_are_not_kept_are_nobodys() {
        let spans = [span("a", None, "web", 1), span("b", Some("a"), "web", 1), span("a", None, "web", 1)];
        assert_eq!(parents(&spans, &[1, 2]), [None, Some(2), None]);
    }
}
