//! `promtool query`, which speaks by Prometheus's own client library for Go: a POST of a form first.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{SAMPLES, STEP, base, program, server_with_metrics};
use crate::sql::tools::run;

async fn asked(promtool: &Path, arguments: &[&str]) -> Result<String> {
    run(promtool, [&["query"], arguments].concat()).await
}

async fn json_of(promtool: &Path, arguments: &[&str]) -> Result<Value> {
    let told = asked(promtool, &[&arguments[..1], &["--format=json"], &arguments[1..]].concat()).await?;
    serde_json::from_str(&told).with_context(|| format!("{arguments:?}: {told}"))
}

#[tokio::test]
async fn promtool_is_answered() -> Result<()> {
    let Some(promtool) = program("promtool")? else { return Ok(()) };
    let data = tempfile::tempdir()?;
    let (server, newest) = server_with_metrics(&data.path().join("data")).await?;
    let (base, time) = (base(&server), newest.to_string());

    let at = format!("--time={time}");
    let instant = json_of(&promtool, &["instant", &at, &base, "sum by (zone) (queue_length)"]).await?;
    let want = json!([
        {"metric": {"zone": "a"}, "value": [newest, "5"]},
        {"metric": {"zone": "b"}, "value": [newest, "50"]},
    ]);
    ensure!(instant == want, "{instant}");
    // Eleven more observations in each of the four steps of a minute.
    let histogram = json_of(&promtool, &["instant", &at, &base, "histogram_count(latency_seconds)"]).await?;
    ensure!(histogram[0]["value"] == json!([newest, (11 * SAMPLES).to_string()]), "{histogram}");

    let start = format!("--start={}", newest - (SAMPLES - 1) * STEP);
    let (end, step) = (format!("--end={time}"), format!("--step={STEP}s"));
    let query = "sum(queue_length{zone=\"a\"})";
    let range = json_of(&promtool, &["range", &start, &end, &step, &base, query]).await?;
    let values: Vec<Value> =
        (1..=SAMPLES).map(|at| json!([newest - (SAMPLES - at) * STEP, at.to_string()])).collect();
    ensure!(range == json!([{"metric": {}, "values": values}]), "{range}");

    let series = asked(&promtool, &["series", "--match=queue_length", &base]).await?;
    let zones = ["a", "b"].map(|zone| format!("zone=\"{zone}\""));
    ensure!(series.lines().count() == 2, "{series}");
    ensure!(zones.iter().all(|zone| series.contains(zone)) && series.contains("job=\"shop\""), "{series}");
    let labels = asked(&promtool, &["labels", &base, "zone"]).await?;
    ensure!(labels.split_whitespace().eq(["a", "b"]), "{labels}");

    let error = asked(&promtool, &["instant", &base, "sum("]).await.expect_err("it is no query");
    ensure!(format!("{error:#}").contains("unclosed left parenthesis"), "{error:#}");
    Ok(())
}
