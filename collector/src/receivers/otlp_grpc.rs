//! OTLP over gRPC: the unary `Export` of traces, logs and metrics.
//!
//! Source: opentelemetry/proto/collector/*/v1/*_service.proto; OTLP 1.11 "OTLP/gRPC".

use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use meshlake_listen::Caller;
use tokio::time::Instant;

use super::{Call, Port, Read, Receivers, Route, caught, check_grpc_head, linger};
use crate::admit::ReplyBody;
use crate::admit::answer;
use crate::admit::body::BODY_TIME_MAX;
use crate::admit::deadline::{answer_by, time_left};
use crate::admit::frame::FrameReader;
use crate::admit::headers::grpc_encoding_of;
use crate::admit::refusal::Refusal;
use crate::admit::unpack::Packed;
use crate::decode::Format;
use crate::decode::otlp::formats::OVER_GRPC;
use crate::tally::Tally;

/// The receiver's name in metrics.
pub(super) const RECEIVER: &str = "otlp_grpc";

pub(super) static ROUTES: [Route; 3] = [
    Route {
        port: Port::Grpc,
        path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        formats: &[("application/grpc", &OVER_GRPC.traces)],
        receive: |call| Box::pin(receive(call)),
    },
    Route {
        port: Port::Grpc,
        path: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        formats: &[("application/grpc", &OVER_GRPC.logs)],
        receive: |call| Box::pin(receive(call)),
    },
    Route {
        port: Port::Grpc,
        path: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        formats: &[("application/grpc", &OVER_GRPC.metrics)],
        receive: |call| Box::pin(receive(call)),
    },
];

async fn receive(call: Call) -> Response<ReplyBody> {
    let (receivers, route) = (call.receivers.clone(), call.route);
    let [(_, format)] = route.formats else {
        return Refusal::Panicked.into_grpc();
    };
    let result = caught(export(call, format)).await;
    receivers.count(RECEIVER, Some(format.signal), result.as_ref());
    match result {
        Ok(tally) => answer::grpc(&answer::export_protobuf(format.signal, &tally)),
        Err(refusal) => refusal.into_grpc(),
    }
}

/// Stores one export. What is left of a refused one is read on in the background.
async fn export(call: Call, format: &'static Format) -> Result<Tally, Refusal> {
    let Call { receivers, route, request, caller } = call;
    let (head, mut body) = request.into_parts();
    let stored = match read(&receivers, route, caller, (&head, format), &mut body).await {
        Ok(read) => receivers.store(read).await,
        Err(refusal) => Err(refusal),
    };
    if stored.is_err() {
        tokio::spawn(linger(body));
    }
    stored
}

/// Reads the one message of an export.
async fn read(
    receivers: &Receivers,
    route: &'static Route,
    caller: Caller,
    (head, format): (&Parts, &'static Format),
    body: &mut Incoming,
) -> Result<Read, Refusal> {
    let came = Instant::now();
    check_grpc_head(receivers, head)?;
    let tenant = caller.principal?.tenant.shared();
    let encoding = grpc_encoding_of(&head.headers)?;
    let answer_by = answer_by(&head.headers, came);
    let budget = receivers.admit(&tenant)?;
    let limit_bytes = receivers.export_bytes_max();
    let reader = FrameReader::new(body, encoding, &receivers.export_bytes_max);
    // Hundreds may have been admitted before the first told its length: room is asked for again beside what is in
    // flight by now.
    let take = |bytes| {
        receivers.check_room()?;
        Ok(budget.take(bytes)?)
    };
    let frame = reader.only(take, time_left(answer_by, came, BODY_TIME_MAX)).await?;
    receivers.quotas.charge(&tenant, frame.bytes.len());
    let packed =
        Packed { bytes: frame.bytes, encoding: frame.encoding, format, limit_bytes, tickets: frame.tickets };
    Ok(Read { path: route.path, tenant, packed, answer_by })
}
