//! Columns of `logs`. Source: opentelemetry/proto/logs/v1/logs.proto, `LogRecord`.

use super::{
    ARRIVAL, ATTRIBUTES, Column, Declared, Kind, Origin, RESOURCE_AND_SCOPE, SCOPE_DROPPED, Table, column,
    nullable,
};

pub(super) const LOGS: Declared = Declared {
    table: Table::Logs,
    name: "logs",
    doc: "One row per log record received over OTLP.",
    origin: Origin::Received { log_id: 1 },
    sort_key: &["service_name", "time"],
    columns,
};

fn columns() -> Vec<Column> {
    let own = [
        column(
            "time",
            Kind::Timestamp,
            "When it happened: time_unix_nano, else the observed time, else the ingest time.",
        ),
        nullable(
            "time_unix_nano",
            Kind::Int64,
            "Nanoseconds since the epoch, as sent; null when the sender set none.",
        ),
        nullable(
            "observed_time_unix_nano",
            Kind::Int64,
            "When it was observed, nanoseconds since the epoch; null when unset.",
        ),
        column("severity_number", Kind::Int32, "OTLP SeverityNumber 0..=24, as sent."),
        nullable("severity_text", Kind::Dictionary, "Severity as the source names it; null when empty."),
        nullable("body", Kind::Text, "The body as text; structured bodies as JSON; null when unset."),
        nullable(
            "body_type",
            Kind::Dictionary,
            "The OTLP type of the body, written like an entry of attribute_types; null when unset.",
        ),
        nullable("event_name", Kind::Dictionary, "Name of the event; null when empty."),
        nullable("trace_id", Kind::Text, "32 lower-case hex digits; null when absent or invalid."),
        nullable("span_id", Kind::Text, "16 lower-case hex digits; null when absent or invalid."),
        column("flags", Kind::Int64, "Log record flags, as sent."),
        column(
            "dropped_attributes_count",
            Kind::Int64,
            "Attributes that the sender dropped, and those beyond 128.",
        ),
    ];
    ARRIVAL
        .into_iter()
        .chain(own)
        .chain(RESOURCE_AND_SCOPE)
        .chain([SCOPE_DROPPED])
        .chain(ATTRIBUTES)
        .collect()
}
