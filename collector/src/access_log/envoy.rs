//! Envoy's format strings: `%OPERATOR(ARGUMENT):LENGTH%` between other text; and the formats that Envoy, Istio, Envoy
//! Gateway and Contour write by default.
//!
//! Source: Envoy, "Access log format strings" and `source/common/formatter`. Istio `pilot/pkg/model/telemetry_logging.go`.
//! Limits: an operator that is not known here is kept as an attribute under its own name in lower case.

use super::field::Field;
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::pattern::Token;
use super::peers::PeerFact;
use super::reading::PeerEnd;
use super::{FormatError, language};

/// Splits a format into fields and the text between them.
///
/// # Errors
/// A `%` without its end, or a conversion of time that is not known.
pub(super) fn tokens(format: &str) -> Result<Vec<Token>, FormatError> {
    // As a quoted string of YAML or JSON has it.
    let unquoted = serde_json::from_str::<String>(format).ok();
    let format = unquoted.as_deref().unwrap_or(format);
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some(start) = rest.find('%') {
        let at = format.len() - rest.len() + start;
        language::push_literal(&mut tokens, &rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            language::push_literal(&mut tokens, "%");
            rest = after;
            continue;
        }
        let end = operator_end(rest).ok_or(FormatError::at(at, "an operator without its closing %"))?;
        tokens.push(Token::Field(operator(&rest[..end], at)?));
        rest = &rest[end + 1..];
    }
    language::push_literal(&mut tokens, rest.trim_end_matches('\n'));
    Ok(tokens)
}

/// Where the `%` is that ends an operator: arguments in parentheses may have some of their own.
fn operator_end(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b'%' && depth == 0
    })
}

fn operator(text: &str, at: usize) -> Result<Field, FormatError> {
    let name_end = text.find(['(', ':']).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let argument =
        rest.strip_prefix('(').and_then(|rest| rest.rsplit_once(')')).map_or("", |(argument, _)| argument);
    Ok(match name {
        "START_TIME" | "START_TIME_LOCAL" => Field::Start(time_format(argument, at)?),
        "EMIT_TIME" | "EMIT_TIME_LOCAL" => Field::End(time_format(argument, at)?),
        "REQ" | "REQUEST_HEADER" | "REQ_WITHOUT_QUERY" => request_header(argument),
        "RESP" | "RESPONSE_HEADER" => response_header("response_header.", argument),
        "TRAILER" | "RESPONSE_TRAILER" => response_header("response_trailer.", argument),
        // Which path it is stands behind the colon.
        "PATH" if argument.ends_with(":ORIG") => Field::OriginalPath,
        "PATH" => Field::Path,
        "COMMON_DURATION" => common_duration(argument),
        "FILTER_STATE" => filter_state(argument),
        "GRPC_STATUS" | "GRPC_STATUS_NUMBER" => Field::GrpcStatus,
        "QUERY_PARAM" | "ENVIRONMENT" | "DYNAMIC_METADATA" | "CLUSTER_METADATA" | "METADATA" => {
            Field::Attribute(format!("{}.{argument}", name.to_ascii_lowercase()).into())
        }
        // An address that is masked is no end of a connection.
        _ if name.ends_with("_WITHOUT_PORT") && !argument.is_empty() => {
            Field::Attribute(name.to_ascii_lowercase().into())
        }
        _ => plain_operator(name).unwrap_or_else(|| Field::Attribute(name.to_ascii_lowercase().into())),
    })
}

