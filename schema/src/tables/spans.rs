//! Columns of `spans`, and which attributes have a column of their own.
//!
//! Sources: opentelemetry/proto/trace/v1/trace.proto for the fields, the OpenTelemetry semantic
//! conventions for attribute names.

use super::{
    ARRIVAL, ATTRIBUTES, Column, Declared, Kind, Origin, RESOURCE_AND_SCOPE, SCOPE_DROPPED, Table, column,
    nullable,
};

/// The OTLP type that an attribute must have to move into its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromotedType {
    String,
    Int,
}

/// Attribute keys with a column of their own: (key, column, type). Those that instrumentation puts on most spans,
/// of few distinct values or numbers: a search for a rare value is faster in the map, which has a filter.
///
/// A value moves to the column, and leaves the map, only if key and type match exactly. The column is the
/// key with `_` for `.`, and none is named like another column of the table.
pub const PROMOTED_SPAN_KEYS: [(&str, &str, PromotedType); 31] = [
    ("http.request.method", "http_request_method", PromotedType::String),
    ("http.response.status_code", "http_response_status_code", PromotedType::Int),
    ("http.route", "http_route", PromotedType::String),
    ("http.request.body.size", "http_request_body_size", PromotedType::Int),
    ("http.response.body.size", "http_response_body_size", PromotedType::Int),
    ("url.path", "url_path", PromotedType::String),
    ("url.full", "url_full", PromotedType::String),
    ("url.scheme", "url_scheme", PromotedType::String),
    ("server.address", "server_address", PromotedType::String),
    ("server.port", "server_port", PromotedType::Int),
    ("client.address", "client_address", PromotedType::String),
    ("network.peer.address", "network_peer_address", PromotedType::String),
    ("network.peer.port", "network_peer_port", PromotedType::Int),
    ("network.protocol.version", "network_protocol_version", PromotedType::String),
    ("user_agent.original", "user_agent_original", PromotedType::String),
    ("peer.service", "peer_service", PromotedType::String),
    ("error.type", "error_type", PromotedType::String),
    ("rpc.system", "rpc_system", PromotedType::String),
    ("rpc.service", "rpc_service", PromotedType::String),
    ("rpc.method", "rpc_method", PromotedType::String),
    ("rpc.grpc.status_code", "rpc_grpc_status_code", PromotedType::Int),
    ("db.system.name", "db_system_name", PromotedType::String),
    ("db.namespace", "db_namespace", PromotedType::String),
    ("db.operation.name", "db_operation_name", PromotedType::String),
    ("db.collection.name", "db_collection_name", PromotedType::String),
    ("messaging.system", "messaging_system", PromotedType::String),
    ("messaging.destination.name", "messaging_destination_name", PromotedType::String),
    ("messaging.operation.type", "messaging_operation_type", PromotedType::String),
    ("http.request.resend_count", "http_request_resend_count", PromotedType::Int),
    ("thread.id", "thread_id", PromotedType::Int),
    ("thread.name", "thread_name", PromotedType::String),
];

