//! `meshlake import`: alone, beside a server, twice, packed, from standard input, and what cannot be imported.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{lines, rows_and_paths};
use crate::harness::{BINARY, FREE_PORTS, Server};

/// Exit code and what was printed.
async fn import(data: &Path, arguments: &[&str], input: &[u8]) -> Result<(Option<i32>, String, String)> {
    let mut child = Command::new(BINARY)
        .arg("import")
        .args(arguments)
        .args(["--data-dir".as_ref(), data.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("piped")?;
    let input = input.to_vec();
    // One that refuses its arguments does not read.
    let writing = tokio::spawn(async move { stdin.write_all(&input).await.ok() });
    let output = child.wait_with_output().await?;
    writing.await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

fn gzip(text: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?)
}

/// Scenario: a file is imported without a server, again packed, again from standard input, and once more when it has
/// grown. Guarantee: each line is stored once; the summary says what came of them, and golden metrics are those of the lines.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_once_however_it_comes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let (plain, packed) = (dir.path().join("access.log"), dir.path().join("access.log.1.gz"));
    std::fs::write(&plain, lines(0..2000) + "no line of any format\n")?;
    std::fs::write(&packed, gzip(&(lines(0..2000) + "no line of any format\n"))?)?;
    let name = |path: &Path| path.display().to_string();

    let (code, told, said) = import(&data, &[&name(&plain), "--service", "edge"], b"").await?;
    ensure!(code == Some(0), "{told}{said}");
    for part in
        ["2,001 lines", "parsed         2,000", "kept unparsed  1", "2024-03-01T12:00:00Z", "edge", "10.00 %"]
    {
        ensure!(told.contains(part), "{part} is missing in {told}");
    }
    let (code, told, said) = import(&data, &[&name(&packed), "-"], lines(0..2000).as_bytes()).await?;
    ensure!(code == Some(0), "{told}{said}");
    ensure!(told.contains("stored before  4,001") && told.contains("parsed         0"), "{told}");
    std::fs::write(&plain, lines(0..2000) + "no line of any format\n" + &lines(2000..2010))?;
    let (_, told, said) = import(&data, &[&name(&plain), "--service", "edge"], b"").await?;
    ensure!(told.contains("parsed         10\n"), "{told}{said}");

    let server = Server::start(&data).await?;
    ensure!(rows_and_paths(&server).await? == [2011, 2010]);
    let golden =
        server.get("/api/v1/golden?by=service&from=2024-03-01T12:00:00Z&to=2024-03-01T13:00:00Z").await?;
    let row = &golden["rows"][0];
    ensure!(row["service"] == "edge" && row["requests"] == 2010.0 && row["errors"] == 201.0, "{golden}");
    server.check_for_panics()
}

/// Scenario: a server has the data directory. Guarantee: lines are posted to it, by its addresses in the configuration.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_beside_a_server_is_posted_to_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start(&data).await?;
    let addresses = &server.addresses;
    let child = Command::new(BINARY)
        .args(["import", "-", "--data-dir"])
        .arg(&data)
        .envs(FREE_PORTS)
        .envs([
            ("MESHLAKE_COLLECTOR__OTLP_HTTP", &addresses.otlp_http),
            ("MESHLAKE_QUERY__HTTP", &addresses.query),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child?;
    child.stdin.take().context("piped")?.write_all(lines(0..500).as_bytes()).await?;
    let output = child.wait_with_output().await?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && told.contains("parsed         500"), "{told}");
    ensure!(told.contains(&format!("page  http://{}/", addresses.query)), "{told}");
    ensure!(rows_and_paths(&server).await? == [500, 500]);
    let to = format!("http://{}", addresses.otlp_http);
    let output =
        Command::new(BINARY).args(["import", "-", "--to", &to]).stdin(Stdio::null()).output().await?;
    ensure!(output.status.success() && output.stdout.starts_with(b"0 lines"), "{output:?}");
    server.check_for_panics()
}

/// Scenario: a file of several parts says its fields at its head, and others in the middle; later it has grown. Guarantee: every
/// line is read with the fields that stand before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_says_its_fields_is_read_with_them_in_every_part() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (data, path) = (dir.path().join("data"), dir.path().join("u_ex.log"));
    let padding = "x".repeat(1000);
    let first = format!("2024-03-01 12:00:00 200 /first {padding}\n").repeat(2500);
    let second = format!("404 /second {padding} 2024-03-01 12:00:00\n").repeat(2500);
    let head = "#Software: IIS\n#Fields: date time sc-status cs-uri-stem x-padding\n";
    let file = [head, &first, "#Fields: sc-status cs-uri-stem x-padding date time\n", &second].concat();
    std::fs::write(&path, &file)?;
    let name = path.display().to_string();
    let (_, told, said) = import(&data, &[&name], b"").await?;
    ensure!(told.contains("parsed         5,000") && !told.contains("kept unparsed"), "{told}{said}");
    std::fs::write(&path, file + "500 /second x 2024-03-01 12:00:00\n")?;
    let (_, told, said) = import(&data, &[&name], b"").await?;
    ensure!(told.contains("parsed         1\n"), "{told}{said}");

    let server = Server::start(&data).await?;
    let counts = "SELECT response_code, path, count(*) FROM requests WHERE counted GROUP BY 1, 2 ORDER BY 1";
    let rows = json!(server.sql(counts).await?);
    ensure!(rows == json!([[200, "/first", 2500], [404, "/second", 2500], [500, "/second", 1]]), "{rows}");
    server.check_for_panics()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_told_and_the_rest_is() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (code, _, said) = import(&data, &[&path("missing")], b"").await?;
    ensure!(code == Some(1) && said.contains("missing") && !data.exists(), "{said}");
    let (code, _, said) = import(&data, &[&dir.path().display().to_string()], b"").await?;
    ensure!(code == Some(1) && said.contains("directory") && !data.exists(), "{said}");
    let (code, _, said) = import(&data, &["-", "--format", "nignx"], lines(0..1).as_bytes()).await?;
    ensure!(code == Some(1) && said.contains("nginx_combined"), "{said}");

    let text = lines(0..20_000);
    let packed = gzip(&text)?;
    std::fs::write(path("cut.gz"), &packed[..packed.len() - 9])?;
    std::fs::write(path("binary"), [0x80, 0, 0xff, b'\n', 7].repeat(1000))?;
    std::fs::write(path("empty"), "")?;
    std::fs::write(path("whole.log"), lines(30_000..30_010))?;
    let names = ["cut.gz", "binary", "empty", "whole.log"].map(path);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (code, told, said) = import(&data, &names, b"").await?;
    ensure!(code == Some(1) && said.contains("cut.gz") && said.contains("1 of 4 inputs"), "{told}{said}");
    let server = Server::start(&data).await?;
    let whole = server.number("SELECT count(*) FROM requests WHERE path LIKE '/n/3000_'").await?;
    ensure!(whole == 10, "{whole} rows of what stood behind");
    server.check_for_panics()
}
