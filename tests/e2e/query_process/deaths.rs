//! How the query process dies, and with whom.

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;

use super::processes::{gone, line_of, next_query_process, query_process_of, signal, until_serving};
use crate::harness::{Server, request};
use crate::payloads::{logs, now_nanos, span, traces};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// Statements that end the process, one time each.
const DEATHS: usize = 3;

async fn post(server: &Server, path: &str, body: Vec<u8>) -> Result<()> {
    let url = format!("http://{}{path}", server.addresses.otlp_http);
    let (status, answer) = request("POST", &url, &[PROTOBUF], body.into()).await?;
    ensure!(status == 200, "{path}: {status} {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Statements on logs do what `action` says; those on spans are answered, and exports acknowledged, as if nothing were.
async fn statements_that_end_it(action: &str, environment: &[(&str, &str)], end: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let point = format!("remote_hot_logs=return({action})");
    let environment = [&[("FAILPOINTS", point.as_str())], environment].concat();
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    let log = LogRecord { time_unix_nano: now_nanos(), ..LogRecord::default() };
    post(&server, "/v1/logs", logs("shop", vec![log]).encode_to_vec()).await?;
    for death in 1..=DEATHS {
        let pid = next_query_process(&server, None).await?;
        let answer = server.number("SELECT count(*) FROM logs").await;
        ensure!(answer.is_err(), "a statement on logs was answered: {answer:?}");
        gone(pid).await?;
        post(&server, "/v1/traces", traces("shop", vec![span(death as u64)]).encode_to_vec()).await?;
        let spans = server.number("SELECT count(*) FROM spans").await?;
        ensure!(spans == death as i64, "{spans} spans after {death} exports of one");
        let restarts = server.metric("meshlake_query_restarts_total").await?;
        ensure!(restarts == death as f64, "{restarts} restarts after {death} deaths");
    }
    let status = server.get("/api/v1/status").await?;
    let told = status["query"]["last_end"].as_str().context("how it ended")?;
    ensure!(told.contains(end), "{told}");
    ensure!(server.log()?.contains(end), "the log does not tell how it ended");
    ensure!(server.terminate().await? == Some(0));
    Ok(())
}

/// As the engine does on statements that are too deep for its stack.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_aborts_the_process_ends_alone() -> Result<()> {
    statements_that_end_it("kill", &[], "SIGABRT").await
}

/// As the engine does on statements whose memory it does not count. Without a bound 64 GiB would be taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_all_memory_ends_alone() -> Result<()> {
    let small = [("MESHLAKE_QUERY__MEMORY_BYTES_MAX", "67108864")];
    statements_that_end_it("exhaust", &small, "SIGABRT").await
}

/// Where it takes memory step by step, the statement ends before the process has to, and says why; what is asked next is
/// answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_more_and_more_memory_ends_before_the_process() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hoards =
        [("FAILPOINTS", "remote_hot_logs=return(hoard)"), ("MESHLAKE_QUERY__MEMORY_BYTES_MAX", "67108864")];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &hoards).await?;
    let log = LogRecord { time_unix_nano: now_nanos(), ..LogRecord::default() };
    post(&server, "/v1/logs", logs("shop", vec![log]).encode_to_vec()).await?;
    let pid = next_query_process(&server, None).await?;
    let url = format!("http://{}/api/v1/sql", server.addresses.query);
    for _ in 0..DEATHS {
        let body = "SELECT count(*) FROM logs".to_owned().into();
        let (status, answer) = request("POST", &url, &[("content-type", "text/plain")], body).await?;
        let told = String::from_utf8_lossy(&answer).into_owned();
        ensure!(status == 503 && told.contains("all queries together take"), "{status}: {told}");
        ensure!(server.number("SELECT count(*) FROM spans").await? == 0);
    }
    ensure!(query_process_of(&server)? == Some(pid), "the process has ended:\n{}", server.log()?);
    ensure!(server.log()?.contains("a query was ended because memory is short"));
    ensure!(server.terminate().await? == Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_one_that_started_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    ensure!(server.get("/api/v1/ledger").await.is_ok());
    let pid = next_query_process(&server, None).await?;
    ensure!(server.terminate().await? == Some(0));
    ensure!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is there after a stop");

    let server = Server::start(&dir.path().join("data")).await?;
    let pid = next_query_process(&server, None).await?;
    server.kill().await?;
    gone(pid).await
}

/// A SIGTERM of its own ends it in order; then it is started again like after any other end.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_how_it_is() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let first = next_query_process(&server, None).await?;
    until_serving(&server).await?;
    let before = server.get("/api/v1/status").await?["query"].clone();
    ensure!(before["pid"] == first && before["is_serving"] == true && before["restarts"] == 0, "{before}");
    signal("-TERM", first).await?;
    let second = next_query_process(&server, Some(first)).await?;
    until_serving(&server).await?;
    let after = server.get("/api/v1/status").await?["query"].clone();
    ensure!(after["pid"] == second && after["restarts"] == 1, "{after}");
    ensure!(after["last_end"] == "exit status: 0", "{after}");
    ensure!(server.metric("meshlake_query_up").await? == 1.0);
    let accepted = server.metric("meshlake_connections_accepted_total{listener=\"query\"}").await?;
    ensure!(accepted >= 1.0, "connections to the query process are counted: {accepted}");
    Ok(())
}

/// What the kernel here has of it is told by the same words that the log has.
#[tokio::test(flavor = "multi_thread")]
async fn it_has_renounced_what_it_does_not_need() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let environment = [("MESHLAKE_QUERY__MEMORY_BYTES_MAX", "1073741824")];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    until_serving(&server).await?;
    let status = server.get("/api/v1/status").await?;
    let words = status["query"]["confinement"].as_str().context("what it has renounced")?;
    ensure!(server.log()?.contains(words), "the log does not say {words}");
    let pid = query_process_of(&server)?.context("it runs")?;
    // 2 * 1 GiB + 3 GiB.
    let limit = line_of(pid, "limits", "Max data size")?;
    ensure!(limit.starts_with("5368709120 "), "{limit}");
    ensure!(words.contains("memory bounded at 5120 MiB"), "{words}");
    ensure!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))?.trim() == "500");
    let is_filtered = line_of(pid, "status", "Seccomp:")? == "2";
    ensure!(is_filtered == words.ends_with("system calls: filtered"), "{words}");
    Ok(())
}
