//! Names, values and bodies that are markup, on every page.

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use tempfile::tempdir;

use super::{lines, modules, told};
use crate::client::{Client, Transport};
use crate::harness::Server;
use crate::payloads::{logs, now_nanos, span, string, traces};

/// Ways into a page that forgets to escape: as an element, out of an attribute, out of a script or a comment, as an address, and
/// as characters that browsers once took for others. Each sets a flag that the page is asked for.
const HOSTILE: [&str; 16] = [
    "<script>globalThis.hit=1</script>",
    "<img src=x onerror=globalThis.hit=1>",
    "\"><svg onload=globalThis.hit=1>",
    "' onfocus='globalThis.hit=1' autofocus='",
    "\" onmouseover=\"globalThis.hit=1",
    "</title><script>globalThis.hit=1</script>",
    "</textarea><script>globalThis.hit=1</script>",
    "</style><script>globalThis.hit=1</script>",
    "--><script>globalThis.hit=1</script><!--",
    "]]><script>globalThis.hit=1</script>",
    "javascript:globalThis.hit=1//",
    "data:text/html,<script>globalThis.hit=1</script>",
    "<iframe srcdoc=\"<script>parent.hit=1</script>\">",
    "<details open ontoggle=globalThis.hit=1>",
    "{{constructor.constructor('globalThis.hit=1')()}}${globalThis.hit=1}",
    "&lt;script&gt;globalThis.hit=1&lt;/script&gt;\u{202e}\u{0}\u{2028}",
];

/// A call from a hostile service to another, whose every text is hostile.
fn call(at: u64, hostile: &str, other: &str) -> [(String, Span); 2] {
    let end = now_nanos() - 20_000_000_000;
    let ids = |id: u64| (1_000 + at * 10 + id).to_be_bytes().to_vec();
    let base = Span {
        name: format!("GET {hostile}"),
        start_time_unix_nano: end - 30_000_000,
        end_time_unix_nano: end,
        attributes: vec![
            string("http.route", hostile),
            string(hostile, hostile),
            string("url.full", hostile),
            string("server.address", hostile),
        ],
        events: vec![Event {
            name: "exception".to_owned(),
            attributes: vec![string("exception.message", hostile), string("exception.type", hostile)],
            time_unix_nano: end,
            ..Event::default()
        }],
        status: Some(Status { code: 2, message: hostile.to_owned() }),
        trace_state: hostile.to_owned(),
        ..span(at)
    };
    let made = Span { span_id: ids(1), kind: 3, ..base.clone() };
    let received = Span { span_id: ids(2), parent_span_id: ids(1), kind: 2, ..base };
    [(hostile.to_owned(), made), (other.to_owned(), received)]
}

fn line(at: u64, hostile: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: now_nanos() - 20_000_000_000,
        severity_text: hostile.to_owned(),
        severity_number: 17,
        body: Some(AnyValue { value: Some(Any::StringValue(hostile.to_owned())) }),
        attributes: vec![string(hostile, hostile)],
        trace_id: span(at).trace_id,
        ..LogRecord::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_in_names_is_text() -> Result<()> {
    let Some(modules) = modules()? else { return Ok(()) };
    let dir = tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let mut client = Client::connect(Transport::Grpc, &server.addresses).await?;
    for (at, hostile) in (1..).zip(HOSTILE) {
        for (service, span) in call(at, hostile, HOSTILE[usize::try_from(at)? % HOSTILE.len()]) {
            client.export_spans(traces(&service, vec![span])).await?;
        }
        client.export_logs(logs(hostile, vec![line(at, hostile)])).await?;
    }
    let base = format!("http://{}", server.addresses.query);
    let statement = "/sql?q=SELECT+*+FROM+spans";
    let found =
        told(&modules, "hostile.js", &[&base, statement, "/sql?q=SELECT+body,+attributes+FROM+logs"]).await?;
    ensure!(found["count"].as_u64() > Some(20), "pages lead to others: {found}");
    for complaint in ["said", "broken", "complaints"] {
        ensure!(lines(&found[complaint]).is_empty(), "{complaint}: {}", lines(&found[complaint]).join("\n"));
    }
    server.check_for_panics()
}
