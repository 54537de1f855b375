//! Formats of Envoy and of what is built on it: Istio, Envoy Gateway, Contour.
//!
//! Sources: Envoy, "Default format string"; Istio `pilot/pkg/model/telemetry_logging.go` (`EnvoyTextLogFormat`,
//! `EnvoyJSONLogFormatIstio`) and, of older releases, `pilot/pkg/networking/core/v1alpha3/listener.go`
//! (`EnvoyTextLogFormat12`, `EnvoyTextLogFormat13`); Envoy Gateway, "Proxy Access Logs"; Contour `DefaultAccessLogJSONFields`. Values are numbers
//! or text, by version; both are read alike.

use super::field::Field;
use super::json::{Object, object};
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::reading::PeerEnd;

/// That of Istio 1.8 and later, then 1.3, 1.2 and 1.1, which had the status of a part called Mixer.
pub(super) const ISTIO: [&str; 4] = [
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                 %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
                 \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% \
                 %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
                 %REQUESTED_SERVER_NAME% %ROUTE_NAME%",
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                 %RESPONSE_CODE% %RESPONSE_FLAGS% \"%DYNAMIC_METADATA(istio.mixer:status)%\" \
                 \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% \
                 %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
                 %REQUESTED_SERVER_NAME% %ROUTE_NAME%",
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                 %RESPONSE_CODE% %RESPONSE_FLAGS% \"%DYNAMIC_METADATA(istio.mixer:status)%\" \
                 \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% \
                 %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
                 %REQUESTED_SERVER_NAME%",
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                 %RESPONSE_CODE% %RESPONSE_FLAGS% \"%DYNAMIC_METADATA(istio.mixer:status)%\" \
                 %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% \
                 %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
                 %REQUESTED_SERVER_NAME%",
];

/// The names of these formats.
pub(super) const NAMES: [&str; 5] =
    ["istio_text", "envoy_default", "istio_json", "envoy_gateway_json", "contour_json"];

pub(super) const DEFAULT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                 %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"";

pub(super) fn istio_json() -> Object {
    let start = ("start_time", Field::Start(TimeFormat::Any));
    object(&[start, STATUS, FLAGS, CLUSTER], &members())
}

pub(super) fn contour_json() -> Object {
    let fields = [
        ("uber_trace_id", Field::Attribute("request_header.uber-trace-id".into())),
        ("grpc_status_number", Field::GrpcStatus),
        ("grpc_status", Field::GrpcStatus),
    ];
    let start = ("@timestamp", Field::Start(TimeFormat::Any));
    object(&[start, STATUS, FLAGS, CLUSTER], &[&members()[..], &fields].concat())
}

pub(super) fn gateway_json() -> Object {
    let required =
        [("start_time", Field::Start(TimeFormat::Any)), ("x-envoy-origin-path", Field::Path), STATUS, FLAGS];
    object(&required, &[&members()[..], &gateway_members(), &[CLUSTER]].concat())
}

fn gateway_members() -> [(&'static str, Field); 5] {
    [
        ("x-envoy-upstream-service-time", Field::UpstreamDuration(Unit::Millis)),
        ("x-forwarded-for", Field::ForwardedFor),
        ("user-agent", Field::UserAgent),
        ("x-request-id", Field::RequestId),
        (":authority", Field::Authority),
    ]
}

const STATUS: (&str, Field) = ("response_code", Field::Status);
const FLAGS: (&str, Field) = ("response_flags", Field::Flags);
const CLUSTER: (&str, Field) = ("upstream_cluster", Field::Cluster);

fn members() -> [(&'static str, Field); 20] {
    [
        ("route_name", Field::Route),
        ("method", Field::Method),
        ("path", Field::Path),
        ("protocol", Field::Protocol),
        ("response_code_details", Field::Details),
        ("connection_termination_details", Field::TerminationDetails),
        ("bytes_received", Field::RequestBytes),
        ("bytes_sent", Field::ResponseBytes),
        ("duration", Field::Duration(Unit::Millis)),
        ("upstream_service_time", Field::UpstreamDuration(Unit::Millis)),
        ("x_forwarded_for", Field::ForwardedFor),
        ("user_agent", Field::UserAgent),
        ("request_id", Field::RequestId),
        ("authority", Field::Authority),
        ("upstream_host", Field::UpstreamHost),
        ("upstream_local_address", Field::UpstreamLocal),
        ("downstream_local_address", Field::Local),
        ("downstream_remote_address", Field::Remote),
        ("requested_server_name", Field::ServerName),
        ("upstream_transport_failure_reason", Field::FailureReason),
    ]
}

/// Fields by name, of all these formats and of OpenTelemetry's semantic conventions, as operators name what Envoy's OTLP
/// logger sends.
pub(super) fn record_fields() -> impl Iterator<Item = (&'static str, Field)> {
    let conventions = [
        ("start_time", Field::Start(TimeFormat::Any)),
        ("status", Field::Status),
        ("http.request.method", Field::Method),
        ("http.method", Field::Method),
        ("url.path", Field::Path),
        ("http.target", Field::Path),
        ("url.query", Field::Query),
        ("url.full", Field::Url),
        ("http.url", Field::Url),
        ("url.scheme", Field::Scheme),
        ("http.response.status_code", Field::Status),
        ("http.status_code", Field::Status),
        ("rpc.grpc.status_code", Field::GrpcStatus),
        ("grpc_status", Field::GrpcStatus),
        ("grpc_status_number", Field::GrpcStatus),
        ("envoy.response_flags", Field::Flags),
        ("duration_ms", Field::Duration(Unit::Millis)),
        ("duration_us", Field::Duration(Unit::Micros)),
        ("bytes", Field::ResponseBytes),
        ("user_agent.original", Field::UserAgent),
        ("http.user_agent", Field::UserAgent),
        ("server.address", Field::Authority),
        ("upstream_request_attempt_count", Field::Attempts),
        ("downstream_direct_remote_address", Field::DirectRemote),
        ("downstream_peer_uri_san", Field::CallerPrincipal),
        ("downstream_local_uri_san", Field::OwnPrincipal),
        ("downstream_tls_version", Field::TlsVersion),
        ("traceparent", Field::Traceparent),
        ("stream_id", Field::StreamId),
        ("access_log_type", Field::LogType),
        ("upstream_peer", Field::PeerObject(PeerEnd::Upstream)),
        ("downstream_peer", Field::PeerObject(PeerEnd::Downstream)),
        ("wasm.upstream_peer", Field::PeerObject(PeerEnd::Upstream)),
        ("wasm.downstream_peer", Field::PeerObject(PeerEnd::Downstream)),
    ];
    let origin_path = ("x-envoy-origin-path", Field::Path);
    let all = members().into_iter().chain(gateway_members()).chain(conventions);
    all.chain([STATUS, FLAGS, CLUSTER, origin_path])
}
