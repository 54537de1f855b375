//! One measurement: a fresh server, one load, what it cost at the last acknowledgement and after everything is in files.
//!
//! CPU time is taken twice, because an acknowledgement is not the end of the work: rows are still written to
//! files after it. The second time is taken when the server has had its flush age and has then been idle for
//! some seconds; its ledger is asked only after that, so that the question is not measured.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::load::{self, Outcome, Sending};
use crate::payload::Shape;
use crate::process;
use crate::server::{Place, Server};

/// Seconds in a row that the server must be idle.
const IDLE_SECONDS: u32 = 5;
/// What an idle server may use in a second: timers, and its own metrics.
const IDLE_CPU_MAX: Duration = Duration::from_millis(30);
/// Beyond its flush age a server that still works is not settling.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(300);
/// A server recovers an empty directory in milliseconds.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// What one load cost.
#[derive(Debug, Clone)]
pub struct Measurement {
    pub outcome: Outcome,
    pub cpu_at_ack: Duration,
    pub cpu_settled: Duration,
    pub peak_memory: u64,
    pub table_bytes: u64,
    pub wal_bytes: u64,
    /// Records that the server says it accepted, and has in files.
    pub ledger: (u64, u64),
}

/// A fresh server on the data directory whose rows go to files within the flush age.
///
/// # Errors
/// When it does not start.
pub async fn start_fresh(
    place: &Place,
    data_dir: &std::path::Path,
    flush_age: Duration,
) -> anyhow::Result<Server> {
    let settings = [("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", flush_age.as_secs().to_string())];
    Server::start(place, data_dir, &settings, START_TIME_MAX).await
}

/// Measures one load against a fresh server that is left running.
///
/// # Errors
/// When requests cannot be made, or the server does not settle.
pub async fn measure(
    server: &Server,
    flush_age: Duration,
    sending: &Sending,
    shape: &Shape,
) -> anyhow::Result<Measurement> {
    let before = process::cpu_time(server.pid())?;
    let sending = Sending { address: server.address(shape.protocol).to_owned(), ..sending.clone() };
    let outcome = load::send_in_parts(&sending, shape).await?;
    let cpu_at_ack = process::cpu_time(server.pid())?.saturating_sub(before);
    settle(server, flush_age).await?;
    Ok(Measurement {
        outcome,
        cpu_at_ack,
        cpu_settled: process::cpu_time(server.pid())?.saturating_sub(before),
        peak_memory: process::peak_memory(server.pid())?,
        table_bytes: process::bytes_below(&server.data_dir().join("tables"))?,
        wal_bytes: process::bytes_below(&server.data_dir().join("wal"))?,
        ledger: server.ledger(shape.signal.name()).await?,
    })
}

/// Waits until the server has had its flush age and has then been idle for some seconds.
///
/// # Errors
/// When it goes on working.
pub async fn settle(server: &Server, flush_age: Duration) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut idle = 0;
    let mut used = process::cpu_time(server.pid())?;
    while idle < IDLE_SECONDS || begin.elapsed() < flush_age + Duration::from_secs(u64::from(IDLE_SECONDS)) {
        ensure!(
            begin.elapsed() < flush_age + SETTLE_TIME_MAX,
            "the server still works after {SETTLE_TIME_MAX:?}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = process::cpu_time(server.pid())?;
        idle = if now.saturating_sub(used) <= IDLE_CPU_MAX { idle + 1 } else { 0 };
        used = now;
    }
    Ok(())
}
