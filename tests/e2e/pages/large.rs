//! A mesh and a trace that are as large as a page takes, in a browser: all of it can be moved, scrolled and walked, and what is left
//! out is said. How long frames take is printed and not judged: machines that test are busy with other things.

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use super::{lines, modules, told};
use crate::client::{Client, Transport};
use crate::harness::Server;
use crate::payloads::{now_nanos, span, traces};

const SERVICES: u64 = 1_500;
const EDGES: u64 = 4_000;

/// Spans of the trace; a page shows the earliest 50,000.
const SPANS: u64 = 100_000;
const SHOWN: u64 = 50_000;
const SPANS_A_REQUEST: u64 = 5_000;

/// A call a span on either side: of each service to the next but one ring further, so that each edge is another.
fn mesh() -> ExportTraceServiceRequest {
    let end = now_nanos() - 20_000_000_000;
    let mut resource_spans = Vec::new();
    for call in 0..EDGES {
        let (caller, hop) = (call % SERVICES, call / SERVICES * 37 + 1);
        let ids = |id: u64| (10_000_000 + call * 2 + id).to_be_bytes().to_vec();
        let base = Span {
            start_time_unix_nano: end - 30_000_000,
            end_time_unix_nano: end,
            ..span(1_000_000 + call)
        };
        let made = Span { span_id: ids(0), kind: 3, ..base.clone() };
        let received = Span { span_id: ids(1), parent_span_id: ids(0), kind: 2, ..base };
        for (service, span) in [(caller, made), ((caller + hop) % SERVICES, received)] {
            resource_spans.extend(traces(&format!("s{service:04}"), vec![span]).resource_spans);
        }
    }
    ExportTraceServiceRequest { resource_spans }
}

/// Spans from the one with this number on, of one trace whose root is the first and has all others below it, a hundred each below
/// one of a thousand; each starts a microsecond after the one before.
fn part_of_trace(first: u64, start: u64) -> ExportTraceServiceRequest {
    let of = |number: u64| {
        let below = |number: u64| if number.is_multiple_of(100) { 0 } else { number / 100 * 100 };
        let parent = (number > 0).then(|| below(number));
        let id = |number: u64| (number + 1).to_be_bytes().to_vec();
        let end = if number == 0 { start + 1_000_000_000 } else { start + number * 1_000 + 500_000 };
        Span {
            trace_id: 7_u128.to_be_bytes().to_vec(),
            span_id: id(number),
            parent_span_id: parent.map(id).unwrap_or_default(),
            kind: if number == 0 { 2 } else { 1 },
            start_time_unix_nano: start + number * 1_000,
            end_time_unix_nano: end,
            ..span(number)
        }
    };
    traces("batch", (first..first + SPANS_A_REQUEST).map(of).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_is_whole_and_bounded() -> Result<()> {
    let Some(modules) = modules()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let mut client = Client::connect(Transport::Grpc, &server.addresses).await?;
    client.export_spans(mesh()).await?;
    let start = now_nanos() - 30_000_000_000;
    for first in (0..SPANS).step_by(usize::try_from(SPANS_A_REQUEST)?) {
        client.export_spans(part_of_trace(first, start)).await?;
    }
    let base = format!("http://{}", server.addresses.query);
    let (mesh, trace) = (format!("{base}/?collapse=none"), format!("{base}/trace/{:032x}", 7));
    let found = told(&modules, "large.js", &[&mesh, &trace]).await?;
    println!("{found:#}");
    let (mesh, trace) = (&found["mesh"], &found["trace"]);
    for complaint in [&mesh["complaints"], &trace["complaints"]] {
        ensure!(lines(complaint).is_empty(), "{complaint}");
    }
    ensure!((&mesh["status"], &trace["status"]) == (&json!(200), &json!(200)), "{found}");
    // The trace's own service calls nobody and is called by nobody known: it is a node as well, with whoever called it.
    ensure!(mesh["boxes"].as_u64() == Some(SERVICES), "a page draws so many at most: {mesh}");
    ensure!(mesh["edges"].as_u64() > Some(EDGES - 100), "all edges between those that are drawn: {mesh}");
    ensure!(mesh["isZoomed"] == true, "{mesh}");
    let rows = |state: &str| trace[state]["rows"].as_u64();
    ensure!((rows("atEnd"), rows("again")) == (Some(SHOWN), Some(SHOWN)), "{trace}");
    ensure!(rows("closed") == Some(1), "all is below the root: {trace}");
    ensure!(trace["atEnd"]["drawn"].as_u64() < Some(100), "only what is in view is drawn: {trace}");
    // The head is the first row.
    let last = (SHOWN + 1).to_string();
    ensure!(trace["atEnd"]["active"].as_str() == Some(last.as_str()), "{trace}");
    server.check_for_panics()
}
