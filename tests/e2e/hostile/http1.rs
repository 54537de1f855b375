//! Bytes that a well-behaved client would not write on a connection, and the statuses that come back.
//!
//! Written to the socket as they are and read back by eye: a status line is all that is judged, because half of
//! these answers come from the HTTP library, which says nothing more.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exchange::cases_dir;
use crate::exchange::mark::Mark;
use crate::exchange::payload;
use crate::exchange::recipe::{Ingredients, Part};
use crate::exchange::signal::{Signal, Transport};
use crate::harness::Server;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// One entry `[[raw]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    row: String,
    name: String,
    send: Vec<Part>,
    /// The sender ends its side of the connection when it has sent everything.
    #[serde(default)]
    hangs_up: bool,
    /// Statuses in their order.
    answers: Vec<u16>,
    /// The connection may end before the last of them.
    #[serde(default)]
    may_close: bool,
    /// The connection ends after them.
    #[serde(default)]
    closes: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    raw: Vec<Raw>,
}

/// # Errors
/// Inputs that are answered wrongly, or stored.
pub async fn check(server: &Server) -> Result<()> {
    let path = cases_dir().join("hostile/http1.toml");
    let File { raw: inputs } = toml::from_str(&std::fs::read_to_string(path)?).context("http1.toml")?;
    let mark = Mark::new("raw");
    let good = payload::body(&super::good_case()?, Signal::Traces, Transport::Protobuf, &mark)?;
    let ingredients = Ingredients { mark: &mark, good: &good, transport: Transport::Protobuf };
    let mut faults = Vec::new();
    for input in &inputs {
        let bytes = ingredients.cook(&input.send)?;
        if let Err(fault) = exchange(&server.addresses.otlp_http, input, bytes).await {
            faults.push(format!("{} {:?}: {fault:#}", input.row, input.name));
        }
    }
    ensure!(faults.is_empty(), "{} of {} inputs:\n{}", faults.len(), inputs.len(), faults.join("\n"));
    let stored = server.number("SELECT count(*) FROM spans WHERE service_name = 'raw'").await?;
    ensure!(stored == 1, "{stored} rows are stored instead of the one that is sent as it should be");
    Ok(())
}

async fn exchange(address: &str, input: &Raw, bytes: Vec<u8>) -> Result<()> {
    let (mut reading, mut writing) = TcpStream::connect(address).await?.into_split();
    let hangs_up = input.hangs_up;
    let writer = tokio::spawn(async move {
        // The server may have refused long before the last byte.
        let _ = writing.write_all(&bytes).await;
        if hangs_up {
            let _ = writing.shutdown().await;
        }
        writing
    });
    let mut heard = Vec::new();
    let until_judged = async {
        let mut piece = [0; 4096];
        loop {
            // A reset is an end: the kernel sends one when what was written has not been read.
            let read = reading.read(&mut piece).await.unwrap_or_default();
            heard.extend_from_slice(&piece[..read]);
            let complete = !input.closes && statuses(&heard).len() >= input.answers.len();
            if read == 0 || complete {
                return read == 0;
            }
        }
    };
    let ended = tokio::time::timeout(ANSWER_TIMEOUT, until_judged).await;
    writer.abort();
    let answers = statuses(&heard);
    let ended = ended.with_context(|| format!("neither an answer nor an end after {answers:?}"))?;
    let matches = match input.may_close && ended {
        true => input.answers.starts_with(&answers),
        false => input.answers == answers,
    };
    ensure!(matches, "{answers:?} instead of {:?}", input.answers);
    ensure!(ended == input.closes, "the connection {}", if ended { "ended" } else { "is still there" });
    Ok(())
}

/// The statuses of the answers in `heard`; no body here holds what begins a status line.
fn statuses(heard: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(heard);
    let after = text.split("HTTP/1.").skip(1);
    after.filter_map(|line| line.get(2..5)?.parse().ok()).collect()
}