/// All other spellings of these keys, older, newer and proxies' own: (key, column). They fill the column and stay in
/// the map.
///
/// One rule for all of them, and for a column's own key under another type, as proxies send every value as a string: a
/// string, an integer, a double or a bool fills the column if it reads as the column's type without loss, and stays in
/// the map as it was sent, so that the original attributes can always be told from the row. Of several, the column's own
/// key fills it before any other, then the one that comes first here. An empty string and `-`, which proxies write for
/// nothing, fill nothing. An address is taken without its port; that of a listener inside Envoy is the IP inside or
/// nothing, under a column's own key too. A request's target is a path without its query, and a version of HTTP is written
/// as `network.protocol.version` has it: `2` for `2.0`, `1.1` for `HTTP/1.1`.
///
/// `rpc.status_code` and `rpc.response.status_code` hold the codes of every framework, by number or name; they fill the
/// column where the code is gRPC's. A key that belongs to two columns fills one of them, by the kind of span: see
/// [`KEYS_BY_KIND`].
///
/// Sources: the OpenTelemetry semantic conventions from 1.0 to 1.45 with their migration guides; OpenTracing's
/// semantic conventions; go-grpc-middleware (`grpc.code`); Envoy's tracer, read from its payloads.
pub const OTHER_SPAN_KEYS: [(&str, &str); 62] = [
    ("http.method", "http_request_method"),
    ("http.status_code", "http_response_status_code"),
    ("http.target", "url_path"),
    ("http.path", "url_path"),
    ("http.url", "url_full"),
    ("http.scheme", "url_scheme"),
    ("http.request_content_length", "http_request_body_size"),
    ("http.response_content_length", "http_response_body_size"),
    ("request_size", "http_request_body_size"),
    ("response_size", "http_response_body_size"),
    ("http.user_agent", "user_agent_original"),
    ("user_agent", "user_agent_original"),
    ("net.peer.name", "server_address"),
    ("net.host.name", "server_address"),
    ("net.sock.peer.name", "server_address"),
    ("server.socket.domain", "server_address"),
    ("peer.hostname", "server_address"),
    ("http.host", "server_address"),
    ("net.peer.port", "server_port"),
    ("net.host.port", "server_port"),
    ("http.client_ip", "client_address"),
    ("net.peer.name", "client_address"),
    ("net.sock.peer.name", "client_address"),
    ("peer.hostname", "client_address"),
    ("net.sock.peer.addr", "network_peer_address"),
    ("server.socket.address", "network_peer_address"),
    ("net.peer.ip", "network_peer_address"),
    ("peer.address", "network_peer_address"),
    ("peer.ipv4", "network_peer_address"),
    ("peer.ipv6", "network_peer_address"),
    ("net.sock.peer.port", "network_peer_port"),
    ("server.socket.port", "network_peer_port"),
    ("peer.port", "network_peer_port"),
    ("http.flavor", "network_protocol_version"),
    ("net.protocol.version", "network_protocol_version"),
    ("http.protocol", "network_protocol_version"),
    ("service.peer.name", "peer_service"),
    ("faas.invoked_name", "peer_service"),
    ("rpc.system.name", "rpc_system"),
    ("rpc.status_code", "rpc_grpc_status_code"),
    ("rpc.response.status_code", "rpc_grpc_status_code"),
    ("rpc.connect_rpc.error_code", "rpc_grpc_status_code"),
    ("grpc.status_code", "rpc_grpc_status_code"),
    ("grpc.code", "rpc_grpc_status_code"),
    ("db.system", "db_system_name"),
    ("db.type", "db_system_name"),
    ("db.name", "db_namespace"),
    ("db.instance", "db_namespace"),
    ("db.redis.database_index", "db_namespace"),
    ("db.cassandra.keyspace", "db_namespace"),
    ("db.operation", "db_operation_name"),
    ("db.sql.table", "db_collection_name"),
    ("db.mongodb.collection", "db_collection_name"),
    ("db.cassandra.table", "db_collection_name"),
    ("db.cosmosdb.container", "db_collection_name"),
    ("messaging.destination", "messaging_destination_name"),
    ("messaging.source.name", "messaging_destination_name"),
    ("message_bus.destination", "messaging_destination_name"),
    ("messaging.operation", "messaging_operation_type"),
    ("messaging.operation.name", "messaging_operation_type"),
    ("http.resend_count", "http_request_resend_count"),
    ("http.retry_count", "http_request_resend_count"),
];

/// On which spans a key that names one end of a connection names the end of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    Server,
    /// Of every other kind: a client, a producer and a consumer reach out for a server or a broker.
    Others,
}

/// Those of [`OTHER_SPAN_KEYS`] that fill their column on some spans only: the peer is the client of a SERVER span and
/// the server of any other, and the host is the other one.
///
/// Source: the OpenTelemetry semantic conventions 1.20, "General network connection attributes", and the guide from
/// there to 1.21: `net.peer.name` became `server.address` on client spans and `client.address` on server spans,
/// `net.host.name` and `net.host.port` became `server.*` on server spans; `net.sock.peer.name` likewise names the peer. OpenTracing's `peer.*` are of the other end.
pub const KEYS_BY_KIND: [(&str, &str, Spans); 9] = [
    ("net.peer.name", "server_address", Spans::Others),
    ("net.peer.name", "client_address", Spans::Server),
    ("net.host.name", "server_address", Spans::Server),
    ("net.sock.peer.name", "server_address", Spans::Others),
    ("net.sock.peer.name", "client_address", Spans::Server),
    ("peer.hostname", "server_address", Spans::Others),
    ("peer.hostname", "client_address", Spans::Server),
    ("net.peer.port", "server_port", Spans::Others),
    ("net.host.port", "server_port", Spans::Server),
];

pub(super) const SPANS: Declared = Declared {
    table: Table::Spans,
    name: "spans",
    doc: "One row per span received over OTLP.",
    origin: Origin::Received { log_id: 0 },
    sort_key: &["service_name", "name", "time"],
    columns,
};

