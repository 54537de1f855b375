//! One trace as the API tells it: every field that was sent, from the buffer and from files alike.

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;
use serde_json::{Value, json};

use crate::harness::{Server, request};
use crate::payloads::{span, string, traces};

fn int(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A failed call with an exception whose time is known and a note whose time is not.
fn sent() -> Span {
    let span = span(7);
    let exception = Event {
        time_unix_nano: 1_700_000_000_000_000_000,
        name: "exception".to_owned(),
        attributes: vec![string("exception.type", "shop.Closed"), int("attempt", 2)],
        dropped_attributes_count: 0,
    };
    let note = Event { name: "note".to_owned(), ..Event::default() };
    let link = Link {
        trace_id: vec![0x11; 16],
        span_id: vec![0x22; 8],
        trace_state: "a=b".to_owned(),
        attributes: vec![string("why", "batch")],
        ..Link::default()
    };
    Span {
        parent_span_id: vec![0x33; 8],
        attributes: vec![
            int("http.response.status_code", 500),
            string("http.url", "http://a/b"),
            int("n", -7),
        ],
        events: vec![exception, note],
        links: vec![link],
        dropped_events_count: 3,
        status: Some(Status { message: "closed".to_owned(), code: 2 }),
        ..span
    }
}

fn check(trace: &Value) -> Result<()> {
    let told = &trace["spans"][0];
    let want = json!({
        "span_id": "0000000000000008", "parent_span_id": "3333333333333333", "name": "GET /", "kind": "server",
        "service": "shop", "namespace": null, "version": null, "duration_ms": 1.0, "status": "error",
        "status_message": "closed", "outcome": "error", "is_proxy": false, "adjusted_count": 1.0,
        // The older name stays as it was sent, and is not told twice under the newer one.
        "attributes": {"http.response.status_code": 500, "http.url": "http://a/b", "n": -7},
        "resource": {"service.name": "shop"},
        "events": [
            // date -u -d @1700000000
            {"name": "exception", "time": "2023-11-14T22:13:20Z",
             "attributes": {"exception.type": "shop.Closed", "attempt": 2}},
            {"name": "note", "time": null, "attributes": {}},
        ],
        "links": [{"trace_id": "11".repeat(16), "span_id": "22".repeat(8), "trace_state": "a=b",
                   "attributes": {"why": "batch"}}],
        "dropped": {"attributes": 0, "events": 3, "links": 0},
    });
    for (key, want) in want.as_object().into_iter().flatten() {
        ensure!(told[key] == *want, "{key}: {} want {want}", told[key]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_told_as_it_was_sent() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start(&data).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces("shop", vec![sent()]).encode_to_vec();
    let protobuf = [("content-type", "application/x-protobuf")];
    ensure!(request("POST", &url, &protobuf, body.into()).await?.0 == 200);
    let path = format!("/api/v1/traces/{:032x}", (1_u128 << 64) + 7);
    check(&server.get(&path).await?)?;
    let typed = server.sql("SELECT exception_type, events[1]['name'] FROM spans").await?;
    ensure!(typed == [[json!("shop.Closed"), json!("exception")]], "{typed:?}");
    ensure!(server.terminate().await? == Some(0), "which puts the span into a file");
    let server = Server::start(&data).await?;
    check(&server.get(&path).await?)
}
