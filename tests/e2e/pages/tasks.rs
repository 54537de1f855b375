//! An operator's questions by clicks from the first page, against what the mesh knows to have happened.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{lines, told};

/// The most clicks that each task may take.
const CLICKS_MAX: [(&str, u64); 3] = [("canary", 4), ("retries", 3), ("rollout", 3)];

pub async fn check(modules: &Path, base: &str, range: &str, truth: &Value) -> Result<()> {
    let done = told(modules, "tasks.js", &[base, range]).await?;
    for (task, clicks_max) in CLICKS_MAX {
        let clicks = done[task]["clicks"].as_u64().with_context(|| format!("no clicks of {task}: {done}"))?;
        ensure!(clicks <= clicks_max, "{task} takes {clicks} clicks");
        ensure!(lines(&done[task]["complaints"]).is_empty(), "{}", done[task]);
    }
    let canary = &done["canary"]["end"];
    ensure!(
        lines(&canary["worse"]).len() == 1 && lines(&canary["worse"])[0].starts_with("\"v3 "),
        "v3 alone is worse: {canary}"
    );
    ensure!(!lines(&canary["spans"]).is_empty(), "the trace shows the service: {canary}");

    let edges = truth["edges"].as_array().context("edges")?;
    let edge =
        edges.iter().find(|edge| edge["source"] == "default/reviews" && edge["target"] == "default/ratings");
    let retries = edge.context("reviews calls ratings")?["retries"].as_f64().context("retries")?;
    let policies = lines(&done["retries"]["end"]["policies"]);
    ensure!(
        policies.iter().any(|row| row.contains(&format!(" retried {retries} "))),
        "{retries} tries after the first: {policies:?}"
    );

    // The newest comes first. What the mesh lost by a restart are connections that failed.
    let rollouts = lines(&done["rollout"]["end"]["rollouts"]);
    let lost = truth["rollouts"].as_array().context("rollouts")?.iter().map(|rollout| &rollout["lost"]);
    ensure!(rollouts.len() == lost.len(), "{rollouts:?}");
    for (row, lost) in rollouts.iter().rev().zip(lost) {
        let is_told = if lost == 0 { !row.contains("UF") } else { row.contains(&format!("UF {lost}")) };
        ensure!(is_told, "{row}, of which the restart lost {lost}");
    }
    Ok(())
}
