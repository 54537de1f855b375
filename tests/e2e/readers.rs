//! Readers see each row once at every moment, whatever runs in the background: while rows move from memory
//! to files and files are replaced by others, a count never falls, never misses what was acknowledged before
//! it was asked for, never exceeds what was sent when it was answered; a trace is there whole; and the
//! ledger balances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::harness::{BUSY_STORE, Server};
use crate::load::{Load, Signal, Witness, balanced_ledger};
use crate::long_form::{Random, count, seed};

/// Two readers of each kind, so that snapshots of several ages are held at once.
const READERS: u64 = 2;

/// Pause of a sender between two requests: the load is there to be looked at, and an hour of it has to fit
/// on a laptop's disk.
const PACE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_each_row_once_while_files_come_and_go() -> Result<()> {
    let (seconds, seed) = (count("MESHLAKE_TEST_READERS_SECONDS", 6), seed());
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Arc::new(Server::start_with(&["run"], &data, &BUSY_STORE).await?);
    let mut witness = Witness::default();
    let load = Arc::new(witness.begin(&server.addresses, PACE));
    let watch = Watch { server, load, is_over: Arc::default(), answers: Arc::default() };

    let readers: Vec<JoinHandle<Result<()>>> = (0..READERS)
        .flat_map(|reader| {
            [
                tokio::spawn(watch.clone().counts(Signal::Spans)),
                tokio::spawn(watch.clone().counts(Signal::Logs)),
                tokio::spawn(watch.clone().traces(Random::new(seed, reader))),
                tokio::spawn(watch.clone().ledger()),
            ]
        })
        .collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end && !readers.iter().any(JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    watch.is_over.store(true, Ordering::Release);
    for reader in readers {
        reader.await.context("a reader panicked")??;
    }
    let Watch { server, load, answers, .. } = watch;
    load.stop();
    witness.end(Arc::into_inner(load).context("the readers have ended")?).await?;
    let commits = server.metric("meshlake_commits_total").await? as u64;
    witness.check(&server).await.context("at the end")?;
    Arc::into_inner(server).context("the readers have ended")?.kill().await?;
    witness.check(&Server::start(&data).await?).await.context("after a restart")?;

    let answers = answers.load(Ordering::Relaxed);
    println!("{seconds} s: {answers} answers, {commits} commits, {} requests", witness.requests_acked);
    ensure!(
        answers > 10 * seconds && commits > seconds,
        "{answers} answers, {commits} commits prove nothing"
    );
    Ok(())
}

/// What every reader needs.
#[derive(Clone)]
struct Watch {
    server: Arc<Server>,
    load: Arc<Load>,
    is_over: Arc<AtomicBool>,
    /// Answers that were right.
    answers: Arc<AtomicU64>,
}

impl Watch {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Acquire)
    }

    fn was_right(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// A count has everything that was acknowledged before it was asked for and nothing that was not begun
    /// when it was answered, never less than the last one; and no request has a record twice. Every other
    /// statement reads each row, the ones between may be answered from what is known of files.
    async fn counts(self, signal: Signal) -> Result<()> {
        let table = signal.table();
        let by_request = format!(
            "SELECT sum(records), sum(CASE WHEN records = distinct_ids THEN 0 ELSE 1 END) FROM \
             (SELECT count(*) AS records, count(DISTINCT span_id) AS distinct_ids FROM {table} \
             WHERE service_name = '{}' GROUP BY trace_id)",
            self.load.service()
        );
        let plain = format!("SELECT count(*), 0 FROM {table}");
        let mut seen = 0;
        for statement in [plain, by_request].iter().cycle() {
            let acked = self.load.records_acked(signal);
            let rows = self.server.sql(statement).await?;
            let begun = self.load.records_begun(signal);
            let [rows, doubled] = [&rows[0][0], &rows[0][1]].map(|value| value.as_u64().unwrap_or(0));
            let least = acked.max(seen);
            ensure!((least..=begun).contains(&rows), "{rows} {table}, not {least} to {begun}: {statement}");
            ensure!(doubled == 0, "{doubled} requests of {table} have records more than once");
            seen = rows;
            self.was_right();
            if !self.goes_on() {
                break;
            }
        }
        Ok(())
    }

    /// Any trace that was acknowledged has all of its spans, once.
    async fn traces(self, mut random: Random) -> Result<()> {
        while self.goes_on() {
            let Some(request) = self.load.acked_trace(&mut random) else {
                tokio::time::sleep(PACE).await;
                continue;
            };
            let trace = self.server.get(&format!("/api/v1/traces/{:032x}", request.trace_id())).await?;
            let spans = trace["spans"].as_array().context("spans are an array")?;
            let mut ids: Vec<&str> = spans.iter().filter_map(|span| span["span_id"].as_str()).collect();
            ids.sort_unstable();
            let want: Vec<String> = (1..=request.records()).map(|id| format!("{id:016x}")).collect();
            ensure!(ids == want, "{request:?} has the spans {ids:?}");
            self.was_right();
        }
        Ok(())
    }

    /// The ledger balances, and none of its sums falls.
    async fn ledger(self) -> Result<()> {
        let mut seen = 0;
        while self.goes_on() {
            let rows = balanced_ledger(&self.server).await?;
            let durable: u64 = rows.iter().filter_map(|row: &Value| row["durable"].as_u64()).sum();
            ensure!(durable >= seen, "the ledger fell from {seen} to {durable}");
            seen = durable;
            self.was_right();
        }
        Ok(())
    }
}
