//! Lines and spans as they become durable: Loki's WebSocket and server-sent events.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use prost::Message as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{INFO, send};
use crate::harness::{Server, request};
use crate::payloads::{now_nanos, span, traces};

/// What is waited for comes at once; this is for a machine that has much else to do.
const WAIT: Duration = Duration::from_secs(60);

/// `{app="x"}`-like queries as an address has them.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Reads until a text is there; what was read.
async fn until(stream: &mut TcpStream, wanted: &str) -> Result<String> {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(wanted) {
            ensure!(stream.read_buf(&mut read).await? > 0, "it ended: {}", String::from_utf8_lossy(&read));
        }
        Ok(String::from_utf8_lossy(&read).into_owned())
    };
    let found = timeout(WAIT, reading).await;
    found.with_context(|| format!("{wanted} did not come"))?
}

async fn opened(server: &Server, path: &str, headers: &str) -> Result<TcpStream> {
    let address = &server.addresses.query;
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// RFC 6455, 5.2: a frame of the server's is not masked; all that come here are whole texts.
async fn message(stream: &mut TcpStream) -> Result<Value> {
    let reading = async {
        let head = [stream.read_u8().await?, stream.read_u8().await?];
        ensure!(head[0] == 0x81, "{head:?} is no whole text");
        let length = match head[1] {
            126 => u64::from(stream.read_u16().await?),
            127 => stream.read_u64().await?,
            short => u64::from(short),
        };
        let mut text = vec![0; usize::try_from(length)?];
        stream.read_exact(&mut text).await?;
        Ok(serde_json::from_slice(&text)?)
    };
    timeout(WAIT, reading).await.context("no message came")?
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_over_a_websocket() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let before = now_nanos() - 10_000_000_000;
    send(&server, ("cart", INFO), before, &["old one", "old two"]).await?;
    let query = encoded("{service_name=\"cart\"} |= \"o\"");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut stream =
        opened(&server, &format!("/loki/loki/api/v1/tail?limit=1&query={query}"), upgrade).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(WAIT, stream.read_u8()).await.context("no answer came")??);
    }
    let head = String::from_utf8(head)?;
    // The key's answer stands in RFC 6455, 1.3.
    ensure!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let first = message(&mut stream).await?;
    ensure!(first["streams"][0]["values"][0][1] == "old two", "{first}");
    ensure!(first["streams"][0]["stream"]["service_name"] == "cart", "{first}");
    send(&server, ("other", INFO), now_nanos(), &["not of it"]).await?;
    send(&server, ("cart", INFO), now_nanos(), &["xx", "new one"]).await?;
    let next = message(&mut stream).await?;
    let values = next["streams"][0]["values"].as_array().context("values")?;
    ensure!(values.len() == 1 && values[0][1] == "new one", "{next}");
    Ok(())
}

/// `{ resource.service.name = "cart" }`
const SPANS_OF_CART: &str =
    "/api/v1/tail?table=spans&query=%7B%20resource.service.name%20%3D%20%22cart%22%20%7D";

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_spans_come_as_events() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let mut lines = opened(&server, "/api/v1/tail?table=logs&service=cart", "").await?;
    let mut spans = opened(&server, SPANS_OF_CART, "").await?;
    for stream in [&mut lines, &mut spans] {
        let head = until(stream, ": here").await?;
        ensure!(head.contains("text/event-stream"), "{head}");
    }
    send(&server, ("other", INFO), now_nanos(), &["not of it"]).await?;
    send(&server, ("cart", INFO), now_nanos(), &["of it"]).await?;
    for service in ["other", "cart"] {
        let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
        let headers = [("content-type", "application/x-protobuf")];
        let body = Bytes::from(traces(service, vec![span(7)]).encode_to_vec());
        ensure!(request("POST", &url, &headers, body).await?.0 == 200);
    }
    let told = until(&mut lines, "of it").await?;
    ensure!(told.contains("event: line\ndata: ") && !told.contains("not of it"), "{told}");
    let told = until(&mut spans, "\"service\":\"cart\"").await?;
    ensure!(told.contains("event: span\ndata: ") && !told.contains("other"), "{told}");
    Ok(())
}
