//! Columns of `requests`: one row per call that a proxy observed, whatever the proxy.
//!
//! Sources: envoy/data/accesslog/v3/accesslog.proto for what Envoy reports; the peer vocabulary is
//! Istio's. A gateway's row has the gateway as its source and the upstream as its destination; who called
//! the gateway from outside is in `downstream_*` and `forwarded_for`.

use super::{ARRIVAL, ATTRIBUTES, Column, Declared, Kind, Origin, Table, column, nullable};

pub(super) const REQUESTS: Declared = Declared {
    table: Table::Requests,
    name: "requests",
    doc: "One row per call that a proxy observed and logged.",
    origin: Origin::Received { log_id: 6 },
    sort_key: &["destination_service", "route", "time"],
    columns,
};

fn columns() -> Vec<Column> {
    ARRIVAL.iter().chain(CALL).chain(PEERS).chain(CONNECTION).chain(&ATTRIBUTES).copied().collect()
}

/// What was called and what became of it.
const CALL: &[Column] = &[
    column("time", Kind::Timestamp, "Start of the request."),
    column("time_unix_nano", Kind::Int64, "Start of the request, nanoseconds since the epoch."),
    column(
        "duration_nano",
        Kind::Int64,
        "From the first byte received to the last byte sent downstream, nanoseconds; 0 where nothing tells it.",
    ),
    nullable(
        "is_timed",
        Kind::Boolean,
        "False where nothing tells how long it took, so that duration_nano is no duration; else null.",
    ),
    column(
        "observer",
        Kind::Dictionary,
        "Who saw it: client (the caller's proxy), server (the callee's proxy) or gateway.",
    ),
    column("layer", Kind::Dictionary, "l7 for a request (HTTP, gRPC), l4 for a connection."),
    column(
        "counted",
        Kind::Boolean,
        "Whether the row is one call: false for start and periodic rows of a call that has an end row.",
    ),
    nullable("access_log_type", Kind::Dictionary, "Envoy's AccessLogType by name; null when not set."),
    nullable("protocol", Kind::Dictionary, "HTTP/1.0, HTTP/1.1, HTTP/2, HTTP/3 or TCP; null when unknown."),
    nullable("method", Kind::Dictionary, "Request method; null when unknown."),
    nullable("scheme", Kind::Dictionary, "http or https; null when unknown."),
    nullable("authority", Kind::Dictionary, "Host that was asked for; null when unknown."),
    nullable("path", Kind::Text, "Path with query, before any rewrite; null when unknown."),
    nullable("route", Kind::Dictionary, "Name of the matched route; null when none."),
    nullable("response_code", Kind::Int32, "HTTP status; null when no response was sent."),
    nullable("grpc_status", Kind::Int32, "grpc-status of the response; null when not gRPC or not logged."),
    column(
        "response_flags",
        Kind::Int64,
        "Envoy response flags as a bit set: bit n - 1 is field n of ResponseFlags. Of other proxies the flags that say the same.",
    ),
    nullable(
        "response_flags_text",
        Kind::Dictionary,
        "The same by short names, comma separated; null when none.",
    ),
    nullable(
        "response_code_details",
        Kind::Dictionary,
        "Why the code was chosen, e.g. via_upstream; null when unknown.",
    ),
    nullable("fault_class", Kind::Dictionary, "What kind of fault the flags tell of; null when none."),
    column("outcome", Kind::Dictionary, "ok, client_error, error or aborted; see the outcome table."),
    column(
        "request_bytes",
        Kind::Int64,
        "Body bytes of the request, with its head where a proxy counts no body alone; received bytes of a connection.",
    ),
    column("response_bytes", Kind::Int64, "Body bytes of the response; sent bytes of a connection."),
    column("attempts", Kind::Int64, "How often the upstream was tried; 0 when it never was."),
];

