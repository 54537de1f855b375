//! A real Prometheus scrapes itself and writes to the binary, in the messages of 1.0 and of 2.0; what its own database
//! has is the truth that rows are held against.

pub mod prometheus;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::envoy::free_port;
use crate::harness::Server;
use prometheus::{Prometheus, Series};

/// Far more than scrapes of a second and a queue that waits at most five take.
const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_writes_1_0() -> Result<()> {
    check("prometheus.WriteRequest", "remote_write_1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_writes_2_0() -> Result<()> {
    check("io.prometheus.write.v2.Request", "remote_write_2").await
}

/// Scenario: Prometheus writes; we are killed and come back seconds later; the scrapes end. Guarantee: every sample that
/// its database has is a row with the same time and value, once, and so is every stale marker that it sent.
async fn check(message: &str, source: &str) -> Result<()> {
    let Some(program) = prometheus::program()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let address = format!("127.0.0.1:{}", free_port().await?);
    let environment = [("MESHLAKE_COLLECTOR__OTLP_HTTP", address.as_str())];
    let server = Server::start_with(&["run"], &data, &environment).await?;
    let prometheus = Prometheus::start(&program, dir.path(), message, &address).await?;
    until("rows of several scrapes", async || Ok(points(&server).await? > 3_000)).await?;
    server.kill().await?;
    let retried = "prometheus_remote_storage_samples_retried_total";
    until("Prometheus notices", async || Ok(prometheus.counter(retried).await? > 0)).await?;
    let server = Server::start_with(&["run"], &data, &environment).await?;
    let before = points(&server).await?;
    until("Prometheus comes back", async || Ok(points(&server).await? > before + 1_000)).await?;

    prometheus.end_scrapes().await?;
    let stale = "SELECT count(*) FROM metric_points WHERE flags = 1 AND value IS NULL";
    until("the end of the series", async || Ok(server.number(stale).await? > 100)).await?;
    let same = async || Ok(stored(&server).await? == prometheus.series().await?);
    if until("all of it", same).await.is_err() {
        bail!("{}", first_difference(&prometheus.series().await?, &stored(&server).await?));
    }
    let sent = prometheus.series().await?;
    ensure!(sent.values().map(|series| series.samples.len()).sum::<usize>() > 4_000, "few samples");
    ensure!(sent.values().any(|series| !series.histograms.is_empty()), "no native histogram");
    // Its own counters count each try, and the tries that failed apart.
    for (kind, table) in [("samples", "metric_points"), ("histograms", "metric_exp_histograms")] {
        let counter = |what: &str| format!("prometheus_remote_storage_{kind}_{what}total");
        let sends = async || {
            let [all, retried] = [counter(""), counter("retried_")];
            anyhow::Ok(prometheus.counter(&all).await? - prometheus.counter(&retried).await?)
        };
        let rows = format!("SELECT count(*) FROM {table} WHERE value_or_marker");
        let is_row = if kind == "samples" { "value IS NOT NULL OR flags = 1" } else { "true" };
        let rows = rows.replace("value_or_marker", is_row);
        until(kind, async || Ok(server.number(&rows).await? == sends().await?)).await?;
    }
    check_metadata(&server, message).await?;
    check_ledger(&server, source).await?;
    server.check_for_panics()
}

/// 2.0 tells types with the series; Prometheus's own counters are counters.
async fn check_metadata(server: &Server, message: &str) -> Result<()> {
    if !message.contains("v2") {
        return Ok(());
    }
    let told = "SELECT count(*) FROM metric_points WHERE metric_name = 'prometheus_tsdb_head_samples_appended_total' \
                AND metric_type = 'sum' AND is_monotonic AND metric_metadata = '{\"prometheus.type\":\"counter\"}' \
                AND metric_description LIKE 'Total number of appended samples%' \
                AND service_name = 'self' AND attributes['job'] = 'self'";
    ensure!(server.number(told).await? > 0, "types and help texts are not told");
    Ok(())
}

async fn check_ledger(server: &Server, source: &str) -> Result<()> {
    let ledger = server.get("/api/v1/ledger").await?;
    let rows = ledger["rows"].as_array().context("rows")?;
    let row = rows.iter().find(|row| row["source"] == source).with_context(|| format!("{ledger}"))?;
    let rows = "SELECT (SELECT count(*) FROM metric_points) + (SELECT count(*) FROM metric_exp_histograms)";
    let rows = server.number(rows).await?;
    ensure!(row["received"] == rows && row["accepted"] == rows, "{rows} rows, {row}");
    ensure!(row["rejected"].as_object().is_some_and(serde_json::Map::is_empty), "{row}");
    Ok(())
}

async fn points(server: &Server) -> Result<i64> {
    server.number("SELECT count(*) FROM metric_points WHERE value IS NOT NULL").await
}

/// All series with what they have: the same as Prometheus answers.
async fn stored(server: &Server) -> Result<BTreeMap<String, Series>> {
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    let statement = |table: &str, values: &str| {
        format!(
            "SELECT series_id, first_value(metric_name), first_value(attributes), {values} \
             FROM {table} WHERE flags = 0 AND value_is_there GROUP BY series_id"
        )
    };
    let ordered = |value: &str| format!("array_agg({value} ORDER BY time_unix_nano)");
    let times = ordered("time_unix_nano");
    let values = format!("{times}, {}", ordered("CAST(value AS VARCHAR)"));
    let points = statement("metric_points", &values).replace("value_is_there", "value IS NOT NULL");
    for row in server.sql(&points).await? {
        let samples = numbers(&row[3])?.into_iter().zip(texts(&row[4])?);
        all.entry(labels(&row)?).or_default().samples = samples
            .map(|(time, value)| Ok((time, value.parse::<f64>()?.to_bits())))
            .collect::<Result<_>>()?;
    }
    let values =
        format!("{times}, {}, {}", ordered("CAST(count AS VARCHAR)"), ordered("CAST(sum AS VARCHAR)"));
    let histograms = statement("metric_exp_histograms", &values).replace("value_is_there", "true");
    for row in server.sql(&histograms).await? {
        let counted = numbers(&row[3])?.into_iter().zip(texts(&row[4])?.into_iter().zip(texts(&row[5])?));
        all.entry(labels(&row)?).or_default().histograms = counted
            .map(|(time, (count, sum))| Ok((time, count.parse()?, sum.parse::<f64>()?.to_bits())))
            .collect::<Result<_>>()?;
    }
    Ok(all)
}

/// A series by its labels, `__name__` among them.
fn labels(row: &[Value]) -> Result<String> {
    let attributes = row[2].as_object().context("attributes are an object")?;
    let mut labels: BTreeMap<String, Value> =
        attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.insert("__name__".to_owned(), row[1].clone());
    Ok(serde_json::to_string(&labels)?)
}

/// Milliseconds of a list of nanoseconds.
fn numbers(list: &Value) -> Result<Vec<i64>> {
    let list = list.as_array().context("a list")?;
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    list.iter().map(|value| Ok(number(value).context("a time")? / 1_000_000)).collect()
}

fn texts(list: &Value) -> Result<Vec<&str>> {
    list.as_array().context("a list")?.iter().map(|value| value.as_str().context("a text")).collect()
}

fn first_difference(sent: &BTreeMap<String, Series>, stored: &BTreeMap<String, Series>) -> String {
    let other = sent.iter().find(|(labels, series)| stored.get(*labels) != Some(*series));
    match other {
        Some((labels, series)) => {
            format!("{labels}\nsent   {series:?}\nstored {:?}", stored.get(labels))
        }
        None => format!("{} series are stored, {} were sent", stored.len(), sent.len()),
    }
}

/// Waits for a condition.
async fn until(what: &str, condition: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let waiting = async {
        while !condition().await? {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(ARRIVAL_TIME_MAX, waiting).await.with_context(|| format!("waiting for {what}"))?
}
