//! What the lines come to that were imported: their range of time, and the golden metrics of it.
//!
//! Asked of the query service like by anybody else, so that what is shown is what the page and the API show. Of the time range,
//! rows count that came in since the import began.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use indicatif::HumanCount;
use meshlake_schema::UnixNanos;
use serde_json::{Value, json};

/// Services that are shown, the busiest.
const SERVICES_MAX: usize = 10;

/// A data directory that nobody serves, and where its page will be once somebody does.
#[derive(Debug, Clone)]
pub struct Unserved {
    pub data_dir: PathBuf,
    /// Host and port.
    pub page: String,
}

/// Prints the range of time of what came in since `began`, the busiest services in it, and where to see more.
///
/// # Errors
/// The query service does not answer; what was imported is stored all the same.
pub async fn tell_figures(query: &str, began: UnixNanos, unserved: Option<&Unserved>) -> Result<()> {
    let Some([first, last]) = range(query, began).await? else { return Ok(()) };
    let to = UnixNanos(last.0 + 1);
    println!("  times          {} to {}", first.to_rfc3339(), last.to_rfc3339());
    let range = format!("from={}&to={}", first.to_rfc3339(), to.to_rfc3339());
    let golden = format!("/api/v1/golden?by=service&{range}");
    let answer: Value = ask(query, "GET", &golden, Bytes::new()).await?;
    let mut rows: Vec<Row> = answer["rows"].as_array().into_iter().flatten().map(Row::of).collect();
    rows.sort_by(|a, b| b.requests.total_cmp(&a.requests));
    println!("\n  {:32} {:>14} {:>12} {:>9} {:>10}", "service", "requests", "per second", "errors", "p99");
    for row in rows.iter().take(SERVICES_MAX) {
        println!("{row}");
    }
    let (first, page) = match unserved {
        Some(Unserved { data_dir, page }) => {
            println!("\n  to see it: meshlake run --data-dir {}", data_dir.display());
            ("then", page.as_str())
        }
        None => {
            println!();
            ("page", query)
        }
    };
    println!("  {first}  http://{page}/?{range}\n  API   http://{page}{golden}");
    Ok(())
}

/// The first and the last time of rows that came in since `began`.
async fn range(query: &str, began: UnixNanos) -> Result<Option<[UnixNanos; 2]>> {
    let statement = format!(
        "SELECT min(time_unix_nano), max(time_unix_nano) FROM requests \
         WHERE counted AND ingest_time >= to_timestamp_micros({})",
        began.micros()
    );
    let body = json!({ "sql": statement }).to_string();
    let answer = ask(query, "POST", "/api/v1/sql", body.into()).await?;
    let time = |column: usize| {
        let value = &answer["rows"][0][column];
        value.as_i64().or_else(|| value.as_str()?.parse().ok()).map(UnixNanos)
    };
    Ok(time(0).zip(time(1)).map(|(first, last)| [first, last]))
}

async fn ask(query: &str, method: &str, path: &str, body: Bytes) -> Result<Value> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("http://{query}{path}");
    let request = Request::builder().method(method).uri(&url).header("content-type", "application/json");
    let response =
        client.request(request.body(Full::new(body))?).await.with_context(|| format!("ask {url}"))?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "ask {url}: {status} {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).with_context(|| format!("read what {url} answers"))
}

/// What is shown of a service.
#[derive(Debug, PartialEq)]
struct Row {
    service: String,
    requests: f64,
    per_second: f64,
    error_ratio: f64,
    p99_ms: Option<f64>,
}

impl Row {
    fn of(row: &Value) -> Row {
        let number = |name: &str| row[name].as_f64();
        let service = row["service"].as_str().unwrap_or_default();
        let named = row["namespace"].as_str().filter(|namespace| !namespace.is_empty());
        Row {
            service: named.map_or_else(|| service.to_owned(), |namespace| format!("{service}.{namespace}")),
            requests: number("requests").unwrap_or_default(),
            per_second: number("rate").unwrap_or_default(),
            error_ratio: number("error_ratio").unwrap_or_default(),
            p99_ms: number("p99_ms"),
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let requests = HumanCount(self.requests.round() as u64).to_string();
        let p99 = self.p99_ms.map_or_else(|| "-".to_owned(), |p99_ms| format!("{p99_ms:.1} ms"));
        let errors = format!("{:.2} %", self.error_ratio * 100.0);
        write!(out, "  {:32} {requests:>14} {:>12.2} {errors:>9} {p99:>10}", self.service, self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_line() {
        let row = json!({
            "service": "web", "namespace": "shop", "requests": 12000, "rate": 3.333, "error_ratio": 0.0123, "p99_ms": 45.67,
        });
        let want = "  web.shop                                 12,000         3.33    1.23 %    45.7 ms";
        assert_eq!(Row::of(&row).to_string(), want);
        let row = json!({"service": "web", "namespace": null, "requests": 1, "rate": 1, "error_ratio": 0, "p99_ms": null});
        let want = "  web                                           1         1.00    0.00 %          -";
        assert_eq!(Row::of(&row).to_string(), want);
    }
}
