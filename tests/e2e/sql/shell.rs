//! `meshlake sql`: files of statements, formats, whom it asks; and the shell, typed into by `shell.py` in a terminal.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::tools;
use crate::harness::{BINARY, FREE_PORTS, Server, request};
use crate::payloads::{span, traces};

const SPANS: u64 = 200;

async fn filled(data: &Path) -> Result<Server> {
    let server = Server::start(data).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces("typed", (0..SPANS).map(span).collect()).encode_to_vec();
    let (status, _) =
        request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
    ensure!(status == 200, "{status}");
    Ok(server)
}

/// Exit code, standard output and standard error of `meshlake sql`, which reads `typed`.
async fn sql(arguments: &[&str], typed: &str) -> Result<(Option<i32>, String, String)> {
    let mut child = Command::new(BINARY)
        .arg("sql")
        .args(arguments)
        .envs(FREE_PORTS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin.write_all(typed.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_type_statements_and_commands() -> Result<()> {
    let Some(python) = tools::python(&["pexpect"])? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = filled(&dir.path().join("data")).await?;
    let script = tools::beside("shell.py").display().to_string();
    let state = dir.path().join("state").display().to_string();
    let said = tools::run(&python, [&script, BINARY, &server.addresses.query, &state]).await?;
    ensure!(said.trim().ends_with("all of it"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_come_from_files_and_answers_go_to_files() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = filled(&dir.path().join("data")).await?;
    let address = format!("http://{}/", server.addresses.query);
    let file = dir.path().join("statements.sql");
    std::fs::write(&file, "SELECT 1 AS a; -- one;\nSELECT ';' AS b;\n")?;
    let file = file.to_str().context("the temporary path is UTF-8")?;
    let (code, out, said) = sql(&["--server", &address, "-f", file], "").await?;
    ensure!((code, out.as_str()) == (Some(0), "a\n1\nb\n;\n"), "{code:?} {out} {said}");
    let (code, out, _) =
        sql(&["--server", &address, "--format", "ndjson"], "SELECT 1 AS a; SELECT 2 AS a").await?;
    ensure!((code, out.as_str()) == (Some(0), "{\"a\":1}\n{\"a\":2}\n"), "{code:?} {out}");
    let (code, out, said) = sql(&["--server", &address], "SELECT 1 AS a; SELEC 2; SELECT 3 AS c").await?;
    ensure!((code, out.as_str()) == (Some(1), "a\n1\n"), "{code:?} {out}");
    ensure!(said.contains("statement 2") && said.contains("SELEC"), "{said}");
    let parquet = dir.path().join("spans.parquet");
    let parquet = parquet.to_str().context("the temporary path is UTF-8")?;
    let statement = "SELECT trace_id, time FROM spans";
    let (code, out, _) =
        sql(&["--server", &address, "--format", "parquet", "-o", parquet, statement], "").await?;
    ensure!((code, out.as_str()) == (Some(0), ""), "{code:?} {out}");
    let bytes = std::fs::read(parquet)?;
    ensure!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{} bytes", bytes.len());
    // Commands stand between statements.
    let script = "\\d spans\nSELECT 1 AS a;\n\\x\n\\d ledger\n\\q\nSELECT 2 AS b;\n";
    let (code, out, said) = sql(&["--server", &address], script).await?;
    ensure!(
        code == Some(0) && out.contains("duration_nano") && out.contains("a\n1\n"),
        "{code:?} {out} {said}"
    );
    ensure!(said.contains("a value a line") && !out.contains("b\n2\n"), "{out} {said}");
    let (code, _, said) = sql(&["--server", &address, "\\nothing"], "").await?;
    ensure!(code == Some(1) && said.contains("there is no command"), "{code:?} {said}");
    let table = ["--server", &address, "--format", "table", "SELECT count(*) AS spans FROM spans"];
    let (_, out, _) = sql(&table, "").await?;
    ensure!(out == "spans\n-----\n  200\n(1 row)\n", "{out}");
    let other = ["--server", &address, "--tenant", "other", "SELECT count(*) AS spans FROM spans"];
    ensure!(sql(&other, "").await?.1 == "spans\n0\n", "another tenant's");
    Ok(())
}

/// A directory that no process serves is served for as long as it is asked, with what was acknowledged before a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_is_asked_whether_or_not_a_server_runs_on_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let shown = data.to_str().context("the temporary path is UTF-8")?;
    let count = "SELECT count(*) AS spans FROM spans";
    let (code, _, said) = sql(&["--data-dir", shown, count], "").await?;
    ensure!(code == Some(1) && said.contains("there is no data directory"), "{said}");
    filled(&data).await?.kill().await?;
    for _ in 0..2 {
        let (code, out, said) = sql(&["--data-dir", shown, count], "").await?;
        ensure!((code, out.as_str()) == (Some(0), "spans\n200\n"), "{code:?} {out} {said}");
        ensure!(said.contains(&format!("asking {shown} itself")), "{said}");
    }
    let server = Server::start(&data).await?;
    let config = dir.path().join("meshlake.toml");
    std::fs::write(&config, format!("[query]\nhttp = \"{}\"\n", server.addresses.query))?;
    let config = config.to_str().context("the temporary path is UTF-8")?;
    // The ports of the harness are in the environment, which beats the file.
    let mut command = Command::new(BINARY);
    command.args(["sql", "--config", config, "--data-dir", shown, count]).kill_on_drop(true);
    let output = command.output().await?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.stdout == b"spans\n200\n" && said.contains("asking the process on"), "{said}");
    Ok(())
}
