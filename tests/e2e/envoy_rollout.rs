//! A real Envoy that is replaced under load, with and without draining: what the rollout cost is what the client counted.
//!
//! Takes some three minutes each, because an instance is told to have come only after a minute without it; so it runs only in
//! the long form (`tests/prove.sh 100 rollouts`).

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::envoy::{
    configuration, envoy_binary, free_port, port_of, start_backend, start_envoy, start_with, whole,
};
use crate::harness::{Server, request};
use crate::long_form::count;

/// How long the load runs before the old Envoy is replaced, and after: more than the minute of silence that tells.
const STEADY: Duration = Duration::from_secs(85);
/// Between two calls.
const PAUSE: Duration = Duration::from_millis(40);
/// How long nobody listens where the Envoy does not drain.
const OUTAGE: Duration = Duration::from_secs(1);
/// What a drained Envoy is given to end its connections.
const DRAIN: Duration = Duration::from_secs(5);
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The pod in the configuration, and the one that takes its place.
const OLD_POD: &str = "reviews-v1-545db77b95-2xq9k";
const NEW_POD: &str = "reviews-v1-545db77b95-9z8y7";

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_of_real_envoys_cost_what_the_client_lost() -> Result<()> {
    if count("MESHLAKE_TEST_ROLLOUTS", 0) == 0 {
        return Ok(());
    }
    let Some(envoy) = envoy_binary()? else { return Ok(()) };
    let (drained, killed) = tokio::join!(lost(&envoy, true), lost(&envoy, false));
    ensure!(drained? == 0, "an Envoy that drains loses nothing");
    ensure!(killed? > 0, "an Envoy that does not loses what comes while nobody listens");
    Ok(())
}

/// Replaces reviews' Envoy under load, and gives back how many calls the client lost, which is what the answer says.
async fn lost(envoy: &Path, drains: bool) -> Result<i64> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let collector = port_of(&server.addresses.otlp_grpc)?;
    let (backend, _counts) = start_backend().await?;
    let (reviews, productpage) = (free_port().await?, free_port().await?);
    let template = configuration("reviews")?;
    let ports = [reviews, backend, collector];
    let (old, admin) = start_with(envoy, dir.path(), "old", &template, ports).await?;
    let _front = start_envoy(envoy, dir.path(), "productpage", productpage, reviews, collector).await?;
    let load = Load::start(productpage);
    tokio::time::sleep(STEADY).await;
    let renamed = template.replace(OLD_POD, NEW_POD);
    let _new = if drains {
        // Both listen on one port (SO_REUSEPORT, which Envoy sets by default) until the old one has drained.
        let new = start_with(envoy, dir.path(), "new", &renamed, ports).await?;
        let drain = format!("http://127.0.0.1:{admin}/drain_listeners?graceful&skip_exit");
        let (status, _) = request("POST", &drain, &[], Bytes::new()).await?;
        ensure!(status == 200, "drain: status {status}");
        tokio::time::sleep(DRAIN).await;
        end(old).await?;
        new
    } else {
        end(old).await?;
        tokio::time::sleep(OUTAGE).await;
        start_with(envoy, dir.path(), "new", &renamed, ports).await?
    };
    tokio::time::sleep(STEADY).await;
    let (calls, lost) = load.stop().await?;
    check(&server, calls, lost, drains).await?;
    Ok(lost)
}

async fn check(server: &Server, calls: i64, lost: i64, drains: bool) -> Result<()> {
    let logged =
        "SELECT count(*) FROM requests WHERE observer = 'client' AND source_format = 'envoy_als_http'";
    let arrived = async {
        while server.number(logged).await.unwrap_or(-1) < calls {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(ARRIVAL_TIMEOUT, arrived).await.context("rows of all calls")?;
    let found = server.get("/api/v1/rollouts?service=reviews").await?;
    let rollouts = found["rollouts"].as_array().context("rollouts")?;
    ensure!(rollouts.len() == 1, "one rollout: {found}");
    let rollout = &rollouts[0];
    ensure!(rollout["kind"] == "restart", "{rollout}");
    let instances = [&rollout["went"][0]["instance"], &rollout["came"][0]["instance"]];
    ensure!(instances == [OLD_POD, NEW_POD], "{rollout}");
    ensure!(whole(&rollout["cost"]["lost"]) == lost, "the client lost {lost} calls: {rollout}");
    ensure!(rollout["cost"]["verdict"] == if drains { "none" } else { "some" }, "{rollout}");
    Ok(())
}

/// Ends an Envoy as Kubernetes does.
async fn end(mut envoy: Child) -> Result<()> {
    let id = envoy.id().context("it runs")?.to_string();
    ensure!(Command::new("kill").args(["-TERM", &id]).status()?.success(), "kill {id}");
    tokio::time::timeout(ARRIVAL_TIMEOUT, envoy.wait()).await.context("envoy ends")??;
    Ok(())
}

/// Calls one after the other until stopped.
struct Load {
    is_over: Arc<AtomicBool>,
    calls: JoinHandle<Result<(i64, i64)>>,
}

impl Load {
    fn start(port: u16) -> Load {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let calls = tokio::spawn(async move {
            let (mut calls, mut lost) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let url = format!("http://127.0.0.1:{port}/ok");
                let host = [("host", "reviews.default.svc.cluster.local:8080")];
                let (status, _) = request("GET", &url, &host, Bytes::new()).await?;
                calls += 1;
                lost += i64::from(status >= 500);
                tokio::time::sleep(PAUSE.saturating_sub(began.elapsed())).await;
            }
            Ok((calls, lost))
        });
        Load { is_over, calls }
    }

    /// How many calls there were, and how many were not answered by the service.
    async fn stop(self) -> Result<(i64, i64)> {
        self.is_over.store(true, Ordering::Relaxed);
        self.calls.await.context("the load ended early")?
    }
}
