//! Columns of `ledger`: every record that came in, counted by what became of it.
//!
//! A row is a change, not a total: it rides in the same WAL group as the records that it counts, so after
//! a crash the ledger and the rows agree by construction. Totals are sums. The table is flushed after all
//! others and never past their watermarks, hence: a change in a file counts flushed records, a change in
//! the buffer counts flushed records exactly if its LSN is within its table's watermark.

use super::{Column, Declared, Kind, Origin, Table, column, nullable};

pub(super) const LEDGER: Declared = Declared {
    table: Table::Ledger,
    name: "ledger",
    doc: "One row per change of what was received, accepted, rejected or deduplicated.",
    origin: Origin::Received { log_id: 7 },
    sort_key: &["tenant", "signal", "time"],
    columns,
};

fn columns() -> Vec<Column> {
    vec![
        column("tenant", Kind::Dictionary, "Whose records were counted."),
        column("time", Kind::Timestamp, "When they were counted, by the collector's clock."),
        column("signal", Kind::Dictionary, "traces, logs, metrics or requests."),
        column("source", Kind::Dictionary, "otlp_grpc, otlp_http_protobuf, otlp_http_json, envoy_als, ..."),
        column("event", Kind::Dictionary, "received, accepted, rejected or deduplicated."),
        nullable("reason", Kind::Dictionary, "Why records were rejected; null for other events."),
        column("records", Kind::Int64, "How many: spans, log records, data points or requests."),
    ]
}
