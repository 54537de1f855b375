//! A line that does not end, by every way in: memory stays bounded, what became of it is told, and what stands behind it
//! is read.
//!
//! A line of 64 MiB is far beyond every bound of a line and of memory here; `tests/prove.sh` sends one of 1 GiB.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use meshlake_schema::UnixNanos;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::wait_for_rows;
use crate::harness::{BINARY, Server, request};
use crate::hostile::memory::Memory;
use crate::long_form;
use crate::payloads::now_nanos;

/// What is written at once.
static CHUNK: [u8; 1 << 20] = [b'x'; 1 << 20];

/// Bytes of the line.
fn line_bytes() -> usize {
    long_form::count("MESHLAKE_TEST_LINE_MIB", 64) as usize * CHUNK.len()
}

/// A line in Istio's format, of now: what nobody keeps as a file is refused when it is old.
fn good_line(path: &str) -> String {
    let now = UnixNanos(now_nanos().cast_signed()).to_rfc3339();
    format!(
        "[{now}] \"GET /{path} HTTP/1.1\" 200 - via_upstream - \"-\" 0 5 4 3 \"-\" \"curl/8\" \"-\" \"a\" \"10.0.0.7:80\" \
         outbound|80||a.b.svc.cluster.local 10.0.0.1:1 10.0.0.2:80 10.0.0.1:2 - default"
    )
}

/// Writes the line, looking at the server's memory now and then.
async fn write_line(out: &mut (impl AsyncWrite + Unpin), memory: &Memory) -> Result<()> {
    for chunk in 0..line_bytes() / CHUNK.len() {
        out.write_all(&CHUNK).await?;
        if chunk % 16 == 0 {
            memory.check_bounded()?;
        }
    }
    memory.check_bounded()
}

/// Fails unless there are so many good rows, and as many of the line, each with the field that failed and less of its text
/// than it had.
async fn check(server: &Server, want: i64) -> Result<()> {
    wait_for_rows(server, 2 * want).await?;
    let good = server.number("SELECT count(*) FROM requests WHERE counted AND raw IS NULL").await?;
    let cut = "SELECT count(*) FROM requests WHERE NOT counted AND attributes['unread_field'] IS NOT NULL AND \
               length(raw) BETWEEN 1000 AND 1048576";
    let cut = server.number(cut).await?;
    ensure!((good, cut) == (want, want), "{good} rows are read and {cut} are cut, want {want} each");
    Ok(())
}

async fn over_syslog(address: &str, memory: &Memory) -> Result<()> {
    let head = "<190>1 2024-03-01T12:00:00Z vm envoy - - - ";
    let mut lines = TcpStream::connect(address).await?;
    lines.write_all(head.as_bytes()).await?;
    write_line(&mut lines, memory).await?;
    lines.write_all(format!("\n{head}{}\n", good_line("lines")).as_bytes()).await?;
    lines.shutdown().await?;
    lines.read_to_end(&mut Vec::new()).await?;

    let mut counted = TcpStream::connect(address).await?;
    counted.write_all(format!("{} {head}", head.len() + line_bytes()).as_bytes()).await?;
    write_line(&mut counted, memory).await?;
    let message = format!("{head}{}", good_line("counted"));
    counted.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
    counted.shutdown().await?;
    counted.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

async fn in_a_file(path: &Path, memory: &Memory) -> Result<()> {
    let mut file = tokio::fs::File::create(path).await?;
    file.write_all(b"in a file ").await?;
    write_line(&mut file, memory).await?;
    file.write_all(format!("\n{}\n", good_line("file")).as_bytes()).await?;
    file.flush().await?;
    Ok(())
}

async fn imported(server: &Server, memory: &Memory) -> Result<String> {
    let to = format!("http://{}", server.addresses.otlp_http);
    let child = Command::new(BINARY)
        .args(["import", "-", "--to", &to])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child?;
    let own = Memory::of_process(child.id().context("it runs")?)?;
    let mut input = child.stdin.take().context("piped")?;
    // Files that begin alike are one.
    input.write_all(b"imported ").await?;
    write_line(&mut input, memory).await?;
    own.check_bounded()?;
    input.write_all(format!("\n{}\n", good_line("import")).as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_an_end_costs_no_memory_and_no_other_line() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (data, log) = (dir.path().join("data"), dir.path().join("access.log"));
    let syslog = TcpListener::bind("127.0.5.15:0").await?.local_addr()?.to_string();
    let tail = format!("[{{ path = \"{}\" }}]", log.display());
    let environment =
        [("MESHLAKE_COLLECTOR__SYSLOG", syslog.as_str()), ("MESHLAKE_COLLECTOR__TAIL", tail.as_str())];
    let server = Server::start_with(&["run"], &data, &environment).await?;
    let memory = Memory::of(&data)?;

    over_syslog(&syslog, &memory).await?;
    check(&server, 2).await.context("over syslog")?;
    in_a_file(&log, &memory).await?;
    check(&server, 3).await.context("in a file")?;
    let told = imported(&server, &memory).await?;
    ensure!(told.contains("2 lines") && told.contains("kept unparsed  1"), "{told}");
    check(&server, 4).await.context("imported")?;

    // A post is one export: it is refused as a whole, and told the limit.
    let mut body = vec![b'x'; line_bytes()];
    body.extend_from_slice(format!("\n{}\n", good_line("post")).as_bytes());
    let url = format!("http://{}/v1/access_logs", server.addresses.otlp_http);
    let (status, said) = request("POST", &url, &[], Bytes::from(body)).await?;
    ensure!(status == 413, "{status} {}", String::from_utf8_lossy(&said));
    let (status, _) = request("POST", &url, &[], Bytes::from(good_line("post") + "\n")).await?;
    ensure!(status == 200, "what is posted next is taken: {status}");
    wait_for_rows(&server, 9).await?;
    memory.check_given_back().await?;
    server.check_for_panics()
}
