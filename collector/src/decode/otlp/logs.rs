//! OTLP logs: an `ExportLogsServiceRequest` to rows of `logs`.
//!
//! Logs come without times and with broken ids more often than spans do, and are worth keeping all the
//! same: a missing time is filled in, an invalid id is left out, both visibly.
//!
//! Records that are access logs of proxies become rows of `requests` instead; see `access_logs`.
//!
//! Sources: opentelemetry/proto/collector/logs/v1/logs_service.proto, logs/v1/logs.proto.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use meshlake_schema::{Table, TableBatch, UnixNanos};

use crate::access_log::origin::LineOrigin;
use crate::access_log::rows::LineReader;
use crate::columns::attributes::AttributesColumn;
use crate::columns::origin::{OriginColumns, Resource, Scope};
use crate::columns::{DictionaryColumn, NumberColumn, TextColumn};
use crate::decode::otlp::access_logs::{Candidate, Logger};
use crate::decode::otlp::any_value::AnyValue;
use crate::decode::otlp::value_writer::ValueWriter;
use crate::decode::otlp::{SPAN_ID_BYTES, TRACE_ID_BYTES, push_id, push_non_empty};
use crate::limits::BODY_BYTES_MAX;
use crate::normalize::requests::facts::TraceContext;
use crate::protobuf::wire::{Fields, Value, WireError, repeated};
use crate::request_rows::RequestBuilder;
use crate::tally::{Arrival, RejectReason, Tally};

/// A `LogRecord` message as it lies in the payload.
#[derive(Debug, Default)]
struct LogRecord<'a> {
    time_unix_nano: u64,
    observed_time_unix_nano: u64,
    severity_number: i32,
    severity_text: &'a [u8],
    body: Option<&'a [u8]>,
    event_name: &'a [u8],
    trace_id: &'a [u8],
    span_id: &'a [u8],
    flags: u32,
    attributes: Vec<&'a [u8]>,
    dropped_attributes: u32,
}

/// Decodes the log records of one request, one row each, in the order sent: access logs into `requests`, all others into
/// `out`. What is known of a sender who passes on `lines` tells access logs of other programs than Envoy.
///
/// `time` is the record's time, else its observed time, else the ingest time; a record is refused only when
/// that lies outside the accepted window. An invalid id becomes null, with a warning.
///
/// # Errors
/// A payload that was not validated; `out` may then hold part of a row.
pub fn decode_logs(
    payload: &[u8],
    lines: Option<&LineOrigin>,
    arrival: &Arrival<'_>,
    out: &mut LogBuilder,
    requests: &mut RequestBuilder,
) -> Result<Tally, WireError> {
    let mut tally = Tally::of(arrival);
    let mut record = LogRecord::default();
    let mut writer = ValueWriter::default();
    for resource_logs in repeated(payload, 1) {
        let resource_logs = resource_logs?;
        let resource = Resource::read(resource_logs, &mut writer)?;
        let logger = Logger::read(resource_logs, lines, &mut writer)?;
        let unsaid = LineOrigin::default();
        let mut reader = LineReader::new(logger.origin.as_ref().unwrap_or(&unsaid));
        out.origin.begin_resource();
        for scope_logs in repeated(resource_logs, 2) {
            let (mut scope, mut schema_url) = ([].as_slice(), [].as_slice());
            for field in Fields::new(scope_logs?) {
                match field? {
                    (1, value) => scope = value.bytes(1)?,
                    (2, value) => {
                        record.read(value.bytes(2)?)?;
                        let candidate = record.candidate();
                        if let Some(found) = logger.of(&candidate, &reader)? {
                            let logged = logger.record(&found, &candidate, &mut writer)?;
                            reader.push_record(&logged, found.proxy(), arrival, requests, &mut tally);
                            continue;
                        }
                        let accepted = record.accepted_time(arrival);
                        if let Ok(time) = accepted {
                            out.push(&record, time, &mut writer)?;
                        }
                        tally.count(accepted.map(drop));
                    }
                    (3, value) => schema_url = value.bytes(3)?,
                    _ => {}
                }
            }
            let scope = Scope::read(scope, schema_url, &mut writer)?;
            out.origin.fill(arrival, &resource, &scope, out.time.len());
        }
    }
    tally.warnings.merge(&writer.warnings());
    Ok(tally)
}

