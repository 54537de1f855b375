//! Native histograms as remote write has them: spans of buckets, counts as differences.

use prost::Message;

/// The schema of histograms that list their bounds. Source: Prometheus, model/histogram.
const CUSTOM: i32 = -53;

#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

impl Histogram {
    pub fn at(self, timestamp: i64) -> Histogram {
        Histogram { timestamp, ..self }
    }
}

/// Each count as the difference to the one before.
fn deltas(counts: &[u64]) -> Vec<i64> {
    let before = std::iter::once(&0).chain(counts);
    counts.iter().zip(before).map(|(count, before)| count.cast_signed() - before.cast_signed()).collect()
}

/// After so many rounds: each adds two to the bucket of zero, one to buckets -1 and 0, three to 4, and one below zero.
pub fn exponential(schema: i32, rounds: u64) -> Histogram {
    Histogram {
        count: 8 * rounds,
        sum: 5.5 * rounds as f64,
        schema,
        zero_threshold: 0.001,
        zero_count: 2 * rounds,
        negative_spans: vec![Span { offset: 0, length: 1 }],
        negative_deltas: deltas(&[rounds]),
        positive_spans: vec![Span { offset: -1, length: 2 }, Span { offset: 3, length: 1 }],
        positive_deltas: deltas(&[rounds, rounds, 3 * rounds]),
        ..Histogram::default()
    }
}

/// After so many rounds, each of which adds one, two, three and four to buckets up to 1, 2, 5 and above.
pub fn custom(rounds: u64) -> Histogram {
    Histogram {
        count: 10 * rounds,
        sum: 31.25 * rounds as f64,
        schema: CUSTOM,
        positive_spans: vec![Span { offset: 0, length: 4 }],
        positive_deltas: deltas(&[rounds, 2 * rounds, 3 * rounds, 4 * rounds]),
        custom_values: vec![1.0, 2.0, 5.0],
        ..Histogram::default()
    }
}
