//! Clients of npm by `javascript/clients.js`: that of Prometheus's own editor, and that of Perses's data source.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{base, server_with_metrics};
use crate::postgres::clients::output;
use crate::sql::tools::{available, directory};

#[tokio::test]
async fn editors_and_data_sources_of_npm_are_answered() -> Result<()> {
    let modules = directory()?.join("promql-clients/node_modules");
    let how = "cp -r tests/e2e/prometheus/javascript ~/.cache/meshlake/test-tools/promql-clients && \
               npm ci --prefix ~/.cache/meshlake/test-tools/promql-clients";
    let Some(modules) = available(modules.join("react").exists().then_some(modules), how)? else {
        return Ok(());
    };
    let data = tempfile::tempdir()?;
    let (server, newest) = server_with_metrics(&data.path().join("data")).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/prometheus/javascript/clients.js");
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules).arg(script).args([base(&server), newest.to_string()]);
    let told = output(node).await?;
    let told: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
    let labels = ["__name__", "instance", "job", "service_instance_id", "service_name", "zone"];
    let editor = json!({
        "metrics": ["jobs_total", "latency_seconds", "queue_length"],
        "labels": labels,
        "zones": ["a", "b"],
        "series": ["a", "b"],
        "jobs": "counter",
        "flags": "object",
    });
    // The gauges' last values; the counter at its first, third and last sample.
    let perses = json!({
        "healthy": true,
        "instant": "55",
        "range": [["0", "60", "120"]],
        "labels": labels,
        "values": ["a", "b"],
        "series": 1,
        "metadata": "counter",
        "tree": "aggregation",
        "refused": 400,
    });
    let want = json!({"get": editor, "post": editor, "perses": perses});
    ensure!(told == want, "{told}\nwant {want}");
    Ok(())
}
