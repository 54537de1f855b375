//! Sends requests through a proxy, remembers what each was answered and when, and holds rows against that.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;

use super::backend::{KINDS, SLOW};
use super::programs::ARRIVAL_TIME_MAX;
use crate::harness::{Server, request};

/// Requests of each kind.
pub const ROUNDS: usize = 8;

/// All of them.
pub const REQUESTS: i64 = (KINDS.len() * ROUNDS) as i64;

/// Those that a service failed, and that a client was at fault for.
pub const ERRORS: i64 = 2 * ROUNDS as i64;
pub const CLIENT_ERRORS: i64 = ROUNDS as i64;

/// Has what every format has to escape. HAProxy does not log it.
const AGENT: &str = "shop \"1\"";

/// How coarse a proxy's clock is: nginx and HAProxy count milliseconds, and read the clock once for all that is ready.
const CLOCK: Duration = Duration::from_millis(5);

/// How much later than the client a proxy may find that a request is over: as long as the machine gives it no core.
/// A duration in a wrong unit is wrong by a thousand.
const LATE_MAX: Duration = Duration::from_secs(5);

/// What the client saw of a request.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub status: u16,
    pub began: SystemTime,
    pub took: Duration,
    /// It waited for the backend.
    is_slow: bool,
}

/// By path.
pub type Log = BTreeMap<String, Seen>;

/// Sends all requests through the proxy on `port`.
///
/// # Errors
/// One is answered with another status than its path asks for.
pub async fn send(port: u16) -> Result<Log> {
    send_of(&KINDS, port).await
}

/// Sends the requests of some kinds.
///
/// # Errors
/// As [`send`].
pub async fn send_of(kinds: &[(&str, u16)], port: u16) -> Result<Log> {
    let mut log = Log::new();
    for round in 0..ROUNDS {
        for &(kind, want) in kinds {
            let path = format!("/{kind}?round={round}");
            let url = format!("http://127.0.0.1:{port}{path}");
            let began = SystemTime::now();
            let (status, body) = request("GET", &url, &[("user-agent", AGENT)], Bytes::new()).await?;
            let took = began.elapsed()?;
            ensure!(status == want, "{path}: {status} {}", String::from_utf8_lossy(&body));
            log.insert(path, Seen { status, began, took, is_slow: kind == "slow" });
        }
    }
    Ok(log)
}

/// Waits until a statement gives that number.
pub async fn wait_for(server: &Server, statement: &str, want: i64) -> Result<()> {
    let reached = async {
        while server.number(statement).await.unwrap_or(-1) < want {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(ARRIVAL_TIME_MAX, reached).await.is_ok();
    let have = server.number(statement).await?;
    if in_time && have == want {
        return Ok(());
    }
    let raw =
        server.sql("SELECT source_format, raw, attributes FROM requests WHERE NOT counted LIMIT 3").await?;
    anyhow::bail!("{statement}: {have}, want {want}; not read: {raw:?}");
}

/// Fails unless the rows of `requests` that `condition` selects are what the client saw, one for each.
///
/// # Errors
/// What differs first.
pub async fn check_rows(server: &Server, condition: &str, log: &Log) -> Result<()> {
    wait_for(server, &format!("SELECT count(*) FROM requests WHERE {condition}"), log.len() as i64).await?;
    let statement = format!(
        "SELECT path, response_code, time_unix_nano, duration_nano, method, user_agent, counted \
         FROM requests WHERE {condition}"
    );
    for row in server.sql(&statement).await? {
        let path = row[0].as_str().context("a path")?;
        let seen = log.get(path).with_context(|| format!("nobody asked for {path}"))?;
        check_row(&row, seen).with_context(|| format!("{path}: {row:?} for {seen:?}"))?;
    }
    Ok(())
}

/// Fails unless every row that has an agent has the client's, and there are so many.
///
/// # Errors
/// There are others.
pub async fn check_agents(server: &Server, want: i64) -> Result<()> {
    let statement = format!("SELECT count(*) FROM requests WHERE user_agent = '{AGENT}'");
    let have = server.number(&statement).await?;
    ensure!(have == want, "{have} rows have the client's agent, want {want}");
    Ok(())
}

fn check_row(row: &[serde_json::Value], seen: &Seen) -> Result<()> {
    let number = |at: usize| {
        let value: &serde_json::Value = &row[at];
        value.as_i64().or_else(|| value.as_str()?.parse().ok()).context("a number")
    };
    ensure!(number(1)? == i64::from(seen.status), "another status");
    let agent_fits = row[5].is_null() || row[5] == AGENT;
    ensure!(row[4] == "GET" && agent_fits && row[6] == true, "another request");
    let began = i128::try_from(seen.began.duration_since(UNIX_EPOCH)?.as_nanos())?;
    let [clock, late] = [CLOCK, LATE_MAX].map(|duration| duration.as_nanos() as i128);
    let (start, duration) = (i128::from(number(2)?), i128::from(number(3)?));
    let took = seen.took.as_nanos() as i128;
    ensure!(start >= began - clock && start <= began + took + late, "it began at another time");
    let at_least = if seen.is_slow { SLOW.as_nanos() as i128 - clock } else { 0 };
    ensure!(duration >= at_least && duration <= took + late, "it took another time");
    Ok(())
}

/// Fails unless the golden metrics of a service are what the client saw.
///
/// # Errors
/// What differs.
pub async fn check_golden(server: &Server, service: &str) -> Result<()> {
    let golden = server.get(&format!("/api/v1/golden?service={service}")).await?;
    let row = golden["rows"].as_array().and_then(|rows| rows.first());
    let row = row.with_context(|| format!("no row for {service}: {golden}"))?;
    let figures = ["requests", "errors", "client_errors"].map(|figure| row[figure].as_i64());
    ensure!(figures == [REQUESTS, ERRORS, CLIENT_ERRORS].map(Some), "{row}");
    // One call in five slept, so the 90th percentile is one of those.
    ensure!(row["p90_ms"].as_f64().is_some_and(|p90| p90 >= 0.95 * SLOW.as_millis() as f64), "{row}");
    Ok(())
}
