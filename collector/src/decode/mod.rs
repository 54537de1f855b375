//! Bytes to columns: one module a format, all of them ending in the builders of the tables.
//!
//! A format is one value, [`Format`], in its module: how its bytes are made fit to decode and how they are decoded.
//! Whoever admits, queues and groups them knows that value and no protocol.
//!
//! A payload has been unpacked, which proves it valid, before it is decoded, because column builders cannot roll
//! back: decoding then pushes each record in one pass. A record that is refused (see `RejectReason`) is refused before
//! its first push, so a builder only ever holds whole rows. A `WireError` from a decoder means that its
//! payload was not validated; the builder may then hold part of a row and must be dropped.
//!
//! Formats never import one another; what they share lies below: lines of access logs in `access_log`, the rows of
//! `requests` in `request_rows`, those of metrics in `metric_rows`, columns in `columns`, the wire in `protobuf`.

pub mod access_log;
pub mod envoy_als;
pub mod otlp;
pub mod remote_write;

use std::borrow::Cow;

use bytes::Bytes;
use meshlake_schema::{Table, TableBatch};
use thiserror::Error;

use crate::access_log::origin::LineOrigin;
use crate::metric_rows::MetricBuilders;
use crate::normalize::requests::proxy::ProxyIdentity;
use crate::protobuf::messages::Message;
use crate::protobuf::validate::validate;
use crate::protobuf::wire::WireError;
use crate::request_rows::RequestBuilder;
use crate::signal::Signal;
use crate::tally::{Arrival, Tally};
use envoy_als::KnownPeers;
use otlp::logs::LogBuilder;
use otlp::traces::SpanBuilder;
use remote_write::families::Families;

/// One way in which telemetry is written.
#[derive(Debug)]
pub struct Format {
    /// How the bytes are written, in log lines.
    pub name: &'static str,
    /// What its records are.
    pub signal: Signal,
    /// How they come in, in the ledger and in metrics.
    pub source: &'static str,
    /// Whether the same bytes again are the same export, sent again by a sender that heard no answer; they are then
    /// stored once. They are not where no record says when it was: two events of a sender without a clock look alike.
    pub resends: fn(&[u8]) -> bool,
    /// Whether unpacking makes other bytes, about as many, instead of looking at those that came.
    pub rewrites: bool,
    /// Whether senders are told how much of each kind was written, again when they send the same again.
    pub tells_written: bool,
    /// Proves that bytes, already inflated, can be decoded.
    pub unpack: fn(Bytes) -> Result<Valid, Unreadable>,
    /// Pushes the rows of bytes that `unpack` gave.
    pub decode: Decode,
}

/// Decodes valid bytes, from a sender of which more is known than they say.
pub type Decode = fn(&[u8], Option<&Sender>, &Arrival<'_>, &mut Builders) -> Result<Tally, WireError>;

/// What is known of a sender once for many payloads, and not said in them.
#[derive(Debug, Clone)]
pub enum Sender {
    /// The proxy at the other end of a stream.
    Proxy(ProxyIdentity),
    /// Where lines come from.
    Lines(LineOrigin),
    /// What senders of remote write have told of metrics.
    Families(Families),
}

/// What a line of an access log takes in columns beside its text: as an entry of Envoy's log service.
pub const LINE_COLUMN_BYTES: usize = 340;

impl Sender {
    /// Where lines come from; nothing is known of them where nobody said.
    pub fn lines(sender: Option<&Sender>) -> Cow<'_, LineOrigin> {
        match sender {
            Some(Sender::Lines(origin)) => Cow::Borrowed(origin),
            Some(Sender::Proxy(_) | Sender::Families(_)) | None => Cow::Owned(LineOrigin::default()),
        }
    }
}

/// Bytes that can be decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Valid {
    pub bytes: Bytes,
    /// What the rows take in columns beside their text; every record takes some.
    pub column_bytes: usize,
    /// Where there are no records: what there is in their place, for a sender who should know.
    pub found_instead: Option<String>,
}

/// Why bytes cannot be decoded. Always the sender's fault; trying again cannot help.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("{0}")]
    Undecodable(String),
    /// Rewritten they would be more than a payload may have.
    #[error("too large when rewritten")]
    TooLarge,
}

impl From<WireError> for Unreadable {
    fn from(error: WireError) -> Self {
        Unreadable::Undecodable(error.to_string())
    }
}

/// Protobuf wire bytes of `message`, validated where they lie.
///
/// # Errors
/// They are not.
pub fn valid_protobuf(bytes: Bytes, message: &'static Message) -> Result<Valid, Unreadable> {
    let column_bytes = validate(&bytes, message)?;
    Ok(Valid { bytes, column_bytes, found_instead: None })
}

/// The tables that telemetry is decoded into; the ledger is counted beside them.
pub const DECODED: [Table; 7] = [
    Table::Spans,
    Table::Logs,
    Table::MetricPoints,
    Table::MetricHistograms,
    Table::MetricExpHistograms,
    Table::MetricSummaries,
    Table::Requests,
];

/// The builders of those tables.
#[derive(Debug, Default)]
pub struct Builders {
    pub spans: SpanBuilder,
    pub logs: LogBuilder,
    pub metrics: MetricBuilders,
    pub requests: RequestBuilder,
    /// Kept from batch to batch: what is known of whom proxies tell of.
    pub peers: KnownPeers,
}

impl Builders {
    /// Rows per table, in the order of [`DECODED`].
    pub fn rows(&self) -> [usize; DECODED.len()] {
        let metrics = &self.metrics;
        [
            self.spans.rows(),
            self.logs.rows(),
            metrics.points.rows(),
            metrics.histograms.rows(),
            metrics.exp_histograms.rows(),
            metrics.summaries.rows(),
            self.requests.rows(),
        ]
    }

    /// Takes all rows, one batch for each table that has any.
    pub fn finish(&mut self) -> Vec<TableBatch> {
        let single = [self.spans.finish(), self.logs.finish()];
        let metrics = self.metrics.finish();
        single.into_iter().flatten().chain(metrics).chain(self.requests.finish()).collect()
    }
}

#[cfg(test)]
mod same_envoy;
