//! One Envoy in which requests and connections end in every way, each told in four ways: over its own log service, over
//! OTLP by gRPC and by HTTP, and to a file. All say the same, field by field, and name what the client was done.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::backend;
use super::client::wait_for;
use super::four_ways::{FIELDS, http_port, log_clusters, log_items, tcp_log_items};
use super::programs::{listening, meshlake, snippet, start};
use crate::envoy::{configuration, envoy_binary, free_port};
use crate::harness::{Server, request};

/// Requests or connections of each kind.
const ROUNDS: i64 = 3;

/// What tells the rows of each way.
const WAYS: [&str; 4] = [
    "source_format LIKE 'envoy_als%'",
    "attributes['log_name'] = 'otlp_grpc'",
    "attributes['log_name'] = 'otlp_http'",
    "source_format = 'istio_text' AND attributes['log.file.path'] IS NOT NULL",
];

/// Envoy's log service names the cluster of the host that was tried, and so none where none was; the text names the route's.
/// Source: Envoy, `extensions/access_loggers/grpc/grpc_access_log_utils.cc`.
const UNTRIED: [&str; 3] = ["upstream_cluster", "destination_service", "destination_namespace"];

/// Header `x-ending`, path, and what the client is answered.
const ENDINGS: [(&str, &str, u16); 9] = [
    ("plain", "/ok", 200),
    ("late", "/slow", 504),
    ("retried", "/unavailable", 503),
    ("injected", "/ok", 500),
    ("delayed", "/ok", 200),
    ("dead", "/ok", 503),
    ("nobody", "/ok", 503),
    ("unknown", "/ok", 404),
    ("limited", "/ok", 429),
];

