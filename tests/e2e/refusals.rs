//! Bad input gets its exact answer on each transport, leaves nothing behind, and loses nothing acknowledged.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::Code;

use crate::harness::{BINARY, FREE_PORTS, Server, request};
use crate::payloads::{span, traces};

/// The size limit of OTLP 1.11 that the collector keeps, before and after inflating.
const LIMIT_BYTES: usize = 64 * 1024 * 1024;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// A request that must be answered with status `want`.
struct Case {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    want: u16,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to a Vec cannot fail");
    encoder.finish().expect("writing to a Vec cannot fail")
}

#[tokio::test(flavor = "multi_thread")]
async fn http_answers_bad_input_as_otlp_says_and_stores_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let base = format!("http://{}", server.addresses.otlp_http);
    let good = traces("refusals", vec![span(1)]).encode_to_vec();
    let zeros = gzip(&vec![0; LIMIT_BYTES + 1]);
    let case = |name, path, headers: &[(&'static str, &'static str)], body: Vec<u8>, want| Case {
        name,
        method: "POST",
        path,
        headers: headers.to_vec(),
        body,
        want,
    };
    let cases = [
        case("no protobuf", "/v1/traces", &[PROTOBUF], b"\xff\xff".to_vec(), 400),
        case("cut short", "/v1/traces", &[PROTOBUF], good[..good.len() - 1].to_vec(), 400),
        case("no JSON", "/v1/traces", &[JSON], b"{\"resourceSpans\":".to_vec(), 400),
        case("JSON empty body", "/v1/logs", &[JSON], Vec::new(), 400),
        case("too large", "/v1/traces", &[PROTOBUF], vec![0; LIMIT_BYTES + 1], 413),
        case("too large inside", "/v1/traces", &[PROTOBUF, GZIP], zeros, 413),
        case("gzip that is none", "/v1/traces", &[PROTOBUF, GZIP], good.clone(), 400),
        case("coding unknown", "/v1/traces", &[PROTOBUF, ("content-encoding", "br")], good.clone(), 415),
        case("tenant is a path", "/v1/traces", &[PROTOBUF, ("x-scope-orgid", "a/b")], good.clone(), 400),
        case("type unknown", "/v1/traces", &[("content-type", "text/plain")], good.clone(), 415),
        case("path unknown", "/v1/profiles", &[PROTOBUF], good.clone(), 404),
        Case { method: "GET", ..case("wrong verb", "/v1/traces", &[], Vec::new(), 405) },
    ];
    for Case { name, method, path, headers, body, want } in cases {
        let (status, answer) = request(method, &format!("{base}{path}"), &headers, body.into()).await?;
        assert_eq!(status, want, "{name}: {}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(server.number("SELECT count(*) FROM spans").await?, 0);
    let (status, _) =
        request("POST", &format!("{base}/v1/traces"), &[PROTOBUF, GZIP], gzip(&good).into()).await?;
    assert_eq!((status, server.number("SELECT count(*) FROM spans").await?), (200, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_answers_bad_input_as_otlp_says() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let endpoint = format!("http://{}", server.addresses.otlp_grpc);
    let channel = tonic::transport::Endpoint::from_shared(endpoint)?.connect().await?;
    let mut client = TraceServiceClient::new(channel).max_encoding_message_size(2 * LIMIT_BYTES);

    let mut invalid = span(1);
    invalid.trace_id = vec![0; 16];
    let reply = client.export(traces("refusals", vec![span(2), invalid])).await?.into_inner();
    let partial = reply.partial_success.context("one span is invalid")?;
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("trace_id"), "{}", partial.error_message);

    let mut huge = span(3);
    huge.name = "x".repeat(LIMIT_BYTES + 1);
    let refused = client.export(traces("refusals", vec![huge])).await.err().context("over the limit")?;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.details().is_empty(), "without RetryInfo, or clients would retry for ever");

    let reply = client.export(traces("refusals", vec![span(4)])).await?.into_inner();
    assert_eq!(reply.partial_success, None, "full success leaves partial_success unset");
    assert_eq!(server.number("SELECT count(*) FROM spans").await?, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_api_explains_what_is_wrong() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let base = format!("http://{}", server.addresses.query);
    let cases = [
        ("POST", "/api/v1/sql", r#"{"sql":"SELEC 1"}"#, 400, "SELEC"),
        ("POST", "/api/v1/sql", r#"{"sql":"SELECT nothing FROM spans"}"#, 400, "nothing"),
        ("POST", "/api/v1/sql", r#"{"sql":"DROP TABLE spans"}"#, 400, ""),
        ("POST", "/api/v1/sql", "no json", 400, ""),
        ("GET", "/api/v1/nothing", "", 404, ""),
        ("GET", "/api/v1/traces/xyz", "", 400, "xyz"),
        ("GET", "/api/v1/traces/00000000000000000000000000000001", "", 404, ""),
        ("GET", "/api/v1/golden?by=nonsense", "", 400, "nonsense"),
    ];
    for (method, path, body, want, part) in cases {
        let url = format!("{base}{path}");
        let (status, answer) = request(method, &url, &[JSON], Bytes::from(body)).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, want, "{method} {path} {body}: {text}");
        let answer: serde_json::Value =
            serde_json::from_slice(&answer).with_context(|| format!("{path}: {text}"))?;
        let message = answer["error"]["message"].as_str().with_context(|| format!("{path}: {text}"))?;
        assert!(message.contains(part), "{path}: {message}");
    }
    Ok(())
}

/// What a failed start prints on standard error, and its exit code.
async fn failed_start(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(String, Option<i32>)> {
    let output = tokio::process::Command::new(BINARY)
        .args(arguments)
        .envs(FREE_PORTS)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((
        said.lines().filter(|line| line.starts_with("meshlake:")).collect::<Vec<_>>().join("\n"),
        output.status.code(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_work_says_why_in_one_line() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let data_text = data.to_str().context("the temporary path is UTF-8")?;
    let server = Server::start(&data).await?;

    let (said, code) = failed_start(&["run", "--data-dir", data_text], &[]).await?;
    assert!(said.contains("in use") && said.contains(data_text), "{said}");
    assert_eq!(code, Some(1));

    let other = dir.path().join("other");
    let other_text = other.to_str().context("the temporary path is UTF-8")?;
    let taken = [("MESHLAKE_COLLECTOR__OTLP_GRPC", server.addresses.otlp_grpc.as_str())];
    let (said, code) = failed_start(&["run", "--data-dir", other_text], &taken).await?;
    assert!(said.contains(&server.addresses.otlp_grpc) && said.contains("in use"), "{said}");
    assert_eq!(code, Some(1));

    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory")?;
    let (said, code) = failed_start(&["run", "--data-dir", file.to_str().context("UTF-8")?], &[]).await?;
    assert!(said.contains("file"), "{said}");
    assert_eq!(code, Some(1));

    let (said, code) = failed_start(&["run"], &[("MESHLAKE_ADMIN__HTTP", "nowhere")]).await?;
    assert!(said.starts_with("meshlake: the configuration is not valid"), "{said}");
    assert_eq!(code, Some(64));

    // The server that was there all along is untouched by any of this.
    ensure!(server.number("SELECT count(*) FROM spans").await? == 0, "the running server answers");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_with_exit_code_0_and_loses_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start(&data).await?;
    let body = traces("sigterm", (0..100).map(span).collect()).encode_to_vec();
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    assert_eq!(request("POST", &url, &[PROTOBUF], body.into()).await?.0, 200);
    assert_eq!(server.terminate().await?, Some(0));
    let server = Server::start(&data).await?;
    assert_eq!(server.number("SELECT count(*) FROM spans").await?, 100);
    let ledger = server.get("/api/v1/ledger").await?;
    let row = ledger["rows"].as_array().and_then(|rows| rows.first()).context("one ledger row")?;
    assert_eq!(
        (&row["received"], &row["accepted"], &row["durable"]),
        (&100.into(), &100.into(), &100.into()),
        "{row}"
    );
    Ok(())
}
