//! nginx in front of two Envoys, which are the sidecars of two services: lines of a file and access logs over gRPC make
//! one graph, and its numbers are what the client saw.

use anyhow::{Result, ensure};

use super::backend;
use super::client::{ROUNDS, check_rows, send_of, wait_for};
use super::nginx::{nginx, with_snippets};
use crate::envoy::{edge, envoy_binary, free_port, port_of, start_envoy, whole};
use crate::sql::tools::program;

/// Those whose answer no time-out of an Envoy could change.
const KINDS: [(&str, u16); 4] = [("ok", 200), ("missing", 404), ("err", 500), ("unavailable", 503)];

/// How nginx calls the service whose sidecar it sends to.
const PRODUCTPAGE: &str = "productpage.default.svc.cluster.local";

#[tokio::test(flavor = "multi_thread")]
async fn nginx_before_two_sidecars() -> Result<()> {
    let Some(program) = program("nginx", "nginx-light")? else { return Ok(()) };
    let Some(envoy) = envoy_binary()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (server, by_file, _) = with_snippets(dir.path()).await?;
    let collector = port_of(&server.addresses.otlp_grpc)?;
    let upstream = backend::start().await?;
    let (reviews, productpage, listen) = (free_port().await?, free_port().await?, free_port().await?);
    let _reviews = start_envoy(&envoy, dir.path(), "reviews", reviews, upstream, collector).await?;
    let _productpage =
        start_envoy(&envoy, dir.path(), "productpage", productpage, reviews, collector).await?;
    let _nginx = nginx(&program, dir.path(), &[by_file], listen, (PRODUCTPAGE, productpage)).await?;
    let log = send_of(&KINDS, listen).await?;

    check_rows(&server, "source_format = 'nginx'", &log).await?;
    // Each sidecar tells twice, over its log service and its OTLP logger. What is unavailable is tried three times by
    // productpage's, and each try is a row of reviews'.
    let (rounds, calls) = (ROUNDS as i64, (KINDS.len() * ROUNDS) as i64);
    for format in ["envoy_als_http", "envoy_otlp"] {
        let statement = format!("SELECT count(*) FROM requests WHERE source_format = '{format}'");
        wait_for(&server, &statement, 2 * calls + 2 * rounds).await?;
    }

    let graph = server.get("/api/v1/graph").await?;
    let (first, second) = (
        edge(&graph, "edge", "default/productpage")?,
        edge(&graph, "default/productpage", "default/reviews")?,
    );
    let figures =
        |edge: &serde_json::Value| ["requests", "errors", "retries"].map(|figure| whole(&edge[figure]));
    ensure!(figures(first) == [calls, 2 * rounds, 0], "{first}");
    ensure!(figures(second) == [calls, 2 * rounds, 2 * rounds], "{second}");
    let reviews = server.get("/api/v1/golden?service=reviews").await?;
    let row = &reviews["rows"][0];
    ensure!(whole(&row["requests"]) == calls + 2 * rounds, "{row}");
    ensure!(whole(&row["errors"]) + whole(&row["aborted"]) == 4 * rounds, "{row}");
    Ok(())
}
