//! Traces with more than is looked at or told: what is bounded, and that it is said.

use super::*;

/// An instrumentation that loops: what is looked at is bounded, and said.
#[tokio::test]
async fn a_trace_that_is_too_large_is_looked_at_in_part() {
    let most = crate::trace::SPANS_MAX as u64;
    let spans: Vec<Made> = traces(1).concat();
    let of = |count: u64| -> Vec<Row> {
        let span = |at| Made { id: at + 1, parent: None, start: at as i64, ..spans[0].clone() };
        (0..count).map(|at| span(at).row()).collect()
    };
    for (count, is_cut) in [(most, false), (most + 1, true)] {
        let query = query(SnapshotBuilder::new().hot(Table::Spans, 1, &of(count))).await;
        let found = found(&query, &asked("{ }", TimeRange::ALL, 5)).await;
        assert_eq!((found.inspected_spans as u64, found.warnings.len()), (most, usize::from(is_cut)));
        assert_eq!(found.is_complete, !is_cut);
    }
}

/// What a query can select by itself is found wherever it stands in such a trace, behind as many others of its name.
#[tokio::test]
async fn the_last_span_of_a_trace_that_is_too_large_is_found() {
    let most = crate::trace::SPANS_MAX as i64;
    let spans: Vec<Made> = traces(1).concat();
    let span = |at: i64| Made { id: at as u64 + 1, parent: None, start: at, color: None, ..spans[0].clone() };
    let last = Made { color: Some("red"), is_error: true, ..span(most + 7) };
    let rows: Vec<Row> = (0..most + 7).map(span).chain([last]).map(|span| span.row()).collect();
    let query = query(SnapshotBuilder::new().hot(Table::Spans, 1, &rows)).await;
    for text in ["{ .color = \"red\" }", "{ status = error && duration > -1s }"] {
        let found = found(&query, &asked(text, TimeRange::ALL, 5)).await;
        let [set] = found.traces[0].spansets.as_slice() else { panic!("{found:?} has one set") };
        assert_eq!((set.matched, set.spans[0].start_nano), (1, most + 7), "{text}");
        assert_eq!((found.is_complete, found.inspected_spans as i64), (false, most + 1));
    }
}

/// One more spanset than is told, each of a span.
#[tokio::test]
async fn spansets_of_a_trace_are_bounded_and_said() {
    let spans: Vec<Made> = traces(1).concat();
    for (count, left) in [(1_000, 0), (1_001, 1)] {
        let of = |at: i64| Made { id: at as u64 + 1, parent: None, start: at, ..spans[0].clone() }.row();
        let rows: Vec<Row> = (0..count).map(of).collect();
        let query = query(SnapshotBuilder::new().hot(Table::Spans, 1, &rows)).await;
        let found = found(&query, &asked("{ } | by(span:id)", TimeRange::ALL, 5)).await;
        let told = &found.traces[0];
        assert_eq!((told.spansets.len(), told.spansets_left, found.warnings.len()), (1_000, left, left));
    }
}
