//! Worked questions of the documentation, answered with what the demo mesh really did.
//!
//! That each of them can be asked is tried where all of the documentation is; here are those for which the
//! mesh has counted the answer itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::demo;
use crate::harness::Server;

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

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The last part of `namespace/name`.
fn name_of(id: &Value) -> &str {
    text(id).rsplit('/').next().unwrap_or_default()
}

async fn answer(server: &Server, question: &str) -> Result<Vec<Vec<Value>>> {
    server.sql(statement(question)?).await
}

/// Whether two numbers are the same but for how they were added up.
fn is_near(have: f64, want: f64) -> bool {
    (have - want).abs() <= 1e-9 * want.abs().max(1.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_demo_mesh_counted_is_what_questions_answer() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (server, truth) = demo::finished(&dir.path().join("data"), 300).await?;
    check_retries(&server, &truth).await?;
    check_budgets(&server, &truth).await?;
    check_calls(&server, &truth).await?;
    check_versions(&server, &truth).await?;
    check_proxies(&server, &truth).await?;
    check_failed(&server).await?;
    check_times(&server).await?;
    check_two_traces(&server).await?;
    let torn = answer(&server, "How many traces are not whole").await?;
    let [traces, not_whole] = [&torn[0][0], &torn[0][1]].map(number);
    ensure!(traces > 0 && not_whole == 0, "the mesh has sent every trace whole: {torn:?}");
    Ok(())
}

async fn check_retries(server: &Server, truth: &Value) -> Result<()> {
    let retried = answer(server, "Retries that hid failures from the caller:").await?;
    let have: BTreeSet<_> = retried
        .iter()
        .map(|row| {
            (row[0].to_string(), row[1].to_string(), number(&row[2]), number(&row[3]), number(&row[4]))
        })
        .collect();
    let want: BTreeSet<_> = rows(truth, "edges")?
        .iter()
        .filter(|edge| number(&edge["retries"]) > 0)
        .map(|edge| {
            let [requests, errors, retries] = ["requests", "errors", "retries"].map(|key| number(&edge[key]));
            (edge["source"].to_string(), edge["target"].to_string(), requests, errors, retries)
        })
        .collect();
    ensure!(!want.is_empty() && have == want, "retries: {have:?}, the mesh made {want:?}");
    Ok(())
}

/// All of the mesh's life lies in both windows.
async fn check_budgets(server: &Server, truth: &Value) -> Result<()> {
    let budgets = answer(server, "How much of an error budget of 0.1 %").await?;
    let burning = answer(server, "How fast an error budget of 0.1 % burns").await?;
    for service in rows(truth, "services")?.iter().filter(|service| number(&service["requests"]) > 0) {
        let name = name_of(&service["id"]);
        let row = budgets.iter().find(|row| row[0] == name).with_context(|| format!("{name} is missing"))?;
        let want @ [requests, errors] = ["requests", "errors"].map(|key| number(&service[key]));
        ensure!([number(&row[1]), number(&row[2])] == want, "{name}: {row:?}, the mesh counted {want:?}");
        let row = burning.iter().find(|row| row[0] == name).with_context(|| format!("{name} burns"))?;
        let burn = errors as f64 / requests as f64 / 0.001;
        let have = [&row[1], &row[2]].map(|burn| burn.as_f64().unwrap_or(-1.0));
        ensure!(have.iter().all(|have| is_near(*have, burn)), "{name}: {row:?}, {burn} times as fast");
        ensure!(row[3] == (burn > 14.4), "{name}: {row:?}");
    }
    Ok(())
}

async fn check_calls(server: &Server, truth: &Value) -> Result<()> {
    let calls = answer(server, "## Who calls whom").await?;
    let made = |edges: &[Value]| edges.iter().map(|edge| number(&edge["requests"])).sum::<u64>();
    let (have, want) = (calls.iter().map(|row| number(&row[3])).sum::<u64>(), made(rows(truth, "edges")?));
    ensure!(have == want, "{have} calls, the mesh made {want}");

    let fan_out = answer(server, "How many calls one request of a service makes:").await?;
    let mut callers = BTreeMap::<&str, u64>::new();
    for edge in rows(truth, "edges")? {
        *callers.entry(text(&edge["source"])).or_default() += number(&edge["requests"]);
    }
    for service in rows(truth, "services")? {
        let Some(made) = callers.get(text(&service["id"])) else { continue };
        let row = fan_out.iter().find(|row| row[0] == name_of(&service["id"])).context("a service")?;
        let received = number(&service["requests"]);
        ensure!([number(&row[1]), number(&row[2])] == [received, *made], "{row:?}: {received}, {made}");
        ensure!(is_near(row[3].as_f64().unwrap_or(-1.0), *made as f64 / received as f64), "{row:?}");
    }
    Ok(())
}

async fn check_versions(server: &Server, truth: &Value) -> Result<()> {
    let subsets = answer(server, "Canary against stable: is the difference").await?;
    let versions = rows(truth, "versions")?.iter().filter(|version| version["id"] == "default/reviews");
    let mut count = 0;
    for version in versions {
        let row = subsets.iter().find(|row| row[0] == version["version"]).context("a version")?;
        ensure!(number(&row[2]) == number(&version["requests"]), "{row:?}: {version}");
        let ratio = number(&version["errors"]) as f64 / number(&version["requests"]) as f64;
        ensure!(is_near(row[3].as_f64().unwrap_or(-1.0), ratio), "{row:?}: {version}");
        // What the others are compared with is compared with nothing.
        ensure!(row[6].is_null() == (row[0] == row[1]), "{row:?}");
        count += 1;
    }
    ensure!(count == subsets.len() && count > 1, "{subsets:?}");
    Ok(())
}

/// What proxies wrote down of each edge and each instance.
async fn check_proxies(server: &Server, truth: &Value) -> Result<()> {
    let instances = answer(server, "Which instance is slower than its siblings").await?;
    for instance in rows(truth, "instances")? {
        let row = instances.iter().find(|row| row[1] == instance["instance"]).context("an instance")?;
        let want = (name_of(&instance["service"]), number(&instance["requests"]));
        ensure!((text(&row[0]), number(&row[2])) == want, "{row:?}: {instance}");
    }
    let edge = |row: &[Value]| {
        let mut edges = rows(truth, "edges")?.iter();
        let is_it = |edge: &&Value| row[0] == name_of(&edge["source"]) && row[1] == name_of(&edge["target"]);
        edges.find(is_it).with_context(|| format!("{row:?} is no edge"))
    };
    let moved = answer(server, "Who moves the most bytes:").await?;
    ensure!(moved.len() > 2, "{moved:?}");
    for row in &moved {
        let edge = edge(row)?;
        let bytes = number(&edge["request_bytes"]) + number(&edge["response_bytes"]);
        ensure!(number(&row[2]) == bytes, "{row:?}: {edge}");
    }
    let plain = answer(server, "Which calls are not encrypted between proxies:").await?;
    let (mut have, dark) = (BTreeMap::<&str, u64>::new(), rows(truth, "dark")?);
    for row in plain.iter().filter(|row| number(&row[3]) > 0) {
        *have.entry(text(&row[1])).or_default() += number(&row[3]);
    }
    let want: BTreeMap<_, _> = dark
        .iter()
        .filter(|calls| calls["kind"] == "plaintext")
        .map(|calls| (name_of(&calls["server"]), number(&calls["requests"])))
        .collect();
    ensure!(!want.is_empty() && have == want, "plain: {have:?}, the mesh made {want:?}");
    Ok(())
}

/// Every request in the answer failed somewhere, and none of its hops is missing.
async fn check_failed(server: &Server) -> Result<()> {
    let hops = answer(server, "What became of a request that failed anywhere").await?;
    let ids: BTreeSet<_> = hops.iter().map(|row| text(&row[0])).collect();
    let all = server.sql("SELECT request_id, outcome FROM requests WHERE request_id IS NOT NULL").await?;
    let failed: BTreeSet<_> = all.iter().filter(|row| row[1] == "error").map(|row| text(&row[0])).collect();
    let rows = all.iter().filter(|row| failed.contains(text(&row[0]))).count();
    ensure!(!failed.is_empty() && ids == failed && hops.len() == rows, "{ids:?}, failed: {failed:?}");
    Ok(())
}

/// The same from the durations themselves, one by one.
async fn check_times(server: &Server) -> Result<()> {
    let mut spans = BTreeMap::<String, Vec<f64>>::new();
    for row in server.sql("SELECT service_name, duration_nano FROM spans WHERE kind = 2").await? {
        spans.entry(text(&row[0]).to_owned()).or_default().push(row[1].as_f64().context("nanoseconds")?);
    }
    let satisfied = answer(server, "How satisfied callers are, by Apdex").await?;
    ensure!(satisfied.len() == spans.len(), "{satisfied:?}");
    for row in &satisfied {
        let nanos = spans.get(text(&row[0])).context("a service")?;
        let point = |nanos: &f64| {
            if *nanos <= 1e8 {
                1.0
            } else if *nanos <= 4e8 {
                0.5
            } else {
                0.0
            }
        };
        let apdex = nanos.iter().map(point).sum::<f64>() / nanos.len() as f64;
        ensure!(is_near(row[2].as_f64().unwrap_or(-1.0), apdex), "{row:?}, want {apdex}");
    }
    let added = answer(server, "What a service itself adds").await?;
    for (service, nanos) in spans {
        let of = || added.iter().filter(|row| row[0] == service.as_str());
        let ms: f64 = of().map(|row| row[2].as_f64().unwrap_or(0.0) * row[3].as_f64().unwrap_or(0.0)).sum();
        ensure!(is_near(ms, nanos.iter().sum::<f64>() / 1e6), "{service}: {ms} ms in all");
        // It calls nobody.
        let is_idle = of().all(|row| row[4].as_f64() == Some(0.0));
        ensure!(service != "details" || is_idle, "{added:?}");
    }
    Ok(())
}

async fn check_two_traces(server: &Server) -> Result<()> {
    let sides = answer(server, "Two traces of one operation side by side").await?;
    let roots = "SELECT trace_id FROM spans WHERE service_name = 'productpage' AND kind = 2 ORDER BY duration_nano DESC";
    let roots = server.sql(roots).await?;
    for (place, columns) in [(0, [2, 3]), (roots.len() / 2, [4, 5])] {
        let spans = format!("SELECT duration_nano FROM spans WHERE trace_id = '{}'", text(&roots[place][0]));
        let spans = server.sql(&spans).await?;
        let ms = spans.iter().filter_map(|row| row[0].as_f64()).sum::<f64>() / 1e6;
        let have = columns.map(|column| sides.iter().filter_map(|row| row[column].as_f64()).sum::<f64>());
        ensure!(
            have[0] == spans.len() as f64 && is_near(have[1], ms),
            "{sides:?}: {} spans, {ms} ms",
            spans.len()
        );
    }
    Ok(())
}
