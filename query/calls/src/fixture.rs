//! Rows for tests: only what a test is about is written down, the rest is the plainest call there is.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, MapBuilder, RecordBatch,
    StringArray, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use meshlake_schema::{ResponseFlags, UnixNanos};

use crate::choice::Source;
use crate::fold::{Fold, Question};
use crate::grouping::{By, Grain};
use crate::picture::Picture;
use crate::range::Range;

/// The range of most tests: a minute that starts at second 1,000.
pub const FROM_SECOND: i64 = 1_000;
pub const SECONDS: i64 = 60;

const MILLI: i64 = 1_000_000;

pub fn range() -> Range {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    Range::new(at(FROM_SECOND), at(FROM_SECOND + SECONDS), None).expect("a minute is not empty")
}

/// A row of `requests`: an HTTP call of 10 ms in the first second, 100 bytes in, 1,000 out, answered with success.
/// An empty text and a 0 are unknown.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub observer: &'static str,
    /// (namespace, service).
    pub source: (&'static str, &'static str),
    pub destination: (&'static str, &'static str),
    pub source_version: &'static str,
    pub version: &'static str,
    pub workload: &'static str,
    pub second: i64,
    /// After the second, when it began.
    pub at: i64,
    /// And nanoseconds: access logs over gRPC know them, files do not.
    pub nanos: i64,
    pub millis: i64,
    /// Of the duration beyond milliseconds, which files do not know either.
    pub duration_nanos: i64,
    /// Nothing tells the duration.
    pub is_untimed: bool,
    pub outcome: &'static str,
    pub code: i64,
    pub flags: &'static str,
    pub attempts: i64,
    pub counted: bool,
    pub access_log_type: &'static str,
    /// A number, or nothing.
    pub grpc_status: &'static str,
    pub details: &'static str,
    pub layer: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    pub authority: &'static str,
    pub route: &'static str,
    pub instance: &'static str,
    pub proxy_version: &'static str,
    pub source_address: &'static str,
    pub destination_address: &'static str,
    pub principal: &'static str,
    pub downstream: &'static str,
    pub downstream_local: &'static str,
    pub upstream_local: &'static str,
    pub upstream_host: &'static str,
    pub cluster: &'static str,
    /// TLS version towards the caller.
    pub tls: &'static str,
    /// Kubernetes clusters of the caller and the callee.
    pub clusters: (&'static str, &'static str),
    pub request_id: &'static str,
    pub stream_id: &'static str,
    pub proxy: &'static str,
}

pub const CALL: Request = Request {
    observer: "client",
    source: ("default", "a"),
    destination: ("default", "b"),
    source_version: "",
    version: "",
    workload: "",
    second: FROM_SECOND,
    at: 0,
    nanos: 0,
    millis: 10,
    duration_nanos: 0,
    is_untimed: false,
    outcome: "ok",
    code: 200,
    flags: "",
    attempts: 1,
    counted: true,
    access_log_type: "",
    grpc_status: "",
    details: "",
    layer: "l7",
    method: "GET",
    path: "/",
    authority: "",
    route: "",
    instance: "",
    proxy_version: "",
    source_address: "",
    destination_address: "",
    principal: "",
    downstream: "",
    downstream_local: "",
    upstream_local: "",
    upstream_host: "",
    cluster: "",
    tls: "",
    clusters: ("", ""),
    request_id: "",
    stream_id: "",
    proxy: "",
};

/// The same call as the callee's proxy sees it.
pub const SERVED: Request = Request { observer: "server", ..CALL };

/// A span of trace 1: 10 ms in the first second, no attributes.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    pub parent: u64,
    pub kind: i32,
    pub service: (&'static str, &'static str),
    pub version: &'static str,
    pub second: i64,
    /// Milliseconds after the second, when it began.
    pub at: i64,
    pub millis: i64,
    pub outcome: &'static str,
    pub http_status: i64,
    pub grpc_status: i64,
    pub error_type: &'static str,
    pub exception_type: &'static str,
    pub weight: f64,
    pub is_proxy: bool,
    pub name: &'static str,
    pub method: &'static str,
    pub resends: i64,
    pub rpc_system: &'static str,
    pub url: &'static str,
    pub server_address: &'static str,
    pub server_port: i64,
    pub peer_address: &'static str,
    pub peer_service: &'static str,
    pub db_system: &'static str,
    pub db_namespace: &'static str,
    pub messaging_system: &'static str,
    pub queue: &'static str,
    pub operation: &'static str,
    pub links: &'static [(u128, u64)],
    pub tags: &'static [(&'static str, &'static str)],
    /// A JSON object.
    pub resource: &'static str,
    pub instance: &'static str,
}

pub const INTERNAL: i32 = 1;
pub const SERVER: i32 = 2;
pub const CLIENT: i32 = 3;
pub const PRODUCER: i32 = 4;
pub const CONSUMER: i32 = 5;

