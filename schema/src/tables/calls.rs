//! Columns of `calls_10s`, `calls_1m` and `calls_10m`: calls that are counted, in cells of time and key.
//!
//! A cell is what one key saw in ten seconds, a minute or ten minutes. The key has what any answer groups by and every
//! label of Istio's standard metrics, so that graphs, golden metrics and those metrics are sums over cells and no
//! rows have to be read. Both observers of a call are kept, as entries of their own: a call on its edge as its caller saw
//! it, the same call at its node as the callee did.
//!
//! Sums are integers in thousandths (a sampled span stands for several calls, not always a whole number of them), so
//! that no order of adding changes an answer. Histograms are two lists: the index of a bucket of
//! [`crate::histogram`], and what is in it. Cells of one table are whole: `calls_1m` repeats what `calls_10s` holds, a
//! question reads one of them.

use super::{Column, Declared, Kind, Origin, Table, column, nullable};

/// Minutes on both sides of a minute whose rows tell what its calls are; nothing else does. What belongs together by its
/// ids is looked for one minute away, and what only several of those together tell, as a message and its sender in
/// two traces, one minute further. So the cells of a minute are made anew when a row reaches one of these.
pub const SETTLE_MARGIN_MINUTES: i64 = 2;

pub(super) const CALLS_10S: Declared = Declared {
    table: Table::Calls10s,
    name: "calls_10s",
    doc: "One row per key and 10 seconds: calls that were counted. Add up rows of the entries that you ask for.",
    origin: Origin::Settled { cell_seconds: 10 },
    sort_key: FINE_SORT_KEY,
    columns: fine,
};

pub(super) const CALLS_1M: Declared = Declared {
    table: Table::Calls1m,
    name: "calls_1m",
    doc: "One row per key and minute: calls that were counted. Add up rows of the entries that you ask for.",
    origin: Origin::Settled { cell_seconds: 60 },
    sort_key: FINE_SORT_KEY,
    columns: fine,
};

pub(super) const CALLS_10M: Declared = Declared {
    table: Table::Calls10m,
    name: "calls_10m",
    doc: "One row per key and 10 minutes, without operation, route, host and instance: calls that were counted.",
    origin: Origin::Settled { cell_seconds: 600 },
    sort_key: &["destination_name", "source_name", "time"],
    columns: coarse,
};

const FINE_SORT_KEY: &[&str] = &["destination_name", "operation", "time"];

/// Columns that only cells of a minute or less have: there are as many values as a mesh has paths and pods.
const FINE: [Column; 5] = [
    nullable("operation", Kind::Dictionary, "Span name, gRPC method, or method and path with ids folded."),
    nullable("route", Kind::Dictionary, "Name of the route that the proxy matched; null when none is told."),
    nullable("host", Kind::Dictionary, "Host that a gateway was asked for; null for other observers."),
    nullable("destination_instance", Kind::Dictionary, "Callee: instance (pod), where it told of the call."),
    nullable(
        "destination_proxy_version",
        Kind::Dictionary,
        "Callee: release of the proxy that stands beside that instance, where it told of the call.",
    ),
];

fn fine() -> Vec<Column> {
    [&ARRIVAL[..], WHAT, SOURCE, DESTINATION, &FINE, RESULT, SUMS, HISTOGRAMS].concat()
}

fn coarse() -> Vec<Column> {
    [&ARRIVAL[..], WHAT, SOURCE, DESTINATION, RESULT, SUMS, HISTOGRAMS].concat()
}

const ARRIVAL: [Column; 2] = [
    column("tenant", Kind::Dictionary, "Whose data this is: the X-Scope-OrgID header, or `default`."),
    column("ingest_time", Kind::Timestamp, "When the cell was made, by the collector's own clock."),
];

/// What the cell counts.
const WHAT: &[Column] = &[
    column("time", Kind::Timestamp, "Start of the cell's time; calls count where they started."),
    column(
        "evidence",
        Kind::Dictionary,
        "What it was counted from: requests (rows of proxies) or spans. Never add both; see docs/calls.md.",
    ),
    column(
        "entry",
        Kind::Dictionary,
        "edge, refused, messages or connections between two ends; carrying and carrying_traced, connections whose calls requests or only spans tell of, which count nothing; received, received_messages or received_connections at the callee; alias, which counts nothing and says that the callee answered to the name in source.",
    ),
    column(
        "observer",
        Kind::Dictionary,
        "Whose word the latency, bytes and code are: client (the caller's side), server (the callee's) or waypoint (a proxy before it).",
    ),
    column("protocol", Kind::Dictionary, "http, grpc, tcp, database, messaging or unknown."),
];

const SOURCE: &[Column] = &[
    nullable(
        "source_naming",
        Kind::Dictionary,
        "Caller: what kind of name it is: host, store_host, store, queue; caller, callee or other for one without a name. Null, as all of the caller's columns, where no edge or several lead to what was received, and in cells of earlier versions.",
    ),
    nullable("source_name", Kind::Dictionary, "Caller: name, as its rows tell it."),
    nullable("source_namespace", Kind::Dictionary, "Caller: namespace. Null when unknown."),
    nullable("source_workload", Kind::Dictionary, "Caller: workload (deployment). Null when unknown."),
    nullable("source_version", Kind::Dictionary, "Caller: version (canonical revision). Null when unknown."),
    nullable("source_cluster", Kind::Dictionary, "Caller: cluster. Null when unknown."),
    nullable("source_principal", Kind::Dictionary, "Caller: SPIFFE identity. Null when unknown."),
    nullable("source_port", Kind::Int32, "Caller: port, where it is part of who it is; 0 elsewhere."),
    nullable("source_is_scoped", Kind::Boolean, "Whether the name means this only at the other end."),
    nullable(
        "source_marks",
        Kind::Int32,
        "What is known beside the name, as bits: 1 told of itself, 2 gateway, 4 database, 8 messaging, 16 unidentified callers, 32 outside the mesh, 64 told of itself by its SDK, 128 known to a proxy as a service.",
    ),
];

