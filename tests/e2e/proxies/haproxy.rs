//! HAProxy by syslog, straight and through rsyslog.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::UdpSocket;
use tokio::process::Child;

use super::backend;
use super::client::{check_golden, check_rows, send};
use super::programs::{ARRIVAL_TIME_MAX, listening, meshlake, snippet, start};
use crate::envoy::free_port;
use crate::sql::tools::program;

/// HAProxy before `upstream`, with the snippet in place, logging to `syslog`.
async fn haproxy(program: &Path, dir: &Path, syslog: &str, listen: u16, upstream: u16) -> Result<Child> {
    let pieces = snippet("haproxy/haproxy.cfg", &[("127.0.0.1:5514", syslog)])?;
    let file = dir.join("haproxy.cfg");
    let ends = format!(
        "\nfrontend web\n  bind 127.0.0.1:{listen}\n  default_backend reviews\n\
         backend reviews\n  server app1 127.0.0.1:{upstream}\n"
    );
    std::fs::write(&file, pieces + &ends)?;
    let mut child = start(program, &["-db", "-f", file.to_str().context("a path in UTF-8")?], dir)?;
    listening(&mut child, listen, dir).await?;
    Ok(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_by_syslog() -> Result<()> {
    let Some(program) = program("haproxy", "haproxy")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let syslog = format!("127.0.0.1:{}", free_port().await?);
    let server =
        meshlake(dir.path(), &snippet("haproxy/meshlake.toml", &[("127.0.0.1:5514", &syslog)])?).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let _haproxy = haproxy(&program, dir.path(), &syslog, listen, upstream).await?;
    let log = send(listen).await?;
    check_rows(&server, "true", &log).await?;
    check_golden(&server, "edge").await
}

/// Scenario: HAProxy logs to the rsyslog of its machine, which sends on over TCP.
#[tokio::test(flavor = "multi_thread")]
async fn haproxy_through_rsyslog() -> Result<()> {
    let Some(haproxy_program) = program("haproxy", "haproxy")? else { return Ok(()) };
    let Some(rsyslogd) = program("rsyslogd", "rsyslog")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (collector, local) = (free_port().await?, free_port().await?);
    let address = format!("127.0.0.1:{collector}");
    let server =
        meshlake(dir.path(), &snippet("rsyslog/meshlake.toml", &[("127.0.0.1:5514", &address)])?).await?;
    let port = format!("port=\"{collector}\"");
    let forward = snippet("rsyslog/meshlake.conf", &[("port=\"5514\"", &port)])?;
    let work = dir.path().display();
    let file = dir.path().join("rsyslog.conf");
    let input = format!(
        "global(workDirectory=\"{work}\")\nmodule(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{local}\")\n"
    );
    std::fs::write(&file, input + &forward)?;
    let pid = dir.path().join("rsyslog.pid");
    let arguments = ["-n", "-i", pid.to_str().context("UTF-8")?, "-f", file.to_str().context("UTF-8")?];
    let _rsyslog = start(&rsyslogd, &arguments, dir.path())?;
    wait_until_udp_is_taken(local).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let _haproxy =
        haproxy(&haproxy_program, dir.path(), &format!("127.0.0.1:{local}"), listen, upstream).await?;
    let log = send(listen).await?;
    check_rows(&server, "true", &log).await?;
    check_golden(&server, "edge").await
}

/// Nothing answers on UDP; whoever has the port leaves it to nobody else.
async fn wait_until_udp_is_taken(port: u16) -> Result<()> {
    let taken = async {
        while UdpSocket::bind(("127.0.0.1", port)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(ARRIVAL_TIME_MAX, taken).await.context("rsyslog does not listen")
}
