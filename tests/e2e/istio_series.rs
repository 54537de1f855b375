//! Istio's metrics as they are counted from two real Envoys: every total, increase and rate is the number of calls that the
//! client sent, or that the callee's proxy logged, exactly; a bucket differs by rows near its bound only.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::harness::Server;
use crate::payloads::now_nanos;

/// Counters are told on this grid, seconds.
const GRID: u64 = 10;

/// For the ten seconds of the last call to be over, and to be counted.
const COUNTED_TIME_MAX: Duration = Duration::from_secs(60);

/// A bucket counts values up to so much above its bound: the width of a bucket of the sketch.
const BUCKET_WIDTH: f64 = 1.022;

/// Durations are summed in whole microseconds.
const SUMMED_MILLIS: f64 = 0.001;

/// Calls by response code.
type Codes = BTreeMap<String, i64>;

/// Holds the series against `sent`, what the client was answered by code, and against the rows of the callee's proxy.
pub async fn check(server: &Server, sent: &[(i64, i64)]) -> Result<()> {
    let sent: Codes = sent.iter().map(|(code, calls)| (code.to_string(), *calls)).collect();
    let end = now_nanos() / 1_000_000_000 / GRID * GRID + GRID;
    let calls = "sum(increase(istio_requests_total{reporter=\"source\"}[600s]))";
    until(server, calls, end, sent.values().sum()).await?;
    let received = received(server).await?;
    for (reporter, want) in [("source", &sent), ("destination", &received)] {
        for seconds in [300, 600] {
            let of = |function: &str| {
                format!(
                    "sum by (response_code) ({function}(istio_requests_total{{reporter=\"{reporter}\"}}[{seconds}s]))"
                )
            };
            let increase = by_code(server, &of("increase"), end).await?;
            ensure!(&rounded(&increase) == want, "{reporter} over {seconds} s: {increase:?}, want {want:?}");
            let rate = by_code(server, &of("rate"), end).await?;
            let per_second = |calls: f64| calls / f64::from(seconds);
            let is_exact = |(code, rate): (&String, &f64)| (rate - per_second(increase[code])).abs() < 1e-12;
            ensure!(rate.len() == want.len() && rate.iter().all(is_exact), "{rate:?}, want {want:?}");
        }
        totals(server, reporter, end).await?;
    }
    durations(server, end).await
}

/// Waits until a query has a value. A bare counter is told up to the last ten seconds that are over.
async fn until(server: &Server, query: &str, end: u64, want: i64) -> Result<()> {
    let mut told = -1;
    let reached = async {
        while told != want {
            tokio::time::sleep(Duration::from_millis(200)).await;
            told = whole_of(server, query, end).await?;
        }
        anyhow::Ok(())
    };
    let in_time = tokio::time::timeout(COUNTED_TIME_MAX, reached).await;
    in_time.with_context(|| format!("{query} is {told}, want {want}"))?
}

/// What the callee's proxy logged: by the log service alone, as each call is told twice.
async fn received(server: &Server) -> Result<Codes> {
    let rows = "SELECT coalesce(response_code, 0), count(*) FROM requests \
                WHERE source_format = 'envoy_als_http' AND observer = 'server' GROUP BY 1";
    let rows = server.sql(rows).await?;
    let whole = |value: &Value| value.as_i64().context("a whole number");
    rows.iter().map(|row| Ok((whole(&row[0])?.to_string(), whole(&row[1])?))).collect()
}

/// The bare counter: what was counted since midnight.
async fn totals(server: &Server, reporter: &str, end: u64) -> Result<()> {
    const DAY: u64 = 86_400;
    let midnight = (end - 1) / DAY * DAY;
    let observer = if reporter == "source" { "client" } else { "server" };
    let rows = format!(
        "SELECT count(*) FROM requests WHERE source_format = 'envoy_als_http' AND observer = '{observer}' \
         AND time_unix_nano >= {midnight}000000000"
    );
    let want = server.number(&rows).await?;
    let query = format!("sum(istio_requests_total{{reporter=\"{reporter}\"}})");
    until(server, &query, end, want).await
}

/// Buckets, sum and count of how long the callee took.
async fn durations(server: &Server, end: u64) -> Result<()> {
    let rows =
        "SELECT duration_nano FROM requests WHERE source_format = 'envoy_als_http' AND observer = 'server'";
    let rows = server.sql(rows).await?;
    let millis: Vec<f64> = rows.iter().filter_map(|row| Some(row[0].as_f64()? / 1e6)).collect();
    let metric = |part: &str, by: &str| {
        format!(
            "sum{by} (increase(istio_request_duration_milliseconds_{part}{{reporter=\"destination\"}}[600s]))"
        )
    };
    let count = number_of(server, &metric("count", ""), end).await?;
    ensure!(count as usize == millis.len(), "{count} of {} calls have durations", millis.len());
    let sum = number_of(server, &metric("sum", ""), end).await?;
    let want: f64 = millis.iter().sum();
    ensure!((sum - want).abs() <= SUMMED_MILLIS * count, "the sum is {sum} ms, want {want}");
    let buckets = vector(server, &metric("bucket", " by (le)"), end).await?;
    // Envoy's bounds, and the infinite one.
    ensure!(buckets.len() == 20, "{buckets:?}");
    for (labels, calls) in buckets {
        let bound: f64 = labels["le"].as_str().context("a bound")?.parse()?;
        let below = |bound: f64| millis.iter().filter(|millis| **millis <= bound).count() as f64;
        let (least, most) = (below(bound), below(bound * BUCKET_WIDTH));
        ensure!((least..=most).contains(&calls), "{calls} calls up to {bound} ms, of {least} to {most}");
    }
    Ok(())
}

fn rounded(numbers: &BTreeMap<String, f64>) -> Codes {
    // Counts are whole: what is not would round to another number than it is.
    numbers.iter().filter(|(_, n)| n.fract() == 0.0).map(|(code, n)| (code.clone(), *n as i64)).collect()
}

async fn by_code(server: &Server, query: &str, time: u64) -> Result<BTreeMap<String, f64>> {
    let rows = vector(server, query, time).await?;
    let code = |labels: &Value| anyhow::Ok(labels["response_code"].as_str().context("a code")?.to_owned());
    rows.iter().map(|(labels, value)| Ok((code(labels)?, *value))).collect()
}

/// The one number of a query; zero where there is none.
async fn number_of(server: &Server, query: &str, time: u64) -> Result<f64> {
    let rows = vector(server, query, time).await?;
    ensure!(rows.len() <= 1, "{query}: {rows:?}");
    Ok(rows.first().map_or(0.0, |(_, value)| *value))
}

async fn whole_of(server: &Server, query: &str, time: u64) -> Result<i64> {
    Ok(number_of(server, query, time).await? as i64)
}

async fn vector(server: &Server, query: &str, time: u64) -> Result<Vec<(Value, f64)>> {
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters.append_pair("query", query).append_pair("time", &time.to_string());
    let path = format!("/prometheus/api/v1/query?{}", parameters.finish());
    let answer = server.get(&path).await?;
    let rows = answer["data"]["result"].as_array().context("a vector")?;
    let value = |row: &Value| anyhow::Ok(row["value"][1].as_str().context("a value")?.parse::<f64>()?);
    rows.iter().map(|row| Ok((row["metric"].clone(), value(row)?))).collect()
}
