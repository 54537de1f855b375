//! A disk that runs full, again and again: senders are told to come back, the process lives and answers
//! queries, rows are taken again soon after there is room, and every acknowledged one is there once.
//!
//! The disk is a tmpfs, filled to the last byte by a file that is none of ours; the log file of the process
//! is on it too. Mounting needs root: without it the test says so and proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::answers::{Answer, export, post, stored_numbers};
use crate::harness::{Server, request};
use crate::payloads::{span, traces};

/// Times that the disk runs full; the long form is `MESHLAKE_TEST_DISK_FULL_CYCLES=200`.
const CYCLES: u64 = 10;
const CYCLES_VARIABLE: &str = "MESHLAKE_TEST_DISK_FULL_CYCLES";

/// Room for some segments of 64 MiB, the watermark and what is stored.
const DISK: &str = "size=640m";

/// Watermark 64 MiB, so the reserve is 16 MiB and rows are taken again at 128 MiB.
const ENVIRONMENT: [(&str, &str); 2] =
    [("MESHLAKE_STORE__FREE_BYTES_MIN", "67108864"), ("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "1")];

/// The promise: so soon after there is room, rows are taken.
const RESUME_TIME_MAX: Duration = Duration::from_secs(5);

/// Everything else that is waited for happens within a second; this is for a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(60);

const SPANS_PER_REQUEST: u64 = 5;
const SENDERS_PER_PROTOCOL: usize = 2;

/// What `/metrics` shows of a full disk.
const SHOWN: [&str; 3] =
    ["meshlake_disk_has_room 0\n", "meshlake_disk_reserve_bytes 0\n", "status=\"disk_full\""];

/// A pause between two requests, so that the long form stores no more than can be asked for.
const PACE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers_and_loses_nothing() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let Some(disk) = Tmpfs::mount(directory.path())? else { return Ok(()) };
    let cycles = std::env::var(CYCLES_VARIABLE).map_or(Ok(CYCLES), |text| text.parse())?;
    let data = disk.path.join("data");
    let load = Arc::new(Load::default());
    let mut resume_max = Duration::ZERO;
    let mut server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    let mut senders = load.start_senders(&server).await?;
    for cycle in 0..cycles {
        let context = || format!("cycle {cycle}");
        load.wait_for_acks().await.with_context(context)?;
        disk.fill()?;
        load.wait_for_refusals().await.with_context(context)?;
        // The neighbour takes what the reserve gave, too.
        disk.fill()?;
        check_full(&server, &data, &load).await.with_context(context)?;
        if cycle == cycles / 2 {
            load.is_ending.store(true, Ordering::SeqCst);
            server.kill().await?;
            join(senders).await?;
            load.is_ending.store(false, Ordering::SeqCst);
            disk.fill()?;
            server = Server::spawn(&["run"], &data, &ENVIRONMENT)?.listening().await.with_context(context)?;
            senders = load.start_senders(&server).await?;
            load.wait_for_refusals().await.with_context(context)?;
            check_full(&server, &data, &load).await.with_context(context)?;
        }
        ensure!(server.is_alive(), "cycle {cycle}: the process ended");
        disk.free()?;
        let freed = Instant::now();
        load.wait_for_acks().await.with_context(context)?;
        let resumed = freed.elapsed();
        ensure!(resumed <= RESUME_TIME_MAX, "cycle {cycle}: rows were taken only after {resumed:?}");
        resume_max = resume_max.max(resumed);
    }
    println!("{cycles} cycles, {} spans acked, resumed after at most {resume_max:?}", load.acked().len());
    load.is_ending.store(true, Ordering::SeqCst);
    join(senders).await?;
    load.check(&server).await.context("before the kill")?;
    server.kill().await?;
    let server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    load.check(&server).await.context("after the kill")
}

/// What a full disk looks like from outside.
async fn check_full(server: &Server, data: &Path, load: &Load) -> Result<()> {
    let acked = load.acked().len() as i64;
    let stored = server.number("SELECT count(*) FROM spans").await?;
    ensure!(stored >= acked, "{stored} spans are seen, {acked} were acked");
    let admin = format!("http://{}", server.addresses.admin);
    let (status, body) = request("GET", &format!("{admin}/readyz"), &[], Bytes::new()).await?;
    let why = String::from_utf8_lossy(&body);
    ensure!(status == 503 && why.starts_with("the disk is full: "), "readyz: {status} {why}");
    // The watch looks twice a second, and may have looked last before the very last byte was taken.
    let url = format!("{admin}/metrics");
    let until = Instant::now() + WAIT_MAX;
    let mut metrics = String::new();
    while !SHOWN.iter().all(|part| metrics.contains(part)) {
        ensure!(Instant::now() < until, "not all of {SHOWN:?} are in {metrics}");
        metrics = String::from_utf8(request("GET", &url, &[], Bytes::new()).await?.1.to_vec())?;
    }
    // A flush may be under way; what it could not finish is gone soon.
    wait_until("unfinished files to be removed", || Ok(staged_files(&data.join("tables"))? == 0)).await
}

/// Files that were begun and have no name yet, in `dir` and below.
fn staged_files(dir: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count += staged_files(&entry.path())?;
        } else {
            count += usize::from(entry.file_name().to_string_lossy().contains('#'));
        }
    }
    Ok(count)
}

async fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + WAIT_MAX;
    while !is_so()? {
        ensure!(Instant::now() < until, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn join(senders: Vec<JoinHandle<Result<()>>>) -> Result<()> {
    for sender in senders {
        sender.await.context("a sender panicked")??;
    }
    Ok(())
}

/// Requests of all senders and what became of them.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    acked: Mutex<Vec<u64>>,
    refused: Mutex<Vec<u64>>,
    http: Counts,
    grpc: Counts,
    /// From now on senders end, and no answer at all is no surprise.
    is_ending: AtomicBool,
}

#[derive(Default)]
struct Counts {
    acks: AtomicU64,
    refusals: AtomicU64,
}

impl Load {
    async fn start_senders(self: &Arc<Self>, server: &Server) -> Result<Vec<JoinHandle<Result<()>>>> {
        let mut senders = Vec::new();
        for _ in 0..SENDERS_PER_PROTOCOL {
            let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
            senders.push(tokio::spawn(Arc::clone(self).send_http(url)));
            let endpoint = Endpoint::from_shared(format!("http://{}", server.addresses.otlp_grpc))?;
            let client = TraceServiceClient::new(endpoint.connect().await?);
            senders.push(tokio::spawn(Arc::clone(self).send_grpc(client)));
        }
        Ok(senders)
    }

    async fn send_http(self: Arc<Self>, url: String) -> Result<()> {
        while !self.is_ending.load(Ordering::SeqCst) {
            let first = self.next.fetch_add(SPANS_PER_REQUEST, Ordering::SeqCst);
            let answer = post(&url, &message(first)).await;
            self.settle(first, answer, &self.http)?;
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    async fn send_grpc(self: Arc<Self>, mut client: TraceServiceClient<Channel>) -> Result<()> {
        while !self.is_ending.load(Ordering::SeqCst) {
            let first = self.next.fetch_add(SPANS_PER_REQUEST, Ordering::SeqCst);
            let answer = export(&mut client, tonic::Request::new(message(first))).await;
            self.settle(first, answer, &self.grpc)?;
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    fn settle(&self, first: u64, answer: Result<Answer>, counts: &Counts) -> Result<()> {
        let numbers = first..first + SPANS_PER_REQUEST;
        match answer {
            Ok(Answer::Acked) => {
                self.acked.lock().expect("no panic").extend(numbers);
                counts.acks.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Answer::Refused) => {
                self.refused.lock().expect("no panic").extend(numbers);
                counts.refusals.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Answer::TimedOut) => bail!("request {first} waited in vain"),
            // The server was killed under the request: it may be stored or not.
            Err(_) if self.is_ending.load(Ordering::SeqCst) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns when some more requests of each protocol have been acknowledged.
    async fn wait_for_acks(&self) -> Result<()> {
        self.wait_for_more("acks", |counts| &counts.acks).await
    }

    async fn wait_for_refusals(&self) -> Result<()> {
        self.wait_for_more("refusals", |counts| &counts.refusals).await
    }

    async fn wait_for_more(&self, what: &str, count: fn(&Counts) -> &AtomicU64) -> Result<()> {
        const MORE: u64 = 5;
        for counts in [&self.http, &self.grpc] {
            let want = count(counts).load(Ordering::SeqCst) + MORE;
            wait_until(what, || Ok(count(counts).load(Ordering::SeqCst) >= want)).await?;
        }
        Ok(())
    }

    fn acked(&self) -> Vec<u64> {
        self.acked.lock().expect("no panic").clone()
    }

    /// Each acknowledged span is there once, and none that was refused.
    async fn check(&self, server: &Server) -> Result<()> {
        let (acked, stored) = (self.acked(), stored_numbers(server).await?);
        let lost: Vec<_> = acked.iter().filter(|number| !stored.contains_key(number)).collect();
        let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times != 1).collect();
        ensure!(lost.is_empty(), "{} of {} acked spans are lost: {lost:?}", lost.len(), acked.len());
        ensure!(doubled.is_empty(), "stored more than once: {doubled:?}");
        let refused = self.refused.lock().expect("no panic");
        let kept: Vec<_> = refused.iter().filter(|number| stored.contains_key(number)).collect();
        ensure!(kept.is_empty(), "refused and stored all the same: {kept:?}");
        Ok(())
    }
}

/// The request whose first span has this number.
fn message(first: u64) -> ExportTraceServiceRequest {
    traces("full", (first..first + SPANS_PER_REQUEST).map(span).collect())
}

/// A file system of its own, unmounted in the end.
struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// None, with a message, where mounting is not allowed.
    fn mount(path: &Path) -> Result<Option<Tmpfs>> {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "meshlake-test"]).arg(path).output();
        match mount {
            Ok(output) if output.status.success() => Ok(Some(Tmpfs { path: path.to_owned() })),
            Ok(output) => {
                println!("skipped, needs root: {}", String::from_utf8_lossy(&output.stderr).trim());
                Ok(None)
            }
            Err(error) => {
                println!("skipped, cannot run mount: {error}");
                Ok(None)
            }
        }
    }

    /// Takes all the room that there is, down to the last byte.
    fn fill(&self) -> Result<()> {
        use std::io::Write as _;
        const CHUNK_BYTES_MAX: usize = 4 << 20;
        let zeros = vec![0; CHUNK_BYTES_MAX];
        let mut filler = std::fs::File::options().create(true).append(true).open(self.filler())?;
        let mut chunk_bytes = CHUNK_BYTES_MAX;
        while chunk_bytes > 0 {
            match filler.write(&zeros[..chunk_bytes]) {
                Ok(written) if written > 0 => {}
                Err(error) if error.kind() != std::io::ErrorKind::StorageFull => return Err(error.into()),
                _ => chunk_bytes /= 2,
            }
        }
        Ok(())
    }

    fn free(&self) -> Result<()> {
        std::fs::remove_file(self.filler()).context("remove the filler")
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // A server that is being killed may still hold files: detach now, the kernel lets go later.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            println!("unmount {} by hand", self.path.display());
        }
    }
}
