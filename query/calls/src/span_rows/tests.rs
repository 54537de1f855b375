//! Rows in every encoding, and which rows are taken for the same.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use meshlake_schema::Kind;

use super::*;
use crate::fixture::{self, CLIENT, CONSUMER, SERVER, SPAN, Span as Row};

/// Rows whose text is `text_type`, but for the ids and what is nested.
fn encoded(rows: &[Row], text_type: &DataType) -> RecordBatch {
    let batch = fixture::spans(rows);
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let is_text = column.data_type() == &DataType::Utf8 && !field.name().ends_with("_id");
        let column: ArrayRef =
            if is_text { cast(column, text_type).expect("text is text") } else { Arc::clone(column) };
        (field.name().clone(), column, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Vec<_>>()).expect("as long as before")
}

fn read(batch: RecordBatch, grain: Grain) -> SpanBatch {
    SpanBatch::read(batch, By::Version, grain).expect("columns of spans")
}

/// How many of the rows say something that no row before does.
fn shapes(rows: &[Row], grain: Grain) -> usize {
    read(encoded(rows, &Kind::Dictionary.hot_type()), grain).first_rows.len()
}

#[test]
fn every_encoding_of_text_reads_the_same() {
    let rows = [
        SPAN,
        Row { id: 2, parent: 1, kind: CLIENT, server_address: "db.example", server_port: 5432, ..SPAN },
        Row { id: 3, parent: 1, kind: CLIENT, url: "http://b.example/items/a-long-enough-path", ..SPAN },
        Row { id: 4, kind: CONSUMER, queue: "orders", links: &[(7, 8)], service: ("", "other"), ..SPAN },
        Row { id: 5, kind: CLIENT, outcome: "error", version: "v2", resends: 2, ..SPAN },
        SPAN,
    ];
    let read = |text_type: &DataType| {
        let mut book = Book::new(fixture::range(), By::Version, Grain::Operation);
        let batch = read(encoded(&rows, text_type), Grain::Operation);
        let said = batch.said(&mut book, &mut Shapes::default()).expect("columns of spans");
        let mut spans = Vec::new();
        let take = |span: HeldSpan, shape: &Shape, links: Vec<Link>| {
            spans.push(format!("{:?} {} {} {shape:?} {links:?}", span.trace, span.id, span.parent));
        };
        batch.one_by_one(&said, take).expect("columns of spans");
        let mut by_row: Vec<(u32, String)> = batch.rows.iter().copied().zip(spans).collect();
        by_row.sort_unstable();
        by_row.into_iter().map(|(_, span)| span).collect::<Vec<_>>()
    };
    let plain = read(&DataType::Utf8);
    assert_eq!(plain.len(), rows.len());
    assert!(plain[3].contains("[(7, 8)]") && plain[4].contains("resends: 2"), "{plain:?}");
    assert_eq!(plain, read(&DataType::Utf8View));
    assert_eq!(plain, read(&Kind::Dictionary.hot_type()));
}

/// Each row says one thing that the first does not.
#[test]
fn rows_that_say_something_else_are_told_apart() {
    let call = Row { kind: CLIENT, ..SPAN };
    let rows = [
        call,
        Row { kind: SERVER, ..call },
        Row { service: ("default", "b"), ..call },
        Row { service: ("other", "a"), ..call },
        Row { version: "v2", ..call },
        Row { outcome: "error", ..call },
        Row { http_status: 500, ..call },
        Row { grpc_status: 500, ..call },
        Row { is_proxy: true, ..call },
        Row { weight: 2.0, ..call },
        Row { name: "dns lookup", ..call },
        Row { url: "http://b.example/", ..call },
        Row { server_address: "b.example", ..call },
        Row { server_port: 81, ..call },
        Row { peer_address: "10.0.0.1", ..call },
        Row { peer_service: "b.example", ..call },
        Row { db_system: "mysql", ..call },
        Row { db_namespace: "b.example", ..call },
        Row { messaging_system: "kafka", ..call },
        Row { queue: "kafka", ..call },
        Row { operation: "kafka", ..call },
        Row { tags: &[("upstream_cluster", "b.example")], ..call },
        Row { tags: &[("node_id", "b.example")], ..call },
        Row { resends: 1, ..call },
    ];
    assert_eq!(shapes(&rows, Grain::Node), rows.len());
}

#[test]
fn ids_and_times_tell_no_rows_apart() {
    let rows = [
        Row { kind: CLIENT, url: "http://b.example/1", ..SPAN },
        Row { kind: CLIENT, url: "http://b.example/2", trace: 2, id: 3, parent: 4, at: 5, millis: 6, ..SPAN },
    ];
    assert_eq!(shapes(&rows, Grain::Node), 1, "nor do URLs of one host");
}

#[test]
fn names_tell_rows_apart_where_operations_are_asked_for() {
    let rows = ["GET /1", "GET /2"].map(|name| Row { name, ..SPAN });
    assert_eq!((shapes(&rows, Grain::Node), shapes(&rows, Grain::Operation)), (1, 2));
}

/// Every connection has another port at the caller's end.
#[test]
fn whoever_made_a_call_tells_no_received_rows_apart() {
    let rows = ["10.0.0.1", "10.0.0.2"].map(|peer_address| Row { peer_address, ..SPAN });
    assert_eq!(shapes(&rows, Grain::Node), 1);
    assert_eq!(
        shapes(&rows.map(|row| Row { queue: "orders", ..row }), Grain::Node),
        2,
        "a message has a queue"
    );
}
