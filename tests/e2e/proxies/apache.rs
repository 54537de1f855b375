//! Apache httpd, by file.

use anyhow::{Context as _, Result};

use super::backend;
use super::client::{REQUESTS, check_agents, check_golden, check_rows, send};
use super::programs::{listening, meshlake, snippet, start};
use crate::envoy::free_port;
use crate::sql::tools::program;

/// Where Debian keeps the modules that its own configuration loads.
const MODULES: &str = "/usr/lib/apache2/modules";

#[tokio::test(flavor = "multi_thread")]
async fn apache_by_file() -> Result<()> {
    let Some(program) = program("apache2", "apache2")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let work = dir.path().display();
    let places = [("/var/log/apache2/", format!("{work}/"))].map(|(written, here)| (written, here));
    let places: Vec<(&str, &str)> = places.iter().map(|(written, here)| (*written, here.as_str())).collect();
    let server = meshlake(dir.path(), &snippet("apache/meshlake.toml", &places)?).await?;
    let (listen, upstream) = (free_port().await?, backend::start().await?);
    let modules = ["mpm_event", "authz_core", "proxy", "proxy_http"]
        .map(|module| format!("LoadModule {module}_module {MODULES}/mod_{module}.so\n"))
        .concat();
    let configuration = format!(
        "ServerRoot {work}\nPidFile {work}/httpd.pid\nListen 127.0.0.1:{listen}\nServerName localhost\n{modules}\
         ErrorLog {work}/error.log\n{}\nProxyPass / http://127.0.0.1:{upstream}/\n",
        snippet("apache/access-log.conf", &places)?
    );
    let file = dir.path().join("httpd.conf");
    std::fs::write(&file, configuration)?;
    let mut child = start(&program, &["-X", "-f", file.to_str().context("a path in UTF-8")?], dir.path())?;
    listening(&mut child, listen, dir.path()).await?;
    let log = send(listen).await?;
    check_rows(&server, "true", &log).await?;
    check_agents(&server, REQUESTS).await?;
    check_golden(&server, "edge").await
}
