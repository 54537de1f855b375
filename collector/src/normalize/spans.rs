//! What a span tells about a call: who observed it, whether it counts, how many calls it stands for, and
//! what became of it.
//!
//! Written onto each row at ingest, so that a rollup and a query over raw rows only group and sum.
//!
//! Sources: opentelemetry/proto/trace/v1/trace.proto (kinds, status); the OpenTelemetry specification,
//! "TraceState: Probability Sampling" (`ot=th:`); what Envoy's tracer sends, read from its payloads.

use meshlake_schema::outcome::{Evidence, Outcome, outcome};
use meshlake_schema::response_flags::ResponseFlags;

/// `telemetry.sdk.name` of the resource of spans that Envoy makes.
pub const ENVOY_SDK_NAME: &str = "envoy";

/// Value of the attribute `component` on the spans of proxies (Envoy, and what follows its custom).
pub const PROXY_COMPONENT: &str = "proxy";

/// OTLP `SpanKind` values.
pub const KIND_SERVER: i32 = 2;
const KIND_CLIENT: i32 = 3;
const KIND_PRODUCER: i32 = 4;
const KIND_CONSUMER: i32 = 5;

/// OTLP `StatusCode` ERROR.
const STATUS_ERROR: i32 = 2;

/// Digits of a sampling threshold: 56 bits. Missing digits on the right are zeros.
const THRESHOLD_DIGITS_MAX: usize = 14;

/// 2^56: sampling decisions compare 56 random bits with the threshold.
const THRESHOLD_RANGE: u64 = 1 << 56;

/// The facts about a span that the judgements below need.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpanFacts {
    pub kind: i32,
    pub status_code: i32,
    /// The resource says that Envoy's tracer made the span.
    pub from_envoy: bool,
    /// The attribute `component` is `proxy`.
    pub component_proxy: bool,
    /// The attribute `response_flags`, where the span has one.
    pub response_flags: ResponseFlags,
    /// `Some(0)` of a proxy: no response was sent.
    pub http_status: Option<i64>,
    pub grpc_status: Option<i64>,
    pub dubbo_status: Option<i64>,
}

impl SpanFacts {
    /// Whether a proxy made the span.
    pub fn is_proxy(&self) -> bool {
        self.from_envoy || self.component_proxy
    }

    /// Whether the span is a call at its service, as opposed to one leaving it or work inside it.
    pub fn counted(&self) -> bool {
        matches!(self.kind, KIND_SERVER | KIND_CONSUMER)
    }

    /// What became of the call. Response flags are believed of proxies only: elsewhere the attribute of
    /// that name may mean anything. So is an HTTP status of 0, which others than proxies send for none.
    pub fn outcome(&self) -> Outcome {
        outcome(&Evidence {
            http_status: self.http_status.filter(|status| *status != 0 || self.is_proxy()),
            grpc_status: self.grpc_status,
            dubbo_status: self.dubbo_status,
            flags: if self.is_proxy() { self.response_flags } else { ResponseFlags::default() },
            span_error: self.status_code == STATUS_ERROR,
            client_side: matches!(self.kind, KIND_CLIENT | KIND_PRODUCER),
        })
    }
}

/// How many calls a span stands for: `2^56 / (2^56 - T)` for the rejection threshold `T` in the
/// tracestate's `ot=th:`; 1 when there is none or it breaks the grammar.
pub fn adjusted_count(trace_state: &str) -> f64 {
    if trace_state.is_empty() {
        return 1.0;
    }
    let threshold = trace_state
        .split(',')
        .find_map(|member| member.trim().strip_prefix("ot="))
        .and_then(|value| value.split(';').find_map(|field| field.strip_prefix("th:")))
        .and_then(threshold);
    // Subtracted as integers: as doubles the largest threshold would round up to the range.
    threshold.map_or(1.0, |threshold| THRESHOLD_RANGE as f64 / (THRESHOLD_RANGE - threshold) as f64)
}

