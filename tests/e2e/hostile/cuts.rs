//! Every cut of a request (B04): refused, unless what is left is a whole message.
//!
//! Which cuts those are is for other readers to say: prost for protobuf, `serde_json` for JSON. Two good requests
//! one behind the other are cut, so that one cut of many leaves something to store.

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::exchange::case::Case;
use crate::exchange::judge::StatusMap;
use crate::exchange::mark::Mark;
use crate::exchange::payload;
use crate::exchange::run::request;
use crate::exchange::send::Connection;
use crate::exchange::signal::{Signal, Transport};
use crate::harness::Server;

/// Fewer than the server's limit of streams on a connection.
const IN_FLIGHT_MAX: usize = 50;

/// # Errors
/// Cuts that are answered wrongly, or stored.
pub async fn check(server: &Server) -> Result<()> {
    let status_map = StatusMap::read()?;
    let mut faults = Vec::new();
    for signal in Signal::ALL {
        for transport in Transport::ALL {
            faults.extend(cuts(server, signal, transport, &status_map).await?);
        }
        let table = signal.tables()[0];
        let statement = format!("SELECT count(*) FROM {table} WHERE service_name LIKE 'cut-%'");
        let stored = server.number(&statement).await?;
        ensure!(stored == Transport::ALL.len() as i64, "{stored} rows in {table}, one for each transport");
    }
    ensure!(faults.is_empty(), "{} cuts:\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

async fn cuts(
    server: &Server,
    signal: Signal,
    transport: Transport,
    status_map: &StatusMap,
) -> Result<Vec<String>> {
    let address = match transport {
        Transport::Grpc => &server.addresses.otlp_grpc,
        _ => &server.addresses.otlp_http,
    };
    let mark = Mark::new(&format!("cut-{transport:?}"));
    // What is cut is the message, which over gRPC is in a frame that is whole.
    let message_in = if transport == Transport::Json { transport } else { Transport::Protobuf };
    let whole = payload::body(&case(0, "ok")?, signal, message_in, &mark)?;
    let Connection::Http2(sender) = Connection::open(address, 2).await? else {
        anyhow::bail!("HTTP/2 was asked for");
    };
    let cuts = stream::iter(1..=whole.len()).map(|cut| {
        let (whole, mark) = (&whole, &mark);
        let mut connection = Connection::Http2(sender.clone());
        async move {
            let is_whole = is_message(&whole[..whole.len() - cut], signal, transport);
            let case = case(cut, if is_whole { "ok" } else { "undecodable" })?;
            let reply = connection.send(request(&case, transport, signal, mark, address)?).await?;
            let judged = status_map.judge(&case, signal, transport, &reply);
            Ok::<_, anyhow::Error>(
                judged.err().map(|fault| format!("{signal:?} {transport:?} without {cut}: {fault}")),
            )
        }
    });
    let faults: Vec<Option<String>> = cuts.buffer_unordered(IN_FLIGHT_MAX).try_collect().await?;
    Ok(faults.into_iter().flatten().collect())
}

fn case(cut: usize, outcome: &str) -> Result<Case> {
    let text = format!(
        "row = 'B04'\nname = 'cut'\nhttp = 2\noutcome = '{outcome}'\n\
         body = [{{ cut = [{cut}, ['good', 'good']] }}]"
    );
    toml::from_str(&text).context("a case in TOML")
}

fn is_message(bytes: &[u8], signal: Signal, transport: Transport) -> bool {
    match (transport, signal) {
        (Transport::Json, _) => serde_json::from_slice::<serde_json::Value>(bytes).is_ok(),
        (_, Signal::Traces) => ExportTraceServiceRequest::decode(bytes).is_ok(),
        (_, Signal::Metrics) => ExportMetricsServiceRequest::decode(bytes).is_ok(),
        (_, Signal::Logs) => ExportLogsServiceRequest::decode(bytes).is_ok(),
    }
}
