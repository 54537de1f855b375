//! Sends the requests of cases, one check for each transport and signal, and looks at what is stored.
//!
//! Rows are found by the service name that each check has for itself. They are counted for all checks at once
//! when all have been sent, and their values compared by one query a table: a query in a debug build takes as long as
//! a dozen requests.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use serde_json::Value;

use super::case::{Case, During, of};
use super::judge::StatusMap;
use super::mark::Mark;
use super::overload::{Stalled, wait_for_metric};
use super::payload;
use super::send::{Connection, Reply};
use super::signal::{Signal, Transport};
use crate::harness::Server;

/// Checks whose rows one query asks for: the server allows 5,000 tokens in a statement.
const COMPARED_AT_ONCE: usize = 300;

/// One request, or several alike, and what was wrong with it.
#[derive(Debug)]
pub struct Check {
    pub row: String,
    pub name: String,
    pub transport: Transport,
    pub signal: Signal,
    pub faults: Vec<String>,
    mark: Mark,
    stored: u64,
    unmarked: bool,
    table: String,
    /// SQL expressions and values.
    rows: Vec<(String, Value)>,
}

impl Check {
    /// What was wrong, each fault with what it is about.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        let Check { row, name, transport, signal, mark, .. } = self;
        self.faults
            .iter()
            .map(move |fault| format!("{row} {name:?} {transport:?} {signal:?} ({}): {fault}", mark.name))
    }
}

/// Sends cases to one server.
pub struct Runner<'s> {
    server: &'s Server,
    status_map: StatusMap,
    checks: Vec<Check>,
}

impl<'s> Runner<'s> {
    pub fn new(server: &'s Server) -> Result<Runner<'s>> {
        Ok(Runner { server, status_map: StatusMap::read()?, checks: Vec::new() })
    }

    /// Sends all that `cases` say.
    ///
    /// # Errors
    /// A case that cannot be sent. What is wrong with an answer is kept in its check.
    pub async fn send(&mut self, cases: &[Case]) -> Result<()> {
        for during in [During::Peace, During::Overload, During::Quota] {
            let cases: Vec<&Case> = cases.iter().filter(|case| case.during == during).collect();
            let stalled = match during {
                During::Overload if !cases.is_empty() => Some(Stalled::fill_budget(self.server).await?),
                During::Quota if !cases.is_empty() => Some(Stalled::fill_quota(self.server).await?),
                _ => None,
            };
            for case in cases {
                self.send_case(case).await?;
            }
            if let Some(stalled) = stalled {
                stalled.cut();
                wait_for_metric(self.server, "meshlake_in_flight_bytes", 0.0).await?;
            }
        }
        Ok(())
    }

    async fn send_case(&mut self, case: &Case) -> Result<()> {
        for transport in &case.on {
            for signal in case.signals() {
                let check = self.checked(case, *transport, signal).await;
                let what = || format!("{} {:?} {transport:?} {signal:?}", case.row, case.name);
                self.checks.push(check.with_context(what)?);
            }
        }
        Ok(())
    }

    async fn checked(&self, case: &Case, transport: Transport, signal: Signal) -> Result<Check> {
        let mark = Mark::new(&format!("check-{}", self.checks.len()));
        let table = case.table.as_deref().unwrap_or(signal.tables()[0]).to_owned();
        let rows = of(case.rows.as_ref(), signal).into_iter().flatten();
        let rows = rows.map(|(expression, value)| (expression.clone(), json_of(value, &mark))).collect();
        let mut check = Check {
            row: case.row.clone(),
            name: case.name.clone(),
            transport,
            signal,
            faults: Vec::new(),
            stored: case.stored(signal),
            unmarked: case.unmarked,
            table,
            rows,
            mark,
        };
        for reply in self.replies(case, transport, signal, &check.mark).await? {
            check.faults.extend(self.status_map.judge(case, signal, transport, &reply).err());
        }
        Ok(check)
    }

    async fn replies(
        &self,
        case: &Case,
        transport: Transport,
        signal: Signal,
        mark: &Mark,
    ) -> Result<Vec<Reply>> {
        let address = match transport {
            Transport::Grpc => &self.server.addresses.otlp_grpc,
            _ => &self.server.addresses.otlp_http,
        };
        let http = if transport == Transport::Grpc { 2 } else { case.http };
        if let Some(count) = case.at_once {
            let Connection::Http2(sender) = Connection::open(address, http).await? else {
                anyhow::bail!("only HTTP/2 has several requests in flight");
            };
            let sending = (0..count).map(|_| {
                let request = request(case, transport, signal, &Mark::new(&mark.name), address);
                let mut connection = Connection::Http2(sender.clone());
                async move { connection.send(request?).await }
            });
            return try_join_all(sending).await;
        }
        let mut replies = Vec::new();
        let times = if case.again { 2 } else { 1 };
        for _ in 0..times {
            let request = request(case, transport, signal, mark, address)?;
            replies.push(Connection::open(address, http).await?.send(request).await?);
        }
        Ok(replies)
    }

    /// Compares what is stored with what was sent, and gives all checks.
    ///
    /// # Errors
    /// When the server cannot say what it has.
    pub async fn finish(mut self) -> Result<Vec<Check>> {
        for signal in Signal::ALL {
            self.count(signal).await?;
        }
        let mut by_table: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, check) in self.checks.iter().enumerate().filter(|(_, check)| !check.rows.is_empty()) {
            by_table.entry(check.table.clone()).or_default().push(at);
        }
        for (table, checks) in by_table {
            for some in checks.chunks(COMPARED_AT_ONCE) {
                self.compare(&table, some).await?;
            }
        }
        Ok(self.checks)
    }

