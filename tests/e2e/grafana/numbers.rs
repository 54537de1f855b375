//! What the panels of rates show is what happened: the same questions, summed over all that the mesh did, are the counts
//! of the demo's own truth and of the API.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::ask;
use super::boards::Times;
use crate::harness::Server;

/// Calls of the range, by metrics counted from calls, are those of the truth.
pub async fn check(server: &Server, truth: &Value, times: Times) -> Result<()> {
    let seconds = times.to - times.from;
    let mut compared = Vec::new();
    for service in truth["services"].as_array().context("services")? {
        let id = service["id"].as_str().context("an id")?;
        let Some((namespace, name)) = id.split_once('/') else { continue };
        let selector = format!(
            r#"reporter="destination", destination_service_namespace="{namespace}", destination_service_name="{name}""#
        );
        let counted =
            sum(server, &format!("sum(increase(istio_requests_total{{{selector}}}[{seconds}s]))"), times)
                .await?;
        let want = service["requests"].as_f64().context("requests")?;
        // What only spans or messages tell of has no request of a proxy.
        if counted != 0.0 {
            assert_eq!(counted, want, "{id}");
            compared.push(name);
        }
    }
    for name in ["productpage", "reviews", "ratings", "details"] {
        ensure!(compared.contains(&name), "{name} has no requests: {compared:?}");
    }
    Ok(())
}

async fn sum(server: &Server, query: &str, times: Times) -> Result<f64> {
    Ok(ask(server, query, true, times).await?.first().copied().unwrap_or(0.0))
}
