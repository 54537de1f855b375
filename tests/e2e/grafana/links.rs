//! What Grafana's sources lead to from one to another: from a trace to its logs and metrics, from a line and a dot to their trace.
//!
//! Grafana makes the links in the browser, by its documented rules; here their other ends are asked as it would ask them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::boards::Times;
use super::{ask, list, logs};
use crate::harness::Server;

/// Whose spans, lines and dots are followed.
const SERVICE: &str = "reviews";

/// All that the files of data sources say behind a key.
fn said(key: &str) -> Result<Vec<String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana/provisioning/datasources");
    let mut said = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let text = std::fs::read_to_string(entry?.path())?;
        let values = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").split_once(": "));
        let values = values.filter(|(name, _)| *name == key).map(|(_, value)| value.trim_matches('"'));
        // A file of a provisioned source writes `$$` for a `$`.
        said.extend(values.map(|value| value.replace("$$", "$")));
    }
    Ok(said)
}

/// Each link of each source leads somewhere.
pub async fn check(server: &Server, times: Times) -> Result<()> {
    let sources: BTreeSet<String> = said("uid")?.into_iter().collect();
    let targets = said("datasourceUid")?;
    ensure!(targets.len() >= 6 && targets.iter().all(|target| sources.contains(target)), "{targets:?}");
    metrics_of_spans(server, times).await?;
    logs_of_a_trace(server, times).await?;
    traces_of_lines(server, times).await?;
    traces_of_dots(server, times).await
}

/// `tracesToMetrics`, whose `$__tags` are the labels that tags of a span are, and the service graph beside a search.
async fn metrics_of_spans(server: &Server, times: Times) -> Result<()> {
    let queries = said("query")?;
    ensure!(queries.len() >= 2, "{queries:?}");
    let graph = "traces_service_graph_request_total".to_owned();
    for query in queries.into_iter().chain([graph]) {
        let query =
            query.replace("$__tags", &format!("service=\"{SERVICE}\"")).replace("$__rate_interval", "1m");
        let samples = ask(server, &query, false, times).await?;
        ensure!(samples.iter().any(|sample| *sample > 0.0), "nothing to show: {query}");
    }
    Ok(())
}

/// `tracesToLogsV2` with `filterByTraceID`: of labels that tags of the span are, the lines that have its trace's id in their text or
/// beside it.
async fn logs_of_a_trace(server: &Server, times: Times) -> Result<()> {
    let selected = format!("{{service_name=\"{SERVICE}\"}}");
    let ids = ids_beside_lines(server, &encoded(&selected), times).await?;
    let id = ids.first().context("a line of a trace")?;
    let contains = format!("label_format log_line_contains_trace_id=`{{{{ contains \"{id}\" __line__  }}}}`");
    let filter = format!("{contains} | log_line_contains_trace_id=\"true\" OR trace_id=\"{id}\"");
    let query = format!("{selected} | {filter}");
    ensure!(logs(server, &query, false, times).await? > 0, "no logs of a trace: {query}");
    is_a_trace(server, id).await
}

/// `derivedFields` by the label `trace_id`, which leads to the source of traces.
async fn traces_of_lines(server: &Server, times: Times) -> Result<()> {
    let query = encoded("{service_name=~\".+\"}");
    let ids = ids_beside_lines(server, &query, times).await?;
    ensure!(!ids.is_empty(), "no line tells of a trace");
    for id in ids.iter().take(3) {
        is_a_trace(server, id).await?;
    }
    Ok(())
}

/// `exemplarTraceIdDestinations` by the label `trace_id`.
async fn traces_of_dots(server: &Server, Times { from, to }: Times) -> Result<()> {
    let query = encoded("istio_request_duration_milliseconds_bucket");
    let path = format!("/prometheus/api/v1/query_exemplars?query={query}&start={from}&end={to}");
    let answer = server.get(&path).await?;
    let mut dots = 0;
    for series in list(&answer["data"])? {
        for dot in list(&series["exemplars"])?.iter().take(1) {
            is_a_trace(server, dot["labels"]["trace_id"].as_str().context("a trace id")?).await?;
            dots += 1;
        }
    }
    ensure!(dots > 0, "no dots: {answer}");
    Ok(())
}

/// The ids of traces that lines tell of, beside them.
async fn ids_beside_lines(
    server: &Server,
    query: &str,
    Times { from, to }: Times,
) -> Result<BTreeSet<String>> {
    let path = format!("/loki/api/v1/query_range?query={query}&start={from}&end={to}&limit=100");
    let answer = server.get(&path).await?;
    let streams = list(&answer["data"]["result"])?.iter();
    let ids = streams.filter_map(|stream| stream["stream"]["trace_id"].as_str());
    Ok(ids.filter(|id| !id.is_empty()).map(str::to_owned).collect())
}

async fn is_a_trace(server: &Server, id: &str) -> Result<()> {
    let trace =
        server.get(&format!("/tempo/api/traces/{id}")).await.with_context(|| format!("trace {id}"))?;
    ensure!(!list(&trace["batches"])?.is_empty(), "trace {id} is empty: {trace}");
    Ok(())
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
