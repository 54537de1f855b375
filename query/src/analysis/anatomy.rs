//! One trace: what each operation took of itself and of the critical path, and where its errors began.
//!
//! *Origin of an error.* A caller that fails because its callee did tells the same failure again, so of failed spans those count
//! that have no failed child: nothing below them explains them. Of several the one that ended first comes first, since an
//! error is told when a span ends, and of those the deepest. How far it came: up its parents for as long as they failed too.
//!
//! Self time and critical path are those of [`crate::tree`].

use std::collections::{BTreeMap, HashMap};

use meshlake_engine::{Query, QueryError};
use meshlake_schema::parents::parents;

use super::spans::{TraceSpan, read};
use crate::tree::{Placed, tree};

/// Origins that an answer tells; a trace of more has one fault many times.
pub const ORIGINS_MAX: usize = 100;

/// What is told of one trace. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Anatomy {
    /// Of the earliest root; nothing for a trace without spans.
    pub duration: i64,
    pub spans: usize,
    pub errors: usize,
    /// By time on the critical path, then self time, most first.
    pub operations: Vec<OperationTime>,
    /// Spans on the critical path, by start.
    pub critical_path: Vec<Step>,
    /// By the end of the span; the first [`ORIGINS_MAX`].
    pub error_origins: Vec<Origin>,
    pub warnings: Vec<String>,
}

/// The spans of one operation of one service, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationTime {
    pub service: String,
    pub name: String,
    pub spans: usize,
    pub errors: usize,
    pub self_nanos: i64,
    pub critical_nanos: i64,
}

/// A span that the whole waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub span: TraceSpan,
    /// Its own part of the path.
    pub critical_nanos: i64,
}

/// Where an error began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub span: TraceSpan,
    /// Ancestors that are there.
    pub depth: u32,
    /// Ids of the ancestors that failed with it, from the nearest on.
    pub failed_ancestors: Vec<String>,
    /// The root of the tree failed too.
    pub reached_root: bool,
}

/// What can be told of the trace with that id; none if it has no spans.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn anatomy(query: &Query, trace_id: &str) -> Result<Option<Anatomy>, QueryError> {
    let (spans, is_cut) = read(query, trace_id).await?;
    let mut anatomy = (!spans.is_empty()).then(|| dissected(&spans));
    if let (true, Some(anatomy)) = (is_cut, &mut anatomy) {
        anatomy
            .warnings
            .push(format!("the trace has more than {} spans; these are the earliest", spans.len()));
    }
    Ok(anatomy)
}

/// What can be told of these spans.
pub fn dissected(spans: &[TraceSpan]) -> Anatomy {
    let placed_spans: Vec<_> = spans.iter().map(TraceSpan::placed).collect();
    let tree = tree(&placed_spans);
    let kept: Vec<usize> = tree.iter().map(|place| place.span).collect();
    let parents = parents(&placed_spans, &kept);
    let root = tree
        .iter()
        .filter(|place| place.depth == 0)
        .min_by_key(|place| (place.is_orphan, spans[place.span].start));
    let mut path: Vec<&Placed> = tree.iter().filter(|place| place.critical_nanos > 0).collect();
    path.sort_by_key(|place| spans[place.span].start);
    let step =
        |place: &Placed| Step { span: spans[place.span].clone(), critical_nanos: place.critical_nanos };
    Anatomy {
        duration: root.map_or(0, |root| spans[root.span].duration.max(0)),
        spans: tree.len(),
        errors: kept.iter().filter(|at| spans[**at].is_error).count(),
        operations: operations(spans, &tree),
        critical_path: path.into_iter().map(step).collect(),
        error_origins: origins(spans, &tree, &parents),
        warnings: Vec::new(),
    }
}

fn operations(spans: &[TraceSpan], tree: &[Placed]) -> Vec<OperationTime> {
    let mut operations: BTreeMap<(&str, &str), OperationTime> = BTreeMap::new();
    for place in tree {
        let span = &spans[place.span];
        let operation = operations.entry((&span.service, &span.name)).or_insert_with(|| OperationTime {
            service: span.service.clone(),
            name: span.name.clone(),
            spans: 0,
            errors: 0,
            self_nanos: 0,
            critical_nanos: 0,
        });
        operation.spans += 1;
        operation.errors += usize::from(span.is_error);
        operation.self_nanos += place.self_nanos;
        operation.critical_nanos += place.critical_nanos;
    }
    let mut operations: Vec<OperationTime> = operations.into_values().collect();
    operations.sort_by_key(|operation| std::cmp::Reverse((operation.critical_nanos, operation.self_nanos)));
    operations
}

