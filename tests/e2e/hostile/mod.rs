//! Hostile input, against the running binary: each input gets its exact answer, nothing of it is half stored, the
//! process lives, gives its memory back and takes good requests.
//!
//! The corpus is data (`tests/cases/hostile`), in families B01 to B42. What is aimed at receivers that do not exist
//! is not in it: remote write (B14), credentials (B38), syslog (B39, B40), access logs as text (B41), files (B43).
//! B04 is every cut of a message (`cuts`), B20 and what else breaks HTTP/2 itself are frames written by hand
//! (`http2`), senders that do too little are in `slow`. What comes back from SQL and pages is not judged here.

mod cuts;
mod http1;
mod http2;
pub mod memory;
mod slow;

use anyhow::{Context as _, Result, ensure};

use crate::exchange::case::{self, Case};
use crate::exchange::cases_dir;
use crate::exchange::judge::StatusMap;
use crate::exchange::mark::Mark;
use crate::exchange::overload::wait_for_metric;
use crate::exchange::run::{Check, Runner, request};
use crate::exchange::send::Connection;
use crate::exchange::signal::{Signal, Transport};
use crate::harness::Server;
use memory::Memory;

/// Behind `values.toml`.
const FILES: [&str; 4] = ["bytes.toml", "sizes.toml", "http.toml", "als.toml"];

/// Requests that `als.toml` leaves behind: the sum of the counts in the names of its cases.
const ALS_ROWS: i64 = 10_017;

/// Rows leave memory soon, so that what is left is what was not given back.
const ENVIRONMENT: [(&str, &str); 1] = [("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "1")];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_get_their_answer_and_leave_nothing_behind() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    let mut runner = Runner::new(&server)?;
    // Large, valid and stored: what the process keeps in reserve for such is no leak, so it is there from the start.
    runner.send(&read("values.toml")?).await?;
    wait_for_metric(&server, "meshlake_buffer_bytes", 0.0).await?;
    let memory = Memory::of(&data)?;
    for file in FILES {
        runner.send(&read(file)?).await?;
        server.check_ready().await.with_context(|| format!("after {file}"))?;
        // Sent by the runner, so that it counts them.
        runner.send(&[good_case()?]).await?;
    }
    // Before the queries, which need memory of their own.
    memory.check_given_back().await?;
    let checks = runner.finish().await?;
    let complaints: Vec<String> = checks.iter().flat_map(Check::complaints).collect();
    ensure!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    let als_rows = server.number("SELECT count(*) FROM requests").await?;
    ensure!(als_rows == ALS_ROWS, "{als_rows} requests are stored instead of {ALS_ROWS}");
    server.check_for_panics()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_connections_end_or_wait_and_leave_nothing_behind() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    check_takes_requests(&server).await?;
    let memory = Memory::of(&data)?;
    cuts::check(&server).await.context("cuts")?;
    check_takes_requests(&server).await?;
    http1::check(&server).await.context("HTTP/1.1")?;
    check_takes_requests(&server).await?;
    http2::check(&server).await.context("HTTP/2")?;
    slow::check(&server).await.context("slow senders")?;
    check_takes_requests(&server).await?;
    server.check_ready().await?;
    server.check_for_panics()?;
    memory.check_given_back().await
}

fn read(file: &str) -> Result<Vec<Case>> {
    case::read(&cases_dir().join("hostile").join(file))
}

/// One good record over every transport, for every signal.
fn good_case() -> Result<Case> {
    toml::from_str("row = \"good\"\nname = \"a good request\"").context("a case in TOML")
}

/// Fails unless good requests are taken over every transport.
async fn check_takes_requests(server: &Server) -> Result<()> {
    let (case, status_map) = (good_case()?, StatusMap::read()?);
    for transport in Transport::ALL {
        let (address, http) = match transport {
            Transport::Grpc => (&server.addresses.otlp_grpc, 2),
            _ => (&server.addresses.otlp_http, 1),
        };
        let request = request(&case, transport, Signal::Traces, &Mark::new("good"), address)?;
        let reply = Connection::open(address, http).await?.send(request).await?;
        let judged = status_map.judge(&case, Signal::Traces, transport, &reply);
        judged.map_err(|fault| anyhow::anyhow!("a good request over {transport:?}: {fault}"))?;
    }
    Ok(())
}
