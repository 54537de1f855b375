//! Dashboards as files, and their questions with variables and macros expanded as Grafana expands them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use meshlake_schema::UnixNanos;
use serde_json::Value;

/// Where dashboards look, seconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub from: i64,
    pub to: i64,
}

/// `$__interval` of a panel that is a thousand pixels wide over half an hour and less, seconds: the source's own.
pub const INTERVAL: i64 = 10;

/// One question of one panel.
#[derive(Debug)]
pub struct Target {
    /// `dashboard / panel`.
    pub place: String,
    pub question: Question,
}

#[derive(Debug)]
pub enum Question {
    /// At one instant, else at every step.
    PromQl {
        query: String,
        is_instant: bool,
    },
    /// At the end, else at every step; or lines.
    LogQl {
        query: String,
        is_instant: bool,
    },
    Sql(String),
}

/// A variable that the source of metrics is asked for.
#[derive(Debug)]
pub struct Variable {
    pub place: String,
    pub name: String,
    /// `label_values(METRIC, LABEL)`.
    pub metric: String,
    pub label: String,
}

/// All dashboards, each with its name, in order of names.
pub fn all() -> Result<Vec<(String, Value)>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana/dashboards");
    let mut boards = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).context("a name in UTF-8")?;
        let board = serde_json::from_slice(&std::fs::read(&path)?).with_context(|| name.to_owned())?;
        boards.push((name.to_owned(), board));
    }
    boards.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(boards)
}

/// The questions of all panels; `values` are of variables by name.
pub fn targets(name: &str, board: &Value, values: &[(&str, &str)], times: Times) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for panel in board["panels"].as_array().context("panels")? {
        let place = format!("{name} / {}", panel["title"].as_str().context("a title")?);
        for target in panel["targets"].as_array().into_iter().flatten() {
            let question = match (target["expr"].as_str(), target["rawSql"].as_str()) {
                (Some(query), None) if target["datasource"]["type"] == "loki" => Question::LogQl {
                    query: with_intervals(query, times),
                    is_instant: target["queryType"] == "instant",
                },
                (Some(query), None) => Question::PromQl {
                    query: with_variables(&with_intervals(query, times), values, ".*"),
                    is_instant: target["instant"] == true,
                },
                (None, Some(statement)) => {
                    Question::Sql(with_variables(&with_macros(statement, times), values, ""))
                }
                _ => anyhow::bail!("{place} asks neither in PromQL nor in LogQL nor in SQL"),
            };
            let text = match &question {
                Question::PromQl { query, .. } | Question::LogQl { query, .. } => query,
                Question::Sql(statement) => statement,
            };
            ensure!(!text.contains('$'), "{place}: a variable is left in {text}");
            targets.push(Target { place: place.clone(), question });
        }
    }
    Ok(targets)
}

/// Variables that list values of labels.
pub fn variables(name: &str, board: &Value) -> Result<Vec<Variable>> {
    let list = board["templating"]["list"].as_array().context("variables")?;
    let queried = list.iter().filter(|variable| variable["type"] == "query");
    let read = queried.map(|variable| {
        let query = variable["query"]["query"].as_str().context("a query")?;
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) =
            inner.and_then(|inner| inner.rsplit_once(", ")).context("label_values(a, b)")?;
        Ok(Variable {
            place: format!("{name} / ${}", variable["name"]),
            name: variable["name"].as_str().context("a name")?.to_owned(),
            metric: metric.to_owned(),
            label: label.to_owned(),
        })
    });
    read.collect()
}

/// `$name` as its value; a variable that has none is all of them.
pub fn with_variables(text: &str, values: &[(&str, &str)], all: &str) -> String {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("${name}"), value);
    }
    text.replace("$namespace", all)
}

/// Source of the rule: <https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/>.
fn with_intervals(query: &str, times: Times) -> String {
    let rate_interval = (INTERVAL + INTERVAL).max(4 * INTERVAL);
    let range = times.to - times.from;
    let query = query.replace("$__auto", &format!("{INTERVAL}s"));
    query.replace("$__rate_interval", &format!("{rate_interval}s")).replace("$__range", &format!("{range}s"))
}

/// Source: <https://grafana.com/docs/grafana/latest/datasources/postgres/query-editor/>.
fn with_macros(statement: &str, times: Times) -> String {
    let [from, to] =
        [times.from, times.to].map(|time| format!("'{}'", UnixNanos::from_seconds(time).to_rfc3339()));
    let between = format!("time BETWEEN {from} AND {to}");
    statement
        .replace("$__timeFilter(time)", &between)
        .replace("$__timeFrom()", &from)
        .replace("$__timeTo()", &to)
}
