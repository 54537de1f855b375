//! `meshlake sql`: asks a running meshlake over HTTP and prints the answer as CSV.
//!
//! It asks the server instead of opening the data directory, because only the server has the rows that
//! are durable but not yet in files.

use anyhow::{Context as _, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::io::Write as _;

use crate::cli::SqlArgs;

/// Sends the statement and copies the answer to standard output as it comes.
///
/// # Errors
/// No meshlake answers at the address, or it refuses the statement (with its message).
pub async fn run(args: &SqlArgs) -> Result<()> {
    let body = serde_json::json!({ "sql": args.statement }).to_string();
    let request = hyper::Request::post(format!("http://{}/api/v1/sql", args.address))
        .header("content-type", "application/json")
        .header("accept", "text/csv")
        .header("x-scope-orgid", &args.tenant)
        .body(Full::new(Bytes::from(body)))
        .context("read --address and --tenant")?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.with_context(|| {
        format!("no meshlake answers at {} (start one with `meshlake run`)", args.address)
    })?;
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        let answer = body.collect().await?.to_bytes();
        let message = serde_json::from_slice::<serde_json::Value>(&answer)
            .ok()
            .and_then(|json| json["error"]["message"].as_str().map(str::to_owned));
        bail!(message.unwrap_or_else(|| format!("{status}: {}", String::from_utf8_lossy(&answer))));
    }
    let mut out = std::io::stdout().lock();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.context("read the answer")?.data_ref() {
            out.write_all(data)?;
        }
    }
    Ok(out.flush()?)
}