fn threshold(digits: &str) -> Option<u64> {
    let lower_hex = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if digits.is_empty() || digits.len() > THRESHOLD_DIGITS_MAX || !lower_hex {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    Some(value << (4 * (THRESHOLD_DIGITS_MAX - digits.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_gives_the_calls_a_span_stands_for() {
        let cases = [
            ("", 1.0),
            ("ot=th:0", 1.0),
            // T = 0.5, 0.75, 0.9375 of the range: 1 in 2, 4, 16 is kept.
            ("ot=th:8", 2.0),
            ("ot=th:c", 4.0),
            ("ot=th:f", 16.0),
            ("ot=th:80000000000000", 2.0),
            // All but one of 2^56 values are rejected.
            ("ot=th:ffffffffffffff", THRESHOLD_RANGE as f64),
            ("vendor=x, ot=rv:abcdef01234567;th:c", 4.0),
            ("ot=th:c;rv:1", 4.0),
        ];
        for (trace_state, want) in cases {
            assert_eq!(adjusted_count(trace_state), want, "{trace_state}");
        }
    }

    #[test]
    fn a_broken_threshold_counts_as_unsampled() {
        for broken in
            ["ot=th:", "ot=th:g", "ot=th:C", "ot=th:+8", "ot=th:123456789012345", "ot=", "xot=th:8", "th:8"]
        {
            assert_eq!(adjusted_count(broken), 1.0, "{broken}");
        }
    }

    #[test]
    fn only_server_and_consumer_spans_count() {
        let counted: Vec<_> =
            (0..=6).filter(|kind| SpanFacts { kind: *kind, ..SpanFacts::default() }.counted()).collect();
        assert_eq!(counted, [2, 5]);
    }

    #[test]
    fn flags_of_proxies_decide_and_those_of_others_do_not() {
        let flags = ResponseFlags::from_short_names("UH");
        let application = SpanFacts { kind: 2, response_flags: flags, ..SpanFacts::default() };
        assert_eq!(application.outcome(), Outcome::Ok);
        assert_eq!(SpanFacts { component_proxy: true, ..application }.outcome(), Outcome::Error);
        assert_eq!(SpanFacts { from_envoy: true, ..application }.outcome(), Outcome::Error);
    }

    #[test]
    fn a_status_of_zero_is_none_but_for_proxies() {
        // What browsers' instrumentation sends for a call that got no answer.
        let failed = SpanFacts { kind: 3, status_code: 2, http_status: Some(0), ..SpanFacts::default() };
        assert_eq!(failed.outcome(), Outcome::Error);
        assert_eq!(SpanFacts { status_code: 0, ..failed }.outcome(), Outcome::Ok);
        assert_eq!(SpanFacts { component_proxy: true, ..failed }.outcome(), Outcome::Aborted);
    }

    #[test]
    fn an_abort_seen_by_envoy_is_no_error() {
        // What Envoy 1.40 sends for a client that hung up: http.status_code "0", flags DC, no status.
        let span = SpanFacts {
            kind: 2,
            from_envoy: true,
            http_status: Some(0),
            response_flags: ResponseFlags::from_short_names("DC"),
            ..SpanFacts::default()
        };
        assert_eq!(span.outcome(), Outcome::Aborted);
    }

    #[test]
    fn a_client_span_yields_to_its_code() {
        // Envoy marks CLIENT spans of 4xx as ERROR.
        let span = SpanFacts { kind: 3, status_code: 2, http_status: Some(429), ..SpanFacts::default() };
        assert_eq!(span.outcome(), Outcome::ClientError);
        assert_eq!(SpanFacts { kind: 4, ..span }.outcome(), Outcome::ClientError);
        assert_eq!(SpanFacts { kind: 2, http_status: Some(200), ..span }.outcome(), Outcome::Error);
    }
}
