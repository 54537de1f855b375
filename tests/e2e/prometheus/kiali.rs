//! What Kiali asks of a Prometheus, of a mesh that has run: at its start, for the graph of a namespace, for health and for
//! the overview. Its rule is held to the answers: a series that lacks one of the labels below is not drawn.
//!
//! The queries are written after Kiali's sources (`graph/telemetry/istio`, `prometheus`), commit d733a096.

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use serde_json::Value;

use super::{base, data};
use crate::demo;
use crate::harness::request;

/// What edges are told apart by.
const GROUPING: [&str; 17] = [
    "source_cluster",
    "source_workload_namespace",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_cluster",
    "destination_service_namespace",
    "destination_service",
    "destination_service_name",
    "destination_workload_namespace",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
];

/// Those that may be missing.
const OPTIONAL: [&str; 3] = ["source_cluster", "destination_cluster", "grpc_response_status"];

/// Metrics without which Kiali turns parts of its page off.
const FEATURES: [&str; 10] = [
    "istio_request_bytes_bucket",
    "istio_request_bytes_count",
    "istio_request_bytes_sum",
    "istio_request_duration_milliseconds_bucket",
    "istio_request_duration_milliseconds_count",
    "istio_request_duration_milliseconds_sum",
    "istio_requests_total",
    "istio_response_bytes_bucket",
    "istio_response_bytes_count",
    "istio_response_bytes_sum",
];

/// What each query is about, and whether the mesh of the demo has any of it.
fn queries() -> Vec<(String, bool)> {
    let grouping = GROUPING.join(",");
    let of_requests = |selector: &str| {
        format!("round(sum(rate(istio_requests_total{{{selector}}} [300s])) by ({grouping}) > 0,0.001)")
    };
    let unserved = r#"reporter="source",source_workload_namespace!="default",destination_workload_namespace="unknown",destination_workload="unknown",destination_service=~"^.+\\.default\\..+$""#;
    let incoming = r#"reporter="destination",destination_workload_namespace="default""#;
    let outgoing = r#"reporter="source",source_workload_namespace="default""#;
    let sums = |metric: &str| format!("sum(rate({metric}{{{outgoing}}}[300s])) by ({grouping})");
    let response_time = format!(
        "round({} / {} > 0,0.001)",
        sums("istio_request_duration_milliseconds_sum"),
        sums("istio_request_duration_milliseconds_count")
    );
    let quantile = format!(
        "round(histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{{{incoming}}}[300s])) \
         by (le,{grouping})) > 0,0.001)"
    );
    let security = format!(
        "round(sum(rate(istio_requests_total{{{incoming}}}[300s])) by \
         ({grouping},source_principal,destination_principal,connection_security_policy) > 0,0.001)"
    );
    let throughput = format!("round({} > 0,0.001)", sums("istio_response_bytes_sum"));
    let tcp = format!(
        "round(sum(rate(istio_tcp_sent_bytes_total{{{outgoing}}} [300s])) by ({grouping}) > 0,0.001)"
    );
    let health = format!("rate(istio_requests_total{{{incoming}}}[1m]) > 0");
    let extension = "sum(rate(kiali_ext_requests_total[300s])) by (extension,dest_cluster,dest_namespace,dest_name,\
                     flags,protocol,secure,source_cluster,source_is_root,source_namespace,source_name,status_code) > 0";
    vec![
        (of_requests(unserved), false),
        (of_requests(incoming), true),
        (of_requests(outgoing), true),
        (response_time, true),
        (quantile, true),
        (security, true),
        (throughput, true),
        (tcp, false),
        (health, true),
        (extension.to_owned(), false),
    ]
}

#[tokio::test]
async fn kiali_draws_a_mesh() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (server, _) = demo::finished_with_a_past(&dir.path().join("data")).await?;
    let base = base(&server);
    for (query, is_there) in queries() {
        let answer = data(&base, "query", &[("query", &query)]).await?;
        ensure!(answer["resultType"] == "vector", "{query}: {answer}");
        let rows = answer["result"].as_array().context("a list")?;
        ensure!(!is_there || !rows.is_empty(), "nothing for {query}");
        let is_drawn = query.contains("source_workload,") && query.starts_with("round");
        for row in rows.iter().filter(|_| is_drawn) {
            let mut needed = GROUPING.iter().filter(|label| !OPTIONAL.contains(*label));
            let missing = needed.find(|label| row["metric"][**label].as_str().is_none_or(str::is_empty));
            ensure!(missing.is_none(), "{query}: {row} has no {missing:?}");
        }
    }
    let overview = "round(topk(6, histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket\
                    {destination_workload!=\"unknown\"}[300s])) by (le,destination_cluster,\
                    destination_service_namespace,destination_service_name)) > 0), 0.001)";
    let answer = data(&base, "query", &[("query", overview)]).await?;
    let services = answer["result"].as_array().context("a list")?.len();
    ensure!((1..=6).contains(&services), "{answer}");
    Ok(())
}

/// Kiali asks for these by GET, before anything else.
#[tokio::test]
async fn kiali_starts() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (server, _) = demo::finished(&dir.path().join("data"), 50).await?;
    let base = base(&server);
    let get = async |path: &str| -> Result<Value> {
        let (status, body) = request("GET", &format!("{base}{path}"), &[], Bytes::new()).await?;
        ensure!(status == 200, "{path}: {status}");
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    };
    get("/-/healthy").await?;
    let config = get("/api/v1/status/config").await?;
    let yaml = config["data"]["yaml"].as_str().unwrap_or_default();
    ensure!(yaml.starts_with("global:\n  scrape_interval: 15s\n"), "{config}");
    let runtime = get("/api/v1/status/runtimeinfo").await?;
    let days = runtime["data"]["storageRetention"].as_str().and_then(|days| days.strip_suffix('d'));
    ensure!(days.is_some_and(|days| days.parse::<u32>().is_ok()), "{runtime}");
    let build = get("/api/v1/status/buildinfo").await?;
    ensure!(build["data"]["version"].is_string(), "{build}");
    let names = get("/api/v1/label/__name__/values?start=0&end=4000000000").await?;
    let has =
        |name: &&str| names["data"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
    let missing: Vec<&str> = FEATURES.into_iter().filter(|name| !has(name)).collect();
    ensure!(missing.is_empty(), "{missing:?} are not among {names}");
    Ok(())
}
