//! The columns of `spans` that tell of calls.

use meshlake_schema::rows::{Attributes, Booleans, Doubles, Integers, Links, Text};
use meshlake_schema::{Table, read_columns};

use super::asked;
use crate::grouping::{By, Grain, Told};

read_columns! {
    /// Readers of one batch. A column that it lacks reads as null.
    pub(super) struct Columns of Table::Spans {
        time_unix_nano: Integers,
        duration_nano: Integers,
        trace_id: Text,
        span_id: Text,
        parent_span_id: Text,
        name: Text,
        kind: Integers,
        is_proxy: Booleans,
        adjusted_count: Doubles,
        outcome: Text,
        links: Links,
        service_name: Text,
        service_namespace: Text,
        service_version: Text,
        service_instance_id: Text,
        resource: Text,
        http_request_method: Text,
        http_response_status_code: Integers,
        http_request_resend_count: Integers,
        url_full: Text,
        server_address: Text,
        server_port: Integers,
        network_peer_address: Text,
        network_peer_port: Integers,
        peer_service: Text,
        rpc_system: Text,
        rpc_grpc_status_code: Integers,
        error_type: Text,
        exception_type: Text,
        exception_cause: Text,
        db_system_name: Text,
        db_namespace: Text,
        messaging_system: Text,
        messaging_destination_name: Text,
        messaging_operation_type: Text,
        attributes: Attributes,
    }
}

/// What only proxies' spans are read for: most of a span's bytes, and slow to look a key up in.
const ATTRIBUTES: &str = "attributes";

/// Columns that a scan is to give as dictionaries: so few distinct texts that files hold each once.
pub const DICTIONARIES: &[&str] = &[
    "resource",
    "name",
    "outcome",
    "service_name",
    "service_namespace",
    "service_version",
    "service_instance_id",
    "http_request_method",
    "peer_service",
    "rpc_system",
    "error_type",
    "exception_type",
    "exception_cause",
    "db_system_name",
    "db_namespace",
    "messaging_system",
    "messaging_destination_name",
    "messaging_operation_type",
];

/// The fields that are read of columns that are lists of structs.
pub const NESTED: &[(&str, &[&str])] = &[("links", &["trace_id", "span_id"])];

/// The columns that a question with this grouping reads of proxies' spans.
pub fn proxy_columns(by: By, grain: Grain) -> Vec<&'static str> {
    let is_asked = |column: &&str| match *column {
        "service_version" => by.tells_versions(),
        "service_instance_id" => grain.tells_instances(),
        "error_type" | "exception_type" | "exception_cause" => grain.tells(Told::REFUSAL),
        _ => true,
    };
    let mut columns: Vec<&'static str> = Columns::NAMES.iter().copied().filter(is_asked).collect();
    let asked = asked::column(grain).filter(|column| !columns.contains(column));
    columns.extend(asked);
    columns
}

/// Those that it reads of all other spans.
pub fn columns(by: By, grain: Grain) -> Vec<&'static str> {
    proxy_columns(by, grain).into_iter().filter(|column| *column != ATTRIBUTES).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;

    use super::*;

    #[test]
    fn all_are_columns_of_spans_and_of_these_kinds() {
        let batch = RecordBatch::new_empty(Table::Spans.schema().clone());
        assert!(Columns::of(&batch).is_ok());
    }

    #[test]
    fn what_no_grouping_asks_for_is_not_read() {
        let has = |by, grain, column: &str| proxy_columns(by, grain).contains(&column);
        assert!(!has(By::Service, Grain::Node, "service_version"));
        assert!(has(By::Version, Grain::Node, "service_version"));
        assert!(!has(By::Version, Grain::Operation, "service_instance_id"));
        assert!(has(By::Service, Grain::Instance, "service_instance_id"));
        assert!(has(By::Service, Grain::Node, "attributes"));
        assert!(!columns(By::Service, Grain::Node).contains(&"attributes"));
    }
}
