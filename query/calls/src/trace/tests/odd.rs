//! Rows that nobody would send on purpose: durations and times that make no sense, and more names than there is room for.

use super::*;
use crate::cells::DETAILS_MAX;
use crate::choice::Source;
use crate::error::FoldError;
use crate::fixture::{self, CALL, Request, SERVED};
use crate::fold::{Fold, Question};
use crate::grouping::{By, Grain};

/// The last second that nanoseconds since the epoch can tell, of the year 2262.
const LAST_SECOND: i64 = i64::MAX / 1_000_000_000;
/// 285 years.
const AGES_MILLIS: i64 = 9_000_000_000_000;

#[test]
fn a_negative_duration_is_a_call_of_no_length() {
    let ended_before = |span| Span { millis: -5, ..span };
    let spans = [ended_before(span(1, 0, CLIENT, A)), ended_before(span(2, 1, SERVER, B))];
    let rows = [Request { millis: -5, ..CALL }, Request { millis: -5, ..SERVED }];
    for picture in [picture(&[], &spans), picture(&rows, &[])] {
        assert_eq!((edges(&picture), nodes(&picture)), {
            (vec!["default/a -> default/b 1/0".to_owned()], vec!["default/b 1/0".to_owned()])
        });
        let edge = &picture.edge_cells[0].measure;
        assert_eq!((edge.max_ms(), edge.concurrency(1.0)), (Some(0.0), 0.0));
    }
}

/// Whatever lies far away or has no end is outside of the range, and what is inside counts as if it were alone.
#[test]
fn times_at_the_ends_of_the_world_are_outside_of_the_range() {
    for second in [0, -LAST_SECOND, LAST_SECOND] {
        let far = Span { second, millis: AGES_MILLIS, ..span(1, 0, CLIENT, A) };
        let near = Span { millis: AGES_MILLIS, ..span(2, 1, SERVER, B) };
        let rows = [
            Request { second, millis: AGES_MILLIS, request_id: "r1", ..CALL },
            Request { second, millis: AGES_MILLIS, layer: "l4", ..CALL },
            Request { destination: ("default", "c"), millis: AGES_MILLIS, request_id: "r1", ..SERVED },
            Request {
                source: ("default", "d"),
                destination: ("default", "e"),
                millis: AGES_MILLIS,
                layer: "l4",
                ..CALL
            },
        ];
        let picture = picture(&rows, &[far, near]);
        assert_eq!(nodes(&picture), ["default/b 1/0", "default/c 1/0", "default/e 1/0"], "{second}");
        assert_eq!(edges(&picture), ["default/a -> default/c 1/0", "default/d -> default/e 1/0"], "{second}");
    }
}

fn names(count: usize) -> impl Iterator<Item = &'static str> {
    (0..count).map(|at| &*Box::leak(format!("name {at}").into_boxed_str()))
}

fn folded(spans: &[Span], grain: Grain) -> Result<crate::Picture, FoldError> {
    let mut fold =
        Fold::new(Question { range: fixture::range(), by: By::Service, grain, source: Source::Auto });
    fold.add_spans(&fixture::spans(spans));
    fold.finish()
}

/// More operations than are even held while rows are read: the answer is short, says so, and has every call.
#[test]
fn operations_without_end_are_one_beyond_the_busiest() {
    let count = crate::details::DETAILS_HELD_MAX + 5_000;
    let spans: Vec<Span> =
        names(count).zip(1..).map(|(name, trace)| Span { name, trace, ..span(1, 0, SERVER, A) }).collect();
    let picture = folded(&spans, Grain::Operation).expect("operations are summed up");
    let calls: f64 = picture.node_cells.iter().map(|cell| cell.measure.requests()).sum();
    assert_eq!(calls, count as f64);
    assert!(picture.node_cells.len() <= DETAILS_MAX + 1, "{}", picture.node_cells.len());
    assert!(picture.warnings.iter().any(|warning| warning.contains("(other)")), "{:?}", picture.warnings);
}

/// A node or an edge cannot be left out in silence, so that there is no answer at all.
#[test]
fn services_without_end_are_too_many() {
    let spans: Vec<Span> = names(crate::cells::CELLS_MAX)
        .zip(1..)
        .map(|(service, trace)| Span { trace, ..span(1, 0, SERVER, ("", service)) })
        .collect();
    assert_eq!(folded(&spans, Grain::Node).err(), Some(FoldError::TooManyCells));
}
