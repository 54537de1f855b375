//! Syslog over both transports into a running server.

use anyhow::{Context as _, Result, ensure};
use meshlake_schema::UnixNanos;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::{rows_and_paths, wait_for_rows};
use crate::harness::Server;
use crate::payloads::now_nanos;

/// Lines of now, in the format that is configured: what nobody keeps as a file is refused when it is old.
fn lines(numbers: std::ops::Range<u64>) -> String {
    let now = UnixNanos(now_nanos().cast_signed()).to_rfc3339();
    numbers.map(|number| format!("10.0.0.1 [{now}] \"GET /n/{number} HTTP/1.1\" 200\n")).collect()
}

/// Scenario: one sender counts its messages over TCP, one ends them with lines, one uses datagrams. Guarantee: each message
/// is a row, under the name that is configured for its program.
#[tokio::test(flavor = "multi_thread")]
async fn syslog_becomes_rows_over_both_transports() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // Another may take the port between the two, which a start says at once; loopback addresses are many.
    let address = TcpListener::bind("127.0.5.14:0").await?.local_addr()?;
    let text = address.to_string();
    let environment = [
        ("MESHLAKE_COLLECTOR__SYSLOG", text.as_str()),
        (
            "MESHLAKE_COLLECTOR__SYSLOG_APPS",
            "[{ app = \"nginx\", format = '$remote_addr [$time_iso8601] \"$request\" $status', service = \"edge\" }]",
        ),
    ];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    let message = |line: &str| format!("<190>1 2024-03-01T12:00:00Z vm nginx - - - {line}");
    let counted = lines(0..100);
    let counted = counted.lines().map(message).map(|message| format!("{} {message}", message.len()));
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(counted.collect::<String>().as_bytes()).await?;
    stream.shutdown().await?;
    // What was sent is stored before the connection ends.
    stream.read_to_end(&mut Vec::new()).await?;
    ensure!(rows_and_paths(&server).await? == [100, 100]);

    let by_line = lines(100..200).lines().map(|line| message(line) + "\n").collect::<String>();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(by_line.as_bytes()).await?;
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    for line in lines(200..220).lines() {
        socket.send_to(format!("<190>Mar  1 12:00:00 vm nginx: {line}").as_bytes(), address).await?;
    }
    wait_for_rows(&server, 220).await.context("over TCP by lines, and over UDP")?;
    ensure!(rows_and_paths(&server).await? == [220, 220]);
    let named = "SELECT count(*) FROM requests WHERE coalesce(destination_service, source_service) = 'edge'";
    ensure!(server.number(named).await? == 220);
    ensure!(server.terminate().await? == Some(0));
    Ok(())
}
