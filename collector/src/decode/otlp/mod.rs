//! OTLP, protobuf and JSON: traces, logs and metrics.
//!
//! JSON is rewritten as protobuf first, so that there is one way into the columns.
//!
//! Limits: an embedded message that a sender splits into several occurrences of its field (legal, written
//! by no encoder known) counts with its last one. `entity_refs` of a resource (in development in OTLP)
//! and references into a profile's string table (`*_strindex`) have no column and are not kept.

pub mod json;
pub mod traces;
pub mod logs;
pub mod metrics;
mod resource;
mod value_writer;
mod any_value;
mod limits;
#[cfg(test)]
mod testing;

use crate::columns::{DictionaryColumn, TextColumn};
use crate::tally::Warning;
use value_writer::ValueWriter;

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

/// Pushes an id of `BYTES` bytes as hex. An absent id is null; so is an invalid one (of another length, or
/// all zero), with a warning.
fn push_id<const BYTES: usize>(column: &mut TextColumn, id: &[u8], writer: &mut ValueWriter) {
    if id.len() == BYTES && !is_zero(id) {
        return column.push_hex(id);
    }
    column.push_null();
    writer.warn(Warning::IdDropped, u64::from(!id.is_empty()));
}

fn is_zero(id: &[u8]) -> bool {
    id.iter().all(|byte| *byte == 0)
}

/// Pushes text of a string field whose default, the empty string, is stored as null.
fn push_non_empty(column: &mut DictionaryColumn, text: &[u8], writer: &mut ValueWriter) {
    match text {
        [] => column.push_null(),
        text => writer.push_repeating(column, text),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogram, Gauge, Histogram, Summary};
    use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
    use prost::Message as _;

    use super::testing::random::Random;
    use super::*;
    use crate::protobuf::messages::Message;
    use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
    use crate::protobuf::validate::validate;
    use crate::protobuf::wire::WireError;
    use crate::tally::Tally;

    fn traces(random: &mut Random) -> Vec<u8> {
        let spans = vec![random.span(), random.span()];
        let scope = Some(random.scope());
        let scope_spans = vec![ScopeSpans { scope, spans, schema_url: String::new() }];
        let resource = Some(random.resource());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    fn logs(random: &mut Random) -> Vec<u8> {
        let log_records = vec![random.log_record(), random.log_record()];
        let scope = Some(random.scope());
        let scope_logs = vec![ScopeLogs { scope, log_records, schema_url: String::new() }];
        let resource = Some(random.resource());
        let resource_logs = vec![ResourceLogs { resource, scope_logs, schema_url: String::new() }];
        ExportLogsServiceRequest { resource_logs }.encode_to_vec()
    }

    fn metrics(random: &mut Random) -> Vec<u8> {
        let temporality = 2;
        let shapes = [
            Data::Gauge(Gauge { data_points: vec![random.number()] }),
            Data::Histogram(Histogram {
                data_points: vec![random.histogram()],
                aggregation_temporality: temporality,
            }),
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![random.exp_histogram()],
                aggregation_temporality: temporality,
            }),
            Data::Summary(Summary { data_points: vec![random.summary()] }),
        ];
        let metrics = shapes.into_iter().map(|data| Metric { data: Some(data), ..Metric::default() });
        let scope = Some(random.scope());
        let scope_metrics =
            vec![ScopeMetrics { scope, metrics: metrics.collect(), schema_url: String::new() }];
        let resource = Some(random.resource());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, schema_url: String::new() }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    }

    /// Damages payloads at random and decodes those that are still valid: the contract between the
    /// validation and the decoders, on which the shared builders rest.
    fn check_valid_payloads_decode(
        message: &'static Message,
        payload: impl Fn(&mut Random) -> Vec<u8>,
        mut decode: impl FnMut(&[u8]) -> Result<Tally, WireError>,
    ) -> u64 {
        let (mut accepted, mut valid) = (0, 0);
        for seed in 0..40 {
            let mut random = Random(seed);
            let whole = payload(&mut random);
            for _ in 0..150 {
                let mut damaged = whole.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(damaged.len());
                    damaged[at] = random.next() as u8;
                }
                if validate(&damaged, message).is_ok() {
                    valid += 1;
                    let tally = decode(&damaged).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                    assert_eq!(tally.received, tally.accepted + tally.rejected_count(), "seed {seed}");
                    accepted += tally.accepted;
                }
            }
        }
        assert!(valid > 100, "only {valid} payloads stayed valid: the damage is too great to test anything");
        accepted
    }

    #[test]
    fn what_validation_lets_pass_decodes_to_whole_rows() {
        let arrival = testing::arrival();
        let (mut spans, mut records) = (traces::SpanBuilder::default(), logs::LogBuilder::default());
        let mut points = metrics::MetricBuilders::default();
        let accepted = check_valid_payloads_decode(&EXPORT_TRACES, traces, |payload| {
            traces::decode_traces(payload, &arrival, &mut spans)
        });
        assert_eq!(spans.finish().map(|batch| batch.row_count() as u64), Some(accepted));
        let accepted = check_valid_payloads_decode(&EXPORT_LOGS, logs, |payload| {
            logs::decode_logs(payload, &arrival, &mut records)
        });
        assert_eq!(records.finish().map(|batch| batch.row_count() as u64), Some(accepted));
        let accepted = check_valid_payloads_decode(&EXPORT_METRICS, metrics, |payload| {
            metrics::decode_metrics(payload, &arrival, &mut points)
        });
        let rows = points.finish().iter().map(|batch| batch.row_count() as u64).sum::<u64>();
        assert_eq!(rows, accepted);
    }
}
