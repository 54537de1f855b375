//! Gives a Prometheus the same series: what remote read gives is sent to it by remote write.
//!
//! Both messages carry series in the same shape, so nothing is computed on the way. Copied in slices of time, as neither side
//! takes an hour of all buckets at once.

use anyhow::Context as _;
use http::Method;
use prost::Message;

use crate::prometheus::Prometheus;
use crate::remote_write::messages::{Request1, Series1};
use crate::server::{Server, ask_with};

/// Of one metric, some tens of megabytes.
const SLICE_SECONDS: u64 = 300;

/// Series of one request: more samples than a Prometheus sends at once, and far fewer than one takes.
const SERIES_A_REQUEST: usize = 2_000;

/// All that both pages ask for.
const METRICS: [&str; 12] = [
    "istio_requests_total",
    "istio_request_duration_milliseconds_bucket",
    "istio_request_duration_milliseconds_sum",
    "istio_request_duration_milliseconds_count",
    "istio_request_bytes_bucket",
    "istio_request_bytes_sum",
    "istio_request_bytes_count",
    "istio_response_bytes_bucket",
    "istio_response_bytes_sum",
    "istio_response_bytes_count",
    "istio_tcp_sent_bytes_total",
    "istio_tcp_received_bytes_total",
];

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<ReadQuery>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct ReadQuery {
    #[prost(int64, tag = "1")]
    start_timestamp_ms: i64,
    #[prost(int64, tag = "2")]
    end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<LabelMatcher>,
}

/// Without a kind: the value is equal.
#[derive(Clone, PartialEq, Eq, Message)]
struct LabelMatcher {
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<Series1>,
}

/// Gives a Prometheus the samples of an interval that a server counts, and says how many they are.
///
/// # Errors
/// When one of both refuses.
pub async fn copy(prometheus: &Prometheus, server: &Server, from: u64, to: u64) -> anyhow::Result<usize> {
    let mut samples = 0;
    // Slices outside, as a Prometheus takes samples in the order of time.
    for start in (from..to).step_by(SLICE_SECONDS as usize) {
        let end = (start + SLICE_SECONDS).min(to);
        for metric in METRICS {
            let series = read(server, metric, (start, end)).await?;
            for part in series.chunks(SERIES_A_REQUEST) {
                samples += part.iter().map(|series| series.samples.len()).sum::<usize>();
                write(prometheus, part).await?;
            }
        }
    }
    Ok(samples)
}

async fn write(prometheus: &Prometheus, series: &[Series1]) -> anyhow::Result<()> {
    let message = Request1 { timeseries: series.to_vec() }.encode_to_vec();
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    let body = packed(&message)?;
    ask_with(prometheus.address(), Method::POST, "/api/v1/write", &headers, body).await.map(drop)
}

fn packed(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    snap::raw::Encoder::new().compress_vec(message).context("pack a message")
}

/// Samples later than the first second and up to the last.
async fn read(server: &Server, metric: &str, (from, to): (u64, u64)) -> anyhow::Result<Vec<Series1>> {
    let millis = |seconds: u64| i64::try_from(seconds * 1_000).context("a time");
    let name = LabelMatcher { name: "__name__".to_owned(), value: metric.to_owned() };
    let query = ReadQuery {
        start_timestamp_ms: millis(from)? + 1,
        end_timestamp_ms: millis(to)?,
        matchers: vec![name],
    };
    let message = ReadRequest { queries: vec![query] }.encode_to_vec();
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let body = packed(&message)?;
    let answer = ask_with(server.query(), Method::POST, "/prometheus/api/v1/read", &headers, body).await?;
    let unpacked = snap::raw::Decoder::new().decompress_vec(&answer).context("unpack an answer")?;
    let response = ReadResponse::decode(unpacked.as_slice()).context("read an answer")?;
    Ok(response.results.into_iter().flat_map(|result| result.timeseries).collect())
}
