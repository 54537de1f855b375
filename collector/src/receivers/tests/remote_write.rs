//! Prometheus remote write over HTTP: what is taken, what is answered, and what a sender of 2.0 is told.

use std::net::SocketAddr;

use ::http::Request;
use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::DataType;
use bytes::Bytes;
use http_body_util::Full;
use meshlake_schema::{Table, TableBatch};
use prost::Message as _;

use super::{Headers, Reply, Running, gzip, send_http1, send_http2, start, start_with, zstd};
use crate::CollectorConfig;
use crate::decode::remote_write::testing::{
    Exemplar, Histogram, MetricMetadata, Sample, TimeSeries, WriteRequest, labels, series, to_2,
};
use crate::intake::testing::NOW;

const TYPE_1: &str = "application/x-protobuf";
const TYPE_2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn sample(value: f64) -> Sample {
    Sample { value, timestamp: NOW.0 / 1_000_000, start_timestamp: 0 }
}

/// Two samples and an exemplar, a histogram, and, where it says so, a series without a name.
fn request(with_a_nameless_series: bool) -> WriteRequest {
    let mut samples = series(&[("__name__", "m"), ("job", "j")], &[sample(1.0), sample(2.0)]);
    samples.exemplars =
        vec![Exemplar { labels: labels(&[("trace_id", "1")]), value: 1.0, timestamp: NOW.0 / 1_000_000 }];
    let histograms =
        vec![Histogram { count_int: Some(0), timestamp: NOW.0 / 1_000_000, ..Histogram::default() }];
    let named = labels(&[("__name__", "h")]);
    let histogram = TimeSeries { labels: named, histograms, ..TimeSeries::default() };
    let nameless = series(&[("job", "j")], &[sample(3.0), sample(4.0), sample(5.0)]);
    let timeseries = [vec![samples, histogram], vec![nameless; usize::from(with_a_nameless_series)]].concat();
    WriteRequest { timeseries, ..WriteRequest::default() }
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("compressing in memory")
}

fn posting(to: SocketAddr, headers: Headers<'_>, body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = Request::post(format!("http://{to}/api/v1/write")).header("host", to.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).expect("a request")
}

async fn post(to: SocketAddr, content_type: &str, body: &[u8]) -> Reply {
    let headers = [("content-type", content_type), ("content-encoding", "snappy")];
    send_http1(to, posting(to, &headers, snappy(body))).await
}

/// The headers of 2.0: samples, histograms, exemplars.
fn written(reply: &Reply) -> [Option<&str>; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|kind| reply.header(&format!("x-prometheus-remote-write-{kind}-written")))
}

fn text(reply: &Reply) -> &str {
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    std::str::from_utf8(&reply.body).expect("text")
}

fn rows(running: &Running) -> [usize; 2] {
    [Table::MetricPoints, Table::MetricExpHistograms].map(|table| running.log.rows(table).into_iter().sum())
}

/// 2.0: a success SHOULD be 204 without a body, and MUST say what was written; of 1.0 nothing more is asked.
#[tokio::test]
async fn what_was_written_is_answered_when_it_is_durable() {
    let running = start().await;
    let (body_1, body_2) = (request(false).encode_to_vec(), to_2(&request(false)).encode_to_vec());
    let reply = post(running.http, TYPE_1, &body_1).await;
    assert_eq!((reply.status.as_u16(), &reply.body[..], written(&reply)), (204, b"".as_slice(), [None; 3]));
    let reply = post(running.http, TYPE_2, &body_2).await;
    assert_eq!((reply.status.as_u16(), &reply.body[..]), (204, b"".as_slice()));
    assert_eq!(written(&reply), [Some("2"), Some("1"), Some("1")]);
    assert_eq!(rows(&running), [4, 2]);
    let headers = [("content-type", TYPE_2), ("content-encoding", "snappy")];
    let reply = send_http2(running.http, posting(running.http, &headers, snappy(&body_2))).await;
    assert_eq!((reply.status.as_u16(), written(&reply)), (204, [Some("2"), Some("1"), Some("1")]));
    running.stop().await;
}

/// Content type and coding decide alone; a wrong one is 415 before the body is looked at.
#[tokio::test]
async fn content_types_and_codings_are_closed_lists() {
    let running = start().await;
    let (body_1, body_2) = (request(false).encode_to_vec(), to_2(&request(false)).encode_to_vec());
    let cases = [
        (TYPE_1, Some("snappy"), snappy(&body_1), 204),
        ("application/x-protobuf;proto=prometheus.WriteRequest", Some("snappy"), snappy(&body_1), 204),
        (TYPE_2, Some("snappy"), snappy(&body_2), 204),
        (TYPE_1, None, snappy(&body_1), 204),
        (TYPE_1, Some("zstd"), zstd(&body_1), 204),
        (TYPE_1, Some("gzip"), gzip(&body_1), 415),
        (TYPE_1, Some("identity"), body_1.clone(), 415),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", Some("snappy"), snappy(&body_2), 415),
        ("application/json", Some("snappy"), b"0".to_vec(), 415),
        ("image/png", Some("snappy"), b"0".to_vec(), 415),
        (TYPE_1, Some("snappy"), body_1.clone(), 400),
        (TYPE_1, Some("snappy"), Vec::new(), 400),
        (TYPE_1, Some("snappy"), snappy(&body_2), 400),
        (TYPE_2, Some("snappy"), snappy(&body_1), 400),
        (TYPE_1, Some("snappy"), b"\xff\xff\xff\xff\x0f".to_vec(), 400),
    ];
    for (content_type, coding, body, want) in cases {
        let coding_header = coding.map(|coding| ("content-encoding", coding));
        let headers: Vec<_> = [("content-type", content_type)].into_iter().chain(coding_header).collect();
        let reply = send_http1(running.http, posting(running.http, &headers, body)).await;
        assert_eq!(reply.status.as_u16(), want, "{content_type} {coding:?}: {:?}", reply.body);
        if want == 415 {
            let names = ["snappy", "io.prometheus.write.v2.Request"];
            assert!(names.iter().any(|name| text(&reply).contains(name)), "{}", text(&reply));
        }
        assert!(want == 204 || text(&reply).lines().count() == 1, "a log has one line for it");
    }
    running.stop().await;
}

