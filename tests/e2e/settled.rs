//! Settled calls on the running binary: what the cells of each table count is what was sent, through late rows, a restart,
//! a process that dies around a commit of cells, and cells that are made anew.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use serde_json::Value;
use tokio::process::Command;

use crate::harness::{BINARY, Server, request};
use crate::payloads::{now_nanos, span, traces};

/// Nothing is settled by itself but when a server starts, and nothing merged.
const BY_HAND: [(&str, &str); 1] = [("MESHLAKE_MAINTAIN__ENABLED", "false")];

const TABLES: [&str; 3] = ["calls_10s", "calls_1m", "calls_10m"];

/// How long before now the first span starts: all that is settled is over.
const AGO_NANOS: u64 = 3 * 3_600 * 1_000_000_000;

const MINUTE_NANOS: u64 = 60 * 1_000_000_000;

/// A round at the start of a server comes at once; a slow machine needs some seconds for it.
const ROUND_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn settled_calls_are_all_calls_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start_with(&["run"], &data, &BY_HAND).await?;
    let first = now_nanos() - AGO_NANOS;
    // 30 minutes, five received calls in each.
    send(&server, 0..150, |number| first + number / 5 * MINUTE_NANOS).await?;
    check(&server, 0, "before anything is settled").await?;
    let live = answers(&server, first, 150).await?;
    maintain(&data, &server, &[]).await?;
    check(&server, 150, "when all is settled").await?;
    same(&answers(&server, first, 150).await?, &live, "cells and rows")?;
    ensure!(server.metric("meshlake_settle_open_minutes").await? == 0.0, "all minutes are settled");

    // Late rows, among them some of minutes in which there were none.
    send(&server, 150..170, |number| first + (number - 140) * MINUTE_NANOS).await?;
    check(&server, 150, "late rows change no cell by themselves").await?;
    let mixed = answers(&server, first, 170).await?;
    server.kill().await?;
    let server = Server::start_with(&["run"], &data, &BY_HAND).await?;
    check(&server, 150, "after a kill").await?;
    maintain(&data, &server, &[]).await?;
    check(&server, 170, "when late rows are settled").await?;
    same(&answers(&server, first, 170).await?, &mixed, "cells, and cells beside rows")?;
    server.check_for_panics()?;
    ensure!(server.terminate().await? == Some(0), "the server stops");

    maintain_stopped(&data, &["--rederive"]).await?;
    let server = Server::start_with(&["run"], &data, &BY_HAND).await?;
    check(&server, 170, "made anew on a stopped server").await?;
    maintain(&data, &server, &["--rederive", "--from", &(first / 1_000_000_000).to_string()]).await?;
    check(&server, 170, "made anew on a running one").await?;
    ensure!(server.metric("meshlake_settle_failures_total").await? == 0.0, "no fold fails");
    server.check_for_panics()
}

/// The process dies before or after a commit of cells: the next start settles what is left, and nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_around_a_commit_of_cells_loses_and_doubles_nothing() -> Result<()> {
    for point in ["before_settle_put", "before_settle_commit", "after_settle_commit"] {
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        let server = Server::start_with(&["run"], &data, &BY_HAND).await?;
        let first = now_nanos() - AGO_NANOS;
        send(&server, 0..20, |number| first + number * MINUTE_NANOS).await?;
        server.kill().await?;
        // The second table of the first round.
        let armed = format!("{point}=1*off->1*return(kill)");
        let dying = Server::start_with(&["run"], &data, &[("FAILPOINTS", &armed)]).await?;
        ensure!(dying.dies_within(ROUND_TIMEOUT).await?, "{point} is not reached");
        let server = Server::start_with(&["run"], &data, &[]).await?;
        let settled = async {
            while server.metric("meshlake_settle_commits_total").await? < 1.0
                || server.metric("meshlake_settle_open_minutes").await? > 0.0
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok::<(), anyhow::Error>(())
        };
        tokio::time::timeout(ROUND_TIMEOUT, settled).await.context("no round came in time")??;
        maintain(&data, &server, &[]).await?;
        check(&server, 20, point).await?;
        server.check_for_panics()?;
    }
    Ok(())
}

/// Sends received calls of one service, whose start is made of their number.
async fn send(server: &Server, numbers: std::ops::Range<u64>, start: impl Fn(u64) -> u64) -> Result<()> {
    let spans = numbers.map(|number| {
        let mut span = span(number);
        span.start_time_unix_nano = start(number);
        span.end_time_unix_nano = start(number) + 1_000_000;
        span
    });
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces("settled", spans.collect()).encode_to_vec();
    let (status, answer) =
        request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
    ensure!(status == 200, "{status} {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Every table of cells counts `calls` received calls of the service, all of a millisecond.
async fn check(server: &Server, calls: i64, when: &str) -> Result<()> {
    for table in TABLES {
        let statement = format!(
            "SELECT coalesce(sum(requests_milli), 0) FROM {table} \
             WHERE entry = 'received' AND evidence = 'spans' AND destination_name = 'settled'"
        );
        let counted = server.number(&statement).await?;
        ensure!(counted == calls * 1_000, "{table} {when}: {counted} of {calls} calls in thousandths");
    }
    Ok(())
}

/// What is answered about the service's calls, which are so many, from cells of every width and in several groupings.
async fn answers(server: &Server, first: u64, calls: u64) -> Result<Vec<Value>> {
    let first = first / 1_000_000_000;
    let range = format!("from={}&to={}", first - 605, first + 3_605);
    let minutes = format!("from={}&to={}", first / 600 * 600, first / 600 * 600 + 3_600);
    let golden = format!("/api/v1/golden?service=settled&{range}");
    let paths = [
        format!("{golden}&by=service"),
        format!("{golden}&by=operation"),
        format!("{golden}&by=version"),
        format!("/api/v1/golden?service=settled&by=operation&step=60&{minutes}"),
    ];
    let mut answers = Vec::new();
    for path in paths {
        let answer = server.get(&path).await?;
        let rows = answer["rows"].as_array().context("rows")?;
        let sum: f64 = rows.iter().filter_map(|row| row["requests"].as_f64()).sum();
        ensure!(sum == calls as f64, "{path}: {sum} of {calls} calls in {answer}");
        answers.push(answer);
    }
    answers.push(server.get(&format!("/api/v1/graph?{range}")).await?);
    Ok(answers)
}

fn same(some: &[Value], others: &[Value], which: &str) -> Result<()> {
    for (one, other) in some.iter().zip(others) {
        ensure!(one == other, "{which} tell two things:\n{one}\n{other}");
    }
    Ok(())
}

/// Asks the server that runs, through `meshlake maintain`.
async fn maintain(data: &Path, server: &Server, arguments: &[&str]) -> Result<()> {
    let text = run(data, arguments, &[("MESHLAKE_ADMIN__HTTP", &server.addresses.admin)]).await?;
    ensure!(text.contains("asking the process on") && text.contains("settled"), "{text}");
    Ok(())
}

async fn maintain_stopped(data: &Path, arguments: &[&str]) -> Result<()> {
    let text = run(data, arguments, &[]).await?;
    ensure!(!text.contains("asking") && text.contains("settled"), "{text}");
    Ok(())
}

async fn run(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(BINARY);
    command.arg("maintain").arg("--data-dir").arg(data).args(arguments).envs(environment.iter().copied());
    let output = command.kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