/// What a span is.
const OWN: &[Column] = &[
    column("time", Kind::Timestamp, "Start of the span."),
    column("time_unix_nano", Kind::Int64, "Start of the span in nanoseconds since the epoch, as sent."),
    column(
        "duration_nano",
        Kind::Int64,
        "End minus start in nanoseconds, at most 2^63 - 1; negative when the sender's end lies before its start, 0 when it sent no end.",
    ),
    column("trace_id", Kind::Text, "32 lower-case hex digits."),
    column("span_id", Kind::Text, "16 lower-case hex digits."),
    nullable("parent_span_id", Kind::Text, "16 lower-case hex digits; null for a root span."),
    nullable("trace_state", Kind::Dictionary, "W3C tracestate; null when empty."),
    column("flags", Kind::Int64, "W3C trace flags and the remote-parent bits, as sent."),
    column("name", Kind::Dictionary, "The operation."),
    column(
        "kind",
        Kind::Int32,
        "OTLP SpanKind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.",
    ),
    column("status_code", Kind::Int32, "OTLP StatusCode: 0 unset, 1 ok, 2 error."),
    nullable("status_message", Kind::Dictionary, "Status message; null when empty."),
    column(
        "is_proxy",
        Kind::Boolean,
        "The span was made by a proxy: attribute component = proxy, or SDK name envoy.",
    ),
    column(
        "adjusted_count",
        Kind::Float64,
        "How many calls this span stands for, from the sampling threshold in tracestate (ot=th:); 1 when unsampled.",
    ),
    column("outcome", Kind::Dictionary, "ok, client_error, error or aborted; see the outcome table."),
    column(
        "counted",
        Kind::Boolean,
        "Whether the span counts as a call at its service: kind server or consumer.",
    ),
];

/// What it holds.
const CONTENTS: &[Column] = &[
    column(
        "dropped_attributes_count",
        Kind::Int64,
        "Attributes that the sender dropped, and those beyond 128.",
    ),
    column("dropped_events_count", Kind::Int64, "Events that the sender dropped, and those beyond 1024."),
    column("dropped_links_count", Kind::Int64, "Links that the sender dropped, and those beyond 1024."),
    column(
        "events",
        Kind::Events,
        "Events in the order sent; time_unix_nano is 0 where the sender set none.",
    ),
    column("links", Kind::Links, "Links in the order sent."),
    nullable(
        "exception_type",
        Kind::Dictionary,
        "exception.type of the last event called exception; null without one.",
    ),
    nullable(
        "exception_cause",
        Kind::Dictionary,
        "Type of the innermost cause that its exception.stacktrace names, of the JVM or of .NET; null without one.",
    ),
];

fn columns() -> Vec<Column> {
    let promoted = PROMOTED_SPAN_KEYS.into_iter().map(|(_, name, kind)| match kind {
        PromotedType::Int => {
            nullable(name, Kind::Int64, "The semantic-convention attribute of this name; null when absent.")
        }
        PromotedType::String => nullable(
            name,
            Kind::Dictionary,
            "The semantic-convention attribute of this name; null when absent.",
        ),
    });
    ARRIVAL
        .into_iter()
        .chain(OWN.iter().copied())
        .chain(CONTENTS.iter().copied())
        .chain(RESOURCE_AND_SCOPE)
        .chain([SCOPE_DROPPED])
        .chain(promoted)
        .chain(ATTRIBUTES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promoted_columns_are_named_after_their_keys_and_other_spellings_fill_them() {
        for (key, column, _) in PROMOTED_SPAN_KEYS {
            assert_eq!(key.replace('.', "_"), column);
        }
        for (at, (key, column)) in OTHER_SPAN_KEYS.into_iter().enumerate() {
            assert!(!OTHER_SPAN_KEYS[..at].contains(&(key, column)), "{key} comes twice");
            assert!(PROMOTED_SPAN_KEYS.iter().any(|(_, c, _)| *c == column), "{key} fills no column");
            assert!(PROMOTED_SPAN_KEYS.iter().all(|(k, ..)| *k != key), "{key} is promoted itself");
        }
    }

    /// Else a span would have two values for one attribute, or a key would be listed for nothing.
    #[test]
    fn a_key_of_two_columns_fills_one_of_them_on_each_span() {
        for (key, column, _) in KEYS_BY_KIND {
            assert!(OTHER_SPAN_KEYS.contains(&(key, column)), "{key} is no spelling of {column}");
        }
        for (key, _) in OTHER_SPAN_KEYS {
            for spans in [Spans::Server, Spans::Others] {
                let fills = |column| {
                    let mut by_kind = KEYS_BY_KIND.iter().filter(|(k, c, _)| (*k, *c) == (key, column));
                    by_kind.all(|(_, _, on)| *on == spans)
                };
                let filled = OTHER_SPAN_KEYS.iter().filter(|(k, column)| *k == key && fills(*column)).count();
                assert!(filled <= 1, "{key} fills {filled} columns on {spans:?}");
            }
        }
    }
}