/// 2.0: the counts MUST be told "with success or failure"; what cannot be read is zero of each, of 1.0 nothing is asked.
#[tokio::test]
async fn what_is_refused_whole_is_nothing_written() {
    let running = start().await;
    for (content_type, told) in [(TYPE_1, [None; 3]), (TYPE_2, [Some("0"); 3])] {
        let reply = post(running.http, content_type, b"\xff\xff\xff\xff").await;
        assert_eq!((reply.status.as_u16(), written(&reply)), (400, told));
    }
    running.stop().await;
}

/// 2.0: "MUST NOT return a 2xx" where something was not written, nor be asked to send it again; what was is told.
#[tokio::test]
async fn a_rejected_series_costs_no_other() {
    let running = start().await;
    for (content_type, body, told) in [
        (TYPE_1, request(true).encode_to_vec(), [None; 3]),
        (TYPE_2, to_2(&request(true)).encode_to_vec(), [Some("2"), Some("1"), Some("1")]),
    ] {
        let reply = post(running.http, content_type, &body).await;
        assert_eq!((reply.status.as_u16(), written(&reply)), (400, told));
        assert_eq!(text(&reply), "3 of 6 data points rejected: missing_metric_name=3\n");
    }
    assert_eq!(rows(&running), [4, 2]);
    assert_eq!(running.counted("partial"), 2);
    running.stop().await;
}

/// A sender that has heard no answer sends the same again, and is told the same; nothing is stored twice.
#[tokio::test]
async fn the_same_request_again_is_answered_as_before() {
    let running = start_with(CollectorConfig::default()).await;
    for (is_partial, status) in [(false, 204), (true, 400)] {
        let body = to_2(&request(is_partial)).encode_to_vec();
        let replies = [post(running.http, TYPE_2, &body).await, post(running.http, TYPE_2, &body).await];
        for reply in &replies {
            assert_eq!(reply.status.as_u16(), status);
            assert_eq!(written(reply), [Some("2"), Some("1"), Some("1")]);
        }
        assert_eq!(replies[0].body, replies[1].body);
    }
    assert_eq!((rows(&running), running.counted("repeat")), ([4, 2], 2));
    running.stop().await;
}

/// 1.0 tells types in requests of their own, which are no records; the samples that come after have them, those of another
/// tenant have not.
#[tokio::test]
async fn what_is_told_of_a_metric_is_known_of_its_samples() {
    let running = start().await;
    let told = MetricMetadata {
        metric_type: 1,
        metric_family_name: "m".to_owned(),
        help: "what m counts".to_owned(),
        unit: String::new(),
    };
    let told = WriteRequest { metadata: vec![told], ..WriteRequest::default() }.encode_to_vec();
    let samples = request(false).encode_to_vec();
    let headers = [("content-type", TYPE_1), ("content-encoding", "snappy"), ("x-scope-orgid", "other")];
    for (body, headers) in
        [(&samples, &headers[..2]), (&told, &headers[..2]), (&samples, &headers[..2]), (&samples, &headers)]
    {
        let reply = send_http1(running.http, posting(running.http, headers, snappy(body))).await;
        assert_eq!(reply.status.as_u16(), 204);
    }
    let groups = running.log.groups();
    let points =
        groups.iter().flat_map(|group| &group.batches).filter(|batch| batch.table() == Table::MetricPoints);
    let first = |batch: &TableBatch, name: &str| {
        let column = arrow::compute::cast(&batch.rows()[name], &DataType::Utf8).expect("text");
        column.is_valid(0).then(|| column.as_string::<i32>().value(0).to_owned())
    };
    let names = ["tenant", "metric_type", "metric_description"];
    let rows: Vec<_> = points.map(|batch| names.map(|name| first(batch, name).unwrap_or_default())).collect();
    let want = [["default", "unknown", ""], ["default", "sum", "what m counts"], ["other", "unknown", ""]];
    assert_eq!(rows, want);
    running.stop().await;
}

/// 100 samples with 128 labels of 64 KiB each are 64 MiB once and 800 MiB in rows. Snappy makes 3 MiB of it.
#[tokio::test]
async fn a_request_that_would_explode_is_refused_whole() {
    let running = start().await;
    let value = "v".repeat(64 << 10);
    let names: Vec<_> = (0..100).map(|at| format!("l{at}")).collect();
    let names =
        [("__name__", "m")].into_iter().chain(names.iter().map(|name| (name.as_str(), value.as_str())));
    let timeseries = vec![series(&names.collect::<Vec<_>>(), &[sample(1.0); 100])];
    let body = WriteRequest { timeseries, ..WriteRequest::default() }.encode_to_vec();
    let reply = post(running.http, TYPE_1, &body).await;
    assert_eq!(reply.status.as_u16(), 413);
    assert_eq!(text(&reply), "the export is larger than 134217728 bytes in columns\n");
    assert_eq!(rows(&running), [0, 0]);
    running.stop().await;
}
