//! What the sender of an export hears, and which of its spans are stored: for tests of disks that refuse.

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::Code;
use tonic::transport::Channel;

use crate::harness::{Server, request};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Acked,
    /// With the code that means "later", and a time to come back.
    Refused,
    /// Nothing is known yet: 504 or DEADLINE_EXCEEDED.
    TimedOut,
}

/// Sends `export` to OTLP/HTTP.
///
/// # Errors
/// Any answer that is none of [`Answer`].
pub async fn post(url: &str, export: &ExportTraceServiceRequest) -> Result<Answer> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = hyper::Request::post(url).header("content-type", "application/x-protobuf");
    let answer = client.request(request.body(Full::new(export.encode_to_vec().into()))?).await?;
    match answer.status().as_u16() {
        200 => Ok(Answer::Acked),
        503 if answer.headers().contains_key("retry-after") => Ok(Answer::Refused),
        504 => Ok(Answer::TimedOut),
        status => bail!("{status} with {:?}", answer.headers()),
    }
}

/// Sends `export` to OTLP/gRPC.
///
/// # Errors
/// As [`post`].
pub async fn export(
    client: &mut TraceServiceClient<Channel>,
    export: tonic::Request<ExportTraceServiceRequest>,
) -> Result<Answer> {
    let Err(status) = client.export(export).await else { return Ok(Answer::Acked) };
    let has_retry_info = String::from_utf8_lossy(status.details()).contains("google.rpc.RetryInfo");
    match status.code() {
        Code::Unavailable if has_retry_info => Ok(Answer::Refused),
        Code::DeadlineExceeded => Ok(Answer::TimedOut),
        _ => bail!("{status:?}"),
    }
}

/// How often the span of each number (`payloads::span`) is stored.
pub async fn stored_numbers(server: &Server) -> Result<HashMap<u64, u64>> {
    let url = format!("http://{}/api/v1/sql", server.addresses.query);
    let headers = [("content-type", "application/json"), ("accept", "text/csv")];
    let mut stored = HashMap::new();
    // An answer has at most 100,000 rows; ask by slices of the number.
    for slice in 0..10 {
        let number = "attributes['test.number']";
        let sql = format!("SELECT {number} FROM spans WHERE {number} LIKE '%{slice}'");
        let body = serde_json::json!({ "sql": sql }).to_string();
        let (status, csv) = request("POST", &url, &headers, Bytes::from(body)).await?;
        ensure!(status == 200, "{status} {}", String::from_utf8_lossy(&csv));
        for line in std::str::from_utf8(&csv)?.lines().skip(1) {
            *stored.entry(line.trim_matches('"').parse()?).or_default() += 1;
        }
    }
    Ok(stored)
}
