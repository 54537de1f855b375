//! What a data file says: one request, and what must become of it.
//!
//! Texts may hold `$mark` (the service name that is this check's own), `$now` (nanoseconds since the epoch, new
//! for every request), `$trace` and `$span` (ids in hex, likewise) and, in records, `$good`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::recipe::Part;
use super::signal::{Signal, Transport};

/// A value for all signals, or one for each; a case is about those that it has values for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum PerSignal<T> {
    Each { traces: Option<T>, metrics: Option<T>, logs: Option<T> },
    All(T),
}

/// A record as OTLP/JSON, or many in which `$id` counts from 1, as 16 hex digits, and `$before` is one less.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Record {
    One(String),
    Many { times: usize, of: String },
}

/// One entry `[[case]]`. Without any of `records`, `fields`, `wire`, `request` and `body`, one good record is
/// sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The requirement or family that it belongs to.
    pub row: String,
    /// The fact that it proves.
    pub name: String,
    /// Transports; all by default.
    #[serde(default = "all_transports")]
    pub on: Vec<Transport>,
    /// Signals; by default those that the values below are given for, else all.
    pub signals: Option<Vec<Signal>>,

    /// Records of one scope of one resource.
    pub records: Option<PerSignal<Vec<Record>>>,
    /// JSON members that are added to a good span, log record or data point.
    pub fields: Option<PerSignal<String>>,
    /// Protobuf fields that are added to a good span, log record or data point.
    pub wire: Option<PerSignal<Vec<Part>>>,
    /// A whole request as OTLP/JSON.
    pub request: Option<PerSignal<String>>,
    /// A whole message as bytes.
    pub body: Option<PerSignal<Vec<Part>>>,
    /// The message is packed with this content coding, which is declared.
    pub coding: Option<Coding>,
    /// This content coding is declared, whatever the message is.
    pub declares: Option<String>,
    /// The flag of the gRPC frame; by default 1 when a coding is declared.
    pub flag: Option<u8>,
    /// False: the body over gRPC is the message as it is, without a frame around it.
    #[serde(default = "yes")]
    pub framed: bool,

    #[serde(default = "post")]
    pub method: String,
    pub path: Option<PerSignal<String>>,
    /// The Content-Type; empty for none.
    pub content_type: Option<String>,
    /// Further headers: name, value and, if it is to be repeated, how often.
    #[serde(default)]
    pub headers: Vec<Vec<String>>,
    /// Whether a gRPC call says `te: trailers`, as all clients do.
    #[serde(default = "yes")]
    pub te: bool,
    /// The version of HTTP, 1 or 2; gRPC is always 2.
    #[serde(default = "one")]
    pub http: u8,
    /// When it is sent; at any time by default.
    #[serde(default)]
    pub during: During,
    /// So many such requests are in flight on one connection.
    pub at_once: Option<usize>,
    /// The same bytes are sent once more and must be answered alike.
    #[serde(default)]
    pub again: bool,

    /// `ok`, or an entry of the status map.
    #[serde(default = "ok")]
    pub outcome: String,
    /// Rows; by default 1 when the outcome is `ok`, else 0.
    pub stored: Option<PerSignal<u64>>,
    /// The count of the partial success.
    pub rejected: Option<PerSignal<i64>>,
    /// What the message must contain. With `ok` and nothing rejected, a warning is expected.
    pub says: Option<PerSignal<Vec<String>>>,
    /// SQL expressions and their values, the same in each row that is stored.
    pub rows: Option<PerSignal<BTreeMap<String, toml::Value>>>,
    /// Where the rows are, if not in the usual table.
    pub table: Option<String>,
    /// The rows have no service name.
    #[serde(default)]
    pub unmarked: bool,
}

/// A state of the collector in which a case is sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum During {
    #[default]
    Peace,
    /// All memory for requests is taken.
    Overload,
    /// All memory that one tenant may use is taken, see [`GREEDY_TENANT`](super::overload::GREEDY_TENANT).
    Quota,
}

/// A content coding that the cases pack with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coding {
    Identity,
    Gzip,
    XGzip,
    Zstd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// The cases of one file.
///
/// # Errors
/// A file that cannot be read, or says what no case can.
pub fn read(path: &Path) -> Result<Vec<Case>> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(shown)?;
    let File { case: cases } = toml::from_str(&text).with_context(shown)?;
    for case in &cases {
        ensure!(!case.signals().is_empty(), "{}: {} is about no signal", shown(), case.name);
        let json = case.on.contains(&Transport::Json);
        ensure!(!json || case.wire.is_none(), "{}: {}: JSON has no protobuf fields", shown(), case.name);
    }
    Ok(cases)
}

impl Case {
    /// The signals that it is about.
    pub fn signals(&self) -> Vec<Signal> {
        if let Some(signals) = &self.signals {
            return signals.clone();
        }
        let has = |signal: &Signal| {
            covers(self.records.as_ref(), *signal)
                && covers(self.fields.as_ref(), *signal)
                && covers(self.wire.as_ref(), *signal)
                && covers(self.request.as_ref(), *signal)
                && covers(self.body.as_ref(), *signal)
                && covers(self.rows.as_ref(), *signal)
        };
        Signal::ALL.into_iter().filter(has).collect()
    }

    pub fn is_ok(&self) -> bool {
        self.outcome == "ok"
    }

    /// Rows that it must leave behind.
    pub fn stored(&self, signal: Signal) -> u64 {
        let each = of(self.stored.as_ref(), signal).copied().unwrap_or(u64::from(self.is_ok()));
        each * self.at_once.unwrap_or(1) as u64
    }

    pub fn rejected(&self, signal: Signal) -> i64 {
        of(self.rejected.as_ref(), signal).copied().unwrap_or_default()
    }

    /// What the message must contain.
    pub fn says(&self, signal: Signal) -> &[String] {
        of(self.says.as_ref(), signal).map(Vec::as_slice).unwrap_or_default()
    }

    /// The content coding that is declared.
    pub fn declared_coding(&self) -> Option<&str> {
        match self.coding {
            Some(Coding::Identity) => Some("identity"),
            Some(Coding::Gzip) => Some("gzip"),
            Some(Coding::XGzip) => Some("x-gzip"),
            Some(Coding::Zstd) => Some("zstd"),
            None => self.declares.as_deref(),
        }
    }
}

/// The value for a signal.
pub fn of<T>(values: Option<&PerSignal<T>>, signal: Signal) -> Option<&T> {
    match values? {
        PerSignal::All(value) => Some(value),
        PerSignal::Each { traces, metrics, logs } => match signal {
            Signal::Traces => traces.as_ref(),
            Signal::Metrics => metrics.as_ref(),
            Signal::Logs => logs.as_ref(),
        },
    }
}

/// Whether nothing is said, or something about this signal.
fn covers<T>(values: Option<&PerSignal<T>>, signal: Signal) -> bool {
    values.is_none() || of(values, signal).is_some()
}

fn all_transports() -> Vec<Transport> {
    Transport::ALL.to_vec()
}

fn yes() -> bool {
    true
}

fn post() -> String {
    "POST".to_owned()
}

fn one() -> u8 {
    1
}

fn ok() -> String {
    "ok".to_owned()
}
