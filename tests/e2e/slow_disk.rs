//! A disk that stalls for a while: senders hear so in time, memory stays bounded, and queries, `/readyz` and
//! `/metrics` do not notice.
//!
//! The disk is an ext4 in a file, mounted through a loop device and frozen (`fsfreeze`): writes and syncs
//! then wait in the kernel, reads go on. Needs root: without it the test says so and proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::answers::{Answer, post, stored_numbers};
use crate::harness::{Server, request};
use crate::payloads::{span, traces};

/// Room for two segments of the log.
const DISK_BYTES: u64 = 512 << 20;

/// Four requests fill the budget: their rows take some 170 kB each, which is more than their bytes.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("MESHLAKE_STORE__FREE_BYTES_MIN", "16777216"),
    ("MESHLAKE_COLLECTOR__EXPORT_BYTES_MAX", "65536"),
    ("MESHLAKE_COLLECTOR__IN_FLIGHT_BYTES_MAX", "786432"),
];

/// Spans of a request of about 50 kB.
const SPANS_PER_REQUEST: u64 = 500;

/// How long the gRPC client waits, and hence how long the stall lasts at least.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Of google.rpc.Code.
const DEADLINE_EXCEEDED: &str = "4";

/// An answer that has nothing to wait for; generous, for a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

/// Everything that is waited for, on a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_disk_is_heard_of_in_time_and_stalls_nothing_else() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let Some(disk) = LoopDisk::mount(&directory.path().join("disk.img"), &data)? else { return Ok(()) };
    let server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    ensure!(post(&url, &message(0)).await? == Answer::Acked, "the disk works");

    disk.freeze()?;
    let status = grpc_status(&server.addresses.otlp_grpc, &message(1)).await?;
    ensure!(status == DEADLINE_EXCEEDED, "grpc-status {status}");
    check_the_rest(&server).await?;

    // Those that wait hold their bytes, so at the fifth there is no room for more.
    let waiting: Vec<_> = (2..5)
        .map(|number| {
            let url = url.clone();
            tokio::spawn(async move { post(&url, &message(number)).await })
        })
        .collect();
    let refused = post_until_refused(&url, 5).await?;
    check_the_rest(&server).await?;
    disk.thaw()?;

    // Every request is decided by the disk alone, also the one whose sender gave up.
    let mut acked: Vec<u64> = vec![0];
    for (number, sender) in (2..5).zip(waiting) {
        if sender.await.context("a sender panicked")?? == Answer::Acked {
            acked.push(number);
        }
    }
    ensure!(acked.len() >= 3, "requests {acked:?} were acknowledged");
    acked.push(1);
    let stored = stored_numbers(&server).await?;
    for number in acked {
        let spans = numbers(number);
        ensure!(spans.clone().all(|span| stored.get(&span) == Some(&1)), "request {number} is there once");
    }
    ensure!(numbers(refused).all(|span| !stored.contains_key(&span)), "request {refused} was refused");
    Ok(())
}

/// Queries and the admin port while the disk stalls.
async fn check_the_rest(server: &Server) -> Result<()> {
    let begun = Instant::now();
    let count = server.number("SELECT count(*) FROM spans").await?;
    ensure!(count == SPANS_PER_REQUEST as i64, "{count} spans are durable");
    let admin = format!("http://{}", server.addresses.admin);
    let (status, why) = request("GET", &format!("{admin}/readyz"), &[], Bytes::new()).await?;
    ensure!(status == 200, "readyz: {status} {}", String::from_utf8_lossy(&why));
    let (_, metrics) = request("GET", &format!("{admin}/metrics"), &[], Bytes::new()).await?;
    ensure!(begun.elapsed() < PROMPT, "a query, readyz and metrics took {:?}", begun.elapsed());
    let metrics = String::from_utf8_lossy(&metrics);
    let stall = metrics.lines().find_map(|line| line.strip_prefix("meshlake_wal_at_disk_seconds "));
    let stall_seconds: f64 = stall.context("the gauge is there")?.parse()?;
    ensure!(stall_seconds >= CLIENT_TIMEOUT.as_secs_f64() / 2.0, "a stall of {stall_seconds} s is shown");
    Ok(())
}

/// What the server says to a client that waits for [`CLIENT_TIMEOUT`]. By hand, because tonic's client goes
/// by its own clock and would not wait for the answer.
async fn grpc_status(address: &str, export: &ExportTraceServiceRequest) -> Result<String> {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let message = export.encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    frame.extend_from_slice(&message);
    let request = hyper::Request::post(format!("http://{address}{EXPORT}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", format!("{}m", CLIENT_TIMEOUT.as_millis()));
    let answer = client.request(request.body(Full::new(frame.into()))?).await?;
    let status = answer.headers().get("grpc-status").context("an answer without a body")?;
    Ok(status.to_str()?.to_owned())
}

/// The spans of a request.
fn numbers(request: u64) -> std::ops::Range<u64> {
    request * SPANS_PER_REQUEST..(request + 1) * SPANS_PER_REQUEST
}

fn message(request: u64) -> ExportTraceServiceRequest {
    traces("slow", numbers(request).map(span).collect())
}

/// Sends more requests, each left waiting, until one is refused; its number.
async fn post_until_refused(url: &str, first: u64) -> Result<u64> {
    let begun = Instant::now();
    for number in first.. {
        ensure!(begun.elapsed() < WAIT_MAX, "no request was refused");
        match tokio::time::timeout(PROMPT, post(url, &message(number))).await {
            Ok(Ok(Answer::Refused)) => return Ok(number),
            Ok(answer) => bail!("{answer:?} from a disk that stalls"),
            // It waits for the disk; its sender went away.
            Err(_) => {}
        }
    }
    bail!("numbers do not end")
}

/// A file system in a file, thawed and unmounted in the end.
struct LoopDisk {
    path: PathBuf,
}

impl LoopDisk {
    /// None, with a message, where mounting is not allowed.
    fn mount(image: &Path, path: &Path) -> Result<Option<LoopDisk>> {
        std::fs::File::create(image)?.set_len(DISK_BYTES)?;
        std::fs::create_dir(path)?;
        let image = image.to_str().context("UTF-8")?;
        let path_text = path.to_str().context("UTF-8")?;
        for command in [vec!["mkfs.ext4", "-q", image], vec!["mount", "-o", "loop", image, path_text]] {
            if let Err(why) = run(&command) {
                println!("skipped, needs root, ext4 and a loop device: {why}");
                return Ok(None);
            }
        }
        Ok(Some(LoopDisk { path: path.to_owned() }))
    }

    fn freeze(&self) -> Result<()> {
        run(&["fsfreeze", "--freeze", self.path.to_str().context("UTF-8")?])
    }

    fn thaw(&self) -> Result<()> {
        run(&["fsfreeze", "--unfreeze", self.path.to_str().context("UTF-8")?])
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Fails when it is not frozen, as it should be after a test that passed.
        let _ = self.thaw();
        if let Err(why) = run(&["umount", "--lazy", &self.path.to_string_lossy()]) {
            println!("unmount {} by hand: {why}", self.path.display());
        }
    }
}

fn run(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().context("a command has a name")?;
    let output = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
