//! The messages of remote read, and series as such. Source: `prompb/remote.proto` and `prompb/types.proto` of Prometheus;
//! numbers of fields are theirs. Hints are not read: they never change what is answered.

use meshlake_query::promql::{Histogram, Labels, ResetHint, SeriesSamples};
use prost::{Enumeration, Message};

use super::spans::{Spans, spans};

#[derive(Clone, PartialEq, Message)]
pub struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    pub queries: Vec<ReadQuery>,
    /// Values of [`ResponseKind`], and others.
    #[prost(int32, repeated, tag = "2")]
    pub accepted_response_types: Vec<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum ResponseKind {
    Samples = 0,
    StreamedXorChunks = 1,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadQuery {
    #[prost(int64, tag = "1")]
    pub start_timestamp_ms: i64,
    #[prost(int64, tag = "2")]
    pub end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    pub matchers: Vec<LabelMatcher>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LabelMatcher {
    /// Of [`MatchKind`].
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum MatchKind {
    Equal = 0,
    NotEqual = 1,
    Regex = 2,
    NotRegex = 3,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadResponse {
    /// One a query.
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<HistogramSample>,
}

/// Sorted by name where there are several.
#[derive(Clone, PartialEq, Message)]
pub struct LabelPair {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// With counts as floats, as ours are.
#[derive(Clone, PartialEq, Message)]
struct HistogramSample {
    #[prost(double, optional, tag = "2")]
    count_float: Option<f64>,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(double, optional, tag = "7")]
    zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<BucketSpan>,
    #[prost(double, repeated, tag = "10")]
    negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<BucketSpan>,
    #[prost(double, repeated, tag = "13")]
    positive_counts: Vec<f64>,
    #[prost(int32, tag = "14")]
    reset_hint: i32,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
}

/// Buckets side by side: how many empty ones lie before them, and how many they are.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct ChunkedReadResponse {
    #[prost(message, repeated, tag = "1")]
    pub chunked_series: Vec<ChunkedSeries>,
    /// Which query of the request this belongs to.
    #[prost(int64, tag = "2")]
    pub query_index: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ChunkedSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    pub chunks: Vec<Chunk>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Chunk {
    /// Both ends belong to it.
    #[prost(int64, tag = "1")]
    pub min_time_ms: i64,
    #[prost(int64, tag = "2")]
    pub max_time_ms: i64,
    #[prost(enumeration = "ChunkEncoding", tag = "3")]
    pub encoding: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum ChunkEncoding {
    Unknown = 0,
    Xor = 1,
    FloatHistogram = 3,
}

impl ReadResponse {
    pub fn of(lists: &[Vec<SeriesSamples>]) -> Self {
        let result =
            |list: &Vec<SeriesSamples>| QueryResult { timeseries: list.iter().map(TimeSeries::of).collect() };
        ReadResponse { results: lists.iter().map(result).collect() }
    }
}

impl TimeSeries {
    fn of(series: &SeriesSamples) -> Self {
        let floats = series.floats.times.iter().zip(&series.floats.values);
        let histograms = series.histograms.times.iter().zip(&series.histograms.values);
        TimeSeries {
            labels: label_pairs(&series.labels),
            samples: floats.map(|(time, value)| Sample { value: *value, timestamp: *time }).collect(),
            histograms: histograms.map(|(time, histogram)| HistogramSample::of(*time, histogram)).collect(),
        }
    }
}

impl HistogramSample {
    fn of(time: i64, histogram: &Histogram) -> Self {
        let [negative, positive] = [&histogram.negative, &histogram.positive].map(|buckets| spans(buckets));
        let on_wire = |spans: Spans| {
            let spans: Vec<BucketSpan> =
                spans.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect();
            spans
        };
        let counts = |buckets: &[(i32, f64)]| buckets.iter().map(|(_, count)| *count).collect();
        HistogramSample {
            count_float: Some(histogram.count),
            sum: histogram.sum,
            schema: i32::from(histogram.schema),
            zero_threshold: histogram.zero_threshold,
            zero_count_float: Some(histogram.zero_count),
            negative_spans: on_wire(negative),
            negative_counts: counts(&histogram.negative),
            positive_spans: on_wire(positive),
            positive_counts: counts(&histogram.positive),
            reset_hint: match histogram.hint {
                ResetHint::Unknown => 0,
                ResetHint::Reset => 1,
                ResetHint::NoReset => 2,
                ResetHint::Gauge => 3,
            },
            timestamp: time,
            custom_values: histogram.custom_bounds.to_vec(),
        }
    }
}

pub fn label_pairs(labels: &Labels) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, &str)| LabelPair { name: name.to_owned(), value: value.to_owned() };
    labels.iter().map(|label| pair((&label.name, &label.value))).collect()
}
