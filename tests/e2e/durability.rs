//! An ack means that it is on disk: SIGKILL under load at a random moment, restart, and every acknowledged
//! span is there exactly once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use prost::Message as _;

use crate::harness::{Server, request};
use crate::payloads::{span, traces};

/// Kills per run; the store's own tests and the long form do many more.
const CYCLES: u64 = 5;
const SENDERS: u64 = 8;
const SPANS_PER_REQUEST: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn every_acked_span_is_there_once_after_kill_9() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let seed = crate::payloads::now_nanos();
    println!("seed {seed}");
    let acked = Arc::new(Mutex::new(Vec::new()));
    let next = Arc::new(AtomicU64::new(0));
    for cycle in 0..CYCLES {
        // Between 50 and 500 ms, spread by a multiplicative hash of seed and cycle.
        let spread = (seed.wrapping_add(cycle)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        run_and_kill(&data, Duration::from_millis(50 + spread % 450), &acked, &next).await?;
    }
    let server = Server::start(&data).await?;
    let acked = acked.lock().expect("no sender panicked").clone();
    check(&server, &acked).await
}

/// Starts the server, loads it for `life`, kills it under load.
async fn run_and_kill(
    data: &Path,
    life: Duration,
    acked: &Arc<Mutex<Vec<u64>>>,
    next: &Arc<AtomicU64>,
) -> Result<()> {
    let server =
        Server::start_with(&["run"], data, &[("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "1")]).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(send_until_refused(url.clone(), acked.clone(), next.clone())))
        .collect();
    tokio::time::sleep(life).await;
    server.kill().await?;
    for sender in senders {
        sender.await.context("a sender panicked")?;
    }
    Ok(())
}

async fn send_until_refused(url: String, acked: Arc<Mutex<Vec<u64>>>, next: Arc<AtomicU64>) {
    loop {
        let first = next.fetch_add(SPANS_PER_REQUEST, Ordering::Relaxed);
        let numbers = first..first + SPANS_PER_REQUEST;
        let body = traces("kill", numbers.clone().map(span).collect()).encode_to_vec();
        match request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await {
            Ok((200, _)) => acked.lock().expect("no sender panicked").extend(numbers),
            _ => return,
        }
    }
}

async fn check(server: &Server, acked: &[u64]) -> Result<()> {
    ensure!(acked.len() > 100, "only {} spans were acked: this load proves nothing", acked.len());
    let stored = stored_numbers(server).await?;
    let lost: Vec<_> = acked.iter().filter(|number| !stored.contains_key(number)).collect();
    let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times != 1).collect();
    ensure!(lost.is_empty(), "{} of {} acked spans are lost: {lost:?}", lost.len(), acked.len());
    ensure!(doubled.is_empty(), "stored more than once: {doubled:?}");
    Ok(())
}

async fn stored_numbers(server: &Server) -> Result<HashMap<u64, u64>> {
    let url = format!("http://{}/api/v1/sql", server.addresses.query);
    let mut stored = HashMap::new();
    // An answer has at most 100,000 rows; ask by slices of the number.
    for slice in 0..10 {
        let sql = format!(
            "SELECT attributes['test.number'] FROM spans WHERE attributes['test.number'] LIKE '%{slice}'"
        );
        let body = serde_json::json!({ "sql": sql }).to_string();
        let headers = [("content-type", "application/json"), ("accept", "text/csv")];
        let (status, csv) = request("POST", &url, &headers, Bytes::from(body)).await?;
        ensure!(status == 200, "{status} {}", String::from_utf8_lossy(&csv));
        for line in std::str::from_utf8(&csv)?.lines().skip(1) {
            *stored.entry(line.trim_matches('"').parse()?).or_default() += 1;
        }
    }
    Ok(stored)
}
