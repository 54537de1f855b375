//! What holds for any bytes from outside, as functions that panic where it does not.
//!
//! A fuzz target (`collector/fuzz`) hands its input to one of these and does nothing else, and a test below
//! hands them the inputs that are kept, so what was found once is looked for by every `cargo test`, without a
//! fuzzer. They stand in the library because what they call is private to it, hidden from its documentation,
//! and without a feature because a feature would be a second build of everything.
//!
//! Limits: rows are held against the payload by their number only; that each holds what was sent is for the
//! decoders' own tests. Here it must be sound: valid Arrow, attributes that read back as the types beside them.

pub mod lines;
pub mod remote_write;

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray as _, StructArray};
use arrow::datatypes::Int32Type;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use meshlake_schema::attributes::{Types, to_json};
use meshlake_schema::{TableBatch, UnixNanos};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::{DecodeError, Message as _};

use crate::admit::inflate::inflate;
use crate::admit::media::Encoding;
use crate::admit::refusal::Refusal;
use crate::decode::envoy_als::{decode_entries, decode_identifier};
use crate::decode::otlp::json::{WIRE_BYTES_MAX, transcode};
use crate::decode::otlp::logs::decode_logs;
use crate::decode::otlp::metrics::decode_metrics;
use crate::decode::otlp::traces::decode_traces;
use crate::decode::{Builders, DECODED};
use crate::intake::{Budget, FUTURE_MAX};
use crate::normalize::requests::proxy::{ProxyIdentity, WorkloadFacts};
use crate::protobuf::messages::Message;
use crate::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;
use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
use crate::protobuf::validate::validate;
use crate::protobuf::wire::WireError;
use crate::signal::Signal;
use crate::tally::{Arrival, Tally};

/// 2026-11-23T07:00:00Z (`date -d 2026-11-23T07:00:00Z +%s`), the hour of the captures.
const NOW: UnixNanos = UnixNanos(1_795_417_200_000_000_000);

/// The most bytes that [`gzip`] and [`zstd`] let come out: the output has then grown three times.
const INFLATED_BYTES_MAX: usize = 256 << 10;

/// Checks a protobuf payload: an export request of OTLP, or for [`Signal::Requests`] a message of Envoy's
/// access log service.
///
/// # Panics
/// When validation refuses what another decoder reads, when a decoder fails on what validation accepts or
/// counts other records than the other decoder, and as [`check_rows`] says.
pub fn protobuf(signal: Signal, payload: &[u8]) {
    let prost = counted_by_prost(signal, payload);
    match validate(payload, message_of(signal)) {
        Ok(_) => {
            let tally = check_rows(|out| decode(signal, payload, out));
            if let Some(Ok(records)) = prost {
                // Where a metric has two `data` of one kind, prost joins them and we take the last.
                let fewer = signal == Signal::Metrics && tally.received < records;
                assert!(tally.received == records || fewer, "{} of {records} records", tally.received);
            }
        }
        Err(error) => {
            // We allow less nesting of groups; of values more than prost does, which counts all messages.
            let stricter = matches!(error, WireError::Group);
            assert!(stricter || !matches!(prost, Some(Ok(_))), "refused, although prost reads it: {error}");
            // Nobody decodes what is not valid; who did would get an error or rows, and no panic.
            let _ = decode(signal, payload, &mut Builders::default());
        }
    }
}

/// Checks a JSON payload of OTLP.
///
/// # Panics
/// When what it becomes is no valid protobuf, is too large or differs from one time to the next, and as
/// [`protobuf`] says.
pub fn json(signal: Signal, text: &[u8]) {
    let wire = transcode(text, message_of(signal));
    assert_eq!(wire, transcode(text, message_of(signal)), "the same text became something else");
    let Ok(wire) = wire else { return };
    assert!(wire.len() <= WIRE_BYTES_MAX, "{} bytes", wire.len());
    assert!(validate(&wire, message_of(signal)).is_ok(), "what was written is not valid");
    if let Some(Err(error)) = counted_by_prost(signal, &wire) {
        // prost counts every message, and we only values: 100 of these are more than its limit of 100.
        assert!(error.to_string().contains("recursion limit"), "prost cannot read what was written: {error}");
    }
    protobuf(signal, &wire);
}

/// Checks a body that is said to be gzip.
///
/// # Panics
/// When more comes out than the limit allows or than was paid for, or when the limit is not exact.
pub fn gzip(packed: &[u8]) {
    check_inflate(packed, Encoding::Gzip);
}

/// Checks a body that is said to be zstd.
///
/// # Panics
/// As [`gzip`].
pub fn zstd(packed: &[u8]) {
    check_inflate(packed, Encoding::Zstd);
}

fn message_of(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &EXPORT_TRACES,
        Signal::Logs => &EXPORT_LOGS,
        Signal::Metrics => &EXPORT_METRICS,
        Signal::Requests => &STREAM_ACCESS_LOGS_MESSAGE,
    }
}

