//! Rows for tests: only what a test is about is written down, the rest is the plainest call there is.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use meshlake_schema::{ResponseFlags, UnixNanos};

use crate::cells::Grain;
use crate::choice::Source;
use crate::fold::{Fold, Question};
use crate::picture::{By, Picture};
use crate::range::Range;

/// The range of most tests: a minute that starts at second 1,000.
pub const FROM_SECOND: i64 = 1_000;
pub const SECONDS: i64 = 60;

pub fn range() -> Range {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    Range::new(at(FROM_SECOND), at(FROM_SECOND + SECONDS), None).expect("a minute is not empty")
}

/// A row of `requests`: an HTTP call of 10 ms in the first second, 100 bytes in, 1,000 out, answered with success.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub observer: &'static str,
    /// (namespace, service); an empty text is unknown.
    pub source: (&'static str, &'static str),
    pub destination: (&'static str, &'static str),
    pub source_version: &'static str,
    pub version: &'static str,
    pub second: i64,
    pub millis: i64,
    pub outcome: &'static str,
    pub flags: &'static str,
    pub attempts: i64,
    pub counted: bool,
    pub layer: &'static str,
    pub path: &'static str,
    pub instance: &'static str,
    pub downstream: &'static str,
    pub upstream_local: &'static str,
    pub request_id: &'static str,
}

pub const CALL: Request = Request {
    observer: "client",
    source: ("default", "a"),
    destination: ("default", "b"),
    source_version: "",
    version: "",
    second: FROM_SECOND,
    millis: 10,
    outcome: "ok",
    flags: "",
    attempts: 1,
    counted: true,
    layer: "l7",
    path: "/",
    instance: "",
    downstream: "",
    upstream_local: "",
    request_id: "",
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
    pub second: i64,
    pub millis: i64,
    pub outcome: &'static str,
    pub weight: f64,
    pub is_proxy: bool,
    pub name: &'static str,
    pub server_address: &'static str,
    pub db_system: &'static str,
    pub db_namespace: &'static str,
    pub queue: &'static str,
    pub link: (u128, u64),
    /// One attribute.
    pub tag: (&'static str, &'static str),
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
    second: FROM_SECOND,
    millis: 10,
    outcome: "ok",
    weight: 1.0,
    is_proxy: false,
    name: "op",
    server_address: "",
    db_system: "",
    db_namespace: "",
    queue: "",
    link: (0, 0),
    tag: ("", ""),
};

fn text<T>(rows: &[T], of: impl Fn(&T) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter(rows.iter().map(|row| Some(of(row)).filter(|text| !text.is_empty()))))
}

fn integers<T>(rows: &[T], of: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
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
        ("time_unix_nano", integers(rows, |row| row.second * 1_000_000_000)),
        ("duration_nano", integers(rows, |row| row.millis * 1_000_000)),
        ("observer", column(|row| row.observer)),
        ("layer", column(|row| row.layer)),
        ("counted", booleans(rows, |row| row.counted)),
        ("method", column(|_| "GET")),
        ("path", column(|row| row.path)),
        ("response_flags", integers(rows, |row| ResponseFlags::from_short_names(row.flags).0.cast_signed())),
        ("outcome", column(|row| row.outcome)),
        ("request_bytes", integers(rows, |_| 100)),
        ("response_bytes", integers(rows, |_| 1_000)),
        ("attempts", integers(rows, |row| row.attempts)),
        ("source_service", column(|row| row.source.1)),
        ("source_namespace", column(|row| row.source.0)),
        ("source_version", column(|row| row.source_version)),
        ("destination_service", column(|row| row.destination.1)),
        ("destination_namespace", column(|row| row.destination.0)),
        ("destination_version", column(|row| row.version)),
        ("destination_instance", column(|row| row.instance)),
        ("downstream_remote_address", column(|row| row.downstream)),
        ("upstream_local_address", column(|row| row.upstream_local)),
        ("request_id", column(|row| row.request_id)),
    ])
}

pub fn spans(rows: &[Span]) -> RecordBatch {
    let column = |of: fn(&Span) -> &'static str| text(rows, |row| of(row).to_owned());
    let id = |id: u64| if id == 0 { String::new() } else { format!("{id:016x}") };
    batch(vec![
        ("time_unix_nano", integers(rows, |row| row.second * 1_000_000_000)),
        ("duration_nano", integers(rows, |row| row.millis * 1_000_000)),
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
        ("server_address", column(|row| row.server_address)),
        ("db_system_name", column(|row| row.db_system)),
        ("db_namespace", column(|row| row.db_namespace)),
        ("messaging_destination_name", column(|row| row.queue)),
        ("links", links(rows)),
        ("attributes", tags(rows)),
    ])
}

fn links(rows: &[Span]) -> ArrayRef {
    use arrow::array::{ListArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{DataType, Field, Fields};
    let linked: Vec<_> = rows.iter().map(|row| row.link).filter(|link| *link != (0, 0)).collect();
    let fields = Fields::from(vec![
        Field::new("trace_id", DataType::Utf8, false),
        Field::new("span_id", DataType::Utf8, false),
    ]);
    let traces = StringArray::from_iter_values(linked.iter().map(|(trace, _)| format!("{trace:032x}")));
    let ids = StringArray::from_iter_values(linked.iter().map(|(_, span)| format!("{span:016x}")));
    let values = StructArray::new(fields.clone(), vec![Arc::new(traces), Arc::new(ids)], None);
    let lengths = rows.iter().map(|row| usize::from(row.link != (0, 0)));
    let element = Arc::new(Field::new("element", DataType::Struct(fields), false));
    Arc::new(ListArray::new(element, OffsetBuffer::from_lengths(lengths), Arc::new(values), None))
}

fn tags(rows: &[Span]) -> ArrayRef {
    use arrow::array::{MapBuilder, StringBuilder};
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        if !row.tag.0.is_empty() {
            map.keys().append_value(row.tag.0);
            map.values().append_value(row.tag.1);
        }
        map.append(true).expect("keys and values were appended together");
    }
    Arc::new(map.finish())
}

/// The picture of these rows.
pub fn picture_of(requests: &[Request], spans: &[Span], source: Source, by: By, grain: Grain) -> Picture {
    let mut fold = Fold::new(Question { range: range(), by, grain, source });
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
    let cells = picture.node_cells.iter();
    cells
        .map(|cell| {
            let measure = &cell.measure;
            format!("{} {}/{}", picture.nodes[cell.node].id, measure.requests, measure.errors)
        })
        .collect()
}

/// Every edge, as `source -> target calls/errors`.
pub fn edges(picture: &Picture) -> Vec<String> {
    let id = |node: usize| picture.nodes[node].id.as_str();
    let cells = picture.edge_cells.iter();
    cells
        .map(|cell| {
            let measure = &cell.measure;
            format!("{} -> {} {}/{}", id(cell.source), id(cell.target), measure.requests, measure.errors)
        })
        .collect()
}

/// The kind of a node by its id.
pub fn kind(picture: &Picture, id: &str) -> Option<&'static str> {
    picture.nodes.iter().find(|node| node.id == id).map(|node| node.kind.name())
}
