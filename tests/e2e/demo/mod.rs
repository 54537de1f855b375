//! The demo mesh knows exactly what it sent; the APIs must say the same.
//!
//! Counts and edges must be equal, percentiles within 1.1 % of the exact nearest-rank ones (the error
//! bound of the scale-5 histogram is 1.083 %).

mod operations;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::harness::Server;

const RELATIVE_ERROR: f64 = 0.011;
const TIMEOUT: Duration = Duration::from_secs(120);

/// A server on `data_dir` after a mesh of so many visits, and what was really sent.
pub async fn finished(data_dir: &Path, visits: u32) -> Result<(Server, Value)> {
    ended(data_dir, &["--rate", "200", "--requests", &visits.to_string()]).await
}

/// The same of the last two minutes: whoever asks about now, of whole ten seconds, finds them whenever it asks.
pub async fn finished_with_a_past(data_dir: &Path) -> Result<(Server, Value)> {
    ended(data_dir, &["--rate", "5", "--requests", "600", "--history", "2m"]).await
}

/// The same of seventeen minutes of five visits a second, which are past: a restart that costs nothing, one that does, and an
/// upgrade of sidecars.
pub async fn finished_with_restarts(data_dir: &Path) -> Result<(Server, Value)> {
    ended(data_dir, &["--rate", "5", "--requests", "5100", "--history", "17m"]).await
}

/// When the mesh ran, as an address says it.
pub fn range(truth: &Value) -> Result<String> {
    Ok(format!("from={}&to={}", text(&truth["from"])?, text(&truth["to"])?))
}

