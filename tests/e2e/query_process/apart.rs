//! `meshlake collector` and `meshlake query`, each by itself.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::processes::{TIMEOUT, query_process_of, signal};
use crate::harness::{BINARY, FREE_PORTS, Server, request};
use crate::payloads::{span, traces};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

struct Query {
    child: Child,
    address: String,
}

impl Query {
    async fn start(collector: &Path, log: &Path) -> Result<Query> {
        let mut child = Command::new(BINARY)
            .arg("query")
            .arg("--collector")
            .arg(collector)
            .envs(FREE_PORTS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?)
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("it is piped")?).lines();
        let address = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(rest) = line.trim().strip_prefix("web page, API") {
                    return Ok(rest.trim().trim_start_matches("http://").trim_end_matches('/').to_owned());
                }
            }
            anyhow::bail!("it ended before it said where it listens")
        };
        let address = tokio::time::timeout(TIMEOUT, address).await.context("it does not listen in time")?;
        let address = address.with_context(|| std::fs::read_to_string(log).unwrap_or_default())?;
        Ok(Query { child, address })
    }

    async fn spans(&self) -> Result<(u16, String)> {
        let url = format!("http://{}/api/v1/sql", self.address);
        let body = Bytes::from_static(br#"{"sql": "SELECT count(*) FROM spans"}"#);
        let (status, body) = request("POST", &url, &[("content-type", "application/json")], body).await?;
        // Rows are written a line each.
        Ok((status, String::from_utf8(body.to_vec())?.replace('\n', "")))
    }
}

async fn post_span(collector: &Server, number: u64) -> Result<()> {
    let url = format!("http://{}/v1/traces", collector.addresses.otlp_http);
    let body = traces("shop", vec![span(number)]).encode_to_vec();
    ensure!(request("POST", &url, &[PROTOBUF], body.into()).await?.0 == 200);
    Ok(())
}

/// Rows that are in files and rows that are not are both there; without a collector the answer says so, and when there is
/// one again it is found.
#[tokio::test(flavor = "multi_thread")]
async fn each_role_runs_by_itself() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let collector = Server::start_with(&["collector"], &data, &[]).await?;
    ensure!(collector.addresses.query.is_empty(), "a collector alone answers no questions");
    ensure!(query_process_of(&collector)?.is_none(), "and starts nobody who does");
    post_span(&collector, 1).await?;
    ensure!(collector.terminate().await? == Some(0), "which puts the span into a file");

    let collector = Server::start_with(&["collector"], &data, &[]).await?;
    post_span(&collector, 2).await?;
    let mut query = Query::start(&data, &dir.path().join("query.log")).await?;
    let (status, body) = query.spans().await?;
    ensure!(status == 200 && body.contains("\"rows\":[[2]]"), "{status} {body}");
    let by_socket = Query::start(&data.join("socket/collector"), &dir.path().join("other.log")).await?;
    ensure!(by_socket.spans().await?.1 == body, "the socket stands for its directory");

    collector.kill().await?;
    let (status, body) = query.spans().await?;
    ensure!(status == 503 && body.contains("no_snapshot"), "{status} {body}");
    let collector = Server::start_with(&["collector"], &data, &[]).await?;
    post_span(&collector, 3).await?;
    let found = async {
        while query.spans().await?.0 != 200 {
            tokio::task::yield_now().await;
        }
        query.spans().await
    };
    let (_, body) =
        tokio::time::timeout(TIMEOUT, found).await.context("the collector is not found again")??;
    ensure!(body.contains("\"rows\":[[3]]"), "{body}");
    signal("-TERM", query.child.id().context("it runs")?).await?;
    let ended = tokio::time::timeout(TIMEOUT, query.child.wait()).await.context("it does not stop")??;
    ensure!(ended.code() == Some(0), "{ended}");
    ensure!(collector.terminate().await? == Some(0), "the collector goes on without it");
    Ok(())
}