fn decode(signal: Signal, payload: &[u8], out: &mut Builders) -> Result<Tally, WireError> {
    // A retention without end, so that few records are refused for their time alone.
    let (earliest, latest) = (UnixNanos(0), NOW.plus(FUTURE_MAX));
    let arrival = Arrival { tenant: "default", ingest_time: NOW, earliest, latest };
    match signal {
        Signal::Traces => decode_traces(payload, &arrival, &mut out.spans),
        Signal::Logs => decode_logs(payload, None, &arrival, &mut out.logs, &mut out.requests),
        Signal::Metrics => decode_metrics(payload, &arrival, &mut out.metrics),
        Signal::Requests => {
            let said_before = || ProxyIdentity::new("", "", WorkloadFacts::default());
            let proxy = decode_identifier(payload)?.unwrap_or_else(said_before);
            decode_entries(payload, &proxy, &arrival, &mut out.peers, &mut out.requests)
        }
    }
}

/// How many records prost finds; `None` where it has no such message.
fn counted_by_prost(signal: Signal, payload: &[u8]) -> Option<Result<u64, DecodeError>> {
    let records = match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(payload).map(|request| {
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum::<usize>()
        }),
        Signal::Logs => ExportLogsServiceRequest::decode(payload).map(|request| {
            let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            scopes.map(|scope| scope.log_records.len()).sum()
        }),
        Signal::Metrics => ExportMetricsServiceRequest::decode(payload).map(|request| {
            let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
            scopes.flat_map(|scope| &scope.metrics).map(|metric| points_of(metric.data.as_ref())).sum()
        }),
        Signal::Requests => return None,
    };
    Some(records.map(|records| records as u64))
}

fn points_of(data: Option<&Data>) -> usize {
    match data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    }
}

/// Decodes a valid payload three times into the same builders: alone, then twice into one batch.
///
/// # Panics
/// When decoding fails, the tally does not balance or differs from time to time, there are other than
/// `accepted` rows, a row is not sound, or a row depends on those before it.
fn check_rows(decode: impl Fn(&mut Builders) -> Result<Tally, WireError>) -> Tally {
    let mut builders = Builders::default();
    let tally = decode(&mut builders).expect("what validation accepts is decoded");
    assert_eq!(tally.received, tally.accepted + tally.rejected_count());
    let reasons: BTreeSet<_> = tally.rejected.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons.len(), tally.rejected.len(), "each reason once: {:?}", tally.rejected);
    assert_eq!(builders.rows().iter().sum::<usize>() as u64, tally.accepted);
    let alone = builders.finish();
    assert_eq!(alone.iter().map(TableBatch::row_count).sum::<usize>() as u64, tally.accepted);
    assert_eq!(builders.rows(), [0; DECODED.len()], "rows were left behind");
    alone.iter().for_each(check_batch);

    for _ in 0..2 {
        assert_eq!(decode(&mut builders).as_ref(), Ok(&tally));
    }
    let twice = builders.finish();
    assert_eq!(twice.len(), alone.len());
    for (alone, twice) in alone.iter().zip(&twice) {
        let count = alone.row_count();
        assert_eq!(twice.row_count(), 2 * count);
        for first in [0, count] {
            let again = twice.rows().slice(first, count);
            let differs = alone.rows().columns().iter().zip(again.columns()).position(|(a, b)| a != b);
            let name = differs.map(|column| alone.table().columns()[column].name);
            assert_eq!(name, None, "differs from row {first} on");
        }
    }
    tally
}

fn check_batch(batch: &TableBatch) {
    let rows = StructArray::from(batch.rows().clone());
    rows.to_data().validate_full().expect("valid Arrow");
    check_attributes(&rows);
    for name in ["events", "links", "exemplars"] {
        if let Some(list) = rows.column_by_name(name) {
            check_attributes(list.as_list::<i32>().values().as_struct());
        }
    }
    for (name, types_name) in [
        ("resource", "resource_types"),
        ("scope_attributes", "scope_attribute_types"),
        ("metric_metadata", "metric_metadata_types"),
    ] {
        let columns = rows.column_by_name(name).zip(rows.column_by_name(types_name));
        for row in 0..columns.map_or(0, |_| rows.len()) {
            let texts = columns.and_then(|(texts, types)| text_at(texts, row).zip(text_at(types, row)));
            if let Some((text, types)) = texts {
                check_value(text, &format!("{{{types}}}"));
            }
        }
    }
    if let Some((bodies, types)) = rows.column_by_name("body").zip(rows.column_by_name("body_type")) {
        for row in 0..rows.len() {
            if let Some(value_type) = text_at(types, row) {
                check_value(text_at(bodies, row).unwrap_or_default(), value_type);
            }
        }
    }
}

