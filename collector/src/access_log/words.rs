//! Facts out of closed sets of words: statuses, flags, versions, ids.
//!
//! A word that is not known is kept as an attribute where the rest of the line does not need it. A status that is none
//! is unfit, because everything that is counted hangs on it.

use std::borrow::Cow;

use meshlake_schema::ResponseFlags;
use meshlake_schema::response_flags::FLAGS;

use super::reading::{PeerEnd, Reading};
use crate::normalize::requests::facts::LogType;
use crate::normalize::requests::traceparent::{hex, parse_traceparent};
use crate::normalize::rpc_status::{SentStatus, grpc_code};

/// `AccessLogType` ends here; see [`LogType::name`].
const LOG_TYPE_MAX: i32 = 14;

/// Envoy's long names (`%RESPONSE_FLAGS_LONG%`) and the short ones. Source: Envoy, "Access log format strings".
const LONG_FLAGS: [(&str, &str); 30] = [
    ("NoHealthyUpstream", "UH"),
    ("UpstreamConnectionFailure", "UF"),
    ("UpstreamOverflow", "UO"),
    ("NoRouteFound", "NR"),
    ("UpstreamRetryLimitExceeded", "URX"),
    ("NoClusterFound", "NC"),
    ("DurationTimeout", "DT"),
    ("DownstreamConnectionTermination", "DC"),
    ("FailedLocalHealthCheck", "LH"),
    ("UpstreamRequestTimeout", "UT"),
    ("LocalReset", "LR"),
    ("UpstreamRemoteReset", "UR"),
    ("UpstreamConnectionTermination", "UC"),
    ("DelayInjected", "DI"),
    ("FaultInjected", "FI"),
    ("RateLimited", "RL"),
    ("UnauthorizedExternalService", "UAEX"),
    ("RateLimitServiceError", "RLSE"),
    ("StreamIdleTimeout", "SI"),
    ("InvalidEnvoyRequestHeaders", "IH"),
    ("DownstreamProtocolError", "DPE"),
    ("UpstreamMaxStreamDurationReached", "UMSDR"),
    ("ResponseFromCacheFilter", "RFCF"),
    ("NoFilterConfigFound", "NFCF"),
    ("UpstreamProtocolError", "UPE"),
    ("OverloadManagerTerminated", "OM"),
    ("DnsResolutionFailed", "DF"),
    ("DropOverload", "DO"),
    ("DownstreamRemoteReset", "DR"),
    ("UnconditionalDropOverload", "UDO"),
];

/// An HTTP status. 0, and a negative one, stand for none: no response was sent.
pub(super) fn status(text: &str) -> Option<Option<i32>> {
    let status: i32 = text.parse().ok()?;
    (-1..=999).contains(&status).then_some((status > 0).then_some(status))
}

/// How a connection ended, in the numbers of HTTP that nginx has for it, as the flag that says the same. Source: nginx,
/// "Module ngx_stream_core_module", `$status`.
pub(super) fn set_session_status(text: &str, to: &mut Reading<'_>) -> bool {
    let flag = match text {
        "200" => "",
        "400" => "DPE",
        "403" => "UAEX",
        "500" => "LR",
        "502" => "UF",
        "503" => "RL",
        _ => return status(text).is_some(),
    };
    to.add_flags(flag);
    to.attributes.push_text("", "session_status", text);
    true
}

/// Whether the connection is kept (`+`), closed (`-`) or was given up by the client before the response was complete (`X`).
/// Source: Apache httpd, mod_log_config, `%X`.
pub(super) fn set_connection_status(text: &str, to: &mut Reading<'_>) -> bool {
    to.add_flags(if text == "X" { "DC" } else { "" });
    to.attributes.push_text("", "connection_status", text);
    matches!(text, "X" | "+" | "-")
}

/// `TCP` or `UDP`.
pub(super) fn set_transport(text: &str, to: &mut Reading<'_>) -> bool {
    to.is_of_datagrams = text == "UDP";
    to.attributes.push_text("", "protocol", text);
    true
}

/// The name of a caller. What an address and the name behind it look like (`10.0.0.1 - frank`) is none: then a field stands
/// in front of the line that its format does not have.
pub(super) fn set_remote_user(text: &str, to: &mut Reading<'_>) -> bool {
    to.attributes.push_text("", "remote_user", text);
    !text.starts_with("- ") && !text.contains(" - ")
}

/// A gRPC status by number, or by name in any of its spellings.
pub(super) fn grpc_status(text: &str) -> Option<Option<i32>> {
    let code = match text.parse::<i64>() {
        Ok(-1) => return Some(None),
        Ok(number) => Some(number),
        Err(_) => grpc_code(SentStatus::Name(text)),
    };
    code.and_then(|code| i32::try_from(code).ok()).map(Some)
}

