//! Calls one by one, newest first: what golden metrics and the graph count, before it is summed.
//!
//! ```text
//! fold, listing   -> picture, with the newest calls that count   (newest)
//! their rows once more, by time -> what each says of its call    (Lookup)
//! both            -> rows of the answer                          (described)
//! ```
//! The calls are those of the fold that makes cells, so that the two cannot disagree. A fold holds numbers only, millions
//! of them; texts are read for the calls of the answer alone. Limit: [`CALLS_MAX`] calls.

use std::cmp::Reverse;

use arrow::array::RecordBatch;
use meshlake_schema::rows::{Booleans, Integers, RowsError, Text};
use meshlake_schema::{Outcome, Table, TimeRange, UnixNanos, read_columns};

use crate::cell_key::Evidence;
use crate::cells::Book;
use crate::grouping::{By, Grain};
use crate::hashing::NumberMap;
use crate::measure::{MILLI, Protocol};
use crate::noted::RowKey;
use crate::one_call::{CallSeen, NamedBy};
use crate::operation::write_operation;
use crate::picture::Picture;
use crate::range::Range;
use crate::requests::row_columns;
use crate::requests::rows::RequestRows;
use crate::requests::seen::Side;
use crate::span_rows::ids;

/// Most calls of one answer: a page that people scroll, and some 400 KB of JSON. More are had by asking for an earlier
/// range.
pub const CALLS_MAX: usize = 1_000;

/// Calls of an answer when nothing is said.
pub const CALLS_DEFAULT: usize = 100;

/// One call, and what was told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedCall {
    /// When it was made, as its caller tells; else when it was received.
    pub time: UnixNanos,
    /// Id of the caller's node; none where nobody knows who called.
    pub source: Option<String>,
    /// Id of the callee's node.
    pub target: String,
    /// What names the callee.
    pub named_by: NamedBy,
    pub protocol: Protocol,
    /// By the side that received it where that was seen; of a request grouped as in golden metrics.
    pub operation: Option<String>,
    /// Of the answer that the caller got.
    pub response_code: Option<i64>,
    pub grpc_status: Option<i64>,
    pub outcome: Outcome,
    pub fault_class: Option<String>,
    /// It never reached its target.
    pub is_refused: bool,
    /// How often it was tried and arrived, at least 1.
    pub attempts: u64,
    /// How many calls it stands for, which is one unless spans were sampled.
    pub requests: f64,
    /// How long it took the caller, all tries included; none where its side was not seen, or tells no duration.
    pub client_nano: Option<i64>,
    /// How long it took the callee; of several tries, the last.
    pub server_nano: Option<i64>,
    pub is_seen_by_client: bool,
    pub is_seen_by_server: bool,
    pub evidence: Evidence,
    pub trace_id: Option<String>,
    pub request_id: Option<String>,
}

impl ListedCall {
    /// What lay between the two sides: proxies and the network, and earlier tries. None where one side tells no duration,
    /// or where the caller stopped waiting before the callee was done.
    pub fn overhead_nano(&self) -> Option<i64> {
        let between = self.client_nano?.checked_sub(self.server_nano?)?;
        (between >= 0).then_some(between)
    }

    /// `client`, `server` or `both`.
    pub fn seen_by(&self) -> &'static str {
        match (self.is_seen_by_client, self.is_seen_by_server) {
            (true, true) => "both",
            (true, false) => "client",
            (false, _) => "server",
        }
    }
}

/// The newest calls of a picture that begin or end at `service`, by id or by name, if one is named. Of calls that began
/// at one instant those between nodes of lower ids come first.
pub fn newest(picture: &Picture, service: Option<&str>, most: usize) -> Vec<CallSeen> {
    let is_asked = |place: usize| {
        let node = &picture.nodes[place];
        service.is_none_or(|service| node.id == service || node.name == service)
    };
    let calls = picture.calls.iter();
    let mut calls: Vec<CallSeen> =
        calls.filter(|call| is_asked(call.target) || call.source.is_some_and(is_asked)).cloned().collect();
    calls.sort_by_key(|call| (Reverse(call.noted.start), call.source, call.target, call.noted.rows));
    calls.truncate(most);
    calls
}