/// Who called whom.
const PEERS: &[Column] = &[
    nullable("source_workload", Kind::Dictionary, "Caller: workload (deployment). Null when unknown."),
    nullable("source_service", Kind::Dictionary, "Caller: service. Null when unknown."),
    nullable("source_namespace", Kind::Dictionary, "Caller: namespace. Null when unknown."),
    nullable("source_version", Kind::Dictionary, "Caller: version (canonical revision). Null when unknown."),
    nullable("source_cluster", Kind::Dictionary, "Caller: cluster. Null when unknown."),
    nullable(
        "source_principal",
        Kind::Dictionary,
        "Caller: SPIFFE identity from its certificate. Null when unknown.",
    ),
    nullable("source_instance", Kind::Dictionary, "Caller: instance (pod). Null when unknown."),
    nullable("source_address", Kind::Dictionary, "Caller: IP address without port. Null when unknown."),
    nullable("destination_workload", Kind::Dictionary, "Callee: workload (deployment). Null when unknown."),
    nullable("destination_service", Kind::Dictionary, "Callee: service. Null when unknown."),
    nullable("destination_namespace", Kind::Dictionary, "Callee: namespace. Null when unknown."),
    nullable(
        "destination_version",
        Kind::Dictionary,
        "Callee: version (subset or canonical revision). Null when unknown.",
    ),
    nullable("destination_cluster", Kind::Dictionary, "Callee: cluster. Null when unknown."),
    nullable(
        "destination_principal",
        Kind::Dictionary,
        "Callee: SPIFFE identity from its certificate. Null when unknown.",
    ),
    nullable("destination_instance", Kind::Dictionary, "Callee: instance (pod). Null when unknown."),
    nullable("destination_address", Kind::Dictionary, "Callee: IP address without port. Null when unknown."),
];

/// Addresses, ids, and where the row came from.
const CONNECTION: &[Column] = &[
    nullable("downstream_remote_address", Kind::Text, "ip:port of the caller, after X-Forwarded-For."),
    nullable("downstream_direct_remote_address", Kind::Text, "ip:port of the connection's other end."),
    nullable("downstream_local_address", Kind::Text, "ip:port that the caller connected to."),
    nullable("upstream_local_address", Kind::Text, "ip:port that the proxy connected from."),
    nullable(
        "upstream_host",
        Kind::Dictionary,
        "ip:port of the upstream that was chosen; null when none was.",
    ),
    nullable(
        "upstream_cluster",
        Kind::Dictionary,
        "Name of the upstream cluster; null when none was chosen.",
    ),
    nullable(
        "upstream_duration_nano",
        Kind::Int64,
        "From the first byte sent upstream to the last byte received from it; null when not both seen.",
    ),
    nullable(
        "upstream_transport_failure_reason",
        Kind::Dictionary,
        "Why the upstream connection failed; null when it did not.",
    ),
    nullable(
        "connection_termination_details",
        Kind::Dictionary,
        "Why the connection was closed; null when not said.",
    ),
    nullable("requested_server_name", Kind::Dictionary, "TLS server name that the caller asked for."),
    nullable("forwarded_for", Kind::Dictionary, "X-Forwarded-For as received."),
    nullable("stream_id", Kind::Text, "The proxy's id of the stream; rows of one call share it."),
    nullable("request_id", Kind::Text, "X-Request-Id."),
    nullable(
        "trace_id",
        Kind::Text,
        "32 lower-case hex digits, from traceparent or the log record; null when untraced.",
    ),
    nullable("span_id", Kind::Text, "The proxy's own span, 16 lower-case hex digits; null when untraced."),
    nullable("tls_version", Kind::Dictionary, "TLS version towards the caller; null in clear text."),
    nullable("user_agent", Kind::Dictionary, "User-Agent."),
    column(
        "source_format",
        Kind::Dictionary,
        "What the row was read from: envoy_als_http, envoy_als_tcp, envoy_otlp, or the format of a line.",
    ),
    nullable(
        "identity_source",
        Kind::Dictionary,
        "Where the peer's identity came from: peer_metadata, node_id, cluster_name, certificate, server_name, authority, address.",
    ),
    nullable("proxy_id", Kind::Dictionary, "Id of the proxy that logged (Envoy node id)."),
    nullable(
        "proxy_version",
        Kind::Dictionary,
        "Release of the proxy that logged: Istio's where it tells one, else the program's; null when it tells none.",
    ),
    nullable("raw", Kind::Text, "The line as received when it could not be read in full; else null."),
];
