//! Columns of `traces`: when each trace was and who took part, without a look at its spans.
//!
//! A row is a part, not a whole trace: what one flush saw of it in one 15-minute window of start times, until
//! compaction merges rows of a window. So readers group by `trace_id`: minima, maxima and sums of parts are
//! those of the trace, and the root is where `root_time_unix_nano` is not null. Parts end at windows because
//! then a part lies in the same window and date as its spans, and is retained exactly as long as they are.

use super::{ARRIVAL, Column, Declared, Kind, Origin, Table, column, nullable};

/// Services that a row lists, the first by name. A trace of more is a mesh-wide broadcast or a reused id; a
/// row stays under 16 KiB whatever was sent. Guess, not measured.
pub const SERVICES_MAX: usize = 64;

/// Bytes of a service's name in the list. In spans a long name is stored once per batch, here it would be
/// copied for each trace, so that one request could fill the memory. Kubernetes allows 63 for a name and 253
/// for a full host name.
pub const SERVICE_NAME_BYTES_MAX: usize = 256;

pub(super) const TRACES: Declared = Declared {
    table: Table::Traces,
    name: "traces",
    doc: "One row per part of a trace: its spans of one 15-minute window. Group by trace_id.",
    origin: Origin::AtFlush { source: Table::Spans },
    sort_key: &["trace_id", "time"],
    columns,
};

fn columns() -> Vec<Column> {
    let own = [
        column("time", Kind::Timestamp, "Earliest start of a span."),
        column("time_unix_nano", Kind::Int64, "Earliest start of a span, nanoseconds since the epoch."),
        column("end_unix_nano", Kind::Int64, "Latest end of a span; never before a span's start."),
        column(
            "last_start_unix_nano",
            Kind::Int64,
            "Latest start of a span: with `time`, where its spans lie.",
        ),
        column("duration_nano", Kind::Int64, "`end_unix_nano` minus `time_unix_nano`, of this part."),
        column("trace_id", Kind::Text, "32 lower-case hex digits."),
        nullable(
            "root_time_unix_nano",
            Kind::Int64,
            "Start of the root, the earliest span without a parent; null, as all root columns, when not seen.",
        ),
        nullable("root_duration_nano", Kind::Int64, "Duration of the root, as sent."),
        nullable("root_service", Kind::Dictionary, "Service of the root."),
        nullable("root_service_namespace", Kind::Dictionary, "Namespace of the root's service."),
        nullable("root_name", Kind::Dictionary, "Operation of the root."),
        nullable("root_status_code", Kind::Int32, "OTLP StatusCode of the root: 0 unset, 1 ok, 2 error."),
        nullable("root_outcome", Kind::Dictionary, "Outcome of the root."),
        nullable("root_http_response_status_code", Kind::Int64, "HTTP status of the root."),
        column("span_count", Kind::Int64, "Spans of this part."),
        column("error_count", Kind::Int64, "Spans of this part whose outcome is error."),
        column("status_error_count", Kind::Int64, "Spans of this part whose own status is ERROR."),
        column("services", Kind::TextList, "Services that took part, by name; spans without one add none."),
        column(
            "services_truncated",
            Kind::Boolean,
            "Whether more than 64 services took part, or a name of over 256 bytes was cut.",
        ),
    ];
    ARRIVAL.into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_limits_are_those_in_force() {
        let columns = columns();
        let truncated = columns.iter().find(|column| column.name == "services_truncated").expect("a column");
        assert!(truncated.doc.contains(&format!("more than {SERVICES_MAX} services")), "{}", truncated.doc);
        assert!(truncated.doc.contains(&format!("over {SERVICE_NAME_BYTES_MAX} bytes")), "{}", truncated.doc);
    }
}
