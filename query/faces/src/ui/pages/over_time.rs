//! Golden metrics over time: the same three charts wherever calls are shown.

use std::time::Duration;

use maud::{Markup, html};
use meshlake_query::Range;
use meshlake_query::golden::GoldenRow;
use meshlake_query::list::ListedCall;
use meshlake_schema::UnixNanos;

use crate::ui::asked::{Asked, Span};
use crate::ui::chart::{Chart, Line, Mark, Point};
use crate::ui::format;
use crate::ui::shell::{self, cell, number, table, text};

const NANOS_PER_MILLI: f64 = 1e6;

/// Points of a chart: a pixel or two each.
pub const POINTS_MAX: u64 = 240;

/// Seconds between points, so that cells of ten seconds, a minute or ten can answer.
const STEPS: [u64; 12] = [10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400, 604_800];

/// What senders still hold of the newest time: OpenTelemetry's SDKs hand on spans every five seconds (`OTEL_BSP_SCHEDULE_DELAY`), and
/// the last ten seconds would always seem to be a slump.
const LATE: Duration = Duration::from_secs(10);

/// A step is told when so much of it is known: of a longer one what is missing makes little difference.
const KNOWN_MIN: Duration = Duration::from_secs(60);

/// What is shown beside the lines.
#[derive(Default)]
pub struct Beside {
    /// Over the whole height of each chart, such as rollouts.
    pub marks: Vec<Mark>,
    /// Calls with a trace, on the chart of latency.
    pub examples: Vec<Point>,
}

/// A line of a chart, and a column of the table behind it.
struct Column<'a> {
    name: &'a str,
    class: &'a str,
    value: fn(&GoldenRow) -> Option<f64>,
    shown: fn(f64) -> String,
}

/// Rate, errors and latency of rows by bucket of `range`, and their numbers.
pub fn charts(asked: &Asked, range: &Range, rows: &[GoldenRow], beside: &Beside) -> Markup {
    let words = asked.words();
    let millis: fn(f64) -> String = |ms| format::duration(Some(ms));
    let column = |name, class, value, shown| Column { name, class, value, shown };
    let columns = [
        column(words.rate, "one", |row| Some(row.figures.rate), format::rate),
        column(words.errors, "bad", |row| Some(row.figures.error_ratio), format::percent),
        column("p50", "one", |row| row.figures.p50_ms, millis),
        column("p95", "two", |row| row.figures.p95_ms, millis),
        column("p99", "three", |row| row.figures.p99_ms, millis),
    ];
    let times: Vec<UnixNanos> = range.bucket_starts().collect();
    let known = times.iter().filter(|start| is_known(asked, range, **start)).count();
    let by_time = |column: &Column<'_>| {
        let mut values = by_time(&times, rows, column.value);
        values[known..].fill(None);
        values
    };
    let values: Vec<Vec<Option<f64>>> = columns.iter().map(by_time).collect();
    let chart = |title, of: std::ops::Range<usize>, points| Chart {
        title,
        times: &times,
        lines: of.clone().map(|at| line(&columns[at], &values[at])).collect(),
        marks: &beside.marks,
        points,
        shown: columns[of.start].shown,
        columns: of.start + 1..of.end + 1,
    };
    let charts = [
        chart(words.rate, 0..1, &[][..]),
        chart(words.errors, 1..2, &[][..]),
        chart(words.latency, 2..5, &beside.examples[..]),
    ];
    html! {
        div data-part="charts" {
            div class="charts" { @for chart in &charts { (chart.draw()) } }
            (numbers(asked, &times, &columns, &values))
        }
    }
}

fn line<'a>(column: &Column<'a>, values: &[Option<f64>]) -> Line<'a> {
    Line { name: column.name, class: column.class, values: values.to_vec() }
}