pub const SPAN: Span = Span {
    trace: 1,
    id: 1,
    parent: 0,
    kind: SERVER,
    service: ("default", "a"),
    version: "",
    second: FROM_SECOND,
    at: 0,
    millis: 10,
    outcome: "ok",
    http_status: 0,
    grpc_status: 0,
    error_type: "",
    exception_type: "",
    weight: 1.0,
    is_proxy: false,
    name: "op",
    method: "",
    resends: 0,
    rpc_system: "",
    url: "",
    server_address: "",
    server_port: 0,
    peer_address: "",
    peer_service: "",
    db_system: "",
    db_namespace: "",
    messaging_system: "",
    queue: "",
    operation: "",
    links: &[],
    tags: &[],
    resource: "{}",
    instance: "",
};

fn text<T>(rows: &[T], of: impl Fn(&T) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter(rows.iter().map(|row| Some(of(row)).filter(|text| !text.is_empty()))))
}

fn integers<T>(rows: &[T], of: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
}

/// Integers of which 0 is null.
fn known<T>(rows: &[T], of: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter(rows.iter().map(|row| Some(of(row)).filter(|value| *value != 0))))
}

fn booleans<T>(rows: &[T], of: impl Fn(&T) -> bool) -> ArrayRef {
    Arc::new(BooleanArray::from(rows.iter().map(of).collect::<Vec<_>>()))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("columns have one value a row")
}

pub fn requests(rows: &[Request]) -> RecordBatch {
    let column = |of: fn(&Request) -> &'static str| text(rows, |row| of(row).to_owned());
    batch(vec![
        ("time_unix_nano", integers(rows, |row| row.second * 1_000 * MILLI + row.at * MILLI + row.nanos)),
        ("duration_nano", integers(rows, |row| row.millis * MILLI + row.duration_nanos)),
        (
            "is_timed",
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.is_untimed.then_some(false)))),
        ),
        ("observer", column(|row| row.observer)),
        ("layer", column(|row| row.layer)),
        ("counted", booleans(rows, |row| row.counted)),
        ("access_log_type", column(|row| row.access_log_type)),
        ("response_code_details", column(|row| row.details)),
        (
            "grpc_status",
            Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.grpc_status.parse::<i64>().ok()))),
        ),
        ("method", column(|row| row.method)),
        ("authority", column(|row| row.authority)),
        ("path", column(|row| row.path)),
        ("route", column(|row| row.route)),
        ("response_code", known(rows, |row| row.code)),
        ("response_flags", integers(rows, |row| ResponseFlags::from_short_names(row.flags).0.cast_signed())),
        ("response_flags_text", column(|row| row.flags)),
        ("outcome", column(|row| row.outcome)),
        ("request_bytes", integers(rows, |_| 100)),
        ("response_bytes", integers(rows, |_| 1_000)),
        ("attempts", integers(rows, |row| row.attempts)),
        ("source_service", column(|row| row.source.1)),
        ("source_namespace", column(|row| row.source.0)),
        ("source_version", column(|row| row.source_version)),
        ("source_address", column(|row| row.source_address)),
        ("source_principal", column(|row| row.principal)),
        ("destination_service", column(|row| row.destination.1)),
        ("destination_namespace", column(|row| row.destination.0)),
        ("destination_workload", column(|row| row.workload)),
        ("destination_version", column(|row| row.version)),
        ("destination_instance", column(|row| row.instance)),
        ("proxy_version", column(|row| row.proxy_version)),
        ("destination_address", column(|row| row.destination_address)),
        ("downstream_remote_address", column(|row| row.downstream)),
        ("downstream_local_address", column(|row| row.downstream_local)),
        ("upstream_local_address", column(|row| row.upstream_local)),
        ("upstream_host", column(|row| row.upstream_host)),
        ("upstream_cluster", column(|row| row.cluster)),
        ("tls_version", column(|row| row.tls)),
        ("source_cluster", column(|row| row.clusters.0)),
        ("destination_cluster", column(|row| row.clusters.1)),
        ("request_id", column(|row| row.request_id)),
        ("stream_id", column(|row| row.stream_id)),
        ("proxy_id", column(|row| row.proxy)),
    ])
}

