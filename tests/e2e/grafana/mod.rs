//! Grafana's dashboards over the demo mesh: every panel is asked what Grafana would ask, and has something to show.
//!
//! Grafana itself is not run. What it sends is: a form by POST to the source of metrics, a text without parameters to the
//! source of SQL, variables and macros expanded by its documented rules.

mod itself;
mod links;
mod numbers;
mod boards;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::demo;
use crate::harness::{Server, request};
use crate::sql::tools;
use boards::{INTERVAL, Question, Target, Times};

/// Values of the dashboards' variables: what a reader of the demo would choose.
const CHOSEN: [(&str, &str); 8] = [
    ("service", "reviews"),
    ("workload", "reviews-v3"),
    ("source", "productpage"),
    ("destination", "reviews"),
    ("gateway", "istio-ingressgateway"),
    ("target", "0.99"),
    ("namespace", "default"),
    ("meshlake", "http://127.0.0.1:7070"),
];

/// Panels that show nothing while all is well, or nothing of what no TCP passes. They have to answer all the same.
const MAY_BE_EMPTY: [&str; 5] = [
    "mesh / TCP",
    "workload / TCP bytes",
    "service / Why calls ended",
    "edge / Why calls ended",
    "gateway / Why calls ended",
];

/// Panels that may show zeros: of a service that the demo makes slow and not failing, and that is asked without bodies.
const MAY_BE_ZERO: [&str; 7] = [
    "canary / Failed",
    "edge / Failed, by who saw it",
    "service / Failed",
    "service / Failed, by caller",
    "service / Failed, by version",
    "service / Bytes in",
    "workload / Failed",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_something_to_show() -> Result<()> {
    let Some(python) = tools::python(&["psycopg"])? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (server, truth) = demo::finished(&dir.path().join("data"), 600).await?;
    let times = whole(&truth)?;
    over(times).await?;
    let (mut empty, mut statements) = (Vec::new(), Vec::new());
    for (name, board) in boards::all()? {
        check_variables(&server, &name, &board).await?;
        // Its metrics come by an agent, see `itself`.
        if name == "itself" {
            continue;
        }
        for Target { place, question } in boards::targets(&name, &board, &CHOSEN, times)? {
            match question {
                Question::Sql(statement) => statements.push((place, statement)),
                Question::LogQl { query, is_instant } => {
                    let series = logs(&server, &query, is_instant, times).await.context(place.clone())?;
                    if series == 0 {
                        empty.push(format!("{place}: {query}"));
                    }
                }
                Question::PromQl { query, is_instant } => {
                    let samples = ask(&server, &query, is_instant, times).await.context(place.clone())?;
                    let may_be_zero = MAY_BE_ZERO.contains(&place.as_str());
                    let has_some =
                        samples.iter().any(|sample| sample.is_finite() && (may_be_zero || *sample != 0.0));
                    if !has_some && !MAY_BE_EMPTY.contains(&place.as_str()) {
                        empty.push(format!("{place}: {query}"));
                    }
                }
            }
        }
    }
    empty.extend(asked_in_sql(&server, &python, &statements, dir.path()).await?);
    ensure!(empty.is_empty(), "nothing to show:\n{}", empty.join("\n"));
    numbers::check(&server, &truth, times).await?;
    links::check(&server, times).await.context("links between sources")?;
    server.check_for_panics()
}

/// How many series or streams an answer of Loki's API has.
async fn logs(server: &Server, query: &str, is_instant: bool, Times { from, to }: Times) -> Result<usize> {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let path = match is_instant {
        true => format!("/loki/api/v1/query?query={query}&time={to}"),
        false => format!("/loki/api/v1/query_range?query={query}&start={from}&end={to}&step={INTERVAL}"),
    };
    let answer = server.get(&path).await?;
    Ok(list(&answer["data"]["result"])?.len())
}

/// The whole steps that the demo's mesh lived in.
fn whole(truth: &Value) -> Result<Times> {
    let second = |key: &str| -> Result<i64> {
        let text = truth[key].as_str().with_context(|| format!("no {key}"))?;
        Ok(meshlake_schema::UnixNanos::parse(text).context("RFC 3339")?.seconds())
    };
    let (from, to) = (second("from")?, second("to")?);
    Ok(Times { from: from.div_euclid(INTERVAL) * INTERVAL, to: (to.div_euclid(INTERVAL) + 1) * INTERVAL })
}

/// Waits until they have passed: counts of the ten seconds that are not over are not told.
async fn over(times: Times) -> Result<()> {
    let end = std::time::UNIX_EPOCH + Duration::from_secs(times.to.try_into()?);
    tokio::time::sleep(end.duration_since(std::time::SystemTime::now()).unwrap_or_default()).await;
    Ok(())
}

/// Every variable lists something, and what was chosen of it.
async fn check_variables(server: &Server, name: &str, board: &Value) -> Result<()> {
    for variable in boards::variables(name, board)? {
        let selector = boards::with_variables(&variable.metric, &CHOSEN, ".*");
        let path = format!(
            "/prometheus/api/v1/label/{}/values?match[]={}",
            variable.label,
            form_urlencoded::byte_serialize(selector.as_bytes()).collect::<String>()
        );
        let answer = server.get(&path).await?;
        let values: BTreeSet<&str> =
            answer["data"].as_array().context("data")?.iter().filter_map(Value::as_str).collect();
        let chosen = CHOSEN.iter().find(|(name, _)| *name == variable.name);
        let (_, chosen) = chosen.with_context(|| format!("{}: nothing was chosen", variable.place))?;
        ensure!(values.contains(chosen), "{}: no {chosen} in {values:?}", variable.place);
    }
    Ok(())
}

/// All samples of an answer.
pub async fn ask(server: &Server, query: &str, is_instant: bool, times: Times) -> Result<Vec<f64>> {
    let Times { from, to } = times;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", query);
    let path = if is_instant {
        form.append_pair("time", &to.to_string());
        "query"
    } else {
        form.append_pair("start", &from.to_string()).append_pair("end", &to.to_string());
        form.append_pair("step", &INTERVAL.to_string());
        "query_range"
    };
    let url = format!("http://{}/prometheus/api/v1/{path}", server.addresses.query);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let (status, body) = request("POST", &url, &headers, form.finish().into()).await?;
    ensure!(status == 200, "{query}: {status} {}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body)?;
    let mut samples = Vec::new();
    for series in answer["data"]["result"].as_array().context("a result")? {
        let points =
            if is_instant { std::slice::from_ref(&series["value"]) } else { list(&series["values"])? };
        for point in points {
            samples.push(point[1].as_str().context("a value")?.parse()?);
        }
    }
    Ok(samples)
}

fn list(value: &Value) -> Result<&[Value]> {
    value.as_array().map(Vec::as_slice).with_context(|| format!("{value} is no list"))
}

/// The places of statements that find no row.
async fn asked_in_sql(
    server: &Server,
    python: &std::path::Path,
    statements: &[(String, String)],
    dir: &std::path::Path,
) -> Result<Vec<String>> {
    /// For some dozen statements.
    const TIME_MAX: Duration = Duration::from_secs(120);
    let texts: Vec<&String> = statements.iter().map(|(_, statement)| statement).collect();
    let file = dir.join("statements.json");
    std::fs::File::create(&file)?.write_all(&serde_json::to_vec(&texts)?)?;
    let mut command = tokio::process::Command::new(python);
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/grafana/sql.py");
    command.arg(script).arg(&server.addresses.postgres).stdin(std::fs::File::open(&file)?).kill_on_drop(true);
    let output =
        tokio::time::timeout(TIME_MAX, command.output()).await.context("statements took too long")??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    ensure!(answers.len() == statements.len(), "an answer each");
    let empty = statements
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| list(&answer["rows"]).is_ok_and(<[_]>::is_empty));
    Ok(empty.map(|((place, statement), _)| format!("{place}: {statement}")).collect())
}