const DESTINATION: &[Column] = &[
    nullable("destination_naming", Kind::Dictionary, "Callee: what kind of name it is, see `source_naming`."),
    nullable("destination_name", Kind::Dictionary, "Callee: its own name where it told of the call."),
    nullable("destination_namespace", Kind::Dictionary, "Callee: namespace. Null when unknown."),
    nullable("destination_workload", Kind::Dictionary, "Callee: workload (deployment). Null when unknown."),
    nullable("destination_version", Kind::Dictionary, "Callee: version. Null when unknown."),
    nullable("destination_cluster", Kind::Dictionary, "Callee: cluster. Null when unknown."),
    nullable("destination_principal", Kind::Dictionary, "Callee: SPIFFE identity. Null when unknown."),
    nullable("destination_port", Kind::Int32, "Callee: port, where it is part of who it is; 0 elsewhere."),
    nullable("destination_is_scoped", Kind::Boolean, "Whether the name means this only at the other end."),
    nullable("destination_marks", Kind::Int32, "What is known beside the name, see `source_marks`."),
];

/// How the calls ended and how they were carried.
const RESULT: &[Column] = &[
    nullable(
        "response_code",
        Kind::Int32,
        "HTTP status; null when none was sent or the observer knows none.",
    ),
    nullable("grpc_status", Kind::Int32, "gRPC status; null when not gRPC or not told."),
    nullable("response_flags", Kind::Dictionary, "Envoy response flags by short name; null when none."),
    nullable(
        "connection_security_policy",
        Kind::Dictionary,
        "mutual_tls or none, which only the callee's proxy knows; null elsewhere.",
    ),
    nullable(
        "refusal",
        Kind::Dictionary,
        "What refused the calls where no flag tells it: a proxy's response code details (as of RBAC), or the error type of a limiter or breaker in the application; null when nothing did.",
    ),
    nullable(
        "catch_all",
        Kind::Dictionary,
        "passthrough or blackhole, where the proxy knew no service to send the calls to; null elsewhere.",
    ),
];

const SUMS: &[Column] = &[
    column("requests_milli", Kind::Int64, "Calls, in thousandths."),
    column("errors_milli", Kind::Int64, "Of those, errors, in thousandths; docs/calls.md says what one is."),
    column("client_errors_milli", Kind::Int64, "Of those, errors of the client, in thousandths."),
    column("aborted_milli", Kind::Int64, "Of those, calls whose caller went away, in thousandths."),
    column("retries_milli", Kind::Int64, "Tries after the first, in thousandths."),
    column("made_milli", Kind::Int64, "Calls whose caller's side was seen, in thousandths."),
    column("received_milli", Kind::Int64, "Received sides seen, tries each, in thousandths."),
    column("expected_milli", Kind::Int64, "Received sides that there should be, in thousandths."),
    column("joined_milli", Kind::Int64, "Received sides whose caller's side was seen, in thousandths."),
    column("lost_milli", Kind::Int64, "Received sides whose parent span is not stored, in thousandths."),
    column("request_bytes_milli", Kind::Int64, "Bytes towards the callee, in thousandths; 0 when unknown."),
    column("response_bytes_milli", Kind::Int64, "Bytes towards the caller, in thousandths; 0 when unknown."),
    column("duration_micros_milli", Kind::Int64, "Sum of all durations, thousandths of microseconds."),
    nullable(
        "weight_squares_milli",
        Kind::Int64,
        "Sum of the squares of how many calls each row stood for, in thousandths. Null in cells of earlier versions.",
    ),
];

const HISTOGRAMS: &[Column] = &[
    column("latency_zero_milli", Kind::Int64, "Timed calls that took no time at all, in thousandths."),
    column("latency_buckets", Kind::Int64List, "Index of each bucket that holds timed calls, ascending."),
    column("latency_counts_milli", Kind::Int64List, "Calls in each of those buckets, in thousandths."),
    nullable("latency_min_nano", Kind::Int64, "The shortest timed call, nanoseconds; null without any."),
    nullable("latency_max_nano", Kind::Int64, "The longest timed call, nanoseconds; null without any."),
    column("request_size_zero_milli", Kind::Int64, "Requests without a body, in thousandths."),
    column("request_size_buckets", Kind::Int64List, "Index of each bucket of request bytes, ascending."),
    column("request_size_counts_milli", Kind::Int64List, "Calls in each of those buckets, in thousandths."),
    column("response_size_zero_milli", Kind::Int64, "Responses without a body, in thousandths."),
    column("response_size_buckets", Kind::Int64List, "Index of each bucket of response bytes, ascending."),
    column("response_size_counts_milli", Kind::Int64List, "Calls in each of those buckets, in thousandths."),
];
