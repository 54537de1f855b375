//! Facts out of closed sets of words: statuses, flags, versions, ids.
//!
//! A word that is not known is kept as an attribute where the rest of the line does not need it. A status that is none
//! is unfit, because everything that is counted hangs on it.

use meshlake_schema::ResponseFlags;
use meshlake_schema::response_flags::FLAGS;

use super::reading::Reading;
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
    ("DropOverLoad", "DO"),
    ("DownstreamRemoteReset", "DR"),
    ("UnconditionalDropOverload", "UDO"),
];

/// An HTTP status. 0, and a negative one, stand for none: no response was sent.
pub(super) fn status(text: &str) -> Option<Option<i32>> {
    let status: i32 = text.parse().ok()?;
    (-1..=999).contains(&status).then_some((status > 0).then_some(status))
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
        let short = LONG_FLAGS.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| short);
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
        "1.2" => "TLSv1.2",
        "1.3" => "TLSv1.3",
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
    to.trace_id = hex::<16>(text.as_bytes()).filter(|id| *id != [0; 16]);
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
