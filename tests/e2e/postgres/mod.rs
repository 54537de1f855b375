//! Clients of PostgreSQL as their users have them: `psql` from Debian, drivers from PyPI and Debian. They are what tells
//! whether we speak their protocol; what they are asked has an answer that is arithmetic on what was sent.

mod psql;
mod drivers;
pub mod clients;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;

use crate::harness::{Server, request};
use crate::payloads::{span, traces};

/// Spans that are there: more than two pages of a thousand rows.
pub const SPANS: u64 = 2_500;

/// Spans of one export.
const EXPORT: u64 = 500;

/// A server with [`SPANS`] spans, numbered from 0 in `attributes['test.number']`, of the service `shop`.
pub async fn server_with_spans(data: &Path, environment: &[(&str, &str)]) -> Result<Server> {
    let server = Server::start_with(&["run"], data, environment).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    for first in (0..SPANS).step_by(EXPORT as usize) {
        let export = traces("shop", (first..first + EXPORT).map(span).collect());
        let headers = [("content-type", "application/x-protobuf")];
        let (status, _) = request("POST", &url, &headers, export.encode_to_vec().into()).await?;
        ensure!(status == 200, "POST {url}: {status}");
    }
    Ok(server)
}

/// Host and port that clients connect to.
pub fn host_and_port(server: &Server) -> Result<(&str, &str)> {
    server.addresses.postgres.rsplit_once(':').context("host:port")
}
