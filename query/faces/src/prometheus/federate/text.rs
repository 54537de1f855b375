//! Latest samples as lines of text, for everybody.
//!
//! ```text
//! # TYPE up untyped
//! up{instance="",job="api"} 1 1700000000000
//! ```
//! Native histograms have no text form and are left out, but for those with custom buckets, which are written as classic
//! ones.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, and for names in UTF-8
//! <https://prometheus.io/docs/instrumenting/content_negotiation/>.

use std::fmt::Write as _;

use meshlake_query::prometheus::Latest;
use meshlake_query::promql::{Histogram, Labels, METRIC_NAME, Point, value_text};

use super::accept::Names;
use super::{classic_buckets, plain_or_utf8};

/// The lines of samples that are sorted by name.
pub fn exposition(samples: &[Latest], names: Names) -> String {
    let mut out = String::new();
    // The metric that a line of its type was written for, and whether it was a histogram.
    let mut typed = (String::new(), false);
    for (labels, time, point) in samples {
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
        for (bound, below) in classic_buckets(histogram) {
            self.write("_bucket", Some(&value_text(bound)), below);
        }
        self.write("_sum", None, histogram.sum);
        self.write("_count", None, histogram.count);
    }
}

/// A name as it may be written; a metric's may have colons.
fn name(text: &str, names: Names, is_metric: bool) -> String {
    let is_plain = || plain_or_utf8(text, Names::Underscores, is_metric) == text;
    match names {
        Names::Utf8 if !is_plain() => format!("\"{}\"", escaped(text)),
        _ => plain_or_utf8(text, names, is_metric),
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
        let samples = [
            sample(&[("x", "nameless")], Point::Float(1.0)),
            sample(&[("__name__", "a"), ("x", "q\"\\\n")], Point::Float(1.5)),
            sample(&[("__name__", "b"), ("instance", "i")], Point::Float(f64::NAN)),
            sample(&[("__name__", "b"), ("instance", "j")], Point::Float(f64::INFINITY)),
        ];
        let want = "# TYPE a untyped\na{x=\"q\\\"\\\\\\n\",instance=\"\"} 1.5 1700000000000\n\
                    # TYPE b untyped\nb{instance=\"i\"} NaN 1700000000000\nb{instance=\"j\"} +Inf 1700000000000\n";
        assert_eq!(exposition(&samples, Names::Underscores), want);
    }

    #[test]
    fn names_in_utf_8_are_quoted_where_they_are_read_and_plain_elsewhere() {
        let samples = [sample(&[("__name__", "a.b"), ("c.d", "e"), ("instance", "i")], Point::Float(1.0))];
        let quoted = "# TYPE \"a.b\" untyped\n{\"a.b\",\"c.d\"=\"e\",instance=\"i\"} 1 1700000000000\n";
        assert_eq!(exposition(&samples, Names::Utf8), quoted);
        let plain = "# TYPE a_b untyped\na_b{c_d=\"e\",instance=\"i\"} 1 1700000000000\n";
        assert_eq!(exposition(&samples, Names::Underscores), plain);
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
        let lines: Vec<String> = exposition(&[sample(&labels, point(custom))], Names::Underscores)
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
        assert_eq!(exposition(&[sample(&labels, point(exponential))], Names::Underscores), "");
    }
}
