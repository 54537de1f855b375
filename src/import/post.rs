//! Posts parts of a file to a server, again while it says to come back.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use meshlake_collector::lines::Part;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::counts::Counts;
use crate::cli::ImportArgs;

/// How long a part is tried for: a flush of a full buffer on a slow disk is over by then.
const TRIES_TIME_MAX: Duration = Duration::from_secs(120);

/// Between two tries, where the server does not say.
const TRY_INTERVAL: Duration = Duration::from_secs(1);

/// The longest that a server is waited for because it says so.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// A server that takes lines.
pub struct Poster {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    tenant: String,
    /// What is said of all lines, as a query.
    said: String,
}

/// How far a file is stored.
#[derive(Debug, Deserialize)]
pub struct KnownFile {
    pub file: String,
    pub position: u64,
}

/// `http://host:port` from what was typed.
///
/// # Errors
/// It is no address of a server without TLS.
pub fn base_of(typed: &str) -> Result<String> {
    ensure!(!typed.starts_with("https://"), "--to {typed}: lines are posted without TLS");
    let address = typed.strip_prefix("http://").unwrap_or(typed).trim_end_matches('/');
    let address = address.strip_suffix("/v1/access_logs").unwrap_or(address);
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    ensure!(port.is_some(), "--to {typed}: want http://host:port, as http://127.0.0.1:4318");
    Ok(format!("http://{address}"))
}

impl Poster {
    /// # Errors
    /// What is said of the lines cannot be a part of a query; never for text.
    pub fn new(base: &str, args: &ImportArgs) -> Result<Poster> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let said = [
            ("format", &args.format),
            ("language", &args.language),
            ("service", &args.service),
            ("namespace", &args.namespace),
            ("instance", &args.instance),
            ("zone", &args.zone),
        ];
        let said = said.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let said = form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish();
        Ok(Poster { client, base: base.to_owned(), tenant: args.tenant.clone(), said })
    }

    /// How far the file is stored that begins with `head`.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn find(&self, head: Bytes) -> Result<KnownFile> {
        self.ask(&format!("{}/v1/access_logs/file", self.base), head).await
    }

    /// Posts a part of `file`; what became of its lines.
    ///
    /// # Errors
    /// Nobody answers, or the server refuses the part for good.
    pub async fn post(&self, file: &str, part: Part) -> Result<Counts> {
        let Part { range, bytes, fields } = part;
        let (base, said) = (&self.base, &self.said);
        // Said where there are none, too: then nothing is missing.
        let fields =
            form_urlencoded::byte_serialize(fields.as_deref().unwrap_or_default()).collect::<String>();
        let (offset, end) = (range.start, range.end);
        let url =
            format!("{base}/v1/access_logs?file={file}&offset={offset}&end={end}&fields={fields}&{said}");
        self.ask(&url, bytes).await
    }

    async fn ask<A: DeserializeOwned>(&self, url: &str, body: Bytes) -> Result<A> {
        let began = Instant::now();
        loop {
            let (error, delay) = match self.ask_once(url, body.clone()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Again { why, delay })) => (anyhow::Error::msg(why), delay.min(RETRY_AFTER_MAX)),
                Err(error) => return Err(error),
            };
            if began.elapsed() + delay > TRIES_TIME_MAX {
                return Err(error);
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// The answer, or why and when to try again.
    async fn ask_once<A: DeserializeOwned>(&self, url: &str, body: Bytes) -> Result<Result<A, Again>> {
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "text/plain")
            .header("x-scope-orgid", &self.tenant)
            .body(Full::new(body))?;
        let no_answer = || format!("no meshlake answers at {} (start one with `meshlake run`)", self.base);
        let response = self.client.request(request).await.with_context(no_answer)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("read an answer")?.to_bytes();
        if head.status.is_success() {
            return Ok(Ok(serde_json::from_slice(&body).context("read an answer: is it a meshlake?")?));
        }
        let message = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let message = message.and_then(|status| status["message"].as_str().map(str::to_owned));
        let why = message.unwrap_or_else(|| format!("what answers at {} says {}", self.base, head.status));
        if !matches!(head.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            bail!(why);
        }
        let seconds =
            head.headers.get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let delay = seconds.map_or(TRY_INTERVAL, Duration::from_secs);
        Ok(Err(Again { why, delay }))
    }
}

struct Again {
    why: String,
    delay: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_it_is_written() {
        let check =
            |typed: &str, want: Option<&str>| assert_eq!(base_of(typed).ok().as_deref(), want, "{typed}");
        check("http://127.0.0.1:4318", Some("http://127.0.0.1:4318"));
        check("mesh:4318/", Some("http://mesh:4318"));
        check("http://[::1]:4318/v1/access_logs", Some("http://[::1]:4318"));
        check("https://mesh:4318", None);
        check("mesh", None);
    }
}
