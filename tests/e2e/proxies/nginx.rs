//! nginx, by file and by syslog, and as both at once.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Child;

use super::client::{ERRORS, REQUESTS, check_agents, check_golden, check_rows, send, wait_for};
use super::programs::{listening, meshlake, snippet, start};
use super::{backend, client};
use crate::envoy::{edge, free_port, whole};
use crate::harness::Server;
use crate::sql::tools::program;

/// The name that the configuration of nginx has for what stands behind it.
const REVIEWS: &str = "reviews.default.svc.cluster.local";

/// nginx before an upstream, by name and port, with `snippets` of `deploy/nginx` inside `http { }`. It is one process, which
/// ends with the test: a worker whose master is killed goes on.
pub async fn nginx(
    program: &Path,
    dir: &Path,
    snippets: &[String],
    listen: u16,
    (name, upstream): (&str, u16),
) -> Result<Child> {
    let logs = dir.join("nginx");
    std::fs::create_dir_all(&logs)?;
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};", dir.display()));
    let configuration = format!(
        "daemon off; master_process off; pid {dir}/nginx.pid; error_log stderr;\nevents {{}}\nhttp {{\n{temporary}\n\
         {snippets}\nupstream {name} {{ server 127.0.0.1:{upstream}; keepalive 4; }}\nserver {{\n\
         listen 127.0.0.1:{listen};\nlocation / {{ proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n}}\n}}\n",
        dir = dir.display(),
        temporary = temporary.join("\n"),
        snippets = snippets.join("\n"),
    );
    let file = dir.join("nginx.conf");
    std::fs::write(&file, configuration)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let mut child = start(program, &["-e", "stderr", "-c", file], dir)?;
    listening(&mut child, listen, dir).await?;
    Ok(child)
}

/// Meshlake with the snippet of `deploy/nginx` in `dir`, and what the snippets of nginx become there.
pub async fn with_snippets(dir: &Path) -> Result<(Server, String, String)> {
    let (logs, syslog) = (format!("{}/nginx/", dir.display()), format!("127.0.0.1:{}", free_port().await?));
    let places = [("/var/log/nginx/", logs.as_str()), ("127.0.0.1:5514", syslog.as_str())];
    let server = meshlake(dir, &snippet("nginx/meshlake.toml", &places)?).await?;
    let by_file = snippet("nginx/access-log.conf", &places[..1])?;
    let by_syslog = snippet("nginx/syslog.conf", &places[1..])?;
    Ok((server, by_file, by_syslog))
}

/// Scenario: nginx writes every line to a file and sends it by syslog as well. Guarantee: rows of either way are what the
/// client saw, and as observations of the same calls they count once.
#[tokio::test(flavor = "multi_thread")]
async fn nginx_by_file_and_by_syslog() -> Result<()> {
    let Some(program) = program("nginx", "nginx-light")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (server, by_file, by_syslog) = with_snippets(dir.path()).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let _nginx = nginx(&program, dir.path(), &[by_file, by_syslog], listen, (REVIEWS, upstream)).await?;
    let log = send(listen).await?;
    check_rows(&server, "attributes['log.file.path'] IS NOT NULL", &log).await?;
    check_rows(&server, "attributes['log.file.path'] IS NULL", &log).await?;
    wait_for(&server, "SELECT count(DISTINCT request_id) FROM requests", REQUESTS).await?;
    check_agents(&server, 2 * REQUESTS).await?;
    check_golden(&server, "edge").await?;
    let graph = server.get("/api/v1/graph").await?;
    let edge = edge(&graph, "edge", "default/reviews")?;
    ensure!([whole(&edge["requests"]), whole(&edge["errors"])] == [REQUESTS, ERRORS], "{edge}");
    Ok(())
}

/// Scenario: the format that nginx has when nobody has set one, found out from the lines. It says no duration.
#[tokio::test(flavor = "multi_thread")]
async fn nginx_as_it_is_installed() -> Result<()> {
    let Some(program) = program("nginx", "nginx-light")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let path = format!("{}/nginx/access.log", dir.path().display());
    let server = meshlake(dir.path(), &format!("[[collector.tail]]\npath = {path:?}\n")).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let plain = [format!("access_log {path};")];
    let _nginx = nginx(&program, dir.path(), &plain, listen, (REVIEWS, upstream)).await?;
    send(listen).await?;
    let combined = "SELECT count(*) FROM requests WHERE source_format = 'nginx_combined' AND counted";
    wait_for(&server, combined, client::REQUESTS).await?;
    let golden = server.get("/api/v1/golden?service=nginx").await?;
    let figures = ["requests", "errors"].map(|figure| golden["rows"][0][figure].as_i64());
    ensure!(figures == [REQUESTS, ERRORS].map(Some), "{golden}");
    let latencies = ["p50_ms", "p99_ms", "max_ms"].map(|figure| golden["rows"][0].get(figure));
    ensure!(latencies == [Some(&Value::Null); 3], "{golden}");
    Ok(())
}
