//! `prometheus-api-client` from PyPI, by `client.py`.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{SAMPLES, STEP, base, server_with_metrics};
use crate::sql::tools::{python, run};

#[tokio::test]
async fn the_client_of_python_is_answered() -> Result<()> {
    let Some(python) = python(&["prometheus_api_client"])? else { return Ok(()) };
    let data = tempfile::tempdir()?;
    let (server, newest) = server_with_metrics(&data.path().join("data")).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/prometheus/client.py");
    let script = script.to_str().context("a path in UTF-8")?;
    let told = run(&python, [script, &base(&server), &newest.to_string()]).await?;
    let told: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
    let first = newest - (SAMPLES - 1) * STEP;
    let want = json!({
        "is_connected": true,
        "metrics": ["jobs_total", "latency_seconds", "queue_length"],
        "zones": ["a", "b"],
        "zone_is_a_label": true,
        "now": [["a", "5"], ["b", "50"]],
        // A hundred and twenty jobs, told from the counter's beginning on.
        "range": [[first, "0"], [newest, "120"]],
        "sum": "55",
    });
    ensure!(told == want, "{told}\nwant {want}");
    Ok(())
}
