//! OTLP over HTTP: POST of protobuf or JSON to `/v1/traces`, `/v1/logs` and `/v1/metrics`.
//!
//! HTTP/1.1 and HTTP/2 without TLS share the port; the answer is in the media type of the request.
//!
//! Source: OTLP 1.11 "OTLP/HTTP".

use http::{Response, Version};

use super::{Call, Port, Route, caught, closing, read_posted};
use crate::admit::ReplyBody;
use crate::admit::answer;
use crate::admit::headers::media_type_of;
use crate::admit::media::MediaType;
use crate::admit::refusal::Refusal;
use crate::decode::otlp::formats::{JSON_OVER_HTTP, PROTOBUF_OVER_HTTP};

/// The receiver's name in metrics.
pub(super) const RECEIVER: &str = "otlp_http";

const PROTOBUF: &str = MediaType::Protobuf.name();
const JSON: &str = MediaType::Json.name();

pub(super) static ROUTES: [Route; 3] = [
    Route {
        port: Port::Http,
        path: "/v1/traces",
        formats: &[(PROTOBUF, &PROTOBUF_OVER_HTTP.traces), (JSON, &JSON_OVER_HTTP.traces)],
        receive: |call| Box::pin(receive(call)),
    },
    Route {
        port: Port::Http,
        path: "/v1/logs",
        formats: &[(PROTOBUF, &PROTOBUF_OVER_HTTP.logs), (JSON, &JSON_OVER_HTTP.logs)],
        receive: |call| Box::pin(receive(call)),
    },
    Route {
        port: Port::Http,
        path: "/v1/metrics",
        formats: &[(PROTOBUF, &PROTOBUF_OVER_HTTP.metrics), (JSON, &JSON_OVER_HTTP.metrics)],
        receive: |call| Box::pin(receive(call)),
    },
];

async fn receive(call: Call) -> Response<ReplyBody> {
    let (receivers, signal) = (call.receivers.clone(), call.route.signal());
    let media_type = media_type_of(call.request.headers()).unwrap_or(MediaType::Json);
    let is_http1 = call.request.version() <= Version::HTTP_11;
    let read = caught(read_posted(call)).await;
    let closes = is_http1 && read.is_err();
    let result = match read {
        Ok(read) => caught(receivers.store(read)).await,
        Err(refusal) => Err(refusal),
    };
    receivers.count(RECEIVER, signal, result.as_ref());
    let response = match (result, signal, media_type) {
        (Ok(tally), Some(signal), MediaType::Protobuf) => {
            answer::http(answer::export_protobuf(signal, &tally), media_type)
        }
        (Ok(tally), Some(signal), MediaType::Json) => {
            answer::http(answer::export_json(signal, &tally), media_type)
        }
        (Ok(_), None, _) => Refusal::Panicked.into_http(media_type),
        (Err(refusal), ..) => refusal.into_http(media_type),
    };
    if closes { closing(response) } else { response }
}
