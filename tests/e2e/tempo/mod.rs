//! Tempo's API as its clients ask it: what goes in by OTLP comes out the same, and questions as Grafana and Kiali send
//! them are answered.

mod generate;

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, TracesData};
use prost::Message as _;
use serde_json::json;

use crate::harness::{Server, request};
use crate::payloads::now_nanos;

const TRACES: u64 = 30;

/// `tempopb.TraceByIDResponse`, of which OTLP's `TracesData` has the trace's shape.
#[derive(Clone, PartialEq, prost::Message)]
struct TraceByIdResponse {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

/// One span with all that it came under; attributes in no order.
type Told = (Resource, String, InstrumentationScope, String, Span);

fn told(all: &[ResourceSpans]) -> Vec<Told> {
    let mut told = Vec::new();
    for of_resource in all {
        let mut resource = of_resource.resource.clone().unwrap_or_default();
        sort(&mut resource.attributes);
        for of_scope in &of_resource.scope_spans {
            let mut scope = of_scope.scope.clone().unwrap_or_default();
            sort(&mut scope.attributes);
            for span in &of_scope.spans {
                let mut span = span.clone();
                sort(&mut span.attributes);
                let urls = (of_resource.schema_url.clone(), of_scope.schema_url.clone());
                told.push((resource.clone(), urls.0, scope.clone(), urls.1, span));
            }
        }
    }
    told.sort_by(|a, b| a.4.span_id.cmp(&b.4.span_id));
    told
}

fn sort(attributes: &mut [KeyValue]) {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
}

async fn protobuf(server: &Server, path: &str) -> Result<Vec<u8>> {
    let url = format!("http://{}/tempo{path}", server.addresses.query);
    let (status, body) = request("GET", &url, &[("accept", "application/protobuf")], "".into()).await?;
    ensure!(status == 200, "{path}: {status} {}", String::from_utf8_lossy(&body));
    Ok(body.to_vec())
}

async fn check(server: &Server, sent: &[Vec<ResourceSpans>]) -> Result<()> {
    for spans in sent {
        let want = told(spans);
        let id: String = want[0].4.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let second = protobuf(server, &format!("/api/v2/traces/{id}")).await?;
        let second = TraceByIdResponse::decode(second.as_slice())?.trace.context("a trace")?;
        let first = TracesData::decode(protobuf(server, &format!("/api/traces/{id}")).await?.as_slice())?;
        for found in [told(&second.resource_spans), told(&first.resource_spans)] {
            ensure!(found.len() == want.len(), "{id}: {} spans of {}", found.len(), want.len());
            for (found, want) in found.iter().zip(&want) {
                ensure!(found == want, "{id}: found {found:#?}\nwant {want:#?}");
            }
        }
    }
    Ok(())
}

/// Types, lists, bytes, links, events, counts, flags, states, scopes and schema URLs: from the buffer and from files.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_comes_out_as_it_went_in() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start(&data).await?;
    let begin = now_nanos() - 60_000_000_000;
    let sent: Vec<Vec<ResourceSpans>> =
        (1..=TRACES).map(|seed| generate::trace(seed, begin + seed * 1_000_000)).collect();
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    for spans in &sent {
        let body = ExportTraceServiceRequest { resource_spans: spans.clone() }.encode_to_vec();
        let (status, answer) =
            request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
        ensure!(status == 200 && answer.is_empty(), "{status} {}", String::from_utf8_lossy(&answer));
    }
    check(&server, &sent).await?;
    ensure!(server.terminate().await? == Some(0), "which puts the spans into files");
    let server = Server::start(&data).await?;
    check(&server, &sent).await?;
    as_clients_ask(&server).await?;
    server.check_for_panics()
}

/// Grafana's search, editor and graph, and Kiali's two questions, as they send them.
async fn as_clients_ask(server: &Server) -> Result<()> {
    let (end, encode) = (now_nanos() / 1_000_000_000 + 1, |text: &str| -> String {
        form_urlencoded::byte_serialize(text.as_bytes()).collect()
    });
    let range = format!("start={}&end={end}", end - 3_600);
    let query = encode("{resource.service.name=\"web\" && nestedSetParent<0} | select(status)");
    let found = server.get(&format!("/tempo/api/search?q={query}&limit=200&spss=10&{range}")).await?;
    let traces = found["traces"].as_array().context("traces")?;
    ensure!(traces.len() == TRACES as usize, "every trace's root is of web: {}", traces.len());
    let starts: Vec<u64> =
        traces.iter().filter_map(|trace| trace["startTimeUnixNano"].as_str()?.parse().ok()).collect();
    ensure!(starts.is_sorted_by(|a, b| a >= b) && starts.len() == traces.len(), "newest first: {starts:?}");
    let kiali = encode(
        "{ .service.name = \"cart\"  && .http.status_code != \"200\"  } && {  }| select(status, .service_name, \
         .node_id, .component, .upstream_cluster, .http.method, .response_flags, resource.hostname, name)",
    );
    let found = server.get(&format!("/tempo/api/search?q={kiali}&limit=100&spss=10&{range}")).await?;
    for trace in found["traces"].as_array().context("traces")? {
        ensure!(
            trace["spanSet"]["spans"][0]["spanID"].is_string(),
            "Kiali reads the first of these: {trace}"
        );
    }
    let series = encode("{nestedSetParent<0} | count_over_time() by(resource.service.name)");
    let found = server.get(&format!("/tempo/api/metrics/query?q={series}&{range}")).await?;
    ensure!(found["series"][0]["value"] == json!(TRACES as f64), "{found}");
    let tags = server.get(&format!("/tempo/api/v2/search/tags?limit=5000&{range}")).await?;
    ensure!(tags["scopes"].as_array().is_some_and(|scopes| scopes.len() == 6), "{tags}");
    let values =
        server.get(&format!("/tempo/api/v2/search/tag/resource.service.name/values?{range}")).await?;
    let want = json!([{"type": "string", "value": "cart"}, {"type": "string", "value": "web"}]);
    ensure!(values["tagValues"] == want, "{values}");
    Ok(())
}
