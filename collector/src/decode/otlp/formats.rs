//! The formats of OTLP: three signals, in protobuf over gRPC and HTTP and in JSON over HTTP.
//!
//! What the bytes hold is the same; the ledger tells apart how they came.

use bytes::Bytes;

use super::json::{self, JsonError, transcode};
use super::logs::{decode_logs, has_times};
use super::metrics::decode_metrics;
use super::traces::decode_traces;
use super::unknown;
use crate::decode::{Decode, Format, Sender, Unreadable, Valid, valid_protobuf};
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
    traces: in_json(TRACES, |text| from_json(&text, &EXPORT_TRACES)),
    logs: in_json(LOGS, |text| from_json(&text, &EXPORT_LOGS)),
    metrics: in_json(METRICS, |text| from_json(&text, &EXPORT_METRICS)),
};

type Unpack = fn(Bytes) -> Result<Valid, Unreadable>;

/// What holds of a signal however it is written.
#[derive(Clone, Copy)]
struct Telemetry {
    signal: Signal,
    resends: fn(&[u8]) -> bool,
    decode: Decode,
}

/// A span without a time is refused, and so is a data point.
const TRACES: Telemetry = Telemetry {
    signal: Signal::Traces,
    resends: |_| true,
    decode: |bytes, _, arrival, out| decode_traces(bytes, arrival, &mut out.spans),
};
const LOGS: Telemetry = Telemetry {
    signal: Signal::Logs,
    resends: |bytes| has_times(bytes).unwrap_or(true),
    decode: |bytes, sender, arrival, out| {
        let lines = match sender {
            Some(Sender::Lines(origin)) => Some(origin),
            Some(Sender::Proxy(_) | Sender::Families(_)) | None => None,
        };
        decode_logs(bytes, lines, arrival, &mut out.logs, &mut out.requests)
    },
};
const METRICS: Telemetry = Telemetry {
    signal: Signal::Metrics,
    resends: |_| true,
    decode: |bytes, _, arrival, out| decode_metrics(bytes, arrival, &mut out.metrics),
};

const fn protobuf(source: &'static str) -> BySignal {
    const fn of(source: &'static str, telemetry: Telemetry, unpack: Unpack) -> Format {
        let Telemetry { signal, resends, decode } = telemetry;
        Format {
            name: "otlp_protobuf",
            signal,
            source,
            resends,
            rewrites: false,
            tells_written: false,
            unpack,
            decode,
        }
    }
    BySignal {
        traces: of(source, TRACES, |bytes| from_protobuf(bytes, &EXPORT_TRACES)),
        logs: of(source, LOGS, |bytes| from_protobuf(bytes, &EXPORT_LOGS)),
        metrics: of(source, METRICS, |bytes| from_protobuf(bytes, &EXPORT_METRICS)),
    }
}

const fn in_json(telemetry: Telemetry, unpack: Unpack) -> Format {
    let Telemetry { signal, resends, decode } = telemetry;
    let source = "otlp_http_json";
    Format {
        name: "otlp_json",
        signal,
        source,
        resends,
        rewrites: true,
        tells_written: false,
        unpack,
        decode,
    }
}

fn from_protobuf(bytes: Bytes, message: &'static Message) -> Result<Valid, Unreadable> {
    let valid = valid_protobuf(bytes, message)?;
    let found_instead = match valid.column_bytes {
        0 => unknown::first_unknown(&valid.bytes, message).map(|field| field.to_string()),
        _ => None,
    };
    Ok(Valid { found_instead, ..valid })
}

fn from_json(text: &[u8], message: &'static Message) -> Result<Valid, Unreadable> {
    let wire = transcode(text, message).map_err(|error| match error {
        JsonError::TooLarge => Unreadable::TooLarge,
        error => Unreadable::Undecodable(error.to_string()),
    })?;
    let valid = valid_protobuf(wire.into(), message)?;
    let found_instead = match valid.column_bytes {
        0 => json::first_unknown(text, message).map(|field| field.to_string()),
        _ => None,
    };
    Ok(Valid { found_instead, ..valid })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message as _;

    use super::*;

    #[test]
    fn an_export_is_known_again_where_its_records_say_when_they_were() {
        let logs = |time_unix_nano| {
            let log_records = vec![LogRecord { time_unix_nano, ..LogRecord::default() }];
            let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
            let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
            ExportLogsServiceRequest { resource_logs }.encode_to_vec()
        };
        for BySignal { traces, logs: of_logs, metrics } in [&OVER_GRPC, &PROTOBUF_OVER_HTTP, &JSON_OVER_HTTP]
        {
            assert!((traces.resends)(b"") && (metrics.resends)(b""));
            assert!((of_logs.resends)(&logs(1)) && !(of_logs.resends)(&logs(0)));
        }
    }
}
