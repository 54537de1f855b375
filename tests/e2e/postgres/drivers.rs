//! Drivers: each runs a script of its own beside this file, which checks what it is answered and fails with what was
//! wrong.

use std::path::Path;

use anyhow::{Result, ensure};

use super::clients::{client, output, python};
use super::{SPANS, server_with_spans};

#[tokio::test(flavor = "multi_thread")]
async fn psycopg() -> Result<()> {
    script("psycopg.py", &["psycopg"]).await
}

/// Runs a script of Python, told how many spans there are.
async fn script(name: &str, packages: &[&str]) -> Result<()> {
    let Some(python) = python(packages)? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = server_with_spans(&dir.path().join("data"), &[]).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/postgres").join(name);
    let mut client = client(python, &server)?;
    // Not by its path alone: a script must not be taken for the package that it is named after.
    client.arg("-P").arg(script).arg(SPANS.to_string());
    let told = output(client).await?;
    ensure!(told.ends_with("done\n"), "{told}");
    server.check_for_panics()
}
