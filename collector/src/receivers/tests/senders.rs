//! Who sent something is remembered, whatever became of it.

use ::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;

use super::{send_http1, start};
use crate::intake::testing::spans;

#[tokio::test]
async fn senders_are_remembered_with_what_was_refused() {
    let running = start().await;
    let post_as = |media_type: &str, tenant: &str, body: Vec<u8>| {
        let request = Request::post("/v1/traces")
            .header("host", "localhost")
            .header("content-type", media_type)
            .header("user-agent", "shop/1.2")
            .header("x-scope-orgid", tenant);
        request.body(Full::new(Bytes::from(body))).expect("a request")
    };
    let post = |tenant: &str, body: Vec<u8>| post_as("application/x-protobuf", tenant, body);
    let good = spans(1, 0).encode_to_vec();
    assert_eq!(send_http1(running.http, post("acme", good.clone())).await.status, 200);
    assert_eq!(send_http1(running.http, post("acme", vec![0xff])).await.status, 400);
    assert_eq!(send_http1(running.http, post("no/tenant", good)).await.status, 400);
    assert_eq!(send_http1(running.http, post_as("application/json", "acme", vec![b'{'])).await.status, 400);
    let health = Request::get("/v1/nothing").header("host", "localhost").body(Full::default());
    assert_eq!(send_http1(running.http, health.expect("a request")).await.status, 404);
    let mut client = TraceServiceClient::connect(format!("http://{}", running.grpc)).await.expect("connect");
    client.export(spans(1, 1)).await.expect("stored");
    drop(client);

    let mut told: Vec<_> = running
        .collector
        .stats()
        .senders
        .into_iter()
        .map(|(key, heard)| {
            assert_eq!(key.peer.to_string(), "127.0.0.1");
            let agent = heard.agent.split('/').next().unwrap_or_default().to_owned();
            (key.source, key.tenant.to_string(), key.signal, agent, heard.exports, heard.refused)
        })
        .collect();
    told.sort();
    let row = |source, tenant: &str, agent: &str, exports, refused| {
        (source, tenant.to_owned(), "traces", agent.to_owned(), exports, refused)
    };
    let want = [
        row("otlp_grpc", "default", "tonic", 1, 0),
        row("otlp_http_json", "acme", "shop", 1, 1),
        row("otlp_http_protobuf", "", "shop", 1, 1),
        row("otlp_http_protobuf", "acme", "shop", 2, 1),
    ];
    assert_eq!(told, want);
    running.stop().await;
}
