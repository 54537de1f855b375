//! Two real Envoys with every policy configured, each for one path: each refusal is told under its policy and by whom, with the
//! number of calls that the client saw refused. And what limiters and breakers of Java programs refuse, by spans of the Java agent.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;

use crate::envoy::{
    configuration, envoy_binary, free_port, port_of, start_backend, start_envoy, start_with, wait_for, whole,
};
use crate::harness::{Server, request};
use crate::payloads::now_nanos;

/// Requests per path.
const ROUNDS: i64 = 20;

/// What the rate limit lets pass before it refuses; see `tests/data/envoy/policies.yaml`.
const UNLIMITED: i64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_envoy_refuses_is_told_under_its_policy() -> Result<()> {
    let Some(envoy) = envoy_binary()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let collector = port_of(&server.addresses.otlp_grpc)?;
    let (backend, counts) = start_backend().await?;
    let (listen, reviews) = (free_port().await?, free_port().await?);
    let _reviews = start_envoy(&envoy, dir.path(), "policies-reviews", reviews, backend, collector).await?;
    let config = configuration("policies")?.replace("@REVIEWS@", &reviews.to_string());
    let _envoy = start_with(&envoy, dir.path(), "policies", &config, [listen, backend, collector]).await?;

    // By service and path: what the client was answered, once for each code.
    let mut answered: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    let paths = [
        ("reviews", "/limited"),
        ("reviews", "/fault"),
        ("reviews", "/denied"),
        ("reviews", "/slow"),
        ("reviews", "/unavail"),
        ("reviews", "/theirs/limited"),
        ("reviews", "/theirs/denied"),
        ("breaker", "/breaker"),
        ("outlier", "/err"),
    ];
    for (service, path) in paths {
        let host = format!("{service}.default.svc.cluster.local:8080");
        for _ in 0..ROUNDS {
            let url = format!("http://127.0.0.1:{listen}{path}");
            let (status, _) = request("GET", &url, &[("host", &host)], Bytes::new()).await?;
            *answered.entry((path, i64::from(status))).or_default() += 1;
        }
    }
    let codes = |path, code| answered.get(&(path, code)).copied().unwrap_or_default();
    // Envoy ejects a host from another thread, so that a few calls may still reach it.
    let ejected = codes("/err", 503);
    let reached = counts.lock().expect("no test panicked").get("/err").copied().unwrap_or_default();
    ensure!(ejected > 0 && ejected + reached == ROUNDS, "{answered:?}, {reached} reached the backend");
    for (path, code, want) in [
        ("/limited", 429, ROUNDS - UNLIMITED),
        ("/fault", 500, ROUNDS),
        ("/denied", 403, ROUNDS),
        ("/slow", 504, ROUNDS),
        ("/unavail", 503, ROUNDS),
        ("/breaker", 503, ROUNDS),
        ("/theirs/limited", 429, ROUNDS - UNLIMITED),
        ("/theirs/denied", 403, ROUNDS),
    ] {
        ensure!(codes(path, code) == want, "{path}: {answered:?}");
    }

    // Of those of the caller's proxy that reached the other: each slow one, three tries of each that was tried again, its own.
    let arrived = UNLIMITED + ROUNDS + 3 * ROUNDS + 2 * ROUNDS;
    wait_for(&server, "SELECT count(*) FROM requests", paths.len() as i64 * ROUNDS + arrived).await?;
    let answer = server.get("/api/v1/policies?client=productpage").await?;
    let told = told(&answer, ["server", "at", "policy", "reason"])?;
    let denied = "rbac_access_denied_matched_policy[deny-all]";
    let want: BTreeMap<[String; 4], i64> = [
        (["reviews", "client", "rate_limit", "RL"], ROUNDS - UNLIMITED),
        (["reviews", "client", "fault_injection", "FI"], ROUNDS),
        (["reviews", "client", "authorization", denied], ROUNDS),
        (["reviews", "client", "timeout", "UT"], ROUNDS),
        (["reviews", "client", "retry", "URX"], ROUNDS),
        // Two tries after the first of each.
        (["reviews", "client", "retry", "retried"], 2 * ROUNDS),
        (["breaker", "client", "circuit_breaker", "UO"], ROUNDS),
        (["outlier", "client", "outlier_ejection", "UH"], ejected),
        // Who timed out is gone.
        (["reviews", "server", "caller", "DC"], ROUNDS),
        (["reviews", "server", "rate_limit", "RL"], ROUNDS - UNLIMITED),
        (["reviews", "server", "authorization", denied], ROUNDS),
    ]
    .map(|([service, at, policy, reason], calls)| {
        ([format!("default/{service}"), at.into(), policy.into(), reason.into()], calls)
    })
    .into();
    assert_eq!(told, want, "{answer}");
    Ok(())
}

/// What the Java agent sent of a program with Resilience4j and Sentinel, as if it were of a minute ago; what it called is in the
/// README beside the capture. Each path was called once, of which four let Sentinel's flow rule out, three of them wrapped.
#[tokio::test(flavor = "multi_thread")]
async fn what_java_programs_refuse_is_told_under_its_policy() -> Result<()> {
    let mut export = ExportTraceServiceRequest::decode(&include_bytes!("../data/otlp-java/refusals.pb")[..])?;
    let spans = || export.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let starts = spans().flat_map(|scope| &scope.spans).map(|span| span.start_time_unix_nano);
    let later = (now_nanos() - 60_000_000_000).saturating_sub(starts.min().context("spans")?);
    for resource in &mut export.resource_spans {
        for span in resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
            span.start_time_unix_nano += later;
            span.end_time_unix_nano += later;
            span.events.iter_mut().for_each(|event| event.time_unix_nano += later);
        }
    }
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let kind = [("content-type", "application/x-protobuf")];
    let (status, body) = request("POST", &url, &kind, Bytes::from(export.encode_to_vec())).await?;
    ensure!(status == 200, "{status} {}", String::from_utf8_lossy(&body));

    let answer = server.get("/api/v1/policies").await?;
    // Who called is another each time.
    let told = told(&answer, ["at", "policy", "reason"])?;
    let sentinel = "com.alibaba.csp.sentinel.slots.block";
    let resilience4j = "io.github.resilience4j";
    let want: BTreeMap<[String; 3], i64> = [
        ("circuit_breaker", format!("{resilience4j}.circuitbreaker.CallNotPermittedException"), 2),
        ("circuit_breaker", format!("{resilience4j}.bulkhead.BulkheadFullException"), 1),
        ("rate_limit", format!("{resilience4j}.ratelimiter.RequestNotPermitted"), 1),
        ("rate_limit", format!("{sentinel}.flow.FlowException"), 4),
        ("circuit_breaker", format!("{sentinel}.degrade.DegradeException"), 1),
        ("authorization", format!("{sentinel}.authority.AuthorityException"), 1),
        ("rate_limit", "http_429".to_owned(), 1),
    ]
    .map(|(policy, reason, calls)| (["server".to_owned(), policy.to_owned(), reason], calls))
    .into();
    assert_eq!(told, want, "{answer}");
    Ok(())
}

/// Calls of the rows of an answer, by what these keys say.
fn told<const N: usize>(answer: &Value, keys: [&str; N]) -> Result<BTreeMap<[String; N], i64>> {
    let mut told = BTreeMap::new();
    for row in answer["rows"].as_array().context("rows")? {
        let key = keys.map(|key| row[key].as_str().unwrap_or_default().to_owned());
        *told.entry(key).or_default() += whole(&row["requests"]);
    }
    Ok(told)
}