/// Where the Envoy listens.
struct Ports {
    http: u16,
    tcp: u16,
    tcp_dead: u16,
    tcp_nobody: u16,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ending_is_told_alike_in_four_ways() -> Result<()> {
    let Some(envoy) = envoy_binary()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let logs = format!("{}/", dir.path().display());
    let server =
        meshlake(dir.path(), &snippet("envoy/meshlake.toml", &[("/var/log/envoy/", &logs)])?).await?;
    let ports = Ports {
        http: free_port().await?,
        tcp: free_port().await?,
        tcp_dead: free_port().await?,
        tcp_nobody: free_port().await?,
    };
    let bootstrap = bootstrap(&server, &logs, &ports, backend::start().await?)?;
    let file = dir.path().join("envoy.yaml");
    std::fs::write(&file, bootstrap)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let arguments = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c", file];
    let mut child = start(&envoy, &arguments, dir.path())?;
    listening(&mut child, ports.http, dir.path()).await?;

    let requests = end_requests(ports.http).await?;
    let connections = end_connections(&ports).await?;
    for way in WAYS {
        let count = format!("SELECT count(*) FROM requests WHERE counted AND {way}");
        wait_for(&server, &count, requests + connections).await.context(way)?;
        check_flags(&server, way).await.context(way)?;
    }
    check_alike(&server).await
}

/// Sends the requests, with one that the client does not wait for and one that is none; returns how many.
async fn end_requests(port: u16) -> Result<i64> {
    let mut sent = 0;
    for round in 0..ROUNDS {
        for (ending, path, status) in ENDINGS {
            let url = format!("http://127.0.0.1:{port}{path}?ending={ending}&round={round}");
            let got = request("GET", &url, &[("x-ending", ending)], Bytes::new()).await?.0;
            // The first one passes the limit.
            let want = if ending == "limited" && round == 0 { 200 } else { status };
            ensure!(got == want, "{url}: {got}, want {want}");
            sent += 1;
        }
        let mut leaving = TcpStream::connect(("127.0.0.1", port)).await?;
        let head =
            format!("GET /slow?ending=left&round={round} HTTP/1.1\r\nhost: a\r\nx-ending: plain\r\n\r\n");
        leaving.write_all(head.as_bytes()).await?;
        // Envoy has read it when it has answered another connection.
        let url = format!("http://127.0.0.1:{port}/ok?ending=beside&round={round}");
        request("GET", &url, &[("x-ending", "plain")], Bytes::new()).await?;
        drop(leaving);
        let mut garbage = TcpStream::connect(("127.0.0.1", port)).await?;
        garbage.write_all(b"this is no HTTP\r\n\r\n").await?;
        let mut answer = Vec::new();
        garbage.read_to_end(&mut answer).await?;
        ensure!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
        sent += 3;
    }
    Ok(sent)
}

/// Opens the connections and waits for their end; returns how many.
async fn end_connections(ports: &Ports) -> Result<i64> {
    for _ in 0..ROUNDS {
        let url = format!("http://127.0.0.1:{}/ok", ports.tcp);
        ensure!(request("GET", &url, &[("connection", "close")], Bytes::new()).await?.0 == 200);
        for port in [ports.tcp_dead, ports.tcp_nobody] {
            // Envoy closes or resets it.
            TcpStream::connect(("127.0.0.1", port)).await?.read_to_end(&mut Vec::new()).await.ok();
        }
    }
    Ok(3 * ROUNDS)
}

/// Fails unless each ending has its flag in as many rows as there were. Source: Envoy's access log documentation.
async fn check_flags(server: &Server, way: &str) -> Result<()> {
    let statement = format!(
        "SELECT coalesce(response_flags_text, '-') AS flags, count(*) FROM requests WHERE counted AND {way} GROUP BY 1"
    );
    let rows = server.sql(&statement).await?;
    let told: BTreeMap<&str, i64> =
        rows.iter().filter_map(|row| Some((row[0].as_str()?, row[1].as_i64()?))).collect();
    // Without a flag: plain, beside, the one that passed the limit, and connections that ended well.
    let want = [
        ("-", 3 * ROUNDS + 1),
        ("UT", ROUNDS),
        ("URX", ROUNDS),
        ("FI", ROUNDS),
        ("DI", ROUNDS),
        ("UF", ROUNDS),
        ("UH", 2 * ROUNDS),
        ("NR", ROUNDS),
        ("RL", ROUNDS - 1),
        ("DC", ROUNDS),
        ("DPE", ROUNDS),
        // Connections to where nobody listens: none of the tries that are allowed succeeded.
        ("UF,URX", ROUNDS),
    ];
    ensure!(told == want.into(), "{told:?}, want {:?}", BTreeMap::from(want));
    Ok(())
}

/// Fails unless the rows of all ways are the same, and their durations to the millisecond.
async fn check_alike(server: &Server) -> Result<()> {
    let fields = FIELDS.join(", ");
    let mut all = Vec::new();
    for way in WAYS {
        let statement = format!(
            "SELECT layer, time_unix_nano / 1000000, route, {fields}, duration_nano FROM requests \
             WHERE counted AND {way} ORDER BY downstream_remote_address, time_unix_nano / 1000000, path"
        );
        all.push(server.sql(&statement).await?);
    }
    let [by_als, others @ ..] = all.as_slice() else { anyhow::bail!("no way") };
    let mut differences = BTreeSet::new();
    for (way, rows) in WAYS[1..].iter().zip(others) {
        ensure!(rows.len() == by_als.len(), "{way}: {} rows of {}", rows.len(), by_als.len());
        for (row, als) in rows.iter().zip(by_als) {
            differences.extend(differing(row, als)?.into_iter().map(|field| format!("{way}: {field}")));
        }
    }
    ensure!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

/// Where a row and that of Envoy's log service of the same call differ.
fn differing(row: &[Value], als: &[Value]) -> Result<Vec<String>> {
    let names: Vec<&str> = ["layer", "time", "route"].into_iter().chain(FIELDS).collect();
    let host = names.iter().position(|name| *name == "upstream_host").context("a field")?;
    let (path, flags) = (&row[5], &row[8]);
    let is_untold = |at: usize| als[at].is_null() && als[host].is_null() && UNTRIED.contains(&names[at]);
    let places = (0..names.len()).filter(|at| row[*at] != als[*at] && !is_untold(*at));
    let mut differing: Vec<String> =
        places.map(|at| format!("{} {} and {} of {path} {flags}", names[at], row[at], als[at])).collect();
    let apart = nanos(&row[names.len()])?.abs_diff(nanos(&als[names.len()])?);
    if apart > 1_000_000 {
        differing.push(format!("{apart} ns apart of {path} {flags}"));
    }
    Ok(differing)
}

fn nanos(value: &Value) -> Result<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).context("a number")
}

fn bootstrap(server: &Server, logs: &str, ports: &Ports, upstream: u16) -> Result<String> {
    let mut text = configuration("endings")?
        .replace("@HTTP_LOGS@\n", &log_items(server, logs, 10)?)
        .replace("@TCP_LOGS@\n", &tcp_log_items(server, logs, 10)?)
        .replace("@CLUSTERS@\n", &log_clusters(server)?);
    for (name, port) in [
        ("@LISTEN@", ports.http),
        ("@TCP@", ports.tcp),
        ("@TCP_DEAD@", ports.tcp_dead),
        ("@TCP_NOBODY@", ports.tcp_nobody),
        ("@UPSTREAM@", upstream),
        ("@HTTP@", http_port(server)?),
    ] {
        text = text.replace(name, &port.to_string());
    }
    Ok(text)
}
