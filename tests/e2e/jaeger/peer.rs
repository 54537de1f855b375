//! A Jaeger beside us: the same questions to both, the same answers but for the order of what has none.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::{get, send, server_with, shop};
use crate::payloads::now_nanos;
use crate::sql::tools::{available, directory};

/// For a Jaeger to listen, and to have stored what it was sent.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A Jaeger that is killed when it is dropped; it keeps its spans in memory.
pub struct Peer {
    _child: Child,
    pub base: String,
    pub grpc: String,
    otlp: String,
}

/// The program, which `.ci/run` builds.
pub fn program() -> Result<Option<PathBuf>> {
    let program = directory()?.join("bin/jaeger-all-in-one");
    available(program.exists().then_some(program), "jaeger-all-in-one is not installed: see .ci/run")
}

/// Addresses of this machine that are free now.
fn free() -> Result<[String; 7]> {
    let listeners = [(); 7].map(|()| std::net::TcpListener::bind("127.0.0.1:0"));
    let mut addresses = Vec::new();
    for listener in listeners {
        addresses.push(listener?.local_addr()?.to_string());
    }
    addresses.try_into().ok().context("seven addresses")
}

impl Peer {
    /// Starts one, and waits until it answers.
    pub async fn start(program: &Path) -> Result<Peer> {
        let [http, grpc, otlp_grpc, otlp_http, collector_grpc, collector_http, admin] = free()?;
        let child = Command::new(program)
            .arg(format!("--query.http-server.host-port={http}"))
            .arg(format!("--query.grpc-server.host-port={grpc}"))
            .arg(format!("--collector.otlp.grpc.host-port={otlp_grpc}"))
            .arg(format!("--collector.otlp.http.host-port={otlp_http}"))
            .arg(format!("--collector.grpc-server.host-port={collector_grpc}"))
            .arg(format!("--collector.http-server.host-port={collector_http}"))
            .arg(format!("--admin.http.host-port={admin}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start Jaeger")?;
        let peer = Peer { _child: child, base: format!("http://{http}"), grpc, otlp: otlp_http };
        let url = format!("{}/api/services", peer.base);
        until("Jaeger does not answer", async || Ok(get(&url).await.is_ok_and(|(status, _)| status == 200)))
            .await?;
        Ok(peer)
    }

    /// Sends spans and waits until `count` traces of `web` are found.
    pub async fn store(
        &self,
        spans: &opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest,
        count: usize,
    ) -> Result<()> {
        send(&format!("http://{}/v1/traces", self.otlp), spans).await?;
        let url = format!("{}/api/traces?service=cart&{}", self.base, range());
        let is_stored = async || {
            let (_, answer) = get(&url).await?;
            Ok(answer["data"].as_array().map_or(0, Vec::len) == count)
        };
        until("Jaeger has not stored what it was sent", is_stored).await
    }
}

async fn until(what: &'static str, is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let wait = async {
        while !is_so().await? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    tokio::time::timeout(TIME_MAX, wait).await.context(what)?
}

/// The last hour, microseconds, as Jaeger's page asks.
fn range() -> String {
    let now = now_nanos() / 1_000;
    format!("start={}&end={now}&limit=20", now - 3_600_000_000)
}

/// Lists without an order are sorted: traces, spans, tags and fields; processes are put where they are named.
fn ordered(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for trace in answer["data"].as_array_mut().into_iter().flatten().filter(|trace| trace["spans"].is_array())
    {
        let mut processes = trace["processes"].take();
        let spans = trace["spans"].as_array_mut().into_iter().flatten();
        for span in spans {
            let process = span["processID"].as_str().unwrap_or_default().to_owned();
            span["processID"] = processes[&process].clone();
        }
        processes.take();
    }
    sorted(&mut answer);
    answer
}

fn sorted(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sorted);
            items.sort_by_key(Value::to_string);
        }
        Value::Object(fields) => fields.values_mut().for_each(sorted),
        _ => {}
    }
}

