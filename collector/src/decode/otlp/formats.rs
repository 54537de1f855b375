//! The formats of OTLP: three signals, in protobuf over gRPC and HTTP and in JSON over HTTP.
//!
//! What the bytes hold is the same; the ledger tells apart how they came.

use bytes::Bytes;

use super::json::{JsonError, transcode};
use super::logs::decode_logs;
use super::metrics::decode_metrics;
use super::traces::decode_traces;
use crate::decode::{Decode, Format, Unreadable, Valid, valid_protobuf};
use crate::protobuf::messages::Message;
use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
use crate::signal::Signal;

/// The formats of one transport and encoding, by signal.
#[derive(Debug)]
pub struct BySignal {
    pub traces: Format,
    pub logs: Format,
    pub metrics: Format,
}

pub static OVER_GRPC: BySignal = protobuf("otlp_grpc");
pub static PROTOBUF_OVER_HTTP: BySignal = protobuf("otlp_http_protobuf");
pub static JSON_OVER_HTTP: BySignal = BySignal {
    traces: json(TRACES, |text| from_json(&text, &EXPORT_TRACES)),
    logs: json(LOGS, |text| from_json(&text, &EXPORT_LOGS)),
    metrics: json(METRICS, |text| from_json(&text, &EXPORT_METRICS)),
};

type Unpack = fn(Bytes) -> Result<Valid, Unreadable>;

const TRACES: (Signal, Decode) =
    (Signal::Traces, |bytes, _, arrival, out| decode_traces(bytes, arrival, &mut out.spans));
const LOGS: (Signal, Decode) =
    (Signal::Logs, |bytes, _, arrival, out| decode_logs(bytes, arrival, &mut out.logs));
const METRICS: (Signal, Decode) =
    (Signal::Metrics, |bytes, _, arrival, out| decode_metrics(bytes, arrival, &mut out.metrics));

const fn protobuf(source: &'static str) -> BySignal {
    const fn of(source: &'static str, (signal, decode): (Signal, Decode), unpack: Unpack) -> Format {
        Format { name: "otlp_protobuf", signal, source, resends: true, rewrites: false, unpack, decode }
    }
    BySignal {
        traces: of(source, TRACES, |bytes| valid_protobuf(bytes, &EXPORT_TRACES)),
        logs: of(source, LOGS, |bytes| valid_protobuf(bytes, &EXPORT_LOGS)),
        metrics: of(source, METRICS, |bytes| valid_protobuf(bytes, &EXPORT_METRICS)),
    }
}

const fn json((signal, decode): (Signal, Decode), unpack: Unpack) -> Format {
    let source = "otlp_http_json";
    Format { name: "otlp_json", signal, source, resends: true, rewrites: true, unpack, decode }
}

fn from_json(text: &[u8], message: &'static Message) -> Result<Valid, Unreadable> {
    let wire = transcode(text, message).map_err(|error| match error {
        JsonError::TooLarge => Unreadable::TooLarge,
        error => Unreadable::Undecodable(error.to_string()),
    })?;
    valid_protobuf(wire.into(), message)
}
