//! What an accepted export is answered: nothing when all was stored as sent, else a partial success, or for Prometheus
//! remote write, which knows none, a refusal of the part.
//!
//! The counts are exact and the message names every reason, because a client may not send a partially
//! accepted export again: this text is all that its owner will ever see of the loss. The list of reasons
//! is closed, which keeps the message short however many records were refused.
//!
//! Source: OTLP 1.11 "Partial Success"; proto3 JSON (64-bit numbers are strings).

use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::json;

use super::ReplyBody;
use super::media::MediaType;
use super::refusal::Refusal;
use super::rpc_status;
use crate::signal::Signal;
use crate::tally::{RejectReason, Tally, Written};

/// The gRPC answer that carries `message`.
pub fn grpc(message: &[u8]) -> Response<ReplyBody> {
    let trailers = async {
        let status = (header::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
        Some(Ok(HeaderMap::from_iter([status])))
    };
    let mut response = Response::new(Full::new(grpc_frame(message)).with_trailers(trailers).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// `message` behind its flag and its length; see `frame`.
pub fn grpc_frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("an answer is a few KiB at most");
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}

/// The HTTP answer that carries `message`, which is written in `media_type`.
pub fn http(message: Vec<u8>, media_type: MediaType) -> Response<ReplyBody> {
    let mut response = Response::new(Full::new(Bytes::from(message)).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type.name()));
    response
}

/// The export response of `signal` in protobuf: empty when everything was stored as sent.
pub fn export_protobuf(signal: Signal, tally: &Tally) -> Vec<u8> {
    let Some((rejected, error_message)) = partial(signal, tally) else {
        return Vec::new();
    };
    match signal {
        Signal::Traces => {
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Logs => {
            let partial = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message };
            ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Metrics => {
            let partial = ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message };
            ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        // Access logs are not exported over OTLP; their protocol has no answer.
        Signal::Requests => Vec::new(),
    }
}

/// The export response of `signal` in JSON: `{}` when everything was stored as sent.
pub fn export_json(signal: Signal, tally: &Tally) -> Vec<u8> {
    let Some((rejected, error_message)) = partial(signal, tally) else {
        return b"{}".to_vec();
    };
    let rejected_name = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Requests => return b"{}".to_vec(),
    };
    let partial = json!({ rejected_name: rejected.to_string(), "errorMessage": error_message });
    json!({ "partialSuccess": partial }).to_string().into_bytes()
}

/// How many records were refused, and why; `None` when there is nothing to say.
fn partial(signal: Signal, tally: &Tally) -> Option<(i64, String)> {
    let rejected = tally.rejected_count();
    if rejected == 0 && tally.warnings.is_empty() && tally.found_instead.is_none() {
        return None;
    }
    let (mut message, unit) = (String::new(), signal.record_name());
    if let Some(instead) = &tally.found_instead {
        let _ = write!(message, "no {unit} were found: {instead}");
    }
    if rejected > 0 {
        let _ = write!(message, "{rejected} of {} {unit} rejected:", tally.received);
        for (reason, count) in &tally.rejected {
            let _ = write!(message, " {}={count}", reason.name());
        }
        let is_of_time = |(reason, _): &(RejectReason, u64)| *reason == RejectReason::TimeOutOfRange;
        if let (Some(window), true) = (tally.window, tally.rejected.iter().any(is_of_time)) {
            let _ = write!(message, " ({window})");
        }
    }
    for (warning, times) in tally.warnings.given() {
        let separator = if message.is_empty() { "" } else { "; " };
        let _ = write!(message, "{separator}{times} {}", warning.what());
    }
    Some((i64::try_from(rejected).unwrap_or(i64::MAX), rpc_status::cut(message)))
}

/// The answer to a Prometheus remote write: nothing, or, where some of it was rejected, a refusal that says what. Senders
/// of 2.0 are told how much was written of each kind, and take it for nothing where they are not.
///
/// Source: prometheus.io, "Remote-Write 2.0", Response.
pub fn remote_write(tally: &Tally, tells_written: bool) -> Response<ReplyBody> {
    let Written { samples, histograms, exemplars, exemplars_left_out } = tally.written;
    let mut response = match (tally.rejected_count(), exemplars_left_out) {
        (0, 0) => {
            let mut response = Response::new(Full::new(Bytes::new()).boxed());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        (0, left_out) => Refusal::PartlyRejected(format!("{left_out} exemplars rejected")).into_text(),
        (_, left_out) => {
            let (_, mut why) = partial(Signal::Metrics, tally).unwrap_or_default();
            if left_out > 0 {
                let _ = write!(why, "; {left_out} exemplars rejected");
            }
            Refusal::PartlyRejected(why).into_text()
        }
    };
    if tells_written {
        tell_written(&mut response, [samples, histograms, exemplars]);
    }
    response
}

/// The answer to a remote write of which nothing was taken; who is told how much was written is told that it is nothing,
/// where that is known.
pub fn remote_write_refused(refusal: Refusal, tells_written: bool) -> Response<ReplyBody> {
    let is_known = !matches!(refusal, Refusal::NotDurable(_) | Refusal::TimedOut(_));
    let mut response = refusal.into_text();
    if tells_written && is_known {
        tell_written(&mut response, [0; 3]);
    }
    response
}

fn tell_written(response: &mut Response<ReplyBody>, counts: [u64; 3]) {
    for (kind, count) in ["samples", "histograms", "exemplars"].into_iter().zip(counts) {
        let name = HeaderName::try_from(format!("x-prometheus-remote-write-{kind}-written"));
        response.headers_mut().insert(name.expect("a name"), HeaderValue::from(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshlake_schema::UnixNanos;

    use crate::tally::{Arrival, Warning};

    fn rejected() -> Tally {
        let mut tally = Tally { received: 10, accepted: 7, ..Tally::default() };
        tally.reject(RejectReason::InvalidTraceId, 2);
        tally.reject(RejectReason::TimeOutOfRange, 1);
        tally
    }

    #[test]
    fn full_success_says_nothing() {
        let tally = Tally { received: 3, accepted: 3, ..Tally::default() };
        for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
            assert_eq!(export_protobuf(signal, &tally), b"");
            assert_eq!(export_json(signal, &tally), b"{}");
        }
    }

    #[test]
    fn partial_success_counts_and_names_every_reason() {
        let message = "3 of 10 spans rejected: invalid_trace_id=2 time_out_of_range=1";
        let json = format!(r#"{{"partialSuccess":{{"errorMessage":"{message}","rejectedSpans":"3"}}}}"#);
        assert_eq!(String::from_utf8_lossy(&export_json(Signal::Traces, &rejected())), json);
        // Field 1 is the partial success, in it field 1 = 3 and field 2 = the message.
        let length = u8::try_from(message.len()).expect("short");
        let want = [&[0x0a, length + 4, 0x08, 3, 0x12, length], message.as_bytes()].concat();
        assert_eq!(export_protobuf(Signal::Traces, &rejected()), want);
    }

    #[test]
    fn a_refused_time_is_told_the_window_and_others_are_not() {
        let (earliest, latest) = (UnixNanos(0), UnixNanos(1_000_000_000));
        let arrival = Arrival { tenant: "t", ingest_time: UnixNanos(0), earliest, latest };
        let message = |reason| {
            let mut tally = Tally { received: 1, ..Tally::of(&arrival) };
            tally.reject(reason, 1);
            partial(Signal::Logs, &tally).expect("a rejection").1
        };
        let told = message(RejectReason::TimeOutOfRange);
        let start =
            "1 of 1 log records rejected: time_out_of_range=1 (taken are times from 1970-01-01T00:00:00Z,";
        assert!(told.starts_with(start), "{told}");
        assert!(told.contains("collector.retention_days") && told.contains("1970-01-01T00:00:01Z"), "{told}");
        assert_eq!(message(RejectReason::MissingTime), "1 of 1 log records rejected: missing_time=1");
    }

    #[test]
    fn an_export_without_records_is_told_what_it_holds_instead() {
        let instead = Some("field 1000 is no field of ResourceSpans".to_owned());
        let tally = Tally { found_instead: instead, ..Tally::default() };
        let want = "no spans were found: field 1000 is no field of ResourceSpans";
        assert_eq!(partial(Signal::Traces, &tally), Some((0, want.to_owned())));
        let json = format!(r#"{{"partialSuccess":{{"errorMessage":"{want}","rejectedSpans":"0"}}}}"#);
        assert_eq!(String::from_utf8_lossy(&export_json(Signal::Traces, &tally)), json);
    }

    #[test]
    fn each_signal_has_its_own_count() {
        let json = |signal| String::from_utf8_lossy(&export_json(signal, &rejected())).into_owned();
        assert!(json(Signal::Logs).contains(r#""rejectedLogRecords":"3""#));
        assert!(json(Signal::Metrics).contains(r#""rejectedDataPoints":"3""#));
    }

    #[test]
    fn all_there_is_to_say_fits_in_a_message() {
        let arrival =
            Arrival { tenant: "t", ingest_time: UnixNanos(0), earliest: UnixNanos(0), latest: UnixNanos(0) };
        let mut tally = Tally { window: Tally::of(&arrival).window, ..rejected() };
        for warning in Warning::ALL {
            tally.warnings.add(warning, 999_999);
        }
        let (_, message) = partial(Signal::Logs, &tally).expect("much to say");
        assert!(message.ends_with("999999 lines could not be read and were kept whole"), "{message}");
        assert_eq!(message.matches("; ").count(), Warning::ALL.len());
    }

    #[test]
    fn a_warning_rejects_nothing_and_says_what_was_changed() {
        let mut tally = Tally { received: 1, accepted: 1, ..Tally::default() };
        tally.warnings.add(Warning::TextReplaced, 2);
        let (rejected, message) = partial(Signal::Logs, &tally).expect("a warning");
        assert_eq!(
            (rejected, message.as_str()),
            (0, "2 strings were not UTF-8 and had bytes replaced by U+FFFD")
        );
    }
}
