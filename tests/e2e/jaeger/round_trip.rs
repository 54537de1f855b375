//! OTLP in, the same out of v3: every field and every type of value.

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::{every_type, get, server_with, shop};

/// Attributes have no order: those with columns of their own come last.
fn sorted(attributes: &mut [KeyValue]) {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
}

fn ordered(mut spans: Vec<ResourceSpans>) -> Vec<ResourceSpans> {
    for resource in &mut spans {
        sorted(&mut resource.resource.get_or_insert_default().attributes);
        for scope in &mut resource.scope_spans {
            sorted(&mut scope.scope.get_or_insert_default().attributes);
            for span in &mut scope.spans {
                sorted(&mut span.attributes);
                span.events.iter_mut().for_each(|event| sorted(&mut event.attributes));
                span.links.iter_mut().for_each(|link| sorted(&mut link.attributes));
                span.status.get_or_insert_default();
            }
        }
    }
    spans.sort_by_key(|resource| resource.scope_spans[0].spans[0].span_id.clone());
    spans
}

#[tokio::test]
async fn what_came_in_comes_out() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut sent = shop(1);
    for resource in &mut sent.resource_spans {
        resource.schema_url = "https://opentelemetry.io/schemas/1.27.0".to_owned();
        let told = resource.resource.as_mut().context("a resource")?;
        told.attributes.extend(every_type());
        told.dropped_attributes_count = 1;
        let scope = &mut resource.scope_spans[0];
        scope.schema_url = "https://opentelemetry.io/schemas/1.26.0".to_owned();
        let told = scope.scope.as_mut().context("a scope")?;
        told.attributes = every_type();
        told.dropped_attributes_count = 2;
        for span in &mut scope.spans {
            span.trace_state = "a=b".to_owned();
            span.flags = 0x301;
            (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) = (3, 4, 5);
            for event in &mut span.events {
                event.attributes = every_type();
                event.dropped_attributes_count = 6;
            }
            for link in &mut span.links {
                link.attributes = every_type();
                (link.dropped_attributes_count, link.flags) = (7, 0x301);
                link.trace_state = "c=d".to_owned();
            }
        }
    }
    let server = server_with(&directory.path().join("data"), &sent).await?;
    let url =
        format!("http://{}/jaeger/api/v3/traces/{}?rawTraces=true", server.addresses.query, "01".repeat(16));
    let (status, mut answer) = get(&url).await?;
    ensure!(status == 200, "{status} {answer}");
    let told: Vec<ResourceSpans> = serde_json::from_value(answer["result"]["resourceSpans"].take())?;
    let (told, sent) = (ordered(told), ordered(sent.resource_spans));
    ensure!(told == sent, "told {told:#?}\nsent {sent:#?}");
    Ok(())
}
