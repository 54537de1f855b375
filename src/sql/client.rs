//! Asks a meshlake over HTTP.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;

/// One server, asked as one tenant.
#[derive(Debug, Clone)]
pub struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    address: String,
    tenant: String,
}

/// An answer as it comes. Dropping it stops the statement.
#[derive(Debug)]
pub struct Body(Incoming);

/// A whole answer in JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Answer {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
    /// Why there are no more rows, where some are missing.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
}

impl Client {
    /// # Errors
    /// `typed` is no address of a server without TLS.
    pub fn new(typed: &str, tenant: &str) -> Result<Client> {
        let address = host_and_port(typed)?.to_owned();
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Ok(Client { http, address, tenant: tenant.to_owned() })
    }

    /// Asks `sql` in a format of the server's.
    ///
    /// # Errors
    /// Nobody answers, or the statement is refused, with the server's words.
    pub async fn ask(&self, sql: &str, format: &str) -> Result<Body> {
        let address = &self.address;
        let body = serde_json::json!({ "sql": sql }).to_string();
        let request = hyper::Request::post(format!("http://{address}/api/v1/sql?format={format}"))
            .header("content-type", "application/json")
            .header("x-scope-orgid", &self.tenant)
            .body(Full::new(Bytes::from(body)))
            .context("read --server and --tenant")?;
        let no_answer = || format!("no meshlake answers at {address} (start one with `meshlake run`)");
        let response = self.http.request(request).await.with_context(no_answer)?;
        let status = response.status();
        let body = response.into_body();
        if status.is_success() {
            return Ok(Body(body));
        }
        let answer = body.collect().await?.to_bytes();
        let message = serde_json::from_slice::<Value>(&answer)
            .ok()
            .and_then(|json| json["error"]["message"].as_str().map(str::to_owned));
        bail!(message.unwrap_or_else(|| format!("what answers at {address} is no meshlake: {status}")))
    }

    /// The whole answer.
    ///
    /// # Errors
    /// As [`Client::ask`]; also for an answer that breaks off.
    pub async fn answer(&self, sql: &str) -> Result<Answer> {
        self.ask(sql, "json").await?.answer().await
    }
}

impl Body {
    /// The next bytes; none at the end of a whole answer.
    ///
    /// # Errors
    /// The answer broke off: the statement failed, or the server is gone.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.0.frame().await {
            let frame = frame.map_err(|error| anyhow!("the answer broke off and is not whole: {error}"))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// What it says, of an answer in JSON.
    ///
    /// # Errors
    /// The answer broke off.
    pub async fn answer(mut self) -> Result<Answer> {
        let mut bytes = Vec::new();
        while let Some(data) = self.next().await? {
            bytes.extend_from_slice(&data);
        }
        serde_json::from_slice(&bytes).context("read the answer")
    }
}

/// People copy the address from a browser, with `http://` and a slash.
fn host_and_port(typed: &str) -> Result<&str> {
    ensure!(!typed.starts_with("https://"), "--server {typed}: meshlake is asked without TLS");
    let address = typed.strip_prefix("http://").unwrap_or(typed).trim_end_matches('/');
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    ensure!(port.is_some(), "--server {typed}: want host:port, as 127.0.0.1:7070");
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