pub fn spans(rows: &[Span]) -> RecordBatch {
    let column = |of: fn(&Span) -> &'static str| text(rows, |row| of(row).to_owned());
    let id = |id: u64| if id == 0 { String::new() } else { format!("{id:016x}") };
    batch(vec![
        ("time_unix_nano", integers(rows, |row| row.second * 1_000 * MILLI + row.at * MILLI)),
        ("duration_nano", integers(rows, |row| row.millis * MILLI)),
        ("trace_id", text(rows, |row| format!("{:032x}", row.trace))),
        ("span_id", text(rows, |row| id(row.id))),
        ("parent_span_id", text(rows, |row| id(row.parent))),
        ("name", column(|row| row.name)),
        ("kind", Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.kind)))),
        ("is_proxy", booleans(rows, |row| row.is_proxy)),
        ("adjusted_count", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.weight)))),
        ("outcome", column(|row| row.outcome)),
        ("service_name", column(|row| row.service.1)),
        ("service_namespace", column(|row| row.service.0)),
        ("service_version", column(|row| row.version)),
        ("service_instance_id", column(|row| row.instance)),
        ("http_request_method", column(|row| row.method)),
        ("http_request_resend_count", known(rows, |row| row.resends)),
        ("rpc_system", column(|row| row.rpc_system)),
        ("http_response_status_code", known(rows, |row| row.http_status)),
        ("rpc_grpc_status_code", known(rows, |row| row.grpc_status)),
        ("error_type", column(|row| row.error_type)),
        ("exception_type", column(|row| row.exception_type)),
        ("url_full", column(|row| row.url)),
        ("server_address", column(|row| row.server_address)),
        ("server_port", known(rows, |row| row.server_port)),
        ("network_peer_address", column(|row| row.peer_address)),
        ("peer_service", column(|row| row.peer_service)),
        ("db_system_name", column(|row| row.db_system)),
        ("db_namespace", column(|row| row.db_namespace)),
        ("messaging_system", column(|row| row.messaging_system)),
        ("messaging_destination_name", column(|row| row.queue)),
        ("messaging_operation_type", column(|row| row.operation)),
        ("resource", column(|row| row.resource)),
        ("links", links(rows)),
        ("attributes", tags(rows)),
    ])
}

fn links(rows: &[Span]) -> ArrayRef {
    let linked: Vec<_> = rows.iter().flat_map(|row| row.links).collect();
    let fields = Fields::from(vec![
        Field::new("trace_id", DataType::Utf8, false),
        Field::new("span_id", DataType::Utf8, false),
    ]);
    let traces = StringArray::from_iter_values(linked.iter().map(|(trace, _)| format!("{trace:032x}")));
    let ids = StringArray::from_iter_values(linked.iter().map(|(_, span)| format!("{span:016x}")));
    let values = StructArray::new(fields.clone(), vec![Arc::new(traces), Arc::new(ids)], None);
    let element = Arc::new(Field::new("element", DataType::Struct(fields), false));
    let lengths = OffsetBuffer::from_lengths(rows.iter().map(|row| row.links.len()));
    Arc::new(ListArray::new(element, lengths, Arc::new(values), None))
}

fn tags(rows: &[Span]) -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in row.tags {
            map.keys().append_value(key);
            map.values().append_value(value);
        }
        map.append(true).expect("keys and values were appended together");
    }
    Arc::new(map.finish())
}

/// The picture of these rows.
pub fn picture_of(requests: &[Request], spans: &[Span], source: Source, by: By, grain: Grain) -> Picture {
    let mut fold = Fold::new(Question { range: range(), by, grain, source }).on_threads(2);
    fold.add_requests(&self::requests(requests));
    fold.add_spans(&self::spans(spans));
    fold.finish().expect("a few rows are a few cells")
}

/// The picture of these rows by service.
pub fn picture(requests: &[Request], spans: &[Span]) -> Picture {
    picture_of(requests, spans, Source::Auto, By::Service, Grain::Node)
}

/// Every node that received calls, as `id calls/errors`.
pub fn nodes(picture: &Picture) -> Vec<String> {
    let cells = picture.node_cells.iter().map(|cell| (&picture.nodes[cell.node].id, &cell.measure));
    cells.map(|(id, measure)| format!("{id} {}/{}", measure.requests(), measure.errors())).collect()
}

/// Every edge, as `source -> target calls/errors`, with ` +n` for retries.
pub fn edges(picture: &Picture) -> Vec<String> {
    let id = |node: usize| picture.nodes[node].id.as_str();
    let cells = picture.edge_cells.iter();
    cells
        .map(|cell| {
            let measure = &cell.measure;
            let retries = measure.retries();
            let retries = if retries == 0.0 { String::new() } else { format!(" +{retries}") };
            let ends = format!("{} -> {}", id(cell.source), id(cell.target));
            format!("{ends} {}/{}{retries}", measure.requests(), measure.errors())
        })
        .collect()
}

/// The kind of a node by its id.
pub fn kind(picture: &Picture, id: &str) -> Option<&'static str> {
    picture.nodes.iter().find(|node| node.id == id).map(|node| node.kind.name())
}

/// Checks edges and nodes of these rows at once.
pub fn check(requests: &[Request], spans: &[Span], want_edges: &[&str], want_nodes: &[&str]) {
    let picture = picture(requests, spans);
    assert_eq!(edges(&picture), want_edges, "edges; the nodes are {:?}", nodes(&picture));
    assert_eq!(nodes(&picture), want_nodes, "nodes");
}
