//! OTLP over gRPC: the unary `Export` of traces, logs and metrics.
//!
//! Source: opentelemetry/proto/collector/*/v1/*_service.proto; OTLP 1.11 "OTLP/gRPC".

use http::{Method, Request};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{Read, Receivers, message_of};
use crate::admit::body::BODY_TIME_MAX;
use crate::admit::deadline::{answer_by, time_left};
use crate::admit::frame::FrameReader;
use crate::admit::media::{Encoding, MediaType};
use crate::admit::refusal::Refusal;
use crate::admit::tenant::tenant_of;
use crate::admit::unpack::Packed;
use crate::ledger::{Signal, Source};
use crate::tally::Tally;

/// The signal that the method at `path` exports.
pub(super) fn signal_of(path: &str) -> Option<Signal> {
    [Signal::Traces, Signal::Logs, Signal::Metrics].into_iter().find(|signal| path_of(*signal) == path)
}

/// Stores one export request.
pub(super) async fn export(
    receivers: &Receivers,
    signal: Option<Signal>,
    request: Request<Incoming>,
) -> Result<Tally, Refusal> {
    let came = Instant::now();
    if request.method() != Method::POST {
        return Err(Refusal::WrongVerb(request.method().to_string()));
    }
    MediaType::check_grpc(request.headers())?;
    let unknown = || Refusal::UnknownPath(request.uri().path().to_owned());
    let signal = signal.ok_or_else(unknown)?;
    let message = message_of(signal).ok_or_else(unknown)?;
    let tenant = tenant_of(request.headers())?;
    let encoding = Encoding::of_grpc(request.headers())?;
    let answer_by = answer_by(request.headers(), came);
    let budget = receivers.admit(&tenant)?;
    let limit_bytes = receivers.request_bytes_max();
    let reader = FrameReader::new(request.into_body(), encoding, &receivers.request_bytes_max);
    // Hundreds may have been admitted before the first told its length: room is asked for again beside what is in
    // flight by now.
    let take = |bytes| {
        receivers.check_room()?;
        Ok(budget.take(bytes)?)
    };
    let frame = reader.only(take, time_left(answer_by, came, BODY_TIME_MAX)).await?;
    receivers.quotas.charge(&tenant, frame.bytes.len());
    let packed = Packed {
        bytes: frame.bytes,
        encoding: frame.encoding,
        media_type: MediaType::Protobuf,
        message,
        limit_bytes,
        tickets: frame.tickets,
    };
    let path = path_of(signal);
    receivers.store(Read { signal, source: Source::OtlpGrpc, path, tenant, packed, answer_by }).await
}

/// The method of `signal`; access logs have none in OTLP.
fn path_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Requests => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_methods_are_known_by_their_exact_path() {
        let service = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        assert_eq!(signal_of(service), Some(Signal::Traces));
        for path in ["", "/", &service[1..], &format!("/{service}"), &format!("{service}/"), "/x.Y/Z"] {
            assert_eq!(signal_of(path), None, "{path}");
        }
    }
}