/// Whether some record of a validated payload says when it was, be it only when it was observed. Where none does, two
/// exports of the same bytes may well be two events, and nothing tells a retry from them.
///
/// # Errors
/// A payload that was not validated.
pub fn has_times(payload: &[u8]) -> Result<bool, WireError> {
    for resource_logs in repeated(payload, 1) {
        for scope_logs in repeated(resource_logs?, 2) {
            for record in repeated(scope_logs?, 2) {
                for field in Fields::new(record?) {
                    let (TIME | OBSERVED_TIME, value) = field? else { continue };
                    if value != Value::Fixed64(0) {
                        return Ok(true);
                    }
                }
            }
        }
    }
    Ok(false)
}

/// Fields of `LogRecord`.
const TIME: u32 = 1;
const OBSERVED_TIME: u32 = 11;

impl<'a> LogRecord<'a> {
    /// Notes the fields of a message; whatever was noted before is forgotten.
    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.attributes.clear();
        *self = LogRecord { attributes: std::mem::take(&mut self.attributes), ..LogRecord::default() };
        for field in Fields::new(message) {
            match field? {
                (TIME, value) => self.time_unix_nano = value.fixed64(TIME)?,
                (2, value) => self.severity_number = value.varint(2)? as i32,
                (3, value) => self.severity_text = value.bytes(3)?,
                (5, value) => self.body = Some(value.bytes(5)?),
                (6, value) => self.attributes.push(value.bytes(6)?),
                (7, value) => self.dropped_attributes = value.varint(7)? as u32,
                (8, value) => self.flags = value.fixed32(8)?,
                (9, value) => self.trace_id = value.bytes(9)?,
                (10, value) => self.span_id = value.bytes(10)?,
                (OBSERVED_TIME, value) => {
                    self.observed_time_unix_nano = value.fixed64(OBSERVED_TIME)?;
                }
                (12, value) => self.event_name = value.bytes(12)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What tells whether it is an access log.
    fn candidate(&self) -> Candidate<'_> {
        let trace_id = self.trace_id.try_into().ok().filter(|id| *id != [0; TRACE_ID_BYTES]);
        let span_id = self.span_id.try_into().unwrap_or_default();
        Candidate {
            time_unix_nano: self.time_unix_nano,
            is_observed: self.observed_time_unix_nano != 0 || self.severity_number != 0,
            body: self.body,
            attributes: &self.attributes,
            trace_context: trace_id.map(|trace_id| TraceContext { trace_id, span_id }),
        }
    }

    fn accepted_time(&self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        match (self.time_unix_nano, self.observed_time_unix_nano) {
            (0, 0) => Ok(arrival.ingest_time),
            (0, observed) => arrival.accepted_time(observed),
            (time, _) => arrival.accepted_time(time),
        }
    }
}

/// Rows of `logs` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct LogBuilder {
    origin: OriginColumns,
    time: NumberColumn<TimestampMicrosecondType>,
    time_unix_nano: NumberColumn<Int64Type>,
    observed_time_unix_nano: NumberColumn<Int64Type>,
    severity_number: NumberColumn<Int32Type>,
    severity_text: DictionaryColumn,
    body: TextColumn,
    body_type: DictionaryColumn,
    event_name: DictionaryColumn,
    trace_id: TextColumn,
    span_id: TextColumn,
    flags: NumberColumn<Int64Type>,
    dropped_attributes: NumberColumn<Int64Type>,
    attributes: AttributesColumn,
    attribute_types: DictionaryColumn,
}

