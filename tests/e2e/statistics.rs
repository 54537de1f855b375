//! What the comparison of versions says is what SciPy says of the same calls.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::harness::{Server, request};
use crate::interop::python;
use crate::payloads::{span, string, traces};

/// How far two programs' numbers may be apart, as a share: the error function that is used here is exact to 1e-10.
const RELATIVE_ERROR: f64 = 1e-8;

/// The status of a span that failed. Source: trace.proto.
const ERROR: i32 = 2;

/// Calls of a version: so many, so many of which failed, and how long they took: the first millisecond more for each.
struct Calls {
    version: &'static str,
    calls: u64,
    errors: u64,
    millis: u64,
}

const BASE: Calls = Calls { version: "v1", calls: 200, errors: 6, millis: 10 };

/// Alike, somewhat slower with more errors, few, and without any error.
const OTHERS: [Calls; 4] = [
    Calls { version: "v2", calls: 150, errors: 4, millis: 10 },
    Calls { version: "v3", calls: 90, errors: 11, millis: 14 },
    Calls { version: "v4", calls: 12, errors: 3, millis: 9 },
    Calls { version: "v5", calls: 60, errors: 0, millis: 25 },
];

impl Calls {
    fn nanos(&self, number: u64) -> u64 {
        // Twenty durations, none of which is a bound of a bucket.
        (self.millis + number % 20) * 1_000_000 + 137
    }

    fn json(&self) -> Value {
        let durations: Vec<u64> = (0..self.calls).map(|number| self.nanos(number)).collect();
        json!({"calls": self.calls, "errors": self.errors, "durations": durations})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p_values_effects_and_intervals_are_those_of_scipy() -> Result<()> {
    let Some(python) = python(&["scipy"])? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    for (at, calls) in (0..).zip([&BASE].into_iter().chain(&OTHERS)) {
        send(&server, at * 1_000, calls).await?;
    }
    let answer = server.get("/api/v1/versions?service=canary").await?;
    ensure!(answer["baseline"] == BASE.version, "{answer}");
    for calls in &OTHERS {
        let scipy = compared(&python, &json!({"base": BASE.json(), "other": calls.json()})).await?;
        let versions = answer["versions"].as_array().context("versions")?;
        let own = versions.iter().find(|row| row["version"] == calls.version).context(calls.version)?;
        ensure!(own["requests"] == calls.calls && own["errors"] == calls.errors, "{own}");
        let (errors, latency) = (&own["comparison"]["errors"], &own["comparison"]["latency"]);
        let interval = &errors["confidence_interval"];
        for (name, have, want) in [
            ("p of errors", &errors["p_value"], &scipy["errors"]["p_value"]),
            ("effect of errors", &errors["effect"], &scipy["errors"]["effect"]),
            ("low", &interval[0], &scipy["errors"]["low"]),
            ("high", &interval[1], &scipy["errors"]["high"]),
            ("p of latency", &latency["p_value"], &scipy["latency"]["p_value"]),
            ("effect of latency", &latency["effect"], &scipy["latency"]["effect"]),
        ] {
            let (have, want) = (have.as_f64().context(name)?, want.as_f64().context(name)?);
            let is_near = (have - want).abs() <= RELATIVE_ERROR * want.abs().max(1e-3);
            ensure!(is_near, "{name} of {}: {have}, SciPy has {want}", calls.version);
        }
    }
    Ok(())
}

/// Sends the calls as SERVER spans, each the root of a trace of its own.
async fn send(server: &Server, first: u64, calls: &Calls) -> Result<()> {
    let spans = (0..calls.calls).map(|number| {
        let mut span = span(first + number);
        span.end_time_unix_nano = span.start_time_unix_nano + calls.nanos(number);
        if number < calls.errors {
            span.status =
                Some(opentelemetry_proto::tonic::trace::v1::Status { code: ERROR, ..Default::default() });
        }
        span
    });
    let mut export = traces("canary", spans.collect());
    let resource = export.resource_spans[0].resource.as_mut().context("a resource")?;
    resource.attributes.push(string("service.version", calls.version));
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let kind = [("content-type", "application/x-protobuf")];
    let (status, body) = request("POST", &url, &kind, Bytes::from(export.encode_to_vec())).await?;
    ensure!(status == 200, "{status} {}", String::from_utf8_lossy(&body));
    Ok(())
}

async fn compared(python: &Path, asked: &Value) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/compare.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start Python")?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin.write_all(asked.to_string().as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("the script prints JSON")
}
