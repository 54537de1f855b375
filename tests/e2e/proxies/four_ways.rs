//! One Envoy that logs each request in four ways: over its own log service, over OTLP by gRPC and by HTTP, and to a file.
//! All are what the client saw, the same field by field, and one call each.

use anyhow::{Context as _, Result, ensure};

use super::backend;
use super::client::{REQUESTS, check_golden, check_rows, send};
use super::programs::{listening, meshlake, snippet, start};
use crate::envoy::{envoy_binary, free_port, port_of};
use crate::harness::Server;

/// What tells the rows of each way.
const WAYS: [&str; 4] = [
    "source_format = 'envoy_als_http'",
    "attributes['log_name'] = 'otlp_grpc'",
    "attributes['log_name'] = 'otlp_http'",
    "source_format = 'istio_text' AND attributes['log.file.path'] IS NOT NULL",
];

/// What all four say alike. Times are to the millisecond in some, and compared as such.
pub const FIELDS: [&str; 20] = [
    "response_code",
    "method",
    "path",
    "authority",
    "protocol",
    "response_flags",
    "response_code_details",
    "fault_class",
    "outcome",
    "counted",
    "request_bytes",
    "response_bytes",
    "user_agent",
    "upstream_host",
    "upstream_cluster",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
    "destination_service",
    "destination_namespace",
];

const BOOTSTRAP: &str = "
node: {id: front-proxy-0, cluster: front-proxy}
static_resources:
  listeners:
  - name: front
    traffic_direction: OUTBOUND
    address: {socket_address: {address: 127.0.0.1, port_value: @LISTEN@}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          generate_request_id: true
          route_config:
            virtual_hosts:
            - name: all
              domains: ['*']
              routes:
              - match: {prefix: /}
                name: default
                route: {cluster: 'outbound|8080||reviews.default.svc.cluster.local'}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          access_log:
@ACCESS_LOG@
  clusters:
  - name: outbound|8080||reviews.default.svc.cluster.local
    type: STATIC
    load_assignment:
      cluster_name: outbound|8080||reviews.default.svc.cluster.local
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: @UPSTREAM@}}}}]}]
  - name: meshlake_http
    type: STATIC
    load_assignment:
      cluster_name: meshlake_http
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: @HTTP@}}}}]}]
@CLUSTERS@
";

/// The items of the list `key` at the top level of a snippet, as far as a blank line, moved in by `indent`.
fn items(snippet: &str, key: &str, indent: usize) -> Result<String> {
    let start = format!("\n{key}:\n");
    let (_, after) = snippet.split_once(&start).with_context(|| format!("no {key}"))?;
    let lines = after.lines().take_while(|line| !line.trim().is_empty());
    Ok(lines.map(|line| format!("{:indent$}{line}\n", "")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn four_ways_of_one_envoy_are_the_same_rows() -> Result<()> {
    let Some(envoy) = envoy_binary()? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let logs = format!("{}/", dir.path().display());
    let server =
        meshlake(dir.path(), &snippet("envoy/meshlake.toml", &[("/var/log/envoy/", &logs)])?).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let bootstrap = bootstrap(&server, &logs, listen, upstream)?;
    let file = dir.path().join("envoy.yaml");
    std::fs::write(&file, bootstrap)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let arguments = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c", file];
    let mut child = start(&envoy, &arguments, dir.path())?;
    listening(&mut child, listen, dir.path()).await?;

    let log = send(listen).await?;
    for way in WAYS {
        check_rows(&server, way, &log).await.context(way)?;
    }
    check_fields(&server).await?;
    // The proxy saw what its callee was called with, once however it told.
    check_golden(&server, "reviews").await
}

fn bootstrap(server: &Server, logs: &str, listen: u16, upstream: u16) -> Result<String> {
    Ok(BOOTSTRAP
        .replace("@ACCESS_LOG@\n", &log_items(server, logs, 10)?)
        .replace("@CLUSTERS@\n", &log_clusters(server)?)
        .replace("@LISTEN@", &listen.to_string())
        .replace("@UPSTREAM@", &upstream.to_string())
        .replace("@HTTP@", &http_port(server)?.to_string()))
}

/// The loggers of all four ways, for an HttpConnectionManager.
pub fn log_items(server: &Server, logs: &str, indent: usize) -> Result<String> {
    Ok(items(&snippet("envoy/access-log.yaml", &[])?, "access_log", indent)? + &others(server, logs, indent)?)
}

/// The same for a TcpProxy.
pub fn tcp_log_items(server: &Server, logs: &str, indent: usize) -> Result<String> {
    let als = snippet("envoy/access-log-tcp.yaml", &[])?;
    Ok(items(&als, "access_log", indent)? + &others(server, logs, indent)?)
}

/// The clusters that the loggers send to, but for that of OTLP over HTTP.
pub fn log_clusters(server: &Server) -> Result<String> {
    let port = format!("port_value: {}", port_of(&server.addresses.otlp_grpc)?);
    items(&snippet("envoy/access-log.yaml", &[("port_value: 4317", &port)])?, "clusters", 2)
}

pub fn http_port(server: &Server) -> Result<u16> {
    port_of(&server.addresses.otlp_http)
}

fn others(server: &Server, logs: &str, indent: usize) -> Result<String> {
    let http = format!("127.0.0.1:{}", http_port(server)?);
    let others = [
        snippet("envoy/access-log-otlp.yaml", &[])?,
        snippet("envoy/access-log-otlp-http.yaml", &[("127.0.0.1:4318", &http)])?,
        snippet("envoy/access-log-file.yaml", &[("/var/log/envoy/", logs)])?,
    ];
    others.iter().map(|other| items(other, "access_log", indent)).collect()
}

/// Fails unless the four rows of each request agree in every field, and in their times to the millisecond.
async fn check_fields(server: &Server) -> Result<()> {
    let spread = "max(time_unix_nano) - min(time_unix_nano) < 1000000 AND max(duration_nano) - min(duration_nano) < 1000000";
    let requests =
        "SELECT count(*) FROM (SELECT request_id FROM requests GROUP BY request_id HAVING count(*) = 4";
    let agreeing = server.number(&format!("{requests} AND {spread})")).await?;
    ensure!(agreeing == REQUESTS, "{agreeing} of {REQUESTS} requests have four rows with the same times");
    for field in FIELDS {
        let alike = format!("count(DISTINCT coalesce(CAST({field} AS VARCHAR), 'null')) = 1");
        let agreeing = server.number(&format!("{requests} AND {alike})")).await?;
        if agreeing != REQUESTS {
            let seen = format!(
                "SELECT source_format, attributes['log_name'], {field} FROM requests ORDER BY request_id LIMIT 8"
            );
            anyhow::bail!("{field}: {:?}", server.sql(&seen).await?);
        }
    }
    Ok(())
}
