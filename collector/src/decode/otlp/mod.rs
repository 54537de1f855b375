//! OTLP, protobuf and JSON: traces, logs and metrics.
//!
//! JSON is rewritten as protobuf first, so that there is one way into the columns.
//!
//! Limits: an embedded message that a sender splits into several occurrences of its field (legal, written
//! by no encoder known) counts with its last one. `entity_refs` of a resource (in development in OTLP)
//! and references into a profile's string table (`*_strindex`) have no column and are not kept.

pub mod formats;
pub mod json;
pub mod traces;
pub mod logs;
mod access_logs;
pub mod metrics;
pub mod unknown;
mod resource;
mod value_writer;
mod any_value;
mod decimal;
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
    use meshlake_schema::TableBatch;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
    use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogram, Gauge, Histogram, Summary};
    use opentelemetry_proto::tonic::metrics::v1::{
        ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint,
    };
    use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::testing::random::Random;
    use super::*;
    use crate::metric_rows::MetricBuilders;
    use crate::protobuf::messages::Message;
    use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
    use crate::protobuf::validate::validate;
    use crate::protobuf::wire::WireError;
    use crate::request_rows::RequestBuilder;
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
        let mut requests = RequestBuilder::default();
        let mut points = MetricBuilders::default();
        let accepted = check_valid_payloads_decode(&EXPORT_TRACES, traces, |payload| {
            traces::decode_traces(payload, &arrival, &mut spans)
        });
        assert_eq!(spans.finish().map(|batch| batch.row_count() as u64), Some(accepted));
        let accepted = check_valid_payloads_decode(&EXPORT_LOGS, logs, |payload| {
            logs::decode_logs(payload, None, &arrival, &mut records, &mut requests)
        });
        assert_eq!(records.finish().map(|batch| batch.row_count() as u64), Some(accepted));
        let accepted = check_valid_payloads_decode(&EXPORT_METRICS, metrics, |payload| {
            metrics::decode_metrics(payload, &arrival, &mut points)
        });
        let rows = points.finish().iter().map(|batch| batch.row_count() as u64).sum::<u64>();
        assert_eq!(rows, accepted);
    }

    /// What validation counts for rows is what the columns then take: at least half of it, and at most that and three
    /// times the bytes sent, since ids become hex digits.
    #[test]
    fn what_rows_take_in_columns_is_as_counted() {
        const RECORDS: usize = 2_000;
        let arrival = testing::arrival();
        let time = u64::try_from(arrival.ingest_time.0).expect("after 1970");
        let compare = |message, payload: &[u8], batches: Vec<TableBatch>| {
            let counted = validate(payload, message).expect("valid");
            let rows: usize = batches.iter().map(TableBatch::row_count).sum();
            let taken: usize = batches.iter().map(TableBatch::memory_bytes).sum();
            assert_eq!(rows, RECORDS);
            assert!(
                taken >= counted / 2 && taken <= counted + 3 * payload.len(),
                "{counted} counted, {taken} taken"
            );
        };

        let events = vec![Event::default(); 100];
        for (events, name) in [(vec![], "span"), (events, "events")] {
            let span = Span {
                trace_id: vec![1; 16],
                span_id: vec![2; 8],
                start_time_unix_nano: time,
                end_time_unix_nano: time,
                events,
                ..Span::default()
            };
            let scope_spans = vec![ScopeSpans { spans: vec![span; RECORDS], ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
            let payload = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
            let mut spans = traces::SpanBuilder::default();
            traces::decode_traces(&payload, &arrival, &mut spans).expect(name);
            compare(&EXPORT_TRACES, &payload, Vec::from_iter(spans.finish()));
        }

        let log_records = vec![LogRecord::default(); RECORDS];
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        let payload = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
        let mut records = logs::LogBuilder::default();
        let mut requests = RequestBuilder::default();
        logs::decode_logs(&payload, None, &arrival, &mut records, &mut requests).expect("valid");
        compare(&EXPORT_LOGS, &payload, Vec::from_iter(records.finish()));

        let number =
            NumberDataPoint { time_unix_nano: time, value: Some(Value::AsInt(1)), ..Default::default() };
        let histogram = HistogramDataPoint { time_unix_nano: time, ..Default::default() };
        let buckets = Buckets { offset: 0, bucket_counts: vec![0; 500] };
        let exponential = ExponentialHistogramDataPoint {
            time_unix_nano: time,
            positive: Some(buckets),
            ..Default::default()
        };
        let summary = SummaryDataPoint {
            time_unix_nano: time,
            quantile_values: vec![ValueAtQuantile::default(); 50],
            ..Default::default()
        };
        let shapes = [
            Data::Gauge(Gauge { data_points: vec![number; RECORDS] }),
            Data::Histogram(Histogram { data_points: vec![histogram; RECORDS], aggregation_temporality: 2 }),
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential; RECORDS],
                aggregation_temporality: 2,
            }),
            Data::Summary(Summary { data_points: vec![summary; RECORDS] }),
        ];
        for data in shapes {
            let metrics = vec![Metric { data: Some(data), ..Metric::default() }];
            let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
            let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
            let payload = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
            let mut points = MetricBuilders::default();
            metrics::decode_metrics(&payload, &arrival, &mut points).expect("valid");
            compare(&EXPORT_METRICS, &payload, points.finish());
        }
    }
}
