//! What operators are told of the demo mesh is what it did.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{rows, text};
use crate::harness::Server;

/// Compares every answer for operators with the truth over its range.
pub(super) async fn check(server: &Server, truth: &Value, range: &str) -> Result<()> {
    for worse in rows(truth, "worse")? {
        let path = format!("/api/v1/versions?service={}&{range}", text(&worse["service"])?);
        check_versions(truth, worse, &server.get(&path).await?)?;
    }
    for overloaded in rows(truth, "overloaded")? {
        let path = format!("/api/v1/balance?service={}&{range}", text(&overloaded["service"])?);
        check_balance(truth, overloaded, &server.get(&path).await?)?;
        let path = format!("/api/v1/saturation?service={}&{range}", text(&overloaded["service"])?);
        check_saturation(truth, overloaded, &server.get(&path).await?)?;
    }
    check_policies(truth, &server.get(&format!("/api/v1/policies?{range}")).await?)?;
    check_gateways(truth, &server.get(&format!("/api/v1/gateways?{range}")).await?)?;
    check_dark(truth, &server.get(&format!("/api/v1/dark?{range}")).await?)
}

/// Each version has the calls that it received, and the canary alone is worse.
fn check_versions(truth: &Value, worse: &Value, answer: &Value) -> Result<()> {
    let counts = |list: &[Value]| -> BTreeMap<String, [Option<f64>; 3]> {
        let of = |row: &Value| ["requests", "errors", "aborted"].map(|key| row[key].as_f64());
        list.iter().map(|row| (row["version"].to_string(), of(row))).collect()
    };
    let service = &worse["service"];
    let own = rows(truth, "versions")?.iter().filter(|row| row["id"] == *service).cloned();
    assert_eq!(counts(rows(answer, "versions")?), counts(&own.collect::<Vec<_>>()), "{answer}");
    for version in rows(answer, "versions")?.iter().filter(|version| !version["comparison"].is_null()) {
        let is_worse = version["comparison"]["verdict"] == "worse";
        ensure!(is_worse == (version["version"] == worse["part"]), "{worse}: {answer}");
    }
    Ok(())
}

fn check_balance(truth: &Value, overloaded: &Value, answer: &Value) -> Result<()> {
    let own = rows(truth, "instances")?.iter().filter(|row| row["service"] == overloaded["service"]);
    let counts = |row: &Value| (row["instance"].to_string(), row["requests"].as_u64());
    let want: BTreeMap<_, _> = own.map(counts).collect();
    let have: BTreeMap<_, _> = rows(answer, "instances")?.iter().map(counts).collect();
    assert_eq!(have, want, "{answer}");
    ensure!(answer["verdict"] == "uneven", "{answer}");
    let found = rows(answer, "instances")?.iter().find(|row| row["instance"] == overloaded["part"]);
    let odd = found.context("the overloaded instance")?["odd"].to_string();
    ensure!(odd.contains("busy") && odd.contains("slow"), "{answer}");
    Ok(())
}

/// Most calls are in progress where the overload is.
fn check_saturation(truth: &Value, overloaded: &Value, answer: &Value) -> Result<()> {
    let instances = rows(answer, "instances")?;
    let fullest = instances.first().context("an instance")?;
    ensure!(fullest["instance"] == overloaded["part"], "{answer}");
    let full = rows(truth, "policies")?.iter().filter(|row| row["server"] == overloaded["service"]);
    let full = full.filter(|row| ["UO", "RL"].contains(&row["reason"].as_str().unwrap_or_default()));
    let want: u64 = full.filter_map(|row| row["requests"].as_u64()).sum();
    let have: u64 = rows(answer, "refused")?.iter().filter_map(|row| row["requests"].as_u64()).sum();
    assert_eq!(have, want, "{answer}");
    ensure!(!rows(answer, "waiting")?.is_empty(), "{answer}");
    Ok(())
}

fn check_policies(truth: &Value, answer: &Value) -> Result<()> {
    let counts = |row: &Value| {
        let key = ["client", "server", "at", "reason"].map(|key| row[key].to_string());
        (key, row["requests"].as_u64())
    };
    let want: BTreeMap<_, _> = rows(truth, "policies")?.iter().map(counts).collect();
    let have: BTreeMap<_, _> = rows(answer, "rows")?.iter().map(counts).collect();
    assert_eq!(have, want);
    Ok(())
}

fn check_gateways(truth: &Value, answer: &Value) -> Result<()> {
    let counts = |row: &Value| {
        let key = ["gateway", "host"].map(|key| row[key].to_string());
        (key, row["requests"].as_u64())
    };
    let want: BTreeMap<_, _> = rows(truth, "gateways")?.iter().map(counts).collect();
    let have: BTreeMap<_, _> = rows(answer, "rows")?.iter().map(counts).collect();
    assert_eq!(have, want, "{answer}");
    Ok(())
}

/// What came without TLS and what went to where no service is known is so on no other edge.
fn check_dark(truth: &Value, answer: &Value) -> Result<()> {
    let is_asked = |calls: &&Value| calls["kind"] == "plaintext" || calls["kind"] == "passthrough";
    let mut have = BTreeMap::new();
    for edge in rows(answer, "edges")? {
        for calls in rows(edge, "dark")?.iter().filter(is_asked) {
            let ends = [&edge["source"]["id"], &edge["target"]["id"], &calls["kind"]].map(Value::to_string);
            have.insert(ends, calls["requests"].as_f64());
        }
    }
    let key = |row: &Value| ["client", "server", "kind"].map(|key| row[key].to_string());
    let want: BTreeMap<_, _> =
        rows(truth, "dark")?.iter().map(|row| (key(row), row["requests"].as_f64())).collect();
    ensure!(want.len() == 2, "{want:?}");
    assert_eq!(have, want, "{answer}");
    Ok(())
}
