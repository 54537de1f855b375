//! Senders that do too little: they say nothing, stop in the middle, or leave.
//!
//! What ends them by itself takes a minute and is a matter of unit tests; here they are many, and nobody else may
//! notice.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::check_takes_requests;
use crate::exchange::case::Case;
use crate::exchange::judge::StatusMap;
use crate::exchange::mark::Mark;
use crate::exchange::overload::{Stalled, wait_for_metric};
use crate::exchange::payload;
use crate::exchange::signal::{Signal, Transport};
use crate::harness::Server;

/// A tenth of the connections that the server takes, so that the suite needs no raised limits, on each port.
const SILENT_CONNECTIONS: usize = 100;

/// Streams that a server takes on one connection.
const STREAMS_PER_CONNECTION: usize = 100;

/// How many messages of 64 MiB fit the budget of 192 MiB.
const FIT_BUDGET: usize = 3;

const POLL_INTERVAL: Duration = Duration::from_millis(10);
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// # Errors
/// When somebody else notices, or something is stored that was not sent whole.
pub async fn check(server: &Server) -> Result<()> {
    silent_connections(server).await.context("silent connections")?;
    byte_by_byte(server).await.context("byte by byte")?;
    senders_that_leave(server).await.context("senders that leave")?;
    stalled_streams(server).await.context("stalled streams")
}

/// Connections that have said nothing, half of a request's head, or half of a preface.
async fn silent_connections(server: &Server) -> Result<()> {
    let mut silent = Vec::new();
    for address in [&server.addresses.otlp_http, &server.addresses.otlp_grpc] {
        for said in [b"".as_slice(), b"POST /v1/tra", b"PRI * HTTP/2.0\r\n", b"\r\n"] {
            for _ in 0..SILENT_CONNECTIONS / 4 {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(said).await?;
                silent.push(stream);
            }
        }
    }
    wait_for_connections(server).await?;
    check_takes_requests(server).await?;
    drop(silent);
    wait_until_gone(server).await
}

/// Returns when no sender has a connection any more.
async fn wait_until_gone(server: &Server) -> Result<()> {
    for listener in ["otlp_http", "otlp_grpc"] {
        wait_for_metric(server, &format!("meshlake_connections{{listener=\"{listener}\"}}"), 0.0).await?;
    }
    Ok(())
}

/// Returns when as many connections are open as wait on the port of HTTP.
async fn wait_for_connections(server: &Server) -> Result<()> {
    let waiting = async {
        while server.metric("meshlake_connections{listener=\"otlp_http\"}").await? < SILENT_CONNECTIONS as f64
        {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    };
    tokio::time::timeout(POLL_TIMEOUT, waiting).await.context("connections are not taken")?
}

/// A request of which each byte is written by itself is a request.
async fn byte_by_byte(server: &Server) -> Result<()> {
    let mut stream = TcpStream::connect(&server.addresses.otlp_http).await?;
    stream.set_nodelay(true)?;
    for byte in http1_request(&Mark::new("byte-by-byte"))? {
        stream.write_all(&[byte]).await?;
    }
    let mut answer = [0; 15];
    tokio::time::timeout(POLL_TIMEOUT, stream.read_exact(&mut answer)).await.context("no answer")??;
    ensure!(&answer == b"HTTP/1.1 200 OK", "{}", String::from_utf8_lossy(&answer));
    let stored = server.number("SELECT count(*) FROM spans WHERE service_name = 'byte-by-byte'").await?;
    ensure!(stored == 1, "{stored} rows");
    Ok(())
}

/// Senders that leave after each byte of a request but the last: nothing of them is stored.
async fn senders_that_leave(server: &Server) -> Result<()> {
    let request = http1_request(&Mark::new("left"))?;
    for sent in 0..request.len() {
        let mut stream = TcpStream::connect(&server.addresses.otlp_http).await?;
        // A server that has already refused may have closed.
        let _ = stream.write_all(&request[..sent]).await;
    }
    wait_until_gone(server).await?;
    wait_for_metric(server, "meshlake_in_flight_bytes", 0.0).await?;
    let stored = server.number("SELECT count(*) FROM spans WHERE service_name = 'left'").await?;
    ensure!(stored == 0, "{stored} rows of senders that left");
    Ok(())
}

fn http1_request(mark: &Mark) -> Result<Vec<u8>> {
    let body = payload::body(&super::good_case()?, Signal::Traces, Transport::Protobuf, mark)?;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    Ok([head.as_bytes(), &body].concat())
}

/// 200 streams that say that 64 MiB will come: three get the memory, the others are told to come back, as is
/// everybody else until the three have gone.
async fn stalled_streams(server: &Server) -> Result<()> {
    let tenants = ["default"; STREAMS_PER_CONNECTION];
    let grpc = &server.addresses.otlp_grpc;
    let connections = [Stalled::begin(grpc, &tenants).await?, Stalled::begin(grpc, &tenants).await?];
    let answered =
        || connections.iter().flat_map(|connection| &connection.calls).filter(|call| call.is_finished());
    let all_but_those = 2 * STREAMS_PER_CONNECTION - FIT_BUDGET;
    let waiting = async {
        while answered().count() < all_but_those {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    let waited = tokio::time::timeout(POLL_TIMEOUT, waiting).await;
    ensure!(waited.is_ok(), "{} streams are answered, not {all_but_those}", answered().count());
    let budget = server.metric("meshlake_in_flight_bytes_max").await?;
    wait_for_metric(server, "meshlake_in_flight_bytes", budget).await?;

    let case: Case = toml::from_str("row = \"B09\"\nname = \"stalled\"\noutcome = \"overloaded\"")?;
    let status_map = StatusMap::read()?;
    for mut connection in connections {
        for call in connection.calls.extract_if(.., |call| call.is_finished()) {
            let judged = status_map.judge(&case, Signal::Traces, Transport::Grpc, &call.await??);
            judged.map_err(|fault| anyhow::anyhow!("a stalled stream: {fault}"))?;
        }
        connection.cut();
    }
    wait_for_metric(server, "meshlake_in_flight_bytes", 0.0).await
}