/// The same of a mesh with these arguments, which make it end.
async fn ended(data_dir: &Path, arguments: &[&str]) -> Result<(Server, Value)> {
    let truth_file = data_dir.with_extension("truth.json");
    let truth_path = truth_file.to_str().context("the temporary path is UTF-8")?;
    let arguments = [&["demo", "--seed", "7", "--truth", truth_path], arguments].concat();
    let server = Server::start_with(&arguments, data_dir, &[]).await?;
    let written = async {
        loop {
            if let Some(truth) =
                std::fs::read(&truth_file).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                return truth;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let truth = tokio::time::timeout(TIMEOUT, written).await.context("the mesh did not end in time")?;
    Ok((server, truth))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_tells_the_truth_about_the_demo_mesh() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (server, truth) = finished(&dir.path().join("data"), 600).await?;
    let range = range(&truth)?;

    let golden = server.get(&format!("/api/v1/golden?by=service&{range}")).await?;
    check_services(&truth, &golden)?;
    let graph = server.get(&format!("/api/v1/graph?by=service&{range}")).await?;
    check_edges(&truth, &graph)?;
    operations::check(&server, &truth, &range).await?;
    check_ledger(&truth, &server.get("/api/v1/ledger").await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rolling_restart_cost_is_what_the_mesh_lost() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (server, truth) = finished_with_restarts(&dir.path().join("data")).await?;
    let range = range(&truth)?;

    let found = server.get(&format!("/api/v1/rollouts?service=productpage&{range}")).await?;
    let (restarts, truths) = (rows(&found, "rollouts")?, rows(&truth, "rollouts")?);
    assert_eq!((restarts.len(), truths.len()), (3, 3), "{found}\n{truths:?}");
    // The newest comes first.
    for ((restart, want), verdict) in restarts.iter().rev().zip(truths).zip(["none", "some", "none"]) {
        let pods = |key: &str| -> Result<BTreeSet<String>> {
            Ok(rows(restart, key)?.iter().map(|life| life["instance"].to_string()).collect())
        };
        let named = |key: &str| -> Result<BTreeSet<String>> {
            Ok(rows(want, key)?.iter().map(Value::to_string).collect())
        };
        assert_eq!((pods("went")?, pods("came")?), (named("went")?, named("came")?), "{restart}");
        assert_eq!((&restart["kind"], &found["service"]), (&want["kind"], &want["service"]));
        let by_flag = rows(&restart["cost"], "by")?.iter().find(|loss| loss["response_flags"] == "UF");
        let lost = by_flag.map_or(0.0, |loss| loss["during"].as_f64().unwrap_or(-1.0));
        assert_eq!(Some(lost), want["lost"].as_f64(), "{restart}");
        assert_eq!(restart["cost"]["verdict"], verdict, "{restart}");
    }
    ensure!(truths[1]["lost"].as_u64() > Some(0), "the second restart costs something: {truths:?}");
    let releases = |key: &str| -> Result<BTreeSet<String>> {
        Ok(rows(&restarts[0], key)?.iter().map(|life| life["proxy_version"].to_string()).collect())
    };
    let [old, new] = ["\"1.27.1\"", "\"1.27.2\""].map(|release| BTreeSet::from([release.to_owned()]));
    assert_eq!((releases("went")?, releases("came")?), (old, new), "{}", restarts[0]);
    check_dark(&truth, &server.get(&format!("/api/v1/dark?{range}")).await?)
}

/// The service outside, the database that only spans tell of, and nothing else but what the truth's edges have.
fn check_dark(truth: &Value, dark: &Value) -> Result<()> {
    for (target, kind) in [("api.payments.example", "outside"), ("mysqldb", "no_proxy")] {
        let want = rows(truth, "edges")?.iter().find(|edge| edge["target"] == target);
        let want = want.with_context(|| format!("no edge to {target}"))?;
        let have = rows(dark, "edges")?.iter().find(|edge| edge["target"]["id"] == target);
        let have = have.with_context(|| format!("{target} is not dark in {dark}"))?;
        let calls = rows(have, "dark")?.iter().find(|calls| calls["kind"] == kind);
        let calls = calls.with_context(|| format!("{have} is not {kind}"))?;
        assert_eq!(calls["requests"].as_f64(), want["requests"].as_f64(), "{have}");
    }
    Ok(())
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

fn rows<'a>(answer: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    answer[key].as_array().with_context(|| format!("no {key} in {answer}"))
}

fn check_services(truth: &Value, golden: &Value) -> Result<()> {
    for want in rows(truth, "services")? {
        let id = text(&want["id"])?;
        let have = rows(golden, "rows")?.iter().find(|row| {
            let namespace =
                row["namespace"].as_str().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            format!("{namespace}{}", row["service"].as_str().unwrap_or_default()) == id
        });
        let have = have.with_context(|| format!("no golden row for {id} in {golden}"))?;
        for key in ["requests", "errors", "client_errors", "aborted"] {
            assert_eq!(have[key].as_f64(), want[key].as_f64(), "{key} of {id}: {have} want {want}");
        }
        for key in ["p50_ms", "p90_ms", "p95_ms", "p99_ms"] {
            let (have, want) = (have[key].as_f64().context(key)?, want[key].as_f64().context(key)?);
            assert!((have - want).abs() <= want * RELATIVE_ERROR, "{key} of {id}: {have}, exact {want}");
        }
    }
    Ok(())
}

fn check_edges(truth: &Value, graph: &Value) -> Result<()> {
    let key = |edge: &Value| (edge["source"].to_string(), edge["target"].to_string());
    let have: BTreeSet<_> = rows(graph, "edges")?.iter().map(key).collect();
    let want: BTreeSet<_> = rows(truth, "edges")?.iter().map(key).collect();
    assert_eq!(have, want, "the edges of the graph");
    for want in rows(truth, "edges")? {
        let have =
            rows(graph, "edges")?.iter().find(|edge| key(edge) == key(want)).context("checked above")?;
        for count in ["requests", "errors", "retries"] {
            assert_eq!(have[count].as_f64(), want[count].as_f64(), "{count}: {have} want {want}");
        }
    }
    Ok(())
}

fn check_ledger(truth: &Value, ledger: &Value) -> Result<()> {
    let sum = |signal: &str, column: &str| -> Result<f64> {
        let of_signal = rows(ledger, "rows")?.iter().filter(|row| row["signal"] == signal);
        Ok(of_signal.filter_map(|row| row[column].as_f64()).sum())
    };
    for (signal, sent) in [("traces", "spans"), ("requests", "log_entries"), ("metrics", "metric_points")] {
        let sent = truth["sent"][sent].as_f64().with_context(|| format!("sent {sent}"))?;
        ensure!(sum(signal, "received")? == sent, "{signal}: sent {sent}, ledger {ledger}");
        ensure!(sum(signal, "durable")? == sent, "{signal}: sent {sent}, ledger {ledger}");
    }
    Ok(())
}