fn plain_operator(name: &str) -> Option<Field> {
    Some(match name {
        "PROTOCOL" => Field::Protocol,
        "RESPONSE_CODE" => Field::Status,
        "RESPONSE_CODE_DETAILS" => Field::Details,
        "RESPONSE_FLAGS" | "RESPONSE_FLAGS_LONG" => Field::Flags,
        "CONNECTION_TERMINATION_DETAILS" => Field::TerminationDetails,
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => Field::FailureReason,
        "BYTES_RECEIVED" => Field::RequestBytes,
        "BYTES_SENT" => Field::ResponseBytes,
        "DURATION" => Field::Duration(Unit::Millis),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Field::Attempts,
        "UPSTREAM_HOST" | "UPSTREAM_REMOTE_ADDRESS" | "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => {
            Field::UpstreamHost
        }
        "UPSTREAM_REMOTE_PORT" => Field::UpstreamPort,
        "UPSTREAM_CLUSTER" | "UPSTREAM_CLUSTER_RAW" => Field::Cluster,
        "UPSTREAM_LOCAL_ADDRESS" | "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Field::UpstreamLocal,
        "UPSTREAM_LOCAL_PORT" => Field::UpstreamLocalPort,
        "UPSTREAM_PEER_URI_SAN" => Field::Peer(PeerEnd::Upstream, PeerFact::Principal),
        "DOWNSTREAM_LOCAL_ADDRESS" | "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Field::Local,
        "DOWNSTREAM_LOCAL_PORT" => Field::LocalPort,
        "DOWNSTREAM_REMOTE_ADDRESS" | "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Field::Remote,
        "DOWNSTREAM_REMOTE_PORT" => Field::RemotePort,
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => {
            Field::DirectRemote
        }
        "DOWNSTREAM_DIRECT_REMOTE_PORT" => Field::DirectRemotePort,
        "DOWNSTREAM_TLS_VERSION" => Field::TlsVersion,
        "DOWNSTREAM_PEER_URI_SAN" => Field::CallerPrincipal,
        "DOWNSTREAM_LOCAL_URI_SAN" => Field::OwnPrincipal,
        "REQUESTED_SERVER_NAME" => Field::ServerName,
        "ROUTE_NAME" => Field::Route,
        "STREAM_ID" => Field::StreamId,
        "ACCESS_LOG_TYPE" => Field::LogType,
        "TRACE_ID" => Field::TraceId,
        "SPAN_ID" => Field::SpanId,
        _ => return None,
    })
}

fn time_format(argument: &str, at: usize) -> Result<TimeFormat, FormatError> {
    if argument.is_empty() {
        return Ok(TimeFormat::Any);
    }
    TimeFormat::strftime(argument)
        .map_err(|conversion| FormatError::at(at, format!("a time with %{conversion}, which is not known")))
}

/// `%REQ(X?Y)%`: the header X, or Y where that is missing.
fn request_header(argument: &str) -> Field {
    let name = argument.to_ascii_lowercase();
    match &*name {
        ":method" => Field::Method,
        ":path" | "x-envoy-original-path?:path" => Field::Path,
        "x-envoy-original-path" => Field::OriginalPath,
        ":authority" | "host" | ":authority?host" => Field::Authority,
        ":scheme" | "x-forwarded-proto" => Field::Scheme,
        _ => language::request_header(name.split('?').next().unwrap_or_default()),
    }
}

fn response_header(prefix: &str, argument: &str) -> Field {
    let name = argument.split('?').next().unwrap_or_default().to_ascii_lowercase();
    match &*name {
        "x-envoy-upstream-service-time" => Field::UpstreamDuration(Unit::Millis),
        "grpc-status" => Field::GrpcStatus,
        _ => Field::Attribute(format!("{prefix}{name}").into()),
    }
}

/// `%COMMON_DURATION(START:END:PRECISION)%`; whole requests and what is upstream's have columns.
fn common_duration(argument: &str) -> Field {
    let mut parts = argument.split(':');
    let (start, end) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let unit = match parts.next() {
        Some("ns") => Unit::Nanos,
        Some("us") => Unit::Micros,
        _ => Unit::Millis,
    };
    match (start, end) {
        ("DS_RX_BEG", "DS_TX_END") => Field::Duration(unit),
        ("US_TX_BEG", "US_RX_END") => Field::UpstreamDuration(unit),
        _ => Field::Attribute(format!("common_duration.{argument}").into()),
    }
}

/// `%FILTER_STATE(downstream_peer_obj:FIELD:workload)%`: metadata of the peer, a fact at a time.
fn filter_state(argument: &str) -> Field {
    let mut parts = argument.split(':');
    let end = match parts.next() {
        Some("upstream_peer_obj" | "upstream_peer") => Some(PeerEnd::Upstream),
        Some("downstream_peer_obj" | "downstream_peer") => Some(PeerEnd::Downstream),
        _ => None,
    };
    let fact = match (parts.next(), parts.next()) {
        (Some("FIELD"), Some(name)) => PeerFact::named(name),
        _ => None,
    };
    match (end, fact) {
        (Some(end), Some(fact)) => Field::Peer(end, fact),
        _ => Field::Attribute(format!("filter_state.{argument}").into()),
    }
}
