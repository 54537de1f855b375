//! Received metrics against a real Prometheus: both are sent the same bytes of OTLP and asked for all samples, which have to
//! be the same by name, labels, time and value.
//!
//! Prometheus makes totals of deltas as they arrive; what is before the first of a day is zero here and nothing there, which is
//! the one sample that is left out.

mod payload;
mod prometheus;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;
use serde_json::Value;

use crate::harness::{Server, request};
use crate::payloads::now_nanos;
use payload::{Export, all_shapes};
use prometheus::{Prometheus, Series, samples};

/// What a read of the other's answer may take.
const TIMEOUT: Duration = Duration::from_secs(240);

/// Labels that are made of the resource beside those that Prometheus promotes.
const DISCOVERED: [(&str, &str); 2] = [("namespace", "k8s_namespace_name"), ("pod", "k8s_pod_name")];

const SECOND: u64 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_every_shape_are_those_of_prometheus() -> Result<()> {
    // All of one day, as totals of deltas begin anew at midnight here.
    let now = now_nanos();
    let since_midnight = now % (86_400 * SECOND);
    let begin = if since_midnight < 600 * SECOND { now - since_midnight } else { now } - 300 * SECOND;
    let exports = (1..=6).map(|number| all_shapes(Export { number, time: begin + 10 * SECOND * number }));
    let same = tokio::time::timeout(TIMEOUT, are_the_same(exports.collect())).await?;
    // 11 gauges and sums with two points each for three resources, and the distributions of one.
    same.context("every shape").and_then(|count| at_least(count, 100))
}

/// Four exports of two Envoys, which name no service, so that both tell the same series in turn.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_envoys_are_those_of_prometheus() -> Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/otlp-envoy");
    let read = |number: u64| -> Result<ExportMetricsServiceRequest> {
        let bytes = std::fs::read(dir.join(format!("metrics-sidecars-{number}.pb")))?;
        Ok(ExportMetricsServiceRequest::decode(bytes.as_slice())?)
    };
    let mut exports: Vec<_> = (1..=4).map(read).collect::<Result<_>>()?;
    let begin = now_nanos() - 60 * SECOND;
    for (number, export) in (1..).zip(&mut exports) {
        let time = begin + SECOND * number;
        each_time(export, |own| *own = time);
    }
    let same = tokio::time::timeout(TIMEOUT, are_the_same(exports)).await?;
    // The second of them has 295 metrics of one point each.
    same.context("Envoys").and_then(|count| at_least(count, 295))
}

fn at_least(count: Option<usize>, least: usize) -> Result<()> {
    ensure!(count.is_none_or(|count| count >= least), "{count:?} series are too few");
    Ok(())
}

/// Sends both the same and compares; how many series there are, none without a Prometheus.
async fn are_the_same(exports: Vec<ExportMetricsServiceRequest>) -> Result<Option<usize>> {
    let dir = tempfile::tempdir()?;
    let Some(other) = Prometheus::start(dir.path()).await? else { return Ok(None) };
    let server = Server::start(&dir.path().join("data")).await?;
    for export in &exports {
        let body = Bytes::from(export.encode_to_vec());
        let urls = [
            format!("http://{}/v1/metrics", server.addresses.otlp_http),
            format!("http://{}/api/v1/otlp/v1/metrics", other.address),
        ];
        for url in urls {
            let headers = [("content-type", "application/x-protobuf")];
            let (status, answer) = request("POST", &url, &headers, body.clone()).await?;
            ensure!(status == 200, "{url}: {status} {}", String::from_utf8_lossy(&answer));
        }
    }
    let now = now_nanos() / SECOND;
    let selector = r#"{__name__=~".+"}"#;
    let ours = samples(&format!("http://{}/prometheus", server.addresses.query), selector, now).await?;
    let theirs = samples(&format!("http://{}", other.address), selector, now).await?;
    compare(&ours.into_iter().map(as_prometheus).collect::<Result<Series>>()?, &theirs)?;
    server.check_for_panics()?;
    ensure!(server.terminate().await? == Some(0), "the server did not end well");
    Ok(Some(theirs.len()))
}

/// A series of ours without what Prometheus has not.
fn as_prometheus(
    (labels, mut samples): (String, std::collections::BTreeMap<i64, Value>),
) -> Result<(String, std::collections::BTreeMap<i64, Value>)> {
    let mut labels: serde_json::Map<String, Value> = serde_json::from_str(&labels)?;
    for (name, promoted) in DISCOVERED {
        if let Some(value) = labels.remove(name) {
            ensure!(Some(&value) == labels.get(promoted), "{name} is not {promoted}");
        }
    }
    if labels["__name__"].as_str().is_some_and(|name| name.starts_with("delta_")) {
        let first = samples.pop_first().context("a delta series has samples")?;
        ensure!(first.1 == "0", "before the first delta is {}", first.1);
    }
    Ok((serde_json::to_string(&labels)?, samples))
}

/// Fails with the first differences.
fn compare(ours: &Series, theirs: &Series) -> Result<()> {
    let names = |series: &Series, other: &Series| -> Vec<String> {
        series.keys().filter(|labels| !other.contains_key(*labels)).take(5).cloned().collect()
    };
    let (only_ours, only_theirs) = (names(ours, theirs), names(theirs, ours));
    ensure!(
        only_ours.is_empty() && only_theirs.is_empty(),
        "only ours:\n{}\nonly Prometheus's:\n{}",
        only_ours.join("\n"),
        only_theirs.join("\n")
    );
    for (labels, samples) in ours {
        let other = &theirs[labels];
        let times =
            |samples: &std::collections::BTreeMap<i64, Value>| samples.keys().copied().collect::<Vec<_>>();
        ensure!(times(samples) == times(other), "{labels}: {samples:?}\nPrometheus: {other:?}");
        let differs = samples.iter().zip(other).find(|(own, other)| !is_same(own.1, other.1));
        ensure!(differs.is_none(), "{labels}: {differs:?}");
    }
    Ok(())
}

/// Whether two values are the same; numbers, which are text, to 1e-9.
fn is_same(own: &Value, other: &Value) -> bool {
    match (own, other) {
        (Value::Object(own), Value::Object(other)) => {
            own.len() == other.len()
                && own.iter().all(|(key, value)| other.get(key).is_some_and(|o| is_same(value, o)))
        }
        (Value::Array(own), Value::Array(other)) => {
            own.len() == other.len() && own.iter().zip(other).all(|(own, other)| is_same(own, other))
        }
        (Value::String(own), Value::String(other)) => match (own.parse::<f64>(), other.parse::<f64>()) {
            (Ok(a), Ok(b)) => {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
            }
            _ => own == other,
        },
        _ => own == other,
    }
}

/// Calls `change` with the time of every point.
fn each_time(export: &mut ExportMetricsServiceRequest, mut change: impl FnMut(&mut u64)) {
    let scopes = export.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &mut scope.metrics) {
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => {
                gauge.data_points.iter_mut().for_each(|point| change(&mut point.time_unix_nano));
            }
            Some(Data::Sum(sum)) => {
                sum.data_points.iter_mut().for_each(|point| change(&mut point.time_unix_nano));
            }
            Some(Data::Histogram(histogram)) => {
                histogram.data_points.iter_mut().for_each(|point| change(&mut point.time_unix_nano));
            }
            _ => {}
        }
    }
}
