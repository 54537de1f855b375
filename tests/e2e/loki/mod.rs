//! Loki's API from outside: Loki's own `logcli` as it comes, and lines as they become durable.

mod logcli;
mod tail;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use hyper::body::Bytes;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;

use crate::harness::{Server, request};
use crate::payloads::logs;
use crate::sql::tools::{available, directory};

fn program(name: &str) -> Result<Option<PathBuf>> {
    let path = directory()?.join("bin").join(name);
    let how = format!("{name} is not installed: .ci/run says how");
    available(path.exists().then_some(path), &how)
}

/// OTLP's number of `info`, and of lines that say none. Source: logs.proto.
const INFO: i32 = 9;
const UNSAID: i32 = 0;

/// Sends lines of a service and a severity, a millisecond apart from `first_nanos` on.
async fn send(
    server: &Server,
    (service, severity): (&str, i32),
    first_nanos: u64,
    lines: &[&str],
) -> Result<()> {
    let record = |(at, line): (u64, &&str)| LogRecord {
        time_unix_nano: first_nanos + at * 1_000_000,
        severity_number: severity,
        body: Some(AnyValue { value: Some(Value::StringValue((*line).to_owned())) }),
        ..LogRecord::default()
    };
    let export = logs(service, (0..).zip(lines).map(record).collect());
    let url = format!("http://{}/v1/logs", server.addresses.otlp_http);
    let headers = [("content-type", "application/x-protobuf")];
    let (status, body) = request("POST", &url, &headers, Bytes::from(export.encode_to_vec())).await?;
    ensure!(status == 200, "{status}: {body:?}");
    Ok(())
}
