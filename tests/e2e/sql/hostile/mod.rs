//! Statements with ill intent: each is refused or answered within its bounds, and the server does not notice.
//!
//! First those that are known to have hurt engines like this one, then some hundreds that a grammar makes of
//! the same parts. Whatever they are, the answer is a status that says whose fault it was, within the
//! time-out; the process lives, has not panicked, and has not grown beyond its memory.

mod wires;
mod statements;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;

use crate::harness::{Server, request};
use crate::payloads::{span, traces};
use crate::query_process::processes::{line_of, query_process_of};
use statements::{Grammar, heavy, known};

/// Rows for joins to multiply.
const SPANS: u64 = 1_000;

const ENVIRONMENT: [(&str, &str); 2] =
    [("MESHLAKE_QUERY__TIMEOUT_SECONDS", "1"), ("MESHLAKE_QUERY__MEMORY_BYTES_MAX", "134217728")];

/// A time-out and what it takes a build without optimisation under load to notice it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// A full pool, an answer, a capped value or two, and the process itself.
const RESIDENT_BYTES_MAX: u64 = 1 << 30;

/// Statements of the grammar, unless `MESHLAKE_TEST_STATEMENTS` has another number of them.
const GENERATED: u64 = 200;

/// Of a link that is followed; the statements that change things are short.
const LINK_BYTES_MAX: usize = 8 << 10;

/// Where the data directory has its tables; no statement here says it.
const TABLES_DIRECTORY: &str = "data/tables";

/// 200: answered. 400, 413: refused. 503, 504: it would have taken too much.
const STATUSES: [u16; 5] = [200, 400, 413, 503, 504];

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_takes_the_server_down() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start_with(&["run"], &dir.path().join("data"), &ENVIRONMENT).await?;
    send(&server, "victim", SPANS).await?;
    let answering = query_process_of(&server)?.context("a process that answers")?;
    for sql in known() {
        let status = ask(&server, &sql).await?;
        ensure!(status != 200, "{}: answered", start_of(&sql));
        by_link(&server, &sql).await?;
    }
    ensure!(!Path::new("/tmp/meshlake-hostile.csv").exists(), "a statement has written a file");
    for sql in heavy() {
        ask(&server, &sql).await?;
    }
    let mut grammar = Grammar { state: seed() };
    let generated = generated(GENERATED);
    let mut counts = std::collections::BTreeMap::<u16, u64>::new();
    for _ in 0..generated {
        *counts.entry(ask(&server, &grammar.statement()).await?).or_default() += 1;
    }
    println!("statements of the grammar by status: {counts:?}");
    ensure!(query_process_of(&server)? == Some(answering), "the process that answers has ended in between");
    ensure!(counts.contains_key(&200) && counts.contains_key(&400), "it makes both kinds: {counts:?}");
    ensure!(
        server.number("SELECT count(*) FROM spans").await? == i64::try_from(SPANS)?,
        "rows are as they were"
    );
    check_memory(&server, RESIDENT_BYTES_MAX)?;
    server.check_for_panics()?;
    ensure!(server.terminate().await? == Some(0), "the stop fails");
    Ok(())
}

async fn ask(server: &Server, sql: &str) -> Result<u16> {
    let url = format!("http://{}/api/v1/sql?format=csv", server.addresses.query);
    let asked = request("POST", &url, &[("content-type", "text/plain")], sql.to_owned().into());
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, asked).await;
    match answer.with_context(|| format!("{}: no answer", start_of(sql)))? {
        Ok((status, body)) => {
            let said = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
            ensure!(STATUSES.contains(&status), "{}: {status} {said}", start_of(sql));
            ensure!(!said.contains(TABLES_DIRECTORY), "a path is told: {said}");
            Ok(status)
        }
        // An answer that outgrew a cap or its time after it had begun breaks off.
        Err(_) => server.check_ready().await.map(|()| 504),
    }
}

/// What another site's link makes a browser ask: a page, whatever it says.
async fn by_link(server: &Server, sql: &str) -> Result<()> {
    let query = sql.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    // A longer line is no request.
    if query.len() < LINK_BYTES_MAX {
        let url = format!("http://{}/sql?q={query}", server.addresses.query);
        let (status, _) = request("GET", &url, &[], Vec::new().into()).await?;
        ensure!(STATUSES.contains(&status), "{}: {status}", start_of(sql));
    }
    Ok(())
}

fn start_of(sql: &str) -> String {
    sql.chars().take(200).collect()
}

/// How many statements of the grammar.
fn generated(otherwise: u64) -> u64 {
    let asked = std::env::var("MESHLAKE_TEST_STATEMENTS").ok().and_then(|count| count.parse().ok());
    asked.unwrap_or(otherwise)
}

/// Says which seed the statements are made from, so that they can be made again.
fn seed() -> u64 {
    let seed = std::env::var("MESHLAKE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("MESHLAKE_TEST_SEED={seed}");
    seed
}

/// Sends spans of a service; they are acknowledged.
async fn send(server: &Server, service: &str, spans: u64) -> Result<()> {
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces(service, (0..spans).map(span).collect()).encode_to_vec();
    let (status, _) =
        request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
    ensure!(status == 200, "POST {url}: {status}");
    Ok(())
}

/// Both processes, the one that answers above all, have never had so many bytes.
fn check_memory(server: &Server, bytes_max: u64) -> Result<()> {
    for pid in [Some(server.pid()?), query_process_of(server)?].into_iter().flatten() {
        let most = line_of(pid, "status", "VmHWM:")?;
        let bytes = most.trim_end_matches(" kB").trim().parse::<u64>()? * 1024;
        println!("most memory of process {pid}: {bytes} bytes");
        ensure!(bytes < bytes_max, "{bytes} bytes of memory");
    }
    Ok(())
}
