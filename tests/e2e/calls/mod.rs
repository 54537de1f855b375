//! What counts, from wire to wire: each case is sent to the running binary as its senders would, and golden
//! metrics and graph must give the answers that are written beside it.
//!
//! The cases are small inputs after situations that users of other tools have reported (`tests/cases/calls`).
//! All go to one server, each for a tenant of its own, so that none can see another's calls.

mod case;
mod right;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use hyper::body::Bytes;
use serde_json::Value;

use crate::harness::{Server, request};
use case::Case;
use right::Answers;

/// How long before now the cases begin, so that all of them, up to minutes long, are over.
const AGO: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn each_case_is_counted_right() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(cases_dir())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    ensure!(!files.is_empty(), "there are no cases");
    let mut wrong = Vec::new();
    for file in &files {
        let name = file.file_stem().context("a case has a name")?.to_string_lossy().into_owned();
        let case = Case::read(file)?;
        let answers = answers(&server, &name, &case).await.with_context(|| name.clone())?;
        let complaints = case.right.complaints(&answers);
        if !complaints.is_empty() {
            wrong.push(format!("{name} ({}):\n  {}", case.kind, complaints.join("\n  ")));
        }
    }
    server.check_for_panics()?;
    ensure!(wrong.is_empty(), "{} of {} cases are wrong:\n{}", wrong.len(), files.len(), wrong.join("\n"));
    Ok(())
}

fn cases_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/calls")
}

async fn answers(server: &Server, tenant: &str, case: &Case) -> Result<Answers> {
    let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.saturating_sub(AGO);
    let start = u64::try_from(start.as_nanos())?;
    for body in case.otlp(start) {
        let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
        let headers = [("content-type", "application/json"), ("x-scope-orgid", tenant)];
        let (status, answer) = request("POST", &url, &headers, Bytes::from(body.to_string())).await?;
        ensure!(status == 200, "{status} {}", String::from_utf8_lossy(&answer));
    }
    for message in case.als(start) {
        let mut client =
            AccessLogServiceClient::connect(format!("http://{}", server.addresses.otlp_grpc)).await?;
        let mut stream = tonic::Request::new(tokio_stream::iter([message]));
        stream.metadata_mut().insert("x-scope-orgid", tenant.parse()?);
        client.stream_access_logs(stream).await.context("stream access logs")?;
    }
    let mut graphs = Vec::new();
    for by in ["service", "version", "workload"] {
        graphs.push((by, get(server, tenant, &format!("/api/v1/graph?by={by}")).await?));
    }
    Ok(Answers { graphs, golden: get(server, tenant, "/api/v1/golden?by=service").await? })
}

async fn get(server: &Server, tenant: &str, path: &str) -> Result<Value> {
    let url = format!("http://{}{path}", server.addresses.query);
    let (status, body) = request("GET", &url, &[("x-scope-orgid", tenant)], Bytes::new()).await?;
    ensure!(status == 200, "GET {path}: {status} {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).with_context(|| format!("GET {path}: no JSON"))
}
