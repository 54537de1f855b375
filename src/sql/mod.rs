//! `meshlake sql`: asks a running meshlake over HTTP and prints the answer as CSV.
//!
//! It asks the server instead of opening the data directory, because only the server has the rows that
//! are durable but not yet in files.

use anyhow::{Context as _, Result, bail, ensure};
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
    let address = host_and_port(&args.address)?;
    let body = serde_json::json!({ "sql": args.statement }).to_string();
    let request = hyper::Request::post(format!("http://{address}/api/v1/sql"))
        .header("content-type", "application/json")
        .header("accept", "text/csv")
        .header("x-scope-orgid", &args.tenant)
        .body(Full::new(Bytes::from(body)))
        .context("read --address and --tenant")?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let no_answer = || format!("no meshlake answers at {address} (start one with `meshlake run`)");
    let response = client.request(request).await.with_context(no_answer)?;
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        let answer = body.collect().await?.to_bytes();
        let message = serde_json::from_slice::<serde_json::Value>(&answer)
            .ok()
            .and_then(|json| json["error"]["message"].as_str().map(str::to_owned));
        bail!(message.unwrap_or_else(|| format!("what answers at {address} is no meshlake: {status}")));
    }
    let mut out = std::io::stdout().lock();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.context("read the answer")?.data_ref() {
            out.write_all(data)?;
        }
    }
    Ok(out.flush()?)
}

/// People copy the address from a browser, with `http://` and a slash.
fn host_and_port(typed: &str) -> Result<&str> {
    ensure!(!typed.starts_with("https://"), "--address {typed}: meshlake is asked without TLS");
    let address = typed.strip_prefix("http://").unwrap_or(typed).trim_end_matches('/');
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    ensure!(port.is_some(), "--address {typed}: want host:port, as 127.0.0.1:7070");
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_a_browser_shows_it() {
        let check = |typed: &str, want: Option<&str>| assert_eq!(host_and_port(typed).ok(), want, "{typed}");
        check("127.0.0.1:7070", Some("127.0.0.1:7070"));
        check("http://localhost:7070/", Some("localhost:7070"));
        check("[::1]:7070", Some("[::1]:7070"));
        check("127.0.0.1", None);
        check("[::1]", None);
        check("https://mesh:7070", None);
        check("mesh:70700", None);
    }
}