impl LogBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        if self.rows() == 0 {
            return None;
        }
        let mut columns = Vec::with_capacity(Table::Logs.columns().len());
        columns.extend(self.origin.finish_arrival());
        columns.extend(self.finish_own());
        columns.extend(self.origin.finish_origin());
        columns.extend([self.attributes.finish(), self.attribute_types.finish()]);
        let batch = RecordBatch::try_new(Arc::clone(Table::Logs.schema()), columns)
            .expect("every row is pushed to every column, in the order of the table");
        Some(TableBatch::try_new(Table::Logs, batch).expect("the schema is the table's own"))
    }

    fn finish_own(&mut self) -> [ArrayRef; 12] {
        [
            self.time.finish_utc(),
            self.time_unix_nano.finish(),
            self.observed_time_unix_nano.finish(),
            self.severity_number.finish(),
            self.severity_text.finish(),
            self.body.finish(),
            self.body_type.finish(),
            self.event_name.finish(),
            self.trace_id.finish(),
            self.span_id.finish(),
            self.flags.finish(),
            self.dropped_attributes.finish(),
        ]
    }

    /// Pushes a record that was accepted with `time`.
    fn push(
        &mut self,
        record: &LogRecord<'_>,
        time: UnixNanos,
        writer: &mut ValueWriter,
    ) -> Result<(), WireError> {
        self.time.push(time.micros());
        // Null when the sender set none.
        let mut set = |unix_nano| (unix_nano != 0).then(|| writer.time(unix_nano));
        self.time_unix_nano.push_option(set(record.time_unix_nano));
        self.observed_time_unix_nano.push_option(set(record.observed_time_unix_nano));
        self.severity_number.push(record.severity_number);
        push_non_empty(&mut self.severity_text, record.severity_text, writer);
        self.push_body(record.body, writer)?;
        push_non_empty(&mut self.event_name, record.event_name, writer);
        push_id::<TRACE_ID_BYTES>(&mut self.trace_id, record.trace_id, writer);
        push_id::<SPAN_ID_BYTES>(&mut self.span_id, record.span_id, writer);
        self.flags.push(i64::from(record.flags));
        let mut left_out = 0;
        for message in &record.attributes {
            left_out += writer.push_sent(&mut self.attributes, message)?;
        }
        writer.end_row(&mut self.attributes, &mut self.attribute_types);
        self.dropped_attributes.push(i64::from(record.dropped_attributes) + i64::from(left_out));
        Ok(())
    }

    fn push_body(&mut self, body: Option<&[u8]>, writer: &mut ValueWriter) -> Result<(), WireError> {
        let Some(body) = body else {
            self.body.push_null();
            self.body_type.push_null();
            return Ok(());
        };
        match AnyValue::read(body)? {
            // Like no body to a reader; its type tells the two apart.
            AnyValue::Unset => {
                self.body.push_null();
                self.body_type.push("n");
            }
            AnyValue::String(text) if text.len() <= BODY_BYTES_MAX => {
                writer.push_text(&mut self.body, text);
                self.body_type.push("s");
            }
            value => {
                let (text, value_type) = writer.body(value)?;
                self.body.push(text);
                self.body_type.push(value_type);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::logs::v1 as otlp;
    use prost::Message as _;

    use super::*;
    use crate::decode::otlp::testing::random::Random;
    use crate::decode::otlp::testing::rebuild;
    use crate::decode::otlp::testing::row::Row;
    use crate::decode::otlp::testing::{NOW, any, array, arrival, entry, int, list, string};
    use crate::limits::ATTRIBUTES_MAX;
    use crate::tally::Warning;

    fn request(log_records: Vec<otlp::LogRecord>) -> ExportLogsServiceRequest {
        let scope_logs = vec![otlp::ScopeLogs { log_records, ..otlp::ScopeLogs::default() }];
        let resource_logs = vec![otlp::ResourceLogs { scope_logs, ..otlp::ResourceLogs::default() }];
        ExportLogsServiceRequest { resource_logs }
    }

    fn decode(payload: &[u8]) -> (RecordBatch, Tally) {
        let mut builder = LogBuilder::default();
        let mut requests = RequestBuilder::default();
        let tally = decode_logs(payload, None, &arrival(), &mut builder, &mut requests);
        let tally = tally.expect("the payload is well-formed");
        assert_eq!(requests.rows(), 0);
        (builder.finish().expect("some record is accepted").into_rows(), tally)
    }

    fn decode_record(record: otlp::LogRecord) -> Row {
        let (batch, tally) = decode(&request(vec![record]).encode_to_vec());
        assert_eq!((tally.accepted, tally.rejected_count()), (1, 0));
        Row::of(&batch, 0)
    }

    #[test]
    fn every_field_has_its_column() {
        let row = decode_record(otlp::LogRecord {
            time_unix_nano: NOW + 1_500,
            observed_time_unix_nano: NOW + 9_000,
            severity_number: 17,
            severity_text: "ERROR".into(),
            body: Some(string("it broke")),
            attributes: vec![entry("k", array(vec![int(1), string("a")]))],
            dropped_attributes_count: 3,
            flags: 1,
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            event_name: "device.app.lifecycle".into(),
        });
        assert_eq!(row.text("tenant").as_deref(), Some("acme"));
        assert_eq!(row.micros("ingest_time"), Some(NOW as i64 / 1000));
        assert_eq!(row.micros("time"), Some(NOW as i64 / 1000 + 1));
        assert_eq!(row.int("time_unix_nano"), Some(NOW as i64 + 1_500));
        assert_eq!(row.int("observed_time_unix_nano"), Some(NOW as i64 + 9_000));
        assert_eq!(row.int32("severity_number"), Some(17));
        assert_eq!(row.text("severity_text").as_deref(), Some("ERROR"));
        assert_eq!(row.text("body").as_deref(), Some("it broke"));
        assert_eq!(row.text("body_type").as_deref(), Some("s"));
        assert_eq!(row.text("event_name").as_deref(), Some("device.app.lifecycle"));
        assert_eq!(row.text("trace_id"), Some("ab".repeat(16)));
        assert_eq!(row.text("span_id"), Some("cd".repeat(8)));
        assert_eq!((row.int("flags"), row.int("dropped_attributes_count")), (Some(1), Some(3)));
        assert_eq!(row.map(), [("k".to_owned(), "[1,\"a\"]".to_owned())]);
        assert_eq!(row.text("attribute_types").as_deref(), Some("[is]"));
    }

    #[test]
    fn a_missing_time_is_filled_in() {
        let times = |time_unix_nano, observed_time_unix_nano| {
            let row = decode_record(otlp::LogRecord {
                time_unix_nano,
                observed_time_unix_nano,
                ..otlp::LogRecord::default()
            });
            (row.micros("time"), row.int("time_unix_nano"), row.int("observed_time_unix_nano"))
        };
        let now = NOW as i64;
        assert_eq!(times(NOW + 1_000, 0), (Some(now / 1000 + 1), Some(now + 1_000), None));
        assert_eq!(times(0, NOW + 2_000), (Some(now / 1000 + 2), None, Some(now + 2_000)));
        assert_eq!(times(0, 0), (Some(now / 1000), None, None), "the ingest time");
    }

    #[test]
    fn one_time_of_any_kind_tells_exports_apart() {
        let record = |time_unix_nano, observed_time_unix_nano| otlp::LogRecord {
            time_unix_nano,
            observed_time_unix_nano,
            trace_id: vec![1; 16],
            body: Some(string("job started")),
            ..otlp::LogRecord::default()
        };
        let has_times = |records| has_times(&request(records).encode_to_vec()).expect("well-formed");
        assert!(!has_times(vec![]));
        assert!(!has_times(vec![record(0, 0), record(0, 0)]));
        assert!(has_times(vec![record(0, 0), record(NOW, 0)]));
        assert!(has_times(vec![record(0, NOW)]));
        // A time of zero that stands on the wire, which encoders may write out.
        let record = [b"\x09".as_slice(), &[0; 8], b"\x59", &[0; 8]].concat();
        let payload = [0x12, 0x12, 0x0a].into_iter().fold(record, |inner, tag| {
            [&[tag, u8::try_from(inner.len()).expect("short")], inner.as_slice()].concat()
        });
        assert_eq!(super::has_times(&payload), Ok(false));
    }

    #[test]
    fn only_a_time_outside_the_window_is_refused() {
        let record = |time_unix_nano, observed_time_unix_nano| otlp::LogRecord {
            time_unix_nano,
            observed_time_unix_nano,
            ..otlp::LogRecord::default()
        };
        // The observed time counts only where there is no other.
        let records = vec![record(1, NOW), record(NOW, 1), record(0, 1), record(u64::MAX, 0)];
        let (batch, tally) = decode(&request(records).encode_to_vec());
        assert_eq!(tally.rejected, [(RejectReason::TimeOutOfRange, 3)]);
        assert_eq!((tally.received, tally.accepted, batch.num_rows()), (4, 1, 1));
    }

    #[test]
    fn invalid_ids_are_left_out_and_counted() {
        let record = |trace_id: &[u8], span_id: &[u8]| otlp::LogRecord {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            ..otlp::LogRecord::default()
        };
        let records = vec![
            record(&[1; 15], &[1; 8]),
            record(&[0; 16], &[0; 8]),
            record(&[], &[]),
            record(&[1; 16], &[1; 9]),
        ];
        let (batch, tally) = decode(&request(records).encode_to_vec());
        assert_eq!(tally.accepted, 4);
        assert_eq!(tally.warnings.given().collect::<Vec<_>>(), [(Warning::IdDropped, 4)]);
        let ids = |row| [Row::of(&batch, row).text("trace_id"), Row::of(&batch, row).text("span_id")];
        assert_eq!(ids(0), [None, Some("01".repeat(8))]);
        assert_eq!(ids(1), [None, None]);
        assert_eq!(ids(3), [Some("01".repeat(16)), None]);
    }

    #[test]
    fn a_body_of_any_type_is_kept() {
        let body = |body| {
            let row = decode_record(otlp::LogRecord { body, ..otlp::LogRecord::default() });
            (row.text("body"), row.text("body_type"))
        };
        let some = |text: &str, body_type: &str| (Some(text.to_owned()), Some(body_type.to_owned()));
        assert_eq!(body(None), (None, None));
        assert_eq!(body(Some(any(Any::IntValue(-3)))), some("-3", "i"));
        assert_eq!(body(Some(any(Any::BytesValue(vec![1, 2])))), some("AQI=", "y"));
        assert_eq!(body(Some(string(""))), some("", "s"));
        let structured = list(vec![entry("b", int(1)), entry("a", any(Any::DoubleValue(f64::INFINITY)))]);
        assert_eq!(body(Some(structured)), some("{\"b\":1,\"a\":\"Infinity\"}", "{id}"));
        let unset = opentelemetry_proto::tonic::common::v1::AnyValue { value: None };
        assert_eq!(body(Some(unset)), (None, Some("n".to_owned())));
    }

    #[test]
    fn what_is_more_than_is_kept_is_cut_and_counted() {
        let key = |at: usize| entry(&format!("{at}"), int(1));
        let record = otlp::LogRecord {
            body: Some(string(&"x".repeat(BODY_BYTES_MAX + 1))),
            attributes: (0..ATTRIBUTES_MAX + 3).map(key).chain([key(0)]).collect(),
            dropped_attributes_count: 7,
            ..otlp::LogRecord::default()
        };
        let (batch, tally) = decode(&request(vec![record]).encode_to_vec());
        let row = Row::of(&batch, 0);
        assert_eq!((row.map().len(), row.int("dropped_attributes_count")), (ATTRIBUTES_MAX, Some(7 + 4)));
        assert_eq!(row.text_or_empty("body").len(), BODY_BYTES_MAX);
        let want = [(Warning::AttributeDropped, 4), (Warning::ValueCut, 1)];
        assert_eq!(tally.warnings.given().collect::<Vec<_>>(), want);
    }

    #[test]
    fn random_records_come_back_whole() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let (resource, scope) = (random.resource(), random.scope());
            let records: Vec<_> = (0..random.below(6) + 1).map(|_| random.log_record()).collect();
            let mut request = request(records.clone());
            request.resource_logs[0].resource = Some(resource.clone());
            request.resource_logs[0].scope_logs[0].scope = Some(scope.clone());
            let (batch, tally) = decode(&request.encode_to_vec());
            assert_eq!(tally.accepted, records.len() as u64, "seed {seed}");
            for (at, record) in records.into_iter().enumerate() {
                let row = Row::of(&batch, at);
                let got = (rebuild::resource(&row).0, rebuild::scope(&row).0, rebuild::log_record(&row));
                let want = format!("{:?}", (&resource, &scope, record));
                assert_eq!(format!("{got:?}"), want, "seed {seed}, record {at}");
            }
        }
    }

    #[test]
    fn no_cut_of_a_payload_panics() {
        let mut random = Random(7);
        let payload = request((0..4).map(|_| random.log_record()).collect()).encode_to_vec();
        for end in 0..payload.len() {
            let mut requests = RequestBuilder::default();
            let _ = decode_logs(&payload[..end], None, &arrival(), &mut LogBuilder::default(), &mut requests);
        }
    }
}