    /// Every check has as many rows as it must, and nobody else has any.
    async fn count(&mut self, signal: Signal) -> Result<()> {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for table in signal.tables() {
            let statement = format!("SELECT service_name, count(*) FROM {table} GROUP BY service_name");
            for row in self.server.sql(&statement).await? {
                let name = row[0].as_str().unwrap_or_default().to_owned();
                *found.entry(name).or_default() += row[1].as_u64().context("a count")?;
            }
        }
        let of_signal = || self.checks.iter().filter(|check| check.signal == signal);
        let unmarked: u64 = of_signal().filter(|check| check.unmarked).map(|check| check.stored).sum();
        let unmarked_found = found.remove("").unwrap_or_default();
        for check in self.checks.iter_mut().filter(|check| check.signal == signal) {
            let (want, got) = match check.unmarked {
                true => (unmarked, unmarked_found),
                false => (check.stored, found.remove(&check.mark.name).unwrap_or_default()),
            };
            if want != got {
                check.faults.push(format!("{got} rows are stored instead of {want}"));
            }
        }
        ensure!(
            found.is_empty() && (unmarked > 0 || unmarked_found == 0),
            "rows that nobody sent: {found:?}"
        );
        Ok(())
    }

    /// Each row of these checks, all in `table`, has the values that its check names.
    async fn compare(&mut self, table: &str, checks: &[usize]) -> Result<()> {
        let of_checks = || checks.iter().map(|at| &self.checks[*at]);
        let expressions: BTreeSet<&str> =
            of_checks().flat_map(|check| &check.rows).map(|(expression, _)| expression.as_str()).collect();
        let marks: Vec<String> = of_checks().map(|check| format!("'{}'", check.mark.name)).collect();
        let statement = format!(
            "SELECT service_name, {} FROM {table} WHERE service_name IN ({})",
            expressions.iter().copied().collect::<Vec<_>>().join(", "),
            marks.join(", ")
        );
        let rows = self.server.sql(&statement).await?;
        let columns: BTreeMap<String, usize> =
            expressions.into_iter().zip(1..).map(|(name, at)| (name.to_owned(), at)).collect();
        for at in checks {
            let check = &mut self.checks[*at];
            let found: Vec<&Vec<Value>> =
                rows.iter().filter(|row| row[0] == check.mark.name.as_str()).collect();
            for (expression, want) in &check.rows {
                let values: BTreeSet<String> =
                    found.iter().map(|row| row[columns[expression]].to_string()).collect();
                if values != BTreeSet::from([want.to_string()]) {
                    check.faults.push(format!("{expression} is {values:?} instead of {want}"));
                }
            }
        }
        Ok(())
    }
}

/// The request that a case describes.
///
/// # Errors
/// A case that cannot be written down.
pub fn request(
    case: &Case,
    transport: Transport,
    signal: Signal,
    mark: &Mark,
    address: &str,
) -> Result<Request<Full<Bytes>>> {
    let body = payload::body(case, signal, transport, mark)?;
    let path = payload::path(case, signal, transport)?;
    // HTTP/1.1 wants the path alone and a host beside it; HTTP/2 puts both into pseudo-headers.
    let is_http1 = transport != Transport::Grpc && case.http == 1;
    let uri = if is_http1 { path } else { format!("http://{address}{path}") };
    let mut request = Request::builder().method(case.method.as_str()).uri(uri);
    if is_http1 {
        request = request.header("host", address);
    }
    let content_type = case.content_type.as_deref().unwrap_or(transport.media_type());
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    if transport == Transport::Grpc && case.te {
        request = request.header("te", "trailers");
    }
    let coding_header = match transport {
        Transport::Grpc => "grpc-encoding",
        _ => "content-encoding",
    };
    if let Some(coding) = case.declared_coding() {
        request = request.header(coding_header, coding);
    }
    for header in &case.headers {
        let [name, value, times @ ..] = header.as_slice() else {
            anyhow::bail!("a header has a name and a value: {header:?}");
        };
        let times = times.first().map_or(Ok(1), |times| times.parse())?;
        request = request.header(name.as_str(), HeaderValue::from_bytes(value.repeat(times).as_bytes())?);
    }
    Ok(request.body(Full::new(Bytes::from(body)))?)
}

/// A value of a data file as an answer to SQL has it.
fn json_of(value: &toml::Value, mark: &Mark) -> Value {
    match value {
        toml::Value::String(text) => mark.fill(text).into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Array(values) => values.iter().map(|value| json_of(value, mark)).collect(),
        other => Value::String(other.to_string()),
    }
}