fn origins(spans: &[TraceSpan], tree: &[Placed], parents: &[Option<usize>]) -> Vec<Origin> {
    let depths: HashMap<usize, u32> = tree.iter().map(|place| (place.span, place.depth)).collect();
    let mut has_failed_child = vec![false; spans.len()];
    for at in depths.keys() {
        if let (true, Some(parent)) = (spans[*at].is_error, parents[*at]) {
            has_failed_child[parent] = true;
        }
    }
    let mut found: Vec<usize> =
        depths.keys().copied().filter(|at| spans[*at].is_error && !has_failed_child[*at]).collect();
    found.sort_by_key(|at| (spans[*at].end(), std::cmp::Reverse(depths[at]), *at));
    found.truncate(ORIGINS_MAX);
    let origin = |at: usize| {
        let above = std::iter::successors(parents[at], |above| parents[*above]);
        let failed: Vec<usize> = above.take_while(|above| spans[*above].is_error).collect();
        let last = failed.last().copied().unwrap_or(at);
        Origin {
            span: spans[at].clone(),
            depth: depths[&at],
            reached_root: parents[last].is_none(),
            failed_ancestors: failed.into_iter().map(|at| spans[at].span_id.clone()).collect(),
        }
    };
    found.into_iter().map(origin).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn span(id: &str, parent: &str, service: &str, (start, end): (i64, i64)) -> TraceSpan {
        TraceSpan {
            span_id: id.to_owned(),
            parent_span_id: Some(parent.to_owned()).filter(|parent| !parent.is_empty()),
            service: service.to_owned(),
            name: format!("{service} op"),
            kind: 1,
            start,
            duration: end - start,
            ..TraceSpan::default()
        }
    }

    fn failed(span: TraceSpan) -> TraceSpan {
        TraceSpan { is_error: true, ..span }
    }

    /// The root runs 0 to 100; its call of b, 10 to 60, and that of c, 70 to 90: 30 is the root's own. All of it is on the path.
    #[test]
    fn time_is_told_by_operation_and_along_the_critical_path() {
        let spans =
            [span("r", "", "a", (0, 100)), span("1", "r", "b", (10, 60)), span("2", "r", "c", (70, 90))];
        let anatomy = dissected(&spans);
        let told = |operation: &OperationTime| {
            (operation.service.clone(), operation.self_nanos, operation.critical_nanos)
        };
        let want = [("b", 50, 50), ("a", 30, 30), ("c", 20, 20)]
            .map(|(name, own, path)| (name.to_owned(), own, path));
        assert_eq!(anatomy.operations.iter().map(told).collect::<Vec<_>>(), want);
        let path: Vec<_> = anatomy
            .critical_path
            .iter()
            .map(|step| (step.span.span_id.as_str(), step.critical_nanos))
            .collect();
        assert_eq!(path, [("r", 30), ("1", 50), ("2", 20)]);
        assert_eq!((anatomy.duration, anatomy.spans, anatomy.errors), (100, 3, 0));
        assert_eq!(anatomy.error_origins, []);
    }

    /// d failed, and c and a because of it, but b between them did not: it hid the failure. e failed by itself, later.
    #[test]
    fn an_error_begins_where_nothing_below_explains_it() {
        let spans = [
            failed(span("a", "", "a", (0, 100))),
            span("b", "a", "b", (5, 60)),
            failed(span("c", "b", "c", (10, 50))),
            failed(span("d", "c", "d", (20, 30))),
            failed(span("e", "a", "e", (70, 90))),
        ];
        let told: Vec<_> = dissected(&spans)
            .error_origins
            .into_iter()
            .map(|origin| (origin.span.span_id, origin.depth, origin.failed_ancestors, origin.reached_root))
            .collect();
        let want = vec![
            ("d".to_owned(), 3, vec!["c".to_owned()], false),
            ("e".to_owned(), 1, vec!["a".to_owned()], true),
        ];
        assert_eq!(told, want);
    }

    /// Of two that ended at once the deeper one comes first, and a root that fails alone has reached itself.
    #[test]
    fn of_errors_at_one_time_the_deepest_is_first() {
        let spans = [
            span("a", "", "a", (0, 100)),
            failed(span("b", "a", "b", (10, 50))),
            span("c", "a", "c", (10, 60)),
            failed(span("d", "c", "d", (20, 50))),
        ];
        let order: Vec<_> =
            dissected(&spans).error_origins.into_iter().map(|origin| origin.span.span_id).collect();
        assert_eq!(order, ["d", "b"]);
        let alone = dissected(&[failed(span("a", "", "a", (0, 9)))]).error_origins;
        assert!(alone[0].reached_root && alone[0].failed_ancestors.is_empty());
    }

    #[test]
    fn origins_have_a_bound() {
        let many = |count: usize| {
            let mut spans = vec![span("root", "", "a", (0, 1_000))];
            spans.extend((0..count).map(|n| failed(span(&n.to_string(), "root", "b", (1, 2)))));
            dissected(&spans).error_origins.len()
        };
        assert_eq!((many(ORIGINS_MAX), many(ORIGINS_MAX + 1)), (ORIGINS_MAX, ORIGINS_MAX));
    }
}
