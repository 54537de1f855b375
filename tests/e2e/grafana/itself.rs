//! The dashboard of Meshlake itself, filled as its page says: an agent of Prometheus scrapes the admin port and writes back.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use tokio::process::Command;

use super::ask;
use super::boards::{self, INTERVAL, Question, Times};
use crate::envoy::free_port;
use crate::harness::{Server, request};
use crate::payloads::{span, traces};
use crate::proxies::programs::snippet;
use crate::remote_write::prometheus::program;

/// Of the panels together, once there are scrapes. A scrape a second, flushes at most a minute apart.
const TIME_MAX: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_secs(1);

/// Panels of what is not there while all is well, or has not happened yet.
const MAY_BE_EMPTY: [&str; 2] = ["itself / Rejected", "itself / Rejected, by reason"];

#[tokio::test(flavor = "multi_thread")]
async fn meshlake_shows_itself() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let environment = [("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "2")];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    let places = [
        ("127.0.0.1:7071", server.addresses.admin.as_str()),
        ("127.0.0.1:4318", server.addresses.otlp_http.as_str()),
        ("15s", "1s"),
    ];
    let configuration = dir.path().join("meshlake.yml");
    std::fs::write(&configuration, snippet("prometheus/meshlake.yml", &places)?)?;
    let log = std::fs::File::create(dir.path().join("agent.out"))?;
    let _agent = Command::new(program)
        .arg("--agent")
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.agent.path={}", dir.path().join("agent").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port().await?))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("start an agent of Prometheus")?;
    let board = boards::all()?.into_iter().find(|(name, _)| name == "itself").context("its dashboard")?.1;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let mut empty = Vec::new();
    let filled = async {
        for export in 0u64.. {
            let spans = traces("shop", vec![span(export)]).encode_to_vec();
            let headers = [("content-type", "application/x-protobuf")];
            let (status, _) = request("POST", &url, &headers, spans.into()).await?;
            ensure!(status == 200, "POST {url}: {status}");
            empty = without_samples(&server, &board).await?;
            if empty.is_empty() {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    match tokio::time::timeout(TIME_MAX, filled).await {
        Ok(result) => result?,
        Err(_) => anyhow::bail!("nothing to show:\n{}", empty.join("\n")),
    }
    server.check_for_panics()
}

/// The panels none of whose lines shows anything now.
async fn without_samples(server: &Server, board: &serde_json::Value) -> Result<Vec<String>> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let times = Times { from: now - 6 * INTERVAL, to: now };
    let mut has_some: BTreeMap<String, bool> = BTreeMap::new();
    for target in boards::targets("itself", board, &[], times)? {
        let Question::PromQl { query, is_instant } = target.question else { continue };
        let samples = ask(server, &query, is_instant, times).await?;
        let shows = samples.iter().any(|sample| sample.is_finite() && *sample != 0.0);
        *has_some.entry(target.place).or_default() |= shows;
    }
    let empty =
        has_some.into_iter().filter(|(place, shows)| !shows && !MAY_BE_EMPTY.contains(&place.as_str()));
    Ok(empty.map(|(place, _)| place).collect())
}
