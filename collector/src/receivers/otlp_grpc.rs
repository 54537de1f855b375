//! OTLP over gRPC: the unary `Export` of traces, logs and metrics.
//!
//! Source: opentelemetry/proto/collector/*/v1/*_service.proto; OTLP 1.11 "OTLP/gRPC".

use http::Response;
use tokio::time::Instant;

use super::{Call, Port, Read, Route, caught, check_grpc_head};
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

/// Stores one export.
async fn export(call: Call, format: &'static Format) -> Result<Tally, Refusal> {
    let came = Instant::now();
    let Call { receivers, route, request, caller } = call;
    check_grpc_head(&receivers, &request)?;
    let tenant = caller.principal?.tenant.shared();
    let encoding = grpc_encoding_of(request.headers())?;
    let answer_by = answer_by(request.headers(), came);
    let budget = receivers.admit(&tenant)?;
    let limit_bytes = receivers.export_bytes_max();
    let reader = FrameReader::new(request.into_body(), encoding, &receivers.export_bytes_max);
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
    receivers.store(Read { path: route.path, tenant, packed, answer_by }).await
}
