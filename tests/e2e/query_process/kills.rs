//! SIGKILL in a loop, under a load of senders and askers.
//!
//! What is asked for is known: the rows of a tenant that nobody sends to any more. `MESHLAKE_TEST_QUERY_KILLS` says how
//! many kills; the long form is 1,000.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hyper::body::Bytes;
use hyper_util::client::legacy;
use prost::Message as _;

use super::processes::{TIMEOUT, next_query_process, signal};
use crate::harness::{BUSY_STORE, Server, request};
use crate::load::{Load, Signal};
use crate::long_form::{Random, count, seed};
use crate::payloads::{span, traces};
use crate::witness::Witness;

/// Rows of the tenant that is asked about: an answer of several hundred KB, so that some are cut off in the middle.
const ROWS: usize = 3_000;

const TENANT: (&str, &str) = ("x-scope-orgid", "known");

/// Of a sender between two records: the load is to go on for minutes.
const PACE: Duration = Duration::from_micros(500);

/// The longest time from the appearance of a query process to its kill, or from its first answer: some die before they
/// serve, others in the middle of their work.
const LIFE_MILLIS: u64 = 400;

/// What an asker saw.
#[derive(Debug, Default)]
struct Seen {
    whole: AtomicU64,
    cut: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
enum Question {
    Count,
    Csv,
    Page,
}

impl Question {
    const ALL: [Question; 3] = [Question::Count, Question::Csv, Question::Page];

    async fn ask(self, query: &str) -> Result<(u16, Bytes)> {
        let sql = |statement: &str| serde_json::json!({ "sql": statement }).to_string();
        let url = format!("http://{query}/api/v1/sql");
        let json = ("content-type", "application/json");
        match self {
            Question::Count => {
                let statement = sql("SELECT count(*), count(DISTINCT span_id) FROM spans");
                request("POST", &url, &[TENANT, json], statement.into()).await
            }
            Question::Csv => {
                let statement = sql("SELECT trace_id, span_id, name, resource, attributes FROM spans");
                request("POST", &url, &[TENANT, json, ("accept", "text/csv")], statement.into()).await
            }
            Question::Page => request("GET", &format!("http://{query}/"), &[TENANT], Bytes::new()).await,
        }
    }

    /// Fails when an answer that reads as a whole is not.
    fn check(self, status: u16, body: &[u8]) -> Result<()> {
        let text = String::from_utf8_lossy(body);
        ensure!(status == 200, "{self:?}: {status} {text}");
        match self {
            Question::Count => {
                let answer: serde_json::Value = serde_json::from_slice(body)?;
                ensure!(answer["rows"][0] == serde_json::json!([ROWS, ROWS]), "{answer}");
            }
            // A line each, below the names; no value has a line break.
            Question::Csv => ensure!(text.lines().count() == ROWS + 1, "{} lines", text.lines().count()),
            Question::Page => ensure!(text.trim_end().ends_with("</html>"), "a page without an end"),
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_it_again_and_again_costs_no_ack_and_no_right_answer() -> Result<()> {
    let (kills, mut random) = (count("MESHLAKE_TEST_QUERY_KILLS", 30), Random::new(seed(), 0));
    let dir = tempfile::tempdir()?;
    let server = Server::start_with(&["run"], &dir.path().join("data"), &BUSY_STORE).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let known = traces("shop", (1..=ROWS as u64).map(span).collect()).encode_to_vec();
    let headers = [TENANT, ("content-type", "application/x-protobuf")];
    ensure!(request("POST", &url, &headers, known.into()).await?.0 == 200, "the known rows are stored");

    let mut witness = Witness::default();
    let load = witness.begin(&server.addresses, PACE);
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let askers = Question::ALL.map(|question| {
        let (query, seen, stop) = (server.addresses.query.clone(), Arc::clone(&seen), Arc::clone(&stop));
        tokio::spawn(async move { ask_until(question, &query, &seen, &stop).await })
    });
    let (mut before, mut longest) = (None, Duration::ZERO);
    for kill in 0..kills {
        let pid = next_query_process(&server, before).await.with_context(|| format!("after kill {kill}"))?;
        if kill % 2 == 1 {
            until_answered(&seen).await?;
        }
        tokio::time::sleep(Duration::from_millis(random.below(LIFE_MILLIS))).await;
        signal("-KILL", pid).await?;
        longest = longest.max(until_acked(&load).await?);
        server.check_ready().await?;
        ensure!(askers.iter().all(|asker| !asker.is_finished()), "an asker has given up");
        before = Some(pid);
    }
    let last = next_query_process(&server, before).await?;
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.context("an asker panicked")??;
    }
    load.stop();
    witness.end(load).await?;
    let restarts = server.metric("meshlake_query_restarts_total").await?;
    ensure!(restarts == kills as f64, "{restarts} restarts after {kills} kills");
    witness.check(&server).await?;
    ensure!(next_query_process(&server, None).await? == last, "it ended by itself");
    println!("{kills} kills, {seen:?}; the longest wait for an acknowledgement after one was {longest:?}");
    ensure!(seen.cut.load(Ordering::Relaxed) >= kills / 2, "too few were at work when they died: {seen:?}");
    Ok(())
}

/// Asks until it is told to stop.
///
/// # Errors
/// An answer that is wrong, or a connection that is refused.
async fn ask_until(question: Question, query: &str, seen: &Seen, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let asked = tokio::time::timeout(TIMEOUT, question.ask(query));
        match asked.await.with_context(|| format!("{question:?} was not answered in time"))? {
            Ok((status, body)) => {
                question.check(status, &body)?;
                seen.whole.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let client = error.downcast_ref::<legacy::Error>();
                if client.is_some_and(legacy::Error::is_connect) {
                    bail!("{question:?} was refused: {error:?}");
                }
                seen.cut.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

/// Waits until an answer has come that was whole.
async fn until_answered(seen: &Seen) -> Result<()> {
    let (began, before) = (Instant::now(), seen.whole.load(Ordering::Relaxed));
    while seen.whole.load(Ordering::Relaxed) == before {
        ensure!(began.elapsed() < TIMEOUT, "the query process answers nothing");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// How long it takes until more is acknowledged than now.
async fn until_acked(load: &Load) -> Result<Duration> {
    let acked = || Signal::ALL.map(|signal| load.records_acked(signal)).iter().sum::<u64>();
    let (began, before) = (Instant::now(), acked());
    while acked() == before {
        ensure!(began.elapsed() < TIMEOUT, "nothing is acknowledged while there is no query process");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(began.elapsed())
}