/// The same as a table, a row a bucket; scripts read from it what stands at a time.
fn numbers(
    asked: &Asked,
    times: &[UnixNanos],
    columns: &[Column<'_>],
    values: &[Vec<Option<f64>>],
) -> Markup {
    let words = asked.words();
    let heads: Vec<shell::Column<'_>> =
        std::iter::once(text(words.time)).chain(columns.iter().map(|column| number(column.name))).collect();
    let row = |at: usize| {
        let time = times[at].to_rfc3339();
        let cells = columns
            .iter()
            .zip(values)
            .map(|(column, values)| cell(&values[at].map_or("–".to_owned(), column.shown)));
        let cells = std::iter::once(html! { time datetime=(time) { (time) } }).chain(cells);
        ("", cells.collect())
    };
    let rows: Vec<(&str, Vec<Markup>)> = (0..times.len()).map(row).collect();
    html! {
        details class="numbers" {
            summary { (words.of_mesh.numbers) }
            (table(words.of_mesh.numbers, &heads, &rows))
        }
    }
}

/// Calls with their traces, as points of a chart of latency.
pub fn examples(asked: &Asked, calls: &[ListedCall]) -> Vec<Point> {
    let points = calls.iter().filter_map(|call| {
        let value = call.client_nano.or(call.server_nano)? as f64 / NANOS_PER_MILLI;
        let trace = call.trace_id.as_deref()?;
        let what = call.operation.as_deref().unwrap_or(&call.target);
        Some(Point {
            time: call.time,
            value,
            title: format!(
                "{}: {what}, {}, {}",
                asked.words().trace,
                format::duration(Some(value)),
                call.outcome.name()
            ),
            link: asked.link(&format!("/trace/{trace}"), &[]),
        })
    });
    points.collect()
}

/// Seconds between points, so that there are at most so many; a week where even those are more.
pub fn step(seconds: u64, points_max: u64) -> u64 {
    let fits = |step: &u64| seconds.div_ceil(*step) <= points_max;
    STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1])
}

/// The range in at most so many steps, or in steps of a week where it is longer than those reach.
pub fn stepped(range: Range, points_max: u64) -> Range {
    let seconds = (range.to().0 - range.from().0).unsigned_abs() / 1_000_000_000;
    let step = Duration::from_secs(step(seconds, points_max));
    Range::new(range.from(), range.to(), Some(step)).unwrap_or(range)
}

/// Whether enough is known of the step that begins then.
fn is_known(asked: &Asked, range: &Range, start: UnixNanos) -> bool {
    let known_to = match asked.span {
        Span::Last { .. } => range.observed_to().minus(LATE),
        Span::Fixed { .. } => range.observed_to(),
    };
    let enough = range.step().map_or(Duration::ZERO, |step| step.min(KNOWN_MIN));
    start.plus(enough).min(range.to()) <= known_to
}

/// A value of each bucket's row; none where there was no call.
fn by_time(
    times: &[UnixNanos],
    rows: &[GoldenRow],
    value: fn(&GoldenRow) -> Option<f64>,
) -> Vec<Option<f64>> {
    let mut values = vec![None; times.len()];
    for row in rows {
        if let Some(at) = row.time.and_then(|time| times.binary_search(&time).ok()) {
            values[at] = value(row);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    fn range(seconds: i64) -> Range {
        Range::new(UnixNanos(0), UnixNanos::from_seconds(seconds), None).expect("it is one")
    }

    #[test]
    fn a_chart_has_as_many_points_as_can_be_seen() {
        let steps = [10, 900, 2_400, 2_410, 86_400, 7 * 86_400].map(|seconds| {
            let stepped = stepped(range(seconds), POINTS_MAX);
            (stepped.step().map(|step| step.as_secs()), stepped.bucket_starts().count())
        });
        let want = [(10, 1), (10, 90), (10, 240), (30, 81), (600, 144), (3_600, 168)];
        assert_eq!(steps, want.map(|(step, points)| (Some(step), points)));
    }

    /// Asked at second 85 about what ends at 90: senders may hold what began after 75, so that the ten seconds from 60 on are the last;
    /// the second minute, which is cut short at 90, is not over either.
    #[test]
    fn what_senders_still_hold_is_not_told() {
        let asked = |query: &str| {
            let now = UnixNanos::from_seconds(85);
            Asked::of("/service", query, &HeaderMap::new(), "default".to_owned(), now)
        };
        let known = |query: &str, step| {
            let range =
                Range::new(UnixNanos(0), UnixNanos::from_seconds(90), Some(Duration::from_secs(step)));
            let range = range.expect("it is one").observed(UnixNanos(0), UnixNanos::from_seconds(85));
            let starts = range.bucket_starts().filter(|start| is_known(&asked(query), &range, *start));
            starts.map(UnixNanos::seconds).max()
        };
        assert_eq!((known("range=90s", 10), known("from=0&to=90", 10)), (Some(60), Some(70)));
        assert_eq!((known("range=90s", 60), known("from=0&to=80", 60)), (Some(0), Some(0)));
    }
}
