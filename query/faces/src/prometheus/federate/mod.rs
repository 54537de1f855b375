//! `/federate`: the latest sample of each series that `match[]` selects, as text that a Prometheus scrapes.
//!
//! ```text
//! # TYPE up untyped
//! up{instance="",job="api"} 1 1700000000000
//! ```
//! Types are not told, as Prometheus's own federation does not tell them. A series without `instance` says so, or whoever
//! scrapes would put its own there. Native histograms have no text form and are left out, but for those with custom
//! buckets, which are written as classic ones.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/federation/>,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, and for names in UTF-8
//! <https://prometheus.io/docs/instrumenting/content_negotiation/>.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use meshlake_query::prometheus::{self, Latest};
use meshlake_query::promql::{Histogram, Labels, METRIC_NAME, Point, value_text};

use super::error::ApiError;
use super::parameters::Parameters;
use crate::FaceState;

/// What a scraper says that reads names in UTF-8.
const ALLOWS_UTF8: &str = "escaping=allow-utf-8";

/// Answers the samples, sorted by name.
pub async fn answer(
    State(state): State<FaceState>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let selectors = parameters.selectors()?;
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let samples =
        prometheus::latest(&state.prometheus, &parameters.tenant, selectors, parameters.now).await?;
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let names = if accept.contains(ALLOWS_UTF8) { Names::Utf8 } else { Names::Underscores };
    let content_type = match names {
        Names::Utf8 => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        Names::Underscores => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
    };
    let body = Body::from(exposition(samples, names));
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// How names are written that are more than letters, digits and underscores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// As they are, in quotes.
    Utf8,
    /// Other characters become underscores.
    Underscores,
}

fn exposition(mut samples: Vec<Latest>, names: Names) -> String {
    // Sorted by labels already: within a metric, its series stay in that order.
    samples.sort_by(|(a, ..), (b, ..)| a.get(METRIC_NAME).cmp(b.get(METRIC_NAME)));
    let mut out = String::new();
    // The metric that a line of its type was written for, and whether it was a histogram.
    let mut typed = (String::new(), false);
    for (labels, time, point) in &samples {
        let metric = labels.get(METRIC_NAME);
        let is_histogram = matches!(point, Point::Histogram(_));
        let is_told = match point {
            Point::Float(_) => true,
            Point::Histogram(histogram) => histogram.uses_custom_buckets(),
            Point::None => false,
        };
        if metric.is_empty() || !is_told {
            continue;
        }
        if typed != (metric.to_owned(), is_histogram) {
            let kind = if is_histogram { "histogram" } else { "untyped" };
            let _ = writeln!(out, "# TYPE {} {kind}", name(metric, names, true));
            typed = (metric.to_owned(), is_histogram);
        }
        let mut line = Line { out: &mut out, labels, time: *time, names };
        match point {
            Point::Float(value) => line.write("", None, *value),
            Point::Histogram(histogram) => line.write_classic(histogram),
            Point::None => {}
        }
    }
    out
}

/// Lines of one series.
struct Line<'a> {
    out: &'a mut String,
    labels: &'a Labels,
    time: i64,
    names: Names,
}

impl Line<'_> {
    /// One sample; `suffix` belongs to the metric's name.
    fn write(&mut self, suffix: &str, bound: Option<&str>, value: f64) {
        let metric = format!("{}{suffix}", self.labels.get(METRIC_NAME));
        let metric = name(&metric, self.names, true);
        let is_quoted = metric.starts_with('"');
        let mut pairs = Vec::new();
        if is_quoted {
            pairs.push(metric.clone());
        }
        let others = self.labels.iter().filter(|label| &*label.name != METRIC_NAME);
        let others = others.map(|label| (&*label.name, &*label.value));
        let instance = self.labels.get("instance").is_empty().then_some(("instance", ""));
        for (label, value) in others.chain(instance).chain(bound.map(|bound| ("le", bound))) {
            pairs.push(format!("{}=\"{}\"", name(label, self.names, false), escaped(value)));
        }
        let metric = if is_quoted { "" } else { &metric };
        let _ = writeln!(self.out, "{metric}{{{}}} {} {}", pairs.join(","), value_text(value), self.time);
    }

    fn write_classic(&mut self, histogram: &Histogram) {
        let mut below = 0.0;
        let mut filled = histogram.positive.iter().peekable();
        for (index, bound) in histogram.custom_bounds.iter().enumerate() {
            let is_here = |(at, _): &&(i32, f64)| usize::try_from(*at).is_ok_and(|at| at <= index);
            while let Some((_, count)) = filled.next_if(is_here) {
                below += count;
            }
            self.write("_bucket", Some(&value_text(*bound)), below);
        }
        self.write("_bucket", Some("+Inf"), histogram.count);
        self.write("_sum", None, histogram.sum);
        self.write("_count", None, histogram.count);
    }
}

