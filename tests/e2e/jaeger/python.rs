//! Both versions over gRPC, with `grpcio` from PyPI: its channel on the port that answers HTTP, beside a Jaeger's.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::peer::{Peer, program};
use super::{server_with, shop};
use crate::sql::tools::{python, run};

#[tokio::test]
async fn both_answer_grpc_alike() -> Result<()> {
    let Some(python) = python(&["grpc", "opentelemetry"])? else { return Ok(()) };
    let Some(program) = program()? else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let spans = shop(2);
    let server = server_with(&directory.path().join("data"), &spans).await?;
    let peer = Peer::start(&program).await?;
    peer.store(&spans, 2).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/jaeger/client.py");
    let script = script.to_str().context("a path in UTF-8")?;
    let ours = server.addresses.query.to_string();
    let told = run(&python, [script, &ours]).await?;
    let theirs = run(&python, [script, &peer.grpc]).await?;
    let [told, theirs] =
        [told, theirs].map(|text| serde_json::from_str::<Value>(&text).with_context(|| text.clone()));
    let (told, theirs) = (told?, theirs?);
    for (question, theirs) in theirs.as_object().context("questions and answers")? {
        if question == "no trace v3" {
            continue;
        }
        ensure!(told[question] == *theirs, "{question}\nours   {}\ntheirs {theirs}", told[question]);
    }
    ensure!(told["health"] == "1", "{told}");
    // Jaeger 1.76 answers nothing at all; its later releases say so.
    ensure!(told["no trace v3"] == "StatusCode.NOT_FOUND", "{told}");
    Ok(())
}
