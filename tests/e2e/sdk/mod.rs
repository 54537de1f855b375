//! Real OpenTelemetry SDKs send to the real binary: what SQL returns is what they recorded, value for value, and
//! what they send again after a crash or a refusal is there once.
//!
//! The senders are in `tests/sdk/`, one in Python and one in JavaScript. Each prints the rows that have to be
//! there, read off the SDK's own objects, so that neither our reading of OTLP nor the SDK's exporter is its own
//! judge. Without the SDKs' packages these tests say so and how to get them. Limit: the gRPC exporter for
//! JavaScript (0.223) never sends again, so it has no part in the tests of that.

mod rows;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::harness::{Addresses, BINARY, Server};
use crate::payloads::now_nanos;

/// What is waited for takes a second or two; this is for a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A size that a budget may have (`collector.export_bytes_max` is not above it), and all of it.
const BUDGET_BYTES: u32 = 64 << 20;

/// Groups that are stored before the server dies between the next one's fdatasync and its answer.
const DIES_UNANSWERED: (&str, &str) = ("FAILPOINTS", "before_ack=10*off->1*return(kill)");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
}

/// An SDK and how it sends.
#[derive(Debug, Clone, Copy)]
struct Sdk {
    language: Language,
    protocol: &'static str,
    is_compressed: bool,
}

const fn sdk(language: Language, protocol: &'static str) -> Sdk {
    Sdk { language, protocol, is_compressed: false }
}

const fn compressed(sdk: Sdk) -> Sdk {
    Sdk { is_compressed: true, ..sdk }
}

/// SDKs that send again.
const RETRYING: [Sdk; 4] = [
    sdk(Language::Python, "grpc"),
    sdk(Language::Python, "http/protobuf"),
    sdk(Language::JavaScript, "http/protobuf"),
    sdk(Language::JavaScript, "http/json"),
];