/// By services, operations, tags of each place and type, durations, bad parameters.
#[tokio::test]
async fn both_answer_v1_alike() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let spans = shop(3);
    let server = server_with(&directory.path().join("data"), &spans).await?;
    let peer = Peer::start(&program).await?;
    peer.store(&spans, 3).await?;
    let ours = format!("http://{}/jaeger", server.addresses.query);
    let (range, now) = (range(), now_nanos() / 1_000_000);
    let trace = "01".repeat(16);
    let questions = [
        "services".to_owned(),
        "services/web/operations".to_owned(),
        "operations?service=cart".to_owned(),
        "operations?service=cart&spanKind=server".to_owned(),
        "operations".to_owned(),
        format!("traces/{trace}"),
        format!("traces/{}", "ab".repeat(16)),
        format!("traces?traceID={trace}&traceID={}", "02".repeat(16)),
        format!("traces?service=web&{range}"),
        format!("traces?service=cart&operation=items&{range}"),
        format!("traces?service=cart&operation=nothing&{range}"),
        format!("traces?service=web&tag=text:a&tag=boolean:false&{range}"),
        format!("traces?service=web&tags=%7B%22http.response.status_code%22:%22503%22%7D&{range}"),
        format!("traces?service=cart&tags=%7B%22error%22:%22true%22%7D&{range}"),
        format!("traces?service=cart&tags=%7B%22span.kind%22:%22server%22%7D&{range}"),
        format!("traces?service=web&tags=%7B%22why%22:%22timeout%22%7D&{range}"),
        format!("traces?service=web&tags=%7B%22host.name%22:%22web%22%7D&{range}"),
        format!("traces?service=web&minDuration=150ms&{range}"),
        format!("traces?service=web&maxDuration=150ms&{range}"),
        format!("traces?service=web&minDuration=150ms&maxDuration=250ms&{range}"),
        "traces".to_owned(),
        "traces?service=web&minDuration=2s&maxDuration=1s".to_owned(),
        "traces?service=web&tag=x".to_owned(),
        format!("dependencies?endTs={now}&lookback=3600000"),
    ];
    for question in questions {
        let (status, answer) = get(&format!("{ours}/api/{question}")).await?;
        let (their_status, theirs) = get(&format!("{}/api/{question}", peer.base)).await?;
        let (answer, theirs) = (ordered(&answer), ordered(&theirs));
        ensure!(
            (status, &answer) == (their_status, &theirs),
            "{question}\nours   {status} {answer}\ntheirs {their_status} {theirs}"
        );
    }
    Ok(())
}

/// What v3 says of the same traces: names, and the trace as Jaeger mends it. Jaeger 1.76 writes lists as texts and adds an attribute
/// to links on its way through its older model, so those are looked at by the round trip alone.
#[tokio::test]
async fn both_answer_v3_alike() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let mut spans = shop(2);
    for span in spans.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans[0].spans) {
        span.attributes.retain(|attribute| !["list", "entries"].contains(&attribute.key.as_str()));
        span.links.clear();
        span.status.get_or_insert_default();
    }
    let server = server_with(&directory.path().join("data"), &spans).await?;
    let peer = Peer::start(&program).await?;
    peer.store(&spans, 2).await?;
    let ours = format!("http://{}/jaeger", server.addresses.query);
    let range = "query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00Z";
    let questions = [
        "services".to_owned(),
        "operations?service=web".to_owned(),
        "operations?service=cart&span_kind=client".to_owned(),
        format!("traces/{}", "01".repeat(16)),
        format!("traces/{}", "ab".repeat(16)),
        "traces?query.service_name=cart&query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z".to_owned(),
        "traces?query.service_name=nobody&query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z".to_owned(),
    ];
    for question in questions {
        let (status, mut answer) = get(&format!("{ours}/api/v3/{question}")).await?;
        let (their_status, mut theirs) = get(&format!("{}/api/v3/{question}", peer.base)).await?;
        sorted(&mut answer);
        sorted(&mut theirs);
        ensure!(
            (status, &answer) == (their_status, &theirs),
            "{question}\nours   {status} {answer}\ntheirs {their_status} {theirs}"
        );
    }
    // The newer names of parameters, which this Jaeger does not know.
    let (status, answer) = get(&format!("{ours}/api/v3/traces?query.serviceName=cart&{range}")).await?;
    ensure!(
        status == 200 && answer["result"]["resourceSpans"].as_array().map(Vec::len) == Some(4),
        "{answer}"
    );
    Ok(())
}
