//! Senders that come to the wrong port of a real server are told the right one in words of their own protocol.

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;

use crate::harness::{Server, request};
use crate::payloads::{span, traces};

fn port_of(address: &str) -> Result<&str> {
    Ok(address.rsplit_once(':').context("host:port")?.1)
}

/// Scenario: an SDK is set to OTLP over HTTP and given the port of gRPC, as happens more than anything else.
#[tokio::test(flavor = "multi_thread")]
async fn http_to_the_port_of_grpc_is_told_the_port_of_http() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_grpc);
    let body = traces("lost", vec![span(1)]).encode_to_vec();
    let (status, answer) =
        request("POST", &url, &[("content-type", "application/json")], body.into()).await?;
    let said = String::from_utf8_lossy(&answer);
    let port = port_of(&server.addresses.otlp_http)?;
    assert_eq!(status, 421, "{said}");
    assert!(said.contains(&format!("OTLP over HTTP is taken on port {port}")), "{said}");
    assert_eq!(server.number("SELECT count(*) FROM spans").await?, 0);
    Ok(())
}

/// The other way round, by a client whose library speaks gRPC alone.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_to_the_port_of_http_is_told_the_port_of_grpc() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let endpoint = format!("http://{}", server.addresses.otlp_http);
    let mut client = TraceServiceClient::connect(endpoint).await?;
    let status = client.export(traces("lost", vec![span(1)])).await.err().context("it is refused")?;
    let port = port_of(&server.addresses.otlp_grpc)?;
    assert_eq!(status.code(), tonic::Code::Unimplemented, "{status}");
    assert!(status.message().contains(&format!("gRPC is taken on port {port}")), "{status}");
    assert_eq!(server.number("SELECT count(*) FROM spans").await?, 0);
    Ok(())
}
