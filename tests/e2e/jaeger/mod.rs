//! Jaeger's API as its clients ask it, beside a Jaeger of release 1.76 that was sent the same spans: what both answer is compared.
//! And OTLP out as it came in.

mod python;
mod peer;
mod round_trip;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::Value;

use crate::harness::{Server, request};
use crate::payloads::{now_nanos, string};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

/// A server with these spans.
async fn server_with(data: &Path, spans: &ExportTraceServiceRequest) -> Result<Server> {
    let server = Server::start(data).await?;
    send(&format!("http://{}/v1/traces", server.addresses.otlp_http), spans).await?;
    Ok(server)
}

async fn send(url: &str, spans: &ExportTraceServiceRequest) -> Result<()> {
    let headers = [("content-type", "application/x-protobuf")];
    let (status, body) = request("POST", url, &headers, spans.encode_to_vec().into()).await?;
    ensure!(status == 200, "POST {url}: {status} {}", String::from_utf8_lossy(&body));
    Ok(())
}

/// Status and JSON.
async fn get(url: &str) -> Result<(u16, Value)> {
    let (status, body) = request("GET", url, &[], Bytes::new()).await?;
    let told = || format!("GET {url}: {status} {}", String::from_utf8_lossy(&body));
    Ok((status, serde_json::from_slice(&body).with_context(told)?))
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A value of every type, nested ones too.
fn every_type() -> Vec<KeyValue> {
    let any = |value| AnyValue { value: Some(value) };
    let list = vec![any(Any::IntValue(1)), any(Any::StringValue("a".to_owned())), any(Any::BoolValue(true))];
    let entries = KeyValueList { values: vec![string("z", "1"), attribute("a", Any::DoubleValue(0.5))] };
    vec![
        string("text", "a \"b\" \u{e9}\n"),
        attribute("whole", Any::IntValue(9_007_199_254_740_993)),
        attribute("double", Any::DoubleValue(0.1)),
        attribute("boolean", Any::BoolValue(false)),
        attribute("bytes", Any::BytesValue(vec![0, 1, 255])),
        attribute("list", Any::ArrayValue(ArrayValue { values: list })),
        attribute("entries", Any::KvlistValue(entries)),
        attribute("http.response.status_code", Any::IntValue(503)),
        string("http.route", "/items"),
    ]
}

fn id(number: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, 1, number]
}

/// Traces of a shop, the first `number`: web calls cart, whose clock is a second behind, and cart fails in the first one; each ten
/// seconds before the one before.
fn shop(number: u8) -> ExportTraceServiceRequest {
    let base = now_nanos() / SECOND * SECOND - 60 * SECOND;
    let of = |service: &str, spans: Vec<Span>| {
        let attributes = vec![string("service.name", service), string("host.name", service)];
        let scope =
            InstrumentationScope { name: "shop".to_owned(), version: "1".to_owned(), ..Default::default() };
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    };
    let trace = |number: u8| {
        let start = base - u64::from(number) * 10 * SECOND;
        let trace_id = vec![number + 1; 16];
        let event = Event {
            time_unix_nano: start + MILLI,
            name: "retry".to_owned(),
            attributes: vec![string("why", "timeout")],
            ..Event::default()
        };
        let made = Span {
            trace_id: trace_id.clone(),
            span_id: id(1),
            name: "GET /items".to_owned(),
            kind: 3,
            start_time_unix_nano: start,
            end_time_unix_nano: start + u64::from(number + 1) * 100 * MILLI,
            attributes: every_type(),
            events: vec![event],
            ..Span::default()
        };
        let failed = Status { code: 2, message: "out of stock".to_owned() };
        let received = Span {
            trace_id,
            span_id: id(2),
            parent_span_id: id(1),
            name: "items".to_owned(),
            kind: 2,
            start_time_unix_nano: start - SECOND,
            end_time_unix_nano: start - SECOND + 50 * MILLI,
            links: vec![Link { trace_id: vec![9; 16], span_id: id(9), ..Link::default() }],
            status: (number == 0).then_some(failed),
            ..Span::default()
        };
        [of("web", vec![made]), of("cart", vec![received])]
    };
    ExportTraceServiceRequest { resource_spans: (0..number).flat_map(trace).collect() }
}
