//! Feeds a fold as those do who read rows of some times: all at once, or what counts first.

use meshlake_calls::margin;
use meshlake_calls::minutes::rows_of;
use meshlake_calls::{Fold, Question, Range, Source};
use meshlake_schema::{Table, TimeRange, UnixNanos};

use crate::random::Random;
use crate::rows;
use crate::telemetry::{Row, Value};

/// Feeds the rows that tell of these times, what counts first or all at once.
pub fn feed_open(fold: &mut Fold, question: Question, open: &[TimeRange], told: &[Row], random: &mut Random) {
    if random.percent(50) {
        feed_in_order(fold, question.source, told, open, random);
        return;
    }
    let read = open.iter().map(|window| {
        let range = Range::new(window.from, window.to, None).expect("not empty");
        rows_of(&range)
    });
    feed(fold, question.source, told, &read.collect::<Vec<_>>(), random);
}

/// Feeds the rows that tell of these times as a busy mesh's are: of spans those first that count, and others as far as they are
/// wanted.
pub fn feed_in_order(
    fold: &mut Fold,
    source: Source,
    rows: &[Row],
    counted: &[TimeRange],
    random: &mut Random,
) {
    let around = |times: &TimeRange| rows_of(&Range::new(times.from, times.to, None).expect("not empty"));
    let around: Vec<TimeRange> = counted.iter().map(around).collect();
    if source != Source::Spans {
        feed(fold, Source::Requests, rows, &around, random);
    }
    for (stretch, times) in margin::stretches(counted).into_iter().filter(|_| source != Source::Requests) {
        if fold.begin(stretch) {
            feed(fold, Source::Spans, rows, &times, random);
        }
    }
}

/// Feeds the rows that start in one of the ranges.
pub fn feed(fold: &mut Fold, source: Source, rows: &[Row], ranges: &[TimeRange], random: &mut Random) {
    let is_read = |row: &&Row| {
        let start = UnixNanos(start(row));
        ranges.iter().any(|range| range.from <= start && start < range.to)
    };
    let rows: Vec<Row> = rows.iter().filter(is_read).cloned().collect();
    if source != Source::Spans {
        rows::batches(Table::Requests, &rows, random).iter().for_each(|batch| fold.add_requests(batch));
    }
    if source != Source::Requests {
        rows::batches(Table::Spans, &rows, random).iter().for_each(|batch| fold.add_spans(batch));
    }
}

pub fn start(row: &Row) -> i64 {
    match row.get("time_unix_nano") {
        Some(Value::Int(time)) => *time,
        other => panic!("a row starts at {other:?}"),
    }
}
