//! Latest samples as messages of protobuf, which alone have native histograms.
//!
//! One `MetricFamily` a metric and type, each with its length before it. Floats are untyped, as in text; counts of
//! histograms are floats, as those that PromQL gives may be. Custom buckets have no field here, so such a histogram is a
//! classic one. Names in UTF-8 are as they are or have underscores, as in text.
//!
//! Source: `io.prometheus.client` of <https://github.com/prometheus/client_model>, metrics.proto, and
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format>.

use meshlake_query::prometheus::Latest;
use meshlake_query::promql::{Histogram, Labels, METRIC_NAME, Point, ResetHint};
use prost::Message;

use super::super::read::spans::spans;
use super::accept::Names;
use super::{classic_buckets, plain_or_utf8};

const UNTYPED: i32 = 3;
const HISTOGRAM: i32 = 4;
const GAUGE_HISTOGRAM: i32 = 5;

#[derive(Clone, PartialEq, Message)]
pub struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Untyped>,
    #[prost(int64, optional, tag = "6")]
    timestamp_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<HistogramMessage>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Untyped {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct HistogramMessage {
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    buckets: Vec<Bucket>,
    #[prost(double, optional, tag = "4")]
    sample_count_float: Option<f64>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(double, optional, tag = "8")]
    zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "9")]
    negative_spans: Vec<BucketSpan>,
    #[prost(double, repeated, tag = "11")]
    negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "12")]
    positive_spans: Vec<BucketSpan>,
    #[prost(double, repeated, tag = "14")]
    positive_counts: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Bucket {
    #[prost(double, optional, tag = "2")]
    upper_bound: Option<f64>,
    #[prost(double, optional, tag = "4")]
    cumulative_count_float: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

/// The messages of samples that are sorted by name.
pub fn exposition(samples: &[Latest], names: Names) -> Vec<u8> {
    families(samples, names).iter().flat_map(Message::encode_length_delimited_to_vec).collect()
}

fn families(samples: &[Latest], names: Names) -> Vec<MetricFamily> {
    let mut families: Vec<MetricFamily> = Vec::new();
    for (labels, time, point) in samples {
        let metric = labels.get(METRIC_NAME);
        let kind = match point {
            Point::Float(_) => UNTYPED,
            Point::Histogram(histogram) if histogram.hint == ResetHint::Gauge => GAUGE_HISTOGRAM,
            Point::Histogram(_) => HISTOGRAM,
            Point::None => continue,
        };
        if metric.is_empty() {
            continue;
        }
        let name = Some(plain_or_utf8(metric, names, true));
        let told = Metric { timestamp_ms: Some(*time), ..metric_of(labels, point, names) };
        match families.last_mut() {
            Some(family) if family.name == name && family.kind == Some(kind) => family.metrics.push(told),
            _ => families.push(MetricFamily { name, kind: Some(kind), metrics: vec![told] }),
        }
    }
    families
}

fn metric_of(labels: &Labels, point: &Point, names: Names) -> Metric {
    let pair = |name: &str, value: &str| LabelPair {
        name: Some(plain_or_utf8(name, names, false)),
        value: Some(value.to_owned()),
    };
    let own = labels.iter().filter(|label| &*label.name != METRIC_NAME);
    // Or whoever scrapes would put its own there.
    let instance = labels.get("instance").is_empty().then(|| pair("instance", ""));
    let labels = own.map(|label| pair(&label.name, &label.value)).chain(instance).collect();
    let (untyped, histogram) = match point {
        Point::Float(value) => (Some(Untyped { value: Some(*value) }), None),
        Point::Histogram(histogram) if histogram.uses_custom_buckets() => (None, Some(classic(histogram))),
        Point::Histogram(histogram) => (None, Some(native(histogram))),
        Point::None => (None, None),
    };
    Metric { labels, untyped, timestamp_ms: None, histogram }
}

fn classic(histogram: &Histogram) -> HistogramMessage {
    let bucket =
        |(upper_bound, count)| Bucket { upper_bound: Some(upper_bound), cumulative_count_float: Some(count) };
    HistogramMessage {
        sample_sum: Some(histogram.sum),
        sample_count_float: Some(histogram.count),
        buckets: classic_buckets(histogram).into_iter().map(bucket).collect(),
        ..HistogramMessage::default()
    }
}

fn native(histogram: &Histogram) -> HistogramMessage {
    let on_wire = |buckets: &[(i32, f64)]| -> (Vec<BucketSpan>, Vec<f64>) {
        let span = |(offset, length)| BucketSpan { offset: Some(offset), length: Some(length) };
        (spans(buckets).into_iter().map(span).collect(), buckets.iter().map(|(_, count)| *count).collect())
    };
    let (negative_spans, negative_counts) = on_wire(&histogram.negative);
    let (mut positive_spans, positive_counts) = on_wire(&histogram.positive);
    if positive_spans.is_empty() && negative_spans.is_empty() {
        // What says that a histogram without buckets is a native one.
        positive_spans.push(BucketSpan { offset: Some(0), length: Some(0) });
    }
    HistogramMessage {
        sample_sum: Some(histogram.sum),
        sample_count_float: Some(histogram.count),
        schema: Some(histogram.schema.into()),
        zero_threshold: Some(histogram.zero_threshold),
        zero_count_float: Some(histogram.zero_count),
        negative_spans,
        negative_counts,
        positive_spans,
        positive_counts,
        ..HistogramMessage::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_query::promql::CUSTOM_BUCKETS;

    use super::*;

    fn sample(name: &str, point: Point) -> Latest {
        (Labels::from_pairs([("__name__", name), ("instance", "i")]), 7, point)
    }

    #[test]
    fn metrics_of_one_name_and_type_are_one_family() {
        let histogram = |hint| Point::Histogram(Arc::new(Histogram { hint, ..Histogram::default() }));
        let samples = [
            sample("a", Point::Float(1.0)),
            sample("a", Point::Float(2.0)),
            sample("a", histogram(ResetHint::Unknown)),
            sample("b", histogram(ResetHint::Gauge)),
            sample("", Point::Float(3.0)),
        ];
        let told = families(&samples, Names::Utf8);
        let told: Vec<_> = told
            .iter()
            .map(|family| (family.name.as_deref().unwrap_or_default(), family.kind, family.metrics.len()))
            .collect();
        let want = [("a", Some(UNTYPED), 2), ("a", Some(HISTOGRAM), 1), ("b", Some(GAUGE_HISTOGRAM), 1)];
        assert_eq!(told, want);
    }

    /// `a{x="y"} 1.5 7`, byte by byte after metrics.proto: a family of 41 bytes.
    #[test]
    fn a_float_is_an_untyped_message_behind_its_length() {
        let labels = Labels::from_pairs([("__name__", "a"), ("x", "y")]);
        let bytes = exposition(&[(labels, 7, Point::Float(1.5))], Names::Utf8);
        let mut want = vec![0x0a, 1, b'a', 0x18, 3, 0x22, 34];
        want.extend([0x0a, 6, 0x0a, 1, b'x', 0x12, 1, b'y']);
        want.extend([0x0a, 12, 0x0a, 8]);
        want.extend(b"instance");
        want.extend([0x12, 0]);
        want.extend([0x2a, 9, 0x09]);
        want.extend(1.5_f64.to_le_bytes());
        want.extend([0x30, 7]);
        want[6] = u8::try_from(want.len() - 7).expect("it is short");
        want.insert(0, u8::try_from(want.len()).expect("it is short"));
        assert_eq!(bytes, want);
    }

    #[test]
    fn native_histograms_have_spans_and_custom_ones_are_classic() {
        let told = native(&Histogram {
            schema: 2,
            count: 7.5,
            zero_count: 1.0,
            positive: vec![(-1, 2.0), (0, 1.0), (4, 3.5)],
            ..Histogram::default()
        });
        let span = |offset, length| BucketSpan { offset: Some(offset), length: Some(length) };
        assert_eq!(told.positive_spans, [span(-1, 2), span(3, 1)]);
        assert_eq!(told.positive_counts, [2.0, 1.0, 3.5]);
        assert_eq!((told.schema, told.sample_count_float), (Some(2), Some(7.5)));
        assert_eq!(native(&Histogram::default()).positive_spans, [span(0, 0)]);
        let told = classic(&Histogram {
            schema: CUSTOM_BUCKETS,
            count: 6.0,
            positive: vec![(0, 1.0), (2, 3.0), (3, 2.0)],
            custom_bounds: Arc::new([1.0, 2.5, 5.0]),
            ..Histogram::default()
        });
        let buckets: Vec<_> =
            told.buckets.iter().map(|b| (b.upper_bound, b.cumulative_count_float)).collect();
        let want = [(1.0, 1.0), (2.5, 1.0), (5.0, 4.0), (f64::INFINITY, 6.0)];
        assert_eq!(buckets, want.map(|(bound, count)| (Some(bound), Some(count))));
        assert_eq!(told.schema, None);
    }
}