#[tokio::test(flavor = "multi_thread")]
async fn python_over_grpc_is_stored_as_recorded() -> Result<()> {
    stored_as_recorded(compressed(sdk(Language::Python, "grpc"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_over_http_is_stored_as_recorded() -> Result<()> {
    stored_as_recorded(sdk(Language::Python, "http/protobuf")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_over_grpc_is_stored_as_recorded() -> Result<()> {
    stored_as_recorded(sdk(Language::JavaScript, "grpc")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_over_http_is_stored_as_recorded() -> Result<()> {
    stored_as_recorded(compressed(sdk(Language::JavaScript, "http/protobuf"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_in_json_is_stored_as_recorded() -> Result<()> {
    stored_as_recorded(sdk(Language::JavaScript, "http/json")).await
}

/// All three signals, read from memory, and from files after a crash.
async fn stored_as_recorded(sdk: Sdk) -> Result<()> {
    if !sdk.language.is_installed()? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start(&data).await?;
    let sender = Sender::start(sdk, "signals", &server.addresses)?;
    let service = sender.service.clone();
    let recorded = sender.finish().await?;
    rows::check(&server, &service, &recorded).await.context("from memory")?;
    server.kill().await?;
    let flushed = Command::new(BINARY).args(["maintain", "--data-dir"]).arg(&data).output().await?;
    ensure!(flushed.status.success(), "{}", String::from_utf8_lossy(&flushed.stderr));
    let server = Server::start(&data).await?;
    rows::check(&server, &service, &recorded).await.context("from files")
}

/// Scenario: while SDKs send, the server ends by SIGKILL, and comes back on its ports when all of them have
/// noticed; then it dies with requests on disk that it has not answered, and comes back again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_after_a_crash_is_there_once() -> Result<()> {
    if !all_installed()? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let [grpc, http] = lasting_addresses()?;
    let grpc = ("MESHLAKE_COLLECTOR__OTLP_GRPC", grpc.as_str());
    let http = ("MESHLAKE_COLLECTOR__OTLP_HTTP", http.as_str());
    let server = Server::start_with(&["run"], &data, &[grpc, http]).await?;
    let mut senders = start_all(&server.addresses)?;
    all_get_through(&server, &senders).await?;
    let before = retries(&senders);
    server.kill().await?;
    all_retry(&mut senders, &before).await?;
    let server = Server::start_with(&["run"], &data, &[grpc, http, DIES_UNANSWERED]).await?;
    ensure!(server.dies_within(WAIT_MAX).await?, "the server did not die with requests unanswered");
    let server = Server::start_with(&["run"], &data, &[grpc, http]).await?;
    all_get_through(&server, &senders).await?;
    finish_all(&server, senders).await?;
    let repeats = "SELECT coalesce(sum(records), 0) FROM ledger WHERE event = 'deduplicated'";
    ensure!(server.number(repeats).await? > 0, "nothing that was stored came again: this proves nothing");
    Ok(())
}

/// Scenario: a request that stalls holds the whole budget for requests in memory, so that all others are refused
/// with 503 or UNAVAILABLE until it goes away.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_after_a_refusal_is_there_once() -> Result<()> {
    if !all_installed()? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let budget = BUDGET_BYTES.to_string();
    let environment = [("MESHLAKE_COLLECTOR__IN_FLIGHT_BYTES_MAX", budget.as_str())];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    let stalled = stalled_request(&server).await?;
    let mut senders = start_all(&server.addresses)?;
    let before = retries(&senders);
    all_retry(&mut senders, &before).await?;
    ensure!(server.number("SELECT count(*) FROM spans").await? == 0, "a request was taken over the budget");
    drop(stalled);
    all_get_through(&server, &senders).await?;
    finish_all(&server, senders).await
}

/// A request that announces a body of the size of the budget and does not send it.
async fn stalled_request(server: &Server) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(&server.addresses.otlp_http).await?;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\ncontent-length: {BUDGET_BYTES}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let held = async {
        while server.metric("meshlake_in_flight_bytes").await? < f64::from(BUDGET_BYTES) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(stream)
    };
    tokio::time::timeout(WAIT_MAX, held).await.context("the budget is not taken")?
}

/// Addresses that stay free while the server is down: below the ports that the kernel hands out, of which any
/// could be another program's by then.
fn lasting_addresses() -> Result<[String; 2]> {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // Not always the same, so that two runs do not meet.
    let begin = PORTS.start + u16::try_from(now_nanos() / 1_000 % PORTS.len() as u64)?;
    let mut free = (begin..PORTS.end).chain(PORTS).filter(is_free);
    let mut address = || anyhow::Ok(format!("127.0.0.1:{}", free.next().context("no free port")?));
    Ok([address()?, address()?])
}

fn start_all(addresses: &Addresses) -> Result<Vec<Sender>> {
    RETRYING.into_iter().map(|sdk| Sender::start(sdk, "spans", addresses)).collect()
}

/// How often each sender has sent something again.
fn retries(senders: &[Sender]) -> Vec<usize> {
    senders.iter().map(|sender| retry_count(&sender.said.borrow())).collect()
}

/// Returns when each sender has sent something again more often than before.
async fn all_retry(senders: &mut [Sender], before: &[usize]) -> Result<()> {
    for (sender, before) in senders.iter_mut().zip(before) {
        let retry = sender.said.wait_for(|said| retry_count(said) > *before);
        let retried = tokio::time::timeout(WAIT_MAX, retry).await.is_ok_and(|retry| retry.is_ok());
        ensure!(retried, "{} sent nothing again:\n{}", sender.service, *sender.said.borrow());
    }
    Ok(())
}

/// Both SDKs say so on standard error, each in its words.
fn retry_count(said: &str) -> usize {
    said.matches("retry in ").count() + said.matches("retrying in ").count()
}

/// Returns when more spans of each sender are stored than were at first.
async fn all_get_through(server: &Server, senders: &[Sender]) -> Result<()> {
    for sender in senders {
        let count = format!("SELECT count(*) FROM spans WHERE service_name = '{}'", sender.service);
        let before = server.number(&count).await?;
        let more = async {
            while server.number(&count).await? <= before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(WAIT_MAX, more)
            .await
            .with_context(|| format!("{} is stuck", sender.service))??;
    }
    Ok(())
}

/// Ends the senders and compares all that they have recorded.
async fn finish_all(server: &Server, mut senders: Vec<Sender>) -> Result<()> {
    senders.iter_mut().for_each(Sender::stop);
    for sender in senders {
        let service = sender.service.clone();
        let recorded = sender.finish().await?;
        rows::check(server, &service, &recorded).await.context(service)?;
    }
    server.check_for_panics()
}

/// A sender that runs.
struct Sender {
    service: String,
    child: Child,
    /// What it has said on standard error.
    said: watch::Receiver<String>,
}

impl Sender {
    fn start(sdk: Sdk, what: &str, addresses: &Addresses) -> Result<Sender> {
        let Sdk { language, protocol, is_compressed } = sdk;
        let service = format!("{language:?} {protocol}");
        let endpoint = if protocol == "grpc" { &addresses.otlp_grpc } else { &addresses.otlp_http };
        // In seconds here, in milliseconds there.
        let timeout = if language == Language::Python { "60" } else { "60000" };
        // Python over gRPC knows no other word.
        let compression = is_compressed.then_some(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"));
        let mut child = language
            .sender()?
            .args([what, protocol, &service])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{endpoint}"))
            .envs(compression)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", timeout)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {service}"))?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        let (told, said) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                told.send_modify(|said| said.extend([line.as_str(), "\n"]));
            }
        });
        Ok(Sender { service, child, said })
    }

    fn stop(&mut self) {
        self.child.stdin = None;
    }

    /// Stops it, waits until all is sent, and returns what was recorded.
    async fn finish(mut self) -> Result<Value> {
        self.stop();
        let output = tokio::time::timeout(WAIT_MAX, self.child.wait_with_output()).await;
        let Output { status, stdout, .. } =
            output.with_context(|| format!("{} does not end", self.service))??;
        ensure!(status.success(), "{} ended with {status}:\n{}", self.service, *self.said.borrow());
        serde_json::from_slice(&stdout).context("the sender prints JSON")
    }
}

/// True where the SDKs of both languages are.
fn all_installed() -> Result<bool> {
    Ok(Language::Python.is_installed()? && Language::JavaScript.is_installed()?)
}

impl Language {
    /// The absence of the packages is a failure where tools are required (CI), else a notice.
    fn is_installed(self) -> Result<bool> {
        let is_installed = match self {
            Language::Python => {
                let libraries = std::fs::read_dir(tools()?.join("lib")).into_iter().flatten().flatten();
                let mut packages =
                    libraries.map(|library| library.path().join("site-packages/opentelemetry"));
                packages.any(|path| path.join("exporter/otlp/proto/http").exists())
            }
            Language::JavaScript => {
                let has_node = std::process::Command::new("node").arg("--version").output().is_ok();
                has_node && node_modules()?.join("@opentelemetry/sdk-logs").exists()
            }
        };
        if !is_installed {
            let how = self.how_to_install();
            ensure!(
                std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(),
                "the OpenTelemetry SDK for {self:?} is not installed: {how}"
            );
            eprintln!("SKIPPED: the test with the OpenTelemetry SDK for {self:?} needs it: {how}");
        }
        Ok(is_installed)
    }

    fn how_to_install(self) -> &'static str {
        match self {
            Language::Python => {
                "python3 -m venv ~/.cache/meshlake/test-tools && ~/.cache/meshlake/test-tools/bin/pip install -r tests/requirements.txt"
            }
            Language::JavaScript => {
                "cp -r tests/sdk/javascript ~/.cache/meshlake/test-tools/ && npm ci --prefix ~/.cache/meshlake/test-tools/javascript, with Node.js 18.19 or later"
            }
        }
    }

    fn sender(self) -> Result<Command> {
        let senders = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
        Ok(match self {
            Language::Python => {
                let mut command = Command::new(tools()?.join("bin/python"));
                command.arg(senders.join("python/send.py"));
                command
            }
            Language::JavaScript => {
                let mut command = Command::new("node");
                command.arg(senders.join("javascript/send.js")).env("NODE_PATH", node_modules()?);
                command
            }
        })
    }
}

fn node_modules() -> Result<PathBuf> {
    Ok(tools()?.join("javascript/node_modules"))
}

fn tools() -> Result<PathBuf> {
    match std::env::var_os("MESHLAKE_TEST_TOOLS") {
        Some(tools) => Ok(PathBuf::from(tools)),
        None => {
            Ok(PathBuf::from(std::env::var_os("HOME").context("HOME")?).join(".cache/meshlake/test-tools"))
        }
    }
}
