//! Drivers: each runs a script of its own beside this file, which checks what it is answered and fails with what was
//! wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::clients::{available, client, directory, output, output_within, python};
use super::{SPANS, server_with_spans};
use crate::harness::Server;
use crate::sql::tools::{program, spilled_files};

/// Where Debian has pgjdbc.
const PGJDBC: &str = "/usr/share/java/postgresql.jar";

#[tokio::test(flavor = "multi_thread")]
async fn psycopg() -> Result<()> {
    script("psycopg.py", &["psycopg"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg() -> Result<()> {
    script("asyncpg.py", &["asyncpg"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlalchemy() -> Result<()> {
    script("sqlalchemy.py", &["psycopg", "sqlalchemy"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn adbc() -> Result<()> {
    script("adbc.py", &["adbc_driver_postgresql", "pyarrow"]).await
}

/// Java runs a source file as it is.
#[tokio::test(flavor = "multi_thread")]
async fn pgjdbc() -> Result<()> {
    let Some(java) = program("java", "default-jdk-headless")? else { return Ok(()) };
    let how = "apt-get install libpostgresql-jdbc-java";
    if available(Path::new(PGJDBC).exists().then_some(()), how)?.is_none() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let mut client = client(java, &server)?;
    client.args(["-cp", PGJDBC]).arg(beside("Jdbc.java")).arg(SPANS.to_string());
    ended_well(client, &server).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pgcli() -> Result<()> {
    script("pgcli.py", &["pgcli", "pexpect"]).await
}

/// It wants another DuckDB than the other tests: the one that its extension is built for.
#[tokio::test(flavor = "multi_thread")]
async fn duckdb_scanner() -> Result<()> {
    let Some(python) = python(&[])? else { return Ok(()) };
    let packages = directory()?.join("duckdb-postgres");
    let how = "pip install --target duckdb-postgres -r tests/e2e/postgres/duckdb-requirements.txt";
    if available(packages.exists().then_some(()), how)?.is_none() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let mut client = client(python, &server)?;
    client.env("PYTHONPATH", packages).arg("-P").arg(beside("duckdb_scanner.py")).arg(SPANS.to_string());
    ended_well(client, &server).await
}

#[tokio::test(flavor = "multi_thread")]
async fn node_pg() -> Result<()> {
    let Some(node) = program("node", "nodejs")? else { return Ok(()) };
    let modules = directory()?.join("javascript/node_modules");
    let how = "npm ci --prefix ~/.cache/meshlake/test-tools/javascript";
    if available(modules.join("pg-cursor").exists().then_some(()), how)?.is_none() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let mut client = client(node, &server)?;
    client.env("NODE_PATH", modules).arg(beside("node.js")).arg(SPANS.to_string());
    ended_well(client, &server).await
}

/// pgx, lib/pq, and by them what Grafana sends.
#[tokio::test(flavor = "multi_thread")]
async fn go() -> Result<()> {
    let Some(go) = program("go", "golang")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let mut client = client(go, &server)?;
    client.current_dir(beside("go")).args(["run", "."]).arg(SPANS.to_string());
    ended_well(client, &server).await
}

/// A statement that is stopped, and what it takes to notice that one is not.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(2);
const CANCELS_TIME_MIN: Duration = Duration::from_secs(120);

/// No statement outlives its being stopped by much, none leaves a file that it spilled, none keeps its place.
#[tokio::test(flavor = "multi_thread")]
async fn cancels() -> Result<()> {
    let Some(python) = python(&["psycopg"])? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary)?;
    let told = temporary.to_str().context("a path in UTF-8")?;
    let server = server_with_spans(&dir.path().join("data"), &[("TMPDIR", told)]).await?;
    let number = |name, otherwise| std::env::var(name).map_or(Ok(otherwise), |number| number.parse::<u32>());
    let cancels = number("MESHLAKE_TEST_CANCELS", 60)?;
    let mut client = client(python, &server)?;
    client.arg("-P").arg(beside("cancels.py")).arg(SPANS.to_string());
    client.args([cancels, number("MESHLAKE_TEST_SEED", 7)?].map(|number| number.to_string()));
    let told = output_within(client, CANCELS_TIME_MIN + CANCEL_TIME_MAX * cancels).await?;
    println!("{told}");
    ensure!(told.ends_with("done\n"), "{told}");
    server.check_for_panics()?;
    let left = spilled_files(&temporary)?;
    ensure!(left.is_empty(), "left over: {left:?}");
    Ok(())
}

/// Runs a script of Python, told how many spans there are.
async fn script(name: &str, packages: &[&str]) -> Result<()> {
    let Some(python) = python(packages)? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let mut client = client(python, &server)?;
    // Not by its path alone: a script must not be taken for the package that it is named after.
    client.arg("-P").arg(beside(name)).arg(SPANS.to_string());
    ended_well(client, &server).await
}

async fn ended_well(client: Command, server: &Server) -> Result<()> {
    let told = output(client).await?;
    println!("{told}");
    ensure!(told.ends_with("done\n"), "{told}");
    server.check_for_panics()
}

/// A file beside the tests.
fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/postgres").join(name)
}
