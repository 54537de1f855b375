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
    admin: String,
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
        let addresses = async {
            let mut address = String::new();
            while let Some(line) = lines.next_line().await? {
                let Some((name, url)) = line.trim().split_once("http://") else { continue };
                let listens = url.split('/').next().unwrap_or_default().to_owned();
                match name.trim() {
                    "web page, API" => address = listens,
                    "admin" => return Ok((address, listens)),
                    _ => {}
                }
            }
            anyhow::bail!("it ended before it said where it listens")
        };
        let addresses =
            tokio::time::timeout(TIMEOUT, addresses).await.context("it does not listen in time")?;
        let (address, admin) = addresses.with_context(|| std::fs::read_to_string(log).unwrap_or_default())?;
        Ok(Query { child, address, admin })
    }

    /// Status and text of a page of the admin port.
    async fn admin(&self, path: &str) -> Result<(u16, String)> {
        let (status, body) =
            request("GET", &format!("http://{}{path}", self.admin), &[], Bytes::new()).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    }

    /// It lives, and says whether its collector answers: to probes and in metrics alike.
    async fn check_admin(&self, answers: bool) -> Result<()> {
        ensure!(self.admin("/healthz").await?.0 == 200);
        let (status, said) = self.admin("/readyz").await?;
        ensure!(status == if answers { 200 } else { 503 }, "{status} {said}");
        let (_, page) = self.admin("/metrics").await?;
        let up = format!("\nmeshlake_collector_up {}\n", u8::from(answers));
        ensure!(page.contains(&up), "{page}");
        ensure!(page.contains("meshlake_connections{listener=\"query\"}"), "{page}");
        ensure!(page.contains("meshlake_connections{listener=\"query_admin\"}"), "{page}");
        Ok(())
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
    query.check_admin(true).await?;

    collector.kill().await?;
    let (status, body) = query.spans().await?;
    ensure!(status == 503 && body.contains("no_snapshot"), "{status} {body}");
    query.check_admin(false).await?;
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
    let said = std::fs::read_to_string(dir.path().join("query.log"))?;
    ensure!(!said.contains("did not stop in time"), "nothing is cut off: {said}");
    ensure!(collector.terminate().await? == Some(0), "the collector goes on without it");
    Ok(())
}