/// A name as it may be written; a metric's may have colons.
fn name(text: &str, names: Names, is_metric: bool) -> String {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || (is_metric && c == ':');
    let is_plain = |at: usize, c: char| is_start(c) || (at > 0 && c.is_ascii_digit());
    let sound = || text.chars().enumerate().map(|(at, c)| if is_plain(at, c) { c } else { '_' });
    match names {
        Names::Utf8 if !text.chars().eq(sound()) => format!("\"{}\"", escaped(text)),
        Names::Utf8 => text.to_owned(),
        Names::Underscores => sound().collect(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_query::promql::CUSTOM_BUCKETS;

    use super::*;

    fn sample(labels: &[(&str, &str)], point: Point) -> Latest {
        (Labels::from_pairs(labels.iter().copied()), 1_700_000_000_000, point)
    }

    #[test]
    fn samples_are_grouped_by_name_and_say_that_they_have_no_instance() {
        let samples = vec![
            sample(&[("__name__", "b"), ("instance", "i")], Point::Float(f64::NAN)),
            sample(&[("__name__", "a"), ("x", "q\"\\\n")], Point::Float(1.5)),
            sample(&[("__name__", "b"), ("instance", "j")], Point::Float(f64::INFINITY)),
            sample(&[("x", "nameless")], Point::Float(1.0)),
        ];
        let want = "# TYPE a untyped\na{x=\"q\\\"\\\\\\n\",instance=\"\"} 1.5 1700000000000\n\
                    # TYPE b untyped\nb{instance=\"i\"} NaN 1700000000000\nb{instance=\"j\"} +Inf 1700000000000\n";
        assert_eq!(exposition(samples, Names::Underscores), want);
    }

    #[test]
    fn names_in_utf_8_are_quoted_where_they_are_read_and_plain_elsewhere() {
        let samples =
            || vec![sample(&[("__name__", "a.b"), ("c.d", "e"), ("instance", "i")], Point::Float(1.0))];
        let quoted = "# TYPE \"a.b\" untyped\n{\"a.b\",\"c.d\"=\"e\",instance=\"i\"} 1 1700000000000\n";
        assert_eq!(exposition(samples(), Names::Utf8), quoted);
        let plain = "# TYPE a_b untyped\na_b{c_d=\"e\",instance=\"i\"} 1 1700000000000\n";
        assert_eq!(exposition(samples(), Names::Underscores), plain);
    }

    #[test]
    fn of_native_histograms_those_with_custom_buckets_are_classic_ones() {
        let custom = Histogram {
            schema: CUSTOM_BUCKETS,
            count: 6.0,
            sum: 20.0,
            positive: vec![(0, 1.0), (2, 3.0), (3, 2.0)],
            custom_bounds: Arc::new([1.0, 2.5, 5.0]),
            ..Histogram::default()
        };
        let exponential = Histogram { count: 1.0, ..Histogram::default() };
        let labels = [("__name__", "h"), ("instance", "i")];
        let point = |histogram: Histogram| Point::Histogram(Arc::new(histogram));
        let lines: Vec<String> = exposition(vec![sample(&labels, point(custom))], Names::Underscores)
            .lines()
            .map(|line| line.trim_end_matches(" 1700000000000").to_owned())
            .collect();
        let want = [
            "# TYPE h histogram",
            "h_bucket{instance=\"i\",le=\"1\"} 1",
            "h_bucket{instance=\"i\",le=\"2.5\"} 1",
            "h_bucket{instance=\"i\",le=\"5\"} 4",
            "h_bucket{instance=\"i\",le=\"+Inf\"} 6",
            "h_sum{instance=\"i\"} 20",
            "h_count{instance=\"i\"} 6",
        ];
        assert_eq!(lines, want);
        assert_eq!(exposition(vec![sample(&labels, point(exponential))], Names::Underscores), "");
    }
}
