//! Golden metrics over time: the same three charts wherever calls are shown.

use std::time::Duration;

use maud::{Markup, html};
use meshlake_query::Range;
use meshlake_query::golden::GoldenRow;
use meshlake_schema::UnixNanos;

use crate::ui::asked::Asked;
use crate::ui::chart::{Chart, Line};
use crate::ui::format;

/// Points of a chart: a pixel or two each.
const POINTS_MAX: u64 = 240;

/// Seconds between points, so that cells of ten seconds, a minute or ten can answer.
const STEPS: [u64; 12] = [10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400, 604_800];

/// Rate, errors and latency of rows by bucket of `range`.
pub fn charts(asked: &Asked, range: &Range, rows: &[GoldenRow]) -> Markup {
    let words = asked.words();
    let times = times(range);
    let line = |name, class, value| Line { name, class, values: by_time(&times, rows, value) };
    let charts = [
        Chart {
            title: words.rate,
            times: &times,
            lines: vec![line(words.rate, "one", |row| Some(row.figures.rate))],
            shown: format::rate,
        },
        Chart {
            title: words.errors,
            times: &times,
            lines: vec![line(words.errors, "bad", |row| Some(row.figures.error_ratio))],
            shown: format::percent,
        },
        Chart {
            title: words.latency,
            times: &times,
            lines: vec![
                line("p50", "one", |row| row.figures.p50_ms),
                line("p95", "two", |row| row.figures.p95_ms),
                line("p99", "three", |row| row.figures.p99_ms),
            ],
            shown: |ms| format::duration(Some(ms)),
        },
    ];
    html! { div class="charts" { @for chart in &charts { (chart.draw()) } } }
}

/// The range in at most [`POINTS_MAX`] steps, or in steps of a week where it is longer than those reach.
pub fn stepped(range: Range) -> Range {
    let seconds = (range.to().0 - range.from().0).unsigned_abs() / 1_000_000_000;
    let fits = |step: &u64| seconds.div_ceil(*step) <= POINTS_MAX;
    let step = STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1]);
    Range::new(range.from(), range.to(), Some(Duration::from_secs(step))).unwrap_or(range)
}

/// Starts of the range's buckets.
fn times(range: &Range) -> Vec<UnixNanos> {
    let step = range.step().unwrap_or_default().as_nanos().max(1) as i64;
    let count = (range.to().0 - range.from().0 + step - 1) / step;
    (0..count).map(|at| UnixNanos(range.from().0 + at * step)).collect()
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
    use super::*;

    fn range(seconds: i64) -> Range {
        Range::new(UnixNanos(0), UnixNanos::from_seconds(seconds), None).expect("it is one")
    }

    #[test]
    fn a_chart_has_as_many_points_as_can_be_seen() {
        let steps = [10, 900, 2_400, 2_410, 86_400, 7 * 86_400].map(|seconds| {
            let stepped = stepped(range(seconds));
            (stepped.step().map(|step| step.as_secs()), times(&stepped).len())
        });
        let want = [(10, 1), (10, 90), (10, 240), (30, 81), (600, 144), (3_600, 168)];
        assert_eq!(steps, want.map(|(step, points)| (Some(step), points)));
    }
}