read_columns! {
    /// What rows of `requests` say of a call, beside what a fold reads of them.
    struct RequestColumns of Table::Requests {
        duration_nano: Integers,
        is_timed: Booleans,
        method: Text,
        path: Text,
        response_code: Integers,
        grpc_status: Integers,
        fault_class: Text,
        trace_id: Text,
        request_id: Text,
    }
}

read_columns! {
    /// What spans say of a call.
    struct SpanColumns of Table::Spans {
        time_unix_nano: Integers,
        duration_nano: Integers,
        trace_id: Text,
        span_id: Text,
        kind: Integers,
        name: Text,
        http_response_status_code: Integers,
        rpc_grpc_status_code: Integers,
    }
}

/// What one row says.
#[derive(Debug, Clone, Default)]
struct Told {
    operation: Option<String>,
    response_code: Option<i64>,
    grpc_status: Option<i64>,
    fault_class: Option<String>,
    trace_id: Option<String>,
    request_id: Option<String>,
    /// None where the row tells no duration.
    duration: Option<i64>,
    /// The side that the row itself tells of.
    side: Option<Side>,
}

/// Finds what the rows of one table say of calls.
#[derive(Debug)]
pub struct Lookup {
    evidence: Evidence,
    starts: NumberMap<i64, ()>,
    told: NumberMap<(RowKey, Side), Option<Told>>,
}

impl Lookup {
    /// Of the calls that this evidence tells of.
    pub fn of(calls: &[CallSeen], evidence: Evidence) -> Lookup {
        let of_kind = calls.iter().filter(|call| call.evidence == evidence);
        let sides = of_kind.flat_map(|call| {
            let rows = call.noted.rows;
            [(rows.made, Side::Made), (rows.received, Side::Received)]
        });
        let told: NumberMap<(RowKey, Side), Option<Told>> =
            sides.filter(|(row, _)| !row.is_none()).map(|side| (side, None)).collect();
        let starts = told.keys().map(|(row, _)| (row.start, ())).collect();
        Lookup { evidence, starts, told }
    }

    /// The table whose rows are wanted.
    pub fn table(&self) -> Table {
        match self.evidence {
            Evidence::Requests => Table::Requests,
            Evidence::Spans => Table::Spans,
        }
    }

    /// The columns that are read of them.
    pub fn columns(&self) -> Vec<&'static str> {
        match self.evidence {
            Evidence::Spans => SpanColumns::NAMES.to_vec(),
            Evidence::Requests => {
                let mut columns = row_columns::columns(Grain::Node);
                columns.extend(RequestColumns::NAMES);
                columns.sort_unstable();
                columns.dedup();
                columns
            }
        }
    }

    /// When the wanted rows start; none where none are wanted.
    pub fn times(&self) -> Option<TimeRange> {
        let (first, last) = (self.starts.keys().min()?, self.starts.keys().max()?);
        Some(TimeRange { from: UnixNanos(*first), to: UnixNanos(last.saturating_add(1)) })
    }

    /// Reads the wanted among the rows of a batch.
    ///
    /// # Errors
    /// A bug of ours: the batch is not one of columns of the table.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        match self.evidence {
            Evidence::Requests => self.add_requests(batch),
            Evidence::Spans => self.add_spans(batch),
        }
    }

    fn add_requests(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        let columns = RequestColumns::of(batch)?;
        // What the rows call their ends is found out beside, and not looked at.
        let Ok(range) = Range::new(UnixNanos(0), UnixNanos(1), None) else { return Ok(()) };
        let mut beside = Book::new(range, By::Service, Grain::Node);
        RequestRows::of(batch, beside.grain).read(batch, &mut beside, |row, seen| {
            if self.starts.contains_key(&seen.start) {
                self.tell(seen.row_key(), || told_by_request(&columns, row, seen.side));
            }
        });
        Ok(())
    }

    fn add_spans(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        let columns = SpanColumns::of(batch)?;
        for row in 0..batch.num_rows() {
            let start = columns.time_unix_nano.or_zero(row);
            if self.starts.contains_key(&start) {
                let [low, high] = ids::trace_id(columns.trace_id.get(row));
                let trace = u128::from(high) << 64 | u128::from(low);
                let key = RowKey::of_span(trace, ids::span_id(columns.span_id.get(row)), start);
                self.tell(key, || told_by_span(&columns, row));
            }
        }
        Ok(())
    }

    /// Two rows may have one key, as the halves of a call that share one span id: the one that tells of the side that is
    /// looked for is taken.
    fn tell(&mut self, key: RowKey, told: impl Fn() -> Told) {
        for side in [Side::Made, Side::Received] {
            if let Some(held) = self.told.get_mut(&(key, side)) {
                let told = told();
                if held.is_none() || told.side == Some(side) {
                    *held = Some(told);
                }
            }
        }
    }

    fn told(&self, key: RowKey, side: Side) -> Told {
        self.told.get(&(key, side)).cloned().flatten().unwrap_or_default()
    }
}

