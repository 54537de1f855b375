//! Worked questions of the documentation, answered with what the demo mesh really did.
//!
//! That each of them can be asked is tried where all of the documentation is; here are those for which the mesh has
//! counted the answer itself.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::demo;

const PAGE: &str = include_str!("../../../docs/sql-questions.md");

/// The statement behind the sentence `question`.
fn statement(question: &str) -> Result<&'static str> {
    let behind = PAGE.split_once(question).with_context(|| format!("{question} is not asked"))?.1;
    let block = behind.split_once("```sql\n").and_then(|(_, block)| block.split_once("```"));
    Ok(block.with_context(|| format!("{question} has no statement"))?.0)
}

fn rows<'a>(truth: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    truth[key].as_array().with_context(|| format!("no {key} in {truth}"))
}

fn number(value: &Value) -> u64 {
    value.as_f64().map_or(0, |number| number as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_demo_mesh_counted_is_what_questions_answer() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (server, truth) = demo::finished(&dir.path().join("data"), 300).await?;

    let retried = server.sql(statement("Retries that hid failures from the caller:")?).await?;
    let have: BTreeSet<_> = retried
        .iter()
        .map(|row| {
            (row[0].to_string(), row[1].to_string(), number(&row[2]), number(&row[3]), number(&row[4]))
        })
        .collect();
    let want: BTreeSet<_> = rows(&truth, "edges")?
        .iter()
        .filter(|edge| number(&edge["retries"]) > 0)
        .map(|edge| {
            let [requests, errors, retries] = ["requests", "errors", "retries"].map(|key| number(&edge[key]));
            (edge["source"].to_string(), edge["target"].to_string(), requests, errors, retries)
        })
        .collect();
    ensure!(!want.is_empty() && have == want, "retries: {have:?}, the mesh made {want:?}");

    let budgets = server.sql(statement("How much of an error budget of 0.1 %")?).await?;
    for service in rows(&truth, "services")?.iter().filter(|service| number(&service["requests"]) > 0) {
        let id = service["id"].as_str().context("an id is text")?;
        let name = id.rsplit('/').next().unwrap_or(id);
        let row = budgets.iter().find(|row| row[0] == name).with_context(|| format!("{id} is missing"))?;
        let want = ["requests", "errors"].map(|key| number(&service[key]));
        ensure!([number(&row[1]), number(&row[2])] == want, "{id}: {row:?}, the mesh counted {want:?}");
    }

    let calls = server.sql(statement("## Who calls whom")?).await?;
    let made = |edges: &[Value]| edges.iter().map(|edge| number(&edge["requests"])).sum::<u64>();
    let (have, want) = (calls.iter().map(|row| number(&row[3])).sum::<u64>(), made(rows(&truth, "edges")?));
    ensure!(have == want, "{have} calls, the mesh made {want}");
    Ok(())
}
