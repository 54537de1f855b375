//! A real Envoy with every policy configured, each for one path: each refusal is told under its policy, with the number
//! of calls that the client saw refused.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;

use crate::envoy::{envoy_binary, free_port, port_of, start_backend, start_envoy, wait_for, whole};
use crate::harness::{Server, request};

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
    let listen = free_port().await?;
    let _envoy = start_envoy(&envoy, dir.path(), "policies", listen, backend, collector).await?;

    // By service and path: what the client was answered, once for each code.
    let mut answered: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    let paths = [
        ("reviews", "/limited"),
        ("reviews", "/fault"),
        ("reviews", "/denied"),
        ("reviews", "/slow"),
        ("reviews", "/unavail"),
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
    ] {
        ensure!(codes(path, code) == want, "{path}: {answered:?}");
    }

    wait_for(&server, "SELECT count(*) FROM requests", paths.len() as i64 * ROUNDS).await?;
    let answer = server.get("/api/v1/policies?client=productpage").await?;
    let rows = answer["rows"].as_array().context("rows")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let told: BTreeMap<[String; 4], i64> = rows
        .iter()
        .map(|row| (["server", "at", "policy", "reason"].map(|key| text(&row[key])), whole(&row["requests"])))
        .collect();
    let want: BTreeMap<[String; 4], i64> = [
        (["reviews", "rate_limit", "RL"], ROUNDS - UNLIMITED),
        (["reviews", "fault_injection", "FI"], ROUNDS),
        (["reviews", "authorization", "rbac_access_denied_matched_policy[deny-all]"], ROUNDS),
        (["reviews", "timeout", "UT"], ROUNDS),
        (["reviews", "retry", "URX"], ROUNDS),
        // Two tries after the first of each.
        (["reviews", "retry", "retried"], 2 * ROUNDS),
        (["breaker", "circuit_breaker", "UO"], ROUNDS),
        (["outlier", "outlier_ejection", "UH"], ejected),
    ]
    .map(|([service, policy, reason], calls)| {
        ([format!("default/{service}"), "client".into(), policy.into(), reason.into()], calls)
    })
    .into();
    assert_eq!(told, want, "{answer}");
    Ok(())
}