/// Checks the columns `attributes` and `attribute_types`, if there are such.
fn check_attributes(rows: &StructArray) {
    let columns = rows.column_by_name("attributes").zip(rows.column_by_name("attribute_types"));
    let Some((attributes, types)) = columns else { return };
    let attributes = attributes.as_map();
    for row in 0..rows.len() {
        let entries = attributes.value(row);
        let texts = entries.column(1).as_string::<i32>();
        let written = text_at(types, row).expect("never null");
        let types: Vec<_> = Types::new(written).collect();
        assert_eq!(types.concat(), written, "whole types");
        assert_eq!(types.len(), texts.len(), "one type for each entry: {written}");
        for (at, value_type) in types.into_iter().enumerate() {
            check_value(texts.value(at), value_type);
        }
    }
}

/// Checks that a text reads back as its type, by the grammar of `meshlake_schema::attributes`.
fn check_value(text: &str, value_type: &str) {
    let json = to_json(text, value_type);
    let fits = match value_type.as_bytes().first() {
        Some(b's') => true,
        Some(b'i') => json.is_i64(),
        Some(b'd') => text.parse::<f64>().is_ok(),
        Some(b'b') => json.is_boolean(),
        Some(b'y') => STANDARD.decode(text).is_ok(),
        Some(b'n') => text.is_empty(),
        Some(b'[') => json.is_array(),
        Some(b'{') => json.is_object(),
        _ => false,
    };
    assert!(fits, "{text:?} is not of type {value_type}");
}

/// The text of a row, in a plain or a dictionary column.
fn text_at(column: &dyn Array, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.as_dictionary_opt::<Int32Type>() {
        Some(column) => column.values().as_string::<i32>().value(column.keys().value(row) as usize),
        None => column.as_string::<i32>().value(row),
    })
}

fn check_inflate(packed: &[u8], encoding: Encoding) {
    match inflated_within(INFLATED_BYTES_MAX, packed, encoding) {
        Ok(whole) => {
            let exact = inflated_within(whole.len(), packed, encoding);
            assert!(exact.as_ref() == Ok(&whole), "{} bytes are refused at this limit", whole.len());
            if let Some(limit_bytes) = whole.len().checked_sub(1) {
                let above = inflated_within(limit_bytes, packed, encoding);
                assert!(matches!(above, Err(Refusal::TooLarge { .. })), "{limit_bytes} bytes: {above:?}");
            }
        }
        Err(Refusal::TooLarge { .. } | Refusal::Undecodable(_)) => {}
        Err(refusal) => panic!("no fault of the sender: {refusal}"),
    }
}

fn inflated_within(limit_bytes: usize, packed: &[u8], encoding: Encoding) -> Result<Bytes, Refusal> {
    // One byte above the limit may be taken, as it tells "too large"; not one more.
    let budget = Budget::new(packed.len() + limit_bytes + 1);
    let mut tickets = budget.take(packed.len()).expect("all is free");
    let inflated = inflate(Bytes::copy_from_slice(packed), encoding, limit_bytes, &mut tickets)?;
    assert!(inflated.len() <= limit_bytes, "{} bytes of {limit_bytes}", inflated.len());
    assert!(tickets.bytes() >= packed.len() + inflated.len(), "every byte is paid for");
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::catch_unwind;
    use std::path::{Path, PathBuf};

    use super::*;

    type Target = (&'static str, fn(&[u8]));

    /// The targets of `collector/fuzz`, by name.
    const TARGETS: [Target; 14] = [
        ("access_log_formats", lines::formats),
        ("access_log_lines", lines::known),
        ("envoy_als", |bytes| protobuf(Signal::Requests, bytes)),
        ("gzip", gzip),
        ("logs_json", |bytes| json(Signal::Logs, bytes)),
        ("logs_protobuf", |bytes| protobuf(Signal::Logs, bytes)),
        ("metrics_json", |bytes| json(Signal::Metrics, bytes)),
        ("metrics_protobuf", |bytes| protobuf(Signal::Metrics, bytes)),
        ("remote_write_1", remote_write::version_1),
        ("remote_write_2", remote_write::version_2),
        ("syslog", lines::syslog),
        ("traces_json", |bytes| json(Signal::Traces, bytes)),
        ("traces_protobuf", |bytes| protobuf(Signal::Traces, bytes)),
        ("zstd", zstd),
    ];

    fn sorted_paths(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a listed file").path()).collect();
        paths.sort();
        paths
    }

    #[test]
    fn every_kept_input_passes() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let stems = |directory: PathBuf| {
            let paths = sorted_paths(&directory);
            paths.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let names = TARGETS.map(|(name, _)| name);
        assert_eq!(stems(directory.join("fuzz_targets")), names);
        assert_eq!(stems(directory.join("corpus")), names);
        let mut failed = Vec::new();
        for (name, check) in TARGETS {
            for path in sorted_paths(&directory.join("corpus").join(name)) {
                let input = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
                if catch_unwind(|| check(&input)).is_err() {
                    failed.push(path);
                }
            }
        }
        assert_eq!(failed, Vec::<PathBuf>::new());
    }
}
