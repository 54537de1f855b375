//! Readers see each row once at every moment, whatever runs in the background: while rows move from memory
//! to files and files are replaced by others, a count never falls, never misses what was acknowledged before
//! it was asked for, never exceeds what was sent when it was answered; a trace is there whole; and the
//! ledger balances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::harness::{BUSY_STORE, Server};
use crate::load::{Load, Signal};
use crate::long_form::{Random, count, seed};
use crate::witness::{Witness, balanced_ledger};

/// Two readers of each kind, so that snapshots of several ages are held at once.
const READERS: u64 = 2;

/// Pause of a sender per record: the load is there to be looked at, and an hour of it (2,000 records a
/// second) has to fit on a laptop's disk.
const PACE: Duration = Duration::from_millis(4);

/// Seconds of one load: what the readers look at request by request stays small, however long they run.
const LOAD_SECONDS: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_each_row_once_while_files_come_and_go() -> Result<()> {
    let (seconds, seed) = (count("MESHLAKE_TEST_READERS_SECONDS", 6), seed());
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Arc::new(Server::start_with(&["run"], &data, &BUSY_STORE).await?);
    let mut witness = Witness::default();
    let mut answers = 0;
    for from in (0..seconds).step_by(LOAD_SECONDS as usize) {
        let load = witness.begin(&server.addresses, PACE);
        let watch = Watch::new(server.clone(), load, &witness);
        let duration = Duration::from_secs(LOAD_SECONDS.min(seconds - from));
        let load = watch.read_for(duration, Random::new(seed, from), &mut answers).await?;
        load.stop();
        witness.end(load).await?;
        witness.check(&server).await.with_context(|| format!("after second {from}"))?;
    }
    let commits = server.metric("meshlake_commits_total").await? as u64;
    Arc::into_inner(server).context("the readers have ended")?.kill().await?;
    witness.check(&Server::start(&data).await?).await.context("after a restart")?;
    println!("{seconds} s: {answers} answers, {commits} commits, {} requests", witness.requests_acked);
    // Far below what a busy laptop does in the dev profile.
    ensure!(answers >= seconds && commits >= seconds / 2, "{answers} answers, {commits} commits: too few");
    Ok(())
}

/// What every reader needs.
#[derive(Clone)]
struct Watch {
    server: Arc<Server>,
    load: Arc<Load>,
    /// Records that were stored before the load.
    before: BTreeMap<Signal, u64>,
    is_over: Arc<AtomicBool>,
    /// Answers that were right.
    answers: Arc<AtomicU64>,
}

impl Watch {
    fn new(server: Arc<Server>, load: Load, witness: &Witness) -> Watch {
        let before = Signal::ALL.map(|signal| (signal, witness.records_settled(signal)));
        let load = Arc::new(load);
        Watch { server, load, before: before.into(), is_over: Arc::default(), answers: Arc::default() }
    }

    /// Runs all readers for `duration`, or until one fails; gives the load back.
    async fn read_for(self, duration: Duration, mut random: Random, answers: &mut u64) -> Result<Load> {
        let mut readers: Vec<JoinHandle<Result<()>>> = Vec::new();
        for _ in 0..READERS {
            readers.push(tokio::spawn(self.clone().counts(Signal::Spans)));
            readers.push(tokio::spawn(self.clone().counts(Signal::Logs)));
            readers.push(tokio::spawn(self.clone().traces(Random::new(random.number(), 0))));
            readers.push(tokio::spawn(self.clone().ledger()));
        }
        let end = Instant::now() + duration;
        while Instant::now() < end && !readers.iter().any(JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.is_over.store(true, Ordering::Release);
        for reader in readers {
            reader.await.context("a reader panicked")??;
        }
        *answers += self.answers.load(Ordering::Relaxed);
        Arc::into_inner(self.load).context("the readers have ended")
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Acquire)
    }

    fn was_right(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// A count has everything that was acknowledged before it was asked for and nothing that was not begun
    /// when it was answered, never less than the last one; and no request has a record twice. Every other
    /// statement reads each row of the load, the ones between may be answered from what is known of files.
    async fn counts(self, signal: Signal) -> Result<()> {
        let (table, service) = (signal.table(), self.load.service());
        let of_all = format!("SELECT count(*), 0 FROM {table}");
        let of_load = format!(
            "SELECT sum(records), sum(CASE WHEN records = distinct_ids THEN 0 ELSE 1 END) FROM \
             (SELECT count(*) AS records, count(DISTINCT span_id) AS distinct_ids FROM {table} \
             WHERE service_name = '{service}' GROUP BY trace_id)"
        );
        let mut seen = 0;
        for (statement, before) in [(of_all, self.before[&signal]), (of_load, 0)].iter().cycle() {
            let acked = self.load.records_acked(signal);
            let rows = self.server.sql(statement).await?;
            let begun = self.load.records_begun(signal);
            let [rows, doubled] = [&rows[0][0], &rows[0][1]].map(|value| value.as_u64().unwrap_or(0));
            let bounds = before + acked.max(seen)..=before + begun;
            ensure!(bounds.contains(&rows), "{rows} {table}, not {bounds:?}: {statement}");
            ensure!(doubled == 0, "{doubled} requests of {table} have records more than once");
            seen = rows - before;
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