/// Flags by short or long names, comma separated. Names that are not known, of extensions, are kept beside them.
pub(super) fn set_flags(text: &str, to: &mut Reading<'_>) -> bool {
    let mut knows_all = true;
    for name in text.split(',').map(str::trim) {
        let short = LONG_FLAGS
            .iter()
            .find(|(long, _)| long.eq_ignore_ascii_case(name))
            .map_or(name, |(_, short)| short);
        knows_all &= FLAGS.iter().any(|flag| flag.short == short);
        to.seen.flags.0 |= ResponseFlags::from_short_names(short).0;
    }
    if !knows_all {
        to.attributes.push_text("", "response_flags", text);
    }
    // A sentence is what another field's text looks like.
    !text.contains([' ', '"'])
}

/// `TLSv1.3`, as Envoy and nginx write it, or `1.3`, as Go's proxies do.
pub(super) fn set_tls_version(text: &str, to: &mut Reading<'_>) -> bool {
    to.seen.tls_version = match text.trim_start_matches("TLSv").trim_start_matches("TLS").trim_start() {
        "1" | "1.0" => "TLSv1",
        "1.1" => "TLSv1.1",
        // Caddy writes the numbers of the protocol: 0x0303, 0x0304.
        "1.2" | "771" => "TLSv1.2",
        "1.3" | "772" => "TLSv1.3",
        _ => {
            to.attributes.push_text("", "tls_version", text);
            ""
        }
    };
    true
}

pub(super) fn set_log_type(text: &str, to: &mut Reading<'_>) -> bool {
    let known = (0..=LOG_TYPE_MAX).map(|number| LogType { number, intermediate: false });
    let named = known.into_iter().find(|log_type| log_type.name() == Some(text));
    to.seen.log_type = named.unwrap_or_default();
    named.is_some() || text == "NotSet"
}

pub(super) fn set_traceparent(text: &str, to: &mut Reading<'_>) -> bool {
    match parse_traceparent(text.as_bytes()) {
        Some((context, flags)) => {
            to.seen.trace_context = Some(context);
            to.attributes.push_text("", "trace_flags", &format!("{flags:02x}"));
        }
        None => to.attributes.push_text("request_header.", "traceparent", text),
    }
    true
}

pub(super) fn set_trace_id(text: &str, to: &mut Reading<'_>) -> bool {
    // Google writes the name of a resource that ends in the id.
    let id = text.rsplit('/').next().unwrap_or(text);
    to.trace_id = hex::<16>(id.as_bytes()).filter(|id| *id != [0; 16]);
    if to.trace_id.is_none() {
        to.attributes.push_text("", "trace_id", text);
    }
    true
}

pub(super) fn set_span_id(text: &str, to: &mut Reading<'_>) -> bool {
    to.span_id = hex::<8>(text.as_bytes()).filter(|id| *id != [0; 8]);
    if to.span_id.is_none() {
        to.attributes.push_text("", "span_id", text);
    }
    true
}

/// An error in words, of proxies that have no flags. What names no cause is taken for a connection that was cut.
pub(super) fn set_error<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let flag = if says(&["policy", "denied", "reject"]) {
        "UAEX"
    } else if says(&["timed out", "timeout"]) {
        "UT"
    } else if says(&["refused", "unreachable", "connection failed", "unknown source", "no healthy"]) {
        "UF"
    } else {
        "UC"
    };
    to.add_flags(flag);
    to.seen.upstream_transport_failure_reason = text;
    true
}

/// Whose side a proxy took that logs for many: `outbound` the caller's, `inbound` the callee's.
pub(super) fn set_direction(text: &str, to: &mut Reading<'_>) -> bool {
    to.own_end = match text {
        "outbound" => Some(PeerEnd::Downstream),
        "inbound" => Some(PeerEnd::Upstream),
        _ => None,
    };
    to.own_end.is_some()
}

/// Why the response is what it is, in the words of Google's load balancers or any other's. Source: Google Cloud,
/// "statusDetails HTTP failure messages".
pub(super) fn set_details<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let flag = match &*text {
        "client_disconnected_before_any_response"
        | "client_disconnected_after_partial_response"
        | "client_cancelled_stream" => "DC",
        "failed_to_connect_to_backend" => "UF",
        "failed_to_pick_backend" => "UH",
        "backend_timeout" => "UT",
        "backend_connection_closed_before_data_sent_to_client"
        | "backend_connection_closed_after_partial_response_sent" => "UC",
        "denied_by_security_policy" => "UAEX",
        "throttled_by_security_policy" | "rate_limited_by_security_policy" => "RL",
        _ => "",
    };
    to.add_flags(flag);
    to.seen.response_code_details = text;
    true
}

/// The name of a cluster. Istio's name for statistics, which older formats have, ends in `;`, which is no part of it.
pub(super) fn set_cluster<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    to.seen.upstream_cluster = match text {
        Cow::Borrowed(text) => text.strip_suffix(';').unwrap_or(text).into(),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_end_matches(';').len());
            text.into()
        }
    };
    true
}