fn told_by_request(columns: &RequestColumns<'_>, row: usize, side: Side) -> Told {
    let owned = |text: &Text<'_>| text.named(row).map(str::to_owned);
    let grpc_status = columns.grpc_status.get(row);
    let (method, path) = (columns.method.named(row), columns.path.named(row));
    let mut operation = String::new();
    write_operation(&mut operation, method, path, grpc_status.is_some());
    Told {
        operation: method.or(path).map(|_| operation),
        response_code: columns.response_code.get(row),
        grpc_status,
        fault_class: owned(&columns.fault_class),
        trace_id: owned(&columns.trace_id),
        request_id: owned(&columns.request_id),
        duration: columns.duration_nano.get(row).filter(|_| columns.is_timed.get(row) != Some(false)),
        side: Some(side),
    }
}

fn told_by_span(columns: &SpanColumns<'_>, row: usize) -> Told {
    let owned = |text: &Text<'_>| text.named(row).map(str::to_owned);
    Told {
        operation: owned(&columns.name),
        response_code: columns.http_response_status_code.get(row),
        grpc_status: columns.rpc_grpc_status_code.get(row),
        trace_id: owned(&columns.trace_id),
        duration: columns.duration_nano.get(row),
        // Kinds of spans. Source: `opentelemetry/proto/trace/v1/trace.proto`.
        side: match columns.kind.get(row) {
            Some(3 | 4) => Some(Side::Made),
            Some(2 | 5) => Some(Side::Received),
            _ => None,
        },
        ..Told::default()
    }
}

/// The calls with what their rows say, in their order.
pub fn described(picture: &Picture, calls: &[CallSeen], lookups: &[Lookup]) -> Vec<ListedCall> {
    let told = |call: &CallSeen, key: RowKey, side: Side| {
        let lookup = lookups.iter().find(|lookup| lookup.evidence == call.evidence);
        lookup.map(|lookup| lookup.told(key, side)).unwrap_or_default()
    };
    let described = calls.iter().map(|call| {
        let rows = call.noted.rows;
        let (made, received) = (told(call, rows.made, Side::Made), told(call, rows.received, Side::Received));
        one(picture, call, made, received)
    });
    described.collect()
}

fn one(picture: &Picture, call: &CallSeen, made: Told, received: Told) -> ListedCall {
    let (seen, halves, rows) = (call.noted.seen, call.noted.halves, call.noted.rows);
    let is_timed = |told: &Told, row: RowKey| row.is_none() || told.duration.is_some();
    let whole = Some(seen.duration_nano);
    let (client_nano, server_nano) = if halves.is_made {
        (whole.filter(|_| is_timed(&made, rows.made)), received.duration)
    } else {
        (None, whole.filter(|_| is_timed(&received, rows.received)))
    };
    ListedCall {
        time: UnixNanos(call.noted.start),
        source: call.source.map(|place| picture.nodes[place].id.clone()),
        target: picture.nodes[call.target].id.clone(),
        named_by: call.named_by,
        protocol: seen.protocol,
        operation: received.operation.or(made.operation),
        response_code: made.response_code.or(received.response_code),
        grpc_status: made.grpc_status.or(received.grpc_status),
        outcome: seen.outcome,
        fault_class: made.fault_class.or(received.fault_class),
        is_refused: call.is_refused,
        attempts: halves.retries + 1,
        requests: seen.weight as f64 / MILLI as f64,
        client_nano,
        server_nano,
        is_seen_by_client: halves.is_made,
        is_seen_by_server: halves.received > 0,
        evidence: call.evidence,
        trace_id: made.trace_id.or(received.trace_id),
        request_id: made.request_id.or(received.request_id),
    }
}

#[cfg(test)]
mod tests;
