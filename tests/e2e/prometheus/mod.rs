//! Clients of Prometheus as their users have them: `promtool`, `prometheus-api-client` from PyPI, editors and data sources
//! from npm, and a Prometheus that federates from us and reads from us by remote read. What they are asked has an answer
//! that is arithmetic on what was sent, or is asked of both.

mod promtool;
mod python;
mod javascript;
mod oracle;
mod peers;
mod kiali;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::Value;

use crate::harness::{Server, request};
use crate::payloads::{now_nanos, string};
use crate::sql::tools::{available, directory};

/// Seconds between samples, and how many there are of each series.
const STEP: u64 = 15;
const SAMPLES: u64 = 5;

/// OTLP's number for cumulative.
const CUMULATIVE: i32 = 2;

/// A server, and the time of the newest sample, seconds since the epoch.
///
/// ```text
/// queue_length{zone="a"}    1  2  3  4  5        a gauge
/// queue_length{zone="b"}   10 20 30 40 50
/// jobs_total                0 30 60 90 120       a counter
/// latency_seconds          a native histogram of schema 1: in bucket 1 ten more each time, in bucket 4 one
/// ```
async fn server_with_metrics(data: &Path) -> Result<(Server, u64)> {
    let server = Server::start(data).await?;
    let newest = now_nanos() / 1_000_000_000 / STEP * STEP;
    let url = format!("http://{}/v1/metrics", server.addresses.otlp_http);
    let headers = [("content-type", "application/x-protobuf")];
    let (status, body) = request("POST", &url, &headers, export(newest).encode_to_vec().into()).await?;
    ensure!(status == 200, "POST {url}: {status} {}", String::from_utf8_lossy(&body));
    Ok((server, newest))
}

/// Where the API of Prometheus is.
fn base(server: &Server) -> String {
    format!("http://{}/prometheus", server.addresses.query)
}

/// The `data` of an answer; what is asked goes by POST, as clients of Go do it.
async fn data(base: &str, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    parameters.iter().for_each(|(name, value)| _ = form.append_pair(name, value));
    let url = format!("{base}/api/v1/{path}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let (status, body) = request("POST", &url, &headers, form.finish().into()).await?;
    ensure!(status == 200, "{url} {parameters:?}: {status} {}", String::from_utf8_lossy(&body));
    let mut answer: Value = serde_json::from_slice(&body)?;
    Ok(answer["data"].take())
}

/// A program of Prometheus's release; see `.ci/run`.
fn program(name: &str) -> Result<Option<PathBuf>> {
    let path = directory()?.join("bin").join(name);
    let how = format!("{name} is not installed: .ci/run says how");
    available(path.exists().then_some(path), &how)
}

fn export(newest: u64) -> ExportMetricsServiceRequest {
    let metric = |name: &str, unit: &str, data: metric::Data| Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let queues = [("a", 1.0), ("b", 10.0)].into_iter().flat_map(|(zone, each)| {
        (1..=SAMPLES).map(move |at| point(newest, at, each * at as f64, Some(zone)))
    });
    let jobs = (1..=SAMPLES).map(|at| point(newest, at, 30.0 * (at - 1) as f64, None));
    let latencies = (1..=SAMPLES).map(|at| histogram(newest, at));
    let metrics = vec![
        metric("queue_length", "", metric::Data::Gauge(Gauge { data_points: queues.collect() })),
        metric(
            "jobs",
            "",
            metric::Data::Sum(Sum {
                data_points: jobs.collect(),
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
        ),
        metric(
            "latency",
            "s",
            metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: latencies.collect(),
                aggregation_temporality: CUMULATIVE,
            }),
        ),
    ];
    let attributes = vec![string("service.name", "shop"), string("service.instance.id", "shop-1")];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

/// When the sample number `at` was taken, nanoseconds since the epoch; counters began a step before the first.
fn taken(newest: u64, at: u64) -> u64 {
    (newest - (SAMPLES - at) * STEP) * 1_000_000_000
}

fn point(newest: u64, at: u64, value: f64, zone: Option<&str>) -> NumberDataPoint {
    NumberDataPoint {
        attributes: zone.map(|zone| string("zone", zone)).into_iter().collect(),
        start_time_unix_nano: taken(newest, 1),
        time_unix_nano: taken(newest, at),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn histogram(newest: u64, at: u64) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        start_time_unix_nano: taken(newest, 1),
        time_unix_nano: taken(newest, at),
        count: 11 * at,
        sum: Some(2.5 * at as f64),
        scale: 1,
        // OTLP's buckets are closed above: the one of index i is Prometheus's of i + 1.
        positive: Some(Buckets { offset: 0, bucket_counts: vec![10 * at, 0, 0, at] }),
        ..ExponentialHistogramDataPoint::default()
    }
}
