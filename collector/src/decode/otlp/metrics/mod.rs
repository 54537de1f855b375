//! OTLP metrics: an `ExportMetricsServiceRequest` to rows of the four metric tables, one row a data point.
//!
//! One file a shape of point; what all shapes share is in `point.rs`. A point is read, checked, then pushed.
//!
//! Sources: opentelemetry/proto/collector/metrics/v1/metrics_service.proto, metrics/v1/metrics.proto; the
//! OpenTelemetry metrics data model for what makes a point invalid.

mod numbers;
mod histograms;
mod exp_histograms;
mod summaries;
mod point;
mod exemplars;
mod series;

use crate::columns::origin::{Resource, Scope};
use crate::decode::otlp::resource::non_empty;
use crate::decode::otlp::value_writer::ValueWriter;
use crate::metric_rows::numbers::NumberShape;
use crate::metric_rows::{self, MetricBuilders};
use crate::protobuf::wire::{Fields, WireError, repeated};
use crate::tally::{Arrival, RejectReason, Tally};
use series::PointSeries;

/// What a metric says once for all its points; what is empty on the wire is `None`.
#[derive(Debug, Default)]
struct Metric {
    name: String,
    description: Option<String>,
    unit: Option<String>,
    /// JSON object and types.
    metadata: Option<(String, String)>,
}

/// A value that is sent either as a double or as an integer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Double(f64),
    Int(i64),
}

impl Number {
    /// The value as the columns `value` hold it; above 2^53 an integer is rounded.
    fn as_double(self) -> f64 {
        match self {
            Number::Double(double) => double,
            Number::Int(int) => int as f64,
        }
    }

    /// The exact value, when it was sent as an integer.
    fn as_int(self) -> Option<i64> {
        match self {
            Number::Double(_) => None,
            Number::Int(int) => Some(int),
        }
    }
}

/// What decoding a point needs beside its bytes.
struct PointContext<'a> {
    arrival: &'a Arrival<'a>,
    series: PointSeries,
    writer: ValueWriter,
    tally: Tally,
}

/// Decodes the data points of one request into `out`, one row each, in the order sent.
///
/// Refused, and counted by reason: a time of zero or outside the accepted window; a number without a value; a histogram
/// whose buckets contradict themselves; a sum or histogram of unspecified temporality. A point that says that none was
/// recorded is stored without a value, whatever stands in its place. An exemplar without a value is left out of its point.
///
/// # Errors
/// A payload that was not validated; `out` may then hold part of a row.
pub fn decode_metrics(
    payload: &[u8],
    arrival: &Arrival<'_>,
    out: &mut MetricBuilders,
) -> Result<Tally, WireError> {
    let (series, writer) = (PointSeries::default(), ValueWriter::default());
    let mut context = PointContext { arrival, series, writer, tally: Tally::of(arrival) };
    for resource_metrics in repeated(payload, 1) {
        let resource_metrics = resource_metrics?;
        let resource = Resource::read(resource_metrics, &mut context.writer)?;
        out.begin_resource();
        for scope_metrics in repeated(resource_metrics, 2) {
            let scope_metrics = scope_metrics?;
            let scope = read_scope(scope_metrics, &mut context.writer)?;
            context.series.begin_scope(resource.id, scope.name.as_deref().unwrap_or_default());
            for metric in repeated(scope_metrics, 2) {
                decode_metric(metric?, &mut context, out)?;
            }
            out.end_scope(arrival, &resource, &scope);
        }
    }
    let mut tally = context.tally;
    tally.warnings = context.writer.warnings();
    Ok(tally)
}

fn read_scope(scope_metrics: &[u8], writer: &mut ValueWriter) -> Result<Scope, WireError> {
    let (mut scope, mut schema_url) = ([].as_slice(), [].as_slice());
    for field in Fields::new(scope_metrics) {
        match field? {
            (1, value) => scope = value.bytes(1)?,
            (3, value) => schema_url = value.bytes(3)?,
            _ => {}
        }
    }
    Scope::read(scope, schema_url, writer)
}

fn decode_metric(
    message: &[u8],
    context: &mut PointContext<'_>,
    out: &mut MetricBuilders,
) -> Result<(), WireError> {
    let (metric, data) = Metric::read(message, &mut context.writer)?;
    context.series.begin_metric(&metric.name);
    let Some((shape, data)) = data else { return Ok(()) };
    let head = DataHead::read(shape, data)?;
    let points = repeated(data, 1);
    match shape {
        Shape::Gauge => out.points.decode(points, NumberShape::Gauge, context)?,
        Shape::Summary => out.summaries.decode(points, context)?,
        _ if head.temporality == TEMPORALITY_UNSPECIFIED => {
            for point in points {
                point?;
                context.tally.count(Err(RejectReason::UnspecifiedTemporality));
            }
        }
        Shape::Sum => {
            let shape = NumberShape::Sum { temporality: head.temporality, is_monotonic: head.is_monotonic };
            out.points.decode(points, shape, context)?;
        }
        Shape::Histogram => out.histograms.decode(points, head.temporality, context)?,
        Shape::ExpHistogram => out.exp_histograms.decode(points, head.temporality, context)?,
    }
    out.end_metric(&metric.texts());
    Ok(())
}

/// OTLP `AggregationTemporality` UNSPECIFIED, which "MUST not be used".
const TEMPORALITY_UNSPECIFIED: i32 = 0;

/// The `data` of a metric: which of the five messages, and its bytes.
type MetricData<'a> = (Shape, &'a [u8]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Gauge,
    Sum,
    Histogram,
    ExpHistogram,
    Summary,
}

impl Metric {
    fn texts(&self) -> metric_rows::Metric<'_> {
        metric_rows::Metric {
            name: &self.name,
            description: self.description.as_deref(),
            unit: self.unit.as_deref(),
            metadata: self.metadata.as_ref().map(|(json, types)| (json.as_str(), types.as_str())),
        }
    }

    /// Reads a `Metric` message and, beside it, its data; `None` when it has none that is known.
    fn read<'a>(
        message: &'a [u8],
        writer: &mut ValueWriter,
    ) -> Result<(Self, Option<MetricData<'a>>), WireError> {
        let mut metric = Metric::default();
        let mut data = None;
        let mut metadata = Vec::new();
        for field in Fields::new(message) {
            match field? {
                (1, value) => metric.name = writer.utf8(value.bytes(1)?).into_owned(),
                (2, value) => metric.description = non_empty(value.bytes(2)?, writer),
                (3, value) => metric.unit = non_empty(value.bytes(3)?, writer),
                (5, value) => data = Some((Shape::Gauge, value.bytes(5)?)),
                (7, value) => data = Some((Shape::Sum, value.bytes(7)?)),
                (9, value) => data = Some((Shape::Histogram, value.bytes(9)?)),
                (10, value) => data = Some((Shape::ExpHistogram, value.bytes(10)?)),
                (11, value) => data = Some((Shape::Summary, value.bytes(11)?)),
                (12, value) => metadata.push(writer.read(value.bytes(12)?)?),
                _ => {}
            }
        }
        if !metadata.is_empty() {
            let (json, types) = writer.object(metadata)?;
            metric.metadata = Some((json.to_owned(), types.to_owned()));
        }
        Ok((metric, data))
    }
}

/// What `Sum`, `Histogram` and `ExponentialHistogram` say beside their points, under the same numbers. Gauges
/// and summaries have no such fields: what a sender puts there is unknown, of whatever wire type.
#[derive(Debug, Default)]
struct DataHead {
    temporality: i32,
    is_monotonic: bool,
}

impl DataHead {
    fn read(shape: Shape, data: &[u8]) -> Result<Self, WireError> {
        let mut head = DataHead::default();
        if matches!(shape, Shape::Gauge | Shape::Summary) {
            return Ok(head);
        }
        for field in Fields::new(data) {
            match field? {
                (2, value) => head.temporality = value.varint(2)? as i32,
                (3, value) if shape == Shape::Sum => head.is_monotonic = value.varint(3)? != 0,
                _ => {}
            }
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use meshlake_schema::Table;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1 as otlp;
    use otlp::exponential_histogram_data_point::Buckets;
    use otlp::metric::Data;
    use otlp::number_data_point::Value as OtlpNumber;
    use prost::Message as _;

    use super::*;
    use crate::decode::otlp::testing::random::Random;
    use crate::decode::otlp::testing::rebuild;
    use crate::decode::otlp::testing::row::Row;
    use crate::decode::otlp::testing::{NOW, arrival, entry, int, string};
    use crate::limits::{ATTRIBUTES_MAX, VALUE_BYTES_MAX};
    use crate::tally::Warning;

    fn request(metrics: Vec<otlp::Metric>) -> ExportMetricsServiceRequest {
        let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..otlp::ScopeMetrics::default() }];
        let resource_metrics =
            vec![otlp::ResourceMetrics { scope_metrics, ..otlp::ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn metric(data: Data) -> otlp::Metric {
        otlp::Metric { name: "m".into(), data: Some(data), ..otlp::Metric::default() }
    }

    fn gauge(data_points: Vec<otlp::NumberDataPoint>) -> Data {
        Data::Gauge(otlp::Gauge { data_points })
    }

    fn sum(data_points: Vec<otlp::NumberDataPoint>, aggregation_temporality: i32) -> Data {
        Data::Sum(otlp::Sum { data_points, aggregation_temporality, is_monotonic: true })
    }

    fn histogram(data_points: Vec<otlp::HistogramDataPoint>) -> Data {
        Data::Histogram(otlp::Histogram { data_points, aggregation_temporality: 2 })
    }

    fn exp_histogram(data_points: Vec<otlp::ExponentialHistogramDataPoint>) -> Data {
        Data::ExponentialHistogram(otlp::ExponentialHistogram { data_points, aggregation_temporality: 1 })
    }

    fn number(value: OtlpNumber) -> otlp::NumberDataPoint {
        otlp::NumberDataPoint { time_unix_nano: NOW, value: Some(value), ..otlp::NumberDataPoint::default() }
    }

    fn decode(payload: &[u8]) -> (Vec<(Table, RecordBatch)>, Tally) {
        let mut builders = MetricBuilders::default();
        let tally = decode_metrics(payload, &arrival(), &mut builders).expect("the payload is well-formed");
        assert_eq!(builders.rows() as u64, tally.accepted);
        let batches = builders.finish();
        (batches.into_iter().map(|batch| (batch.table(), batch.into_rows())).collect(), tally)
    }

    /// Decodes points of one shape, all of which must be accepted, into rows of `table`.
    fn rows(table: Table, metric: otlp::Metric) -> Vec<Row> {
        let (batches, tally) = decode(&request(vec![metric]).encode_to_vec());
        assert_eq!(tally.rejected, []);
        let [(found, batch)] = batches.as_slice() else { panic!("{} batches", batches.len()) };
        assert_eq!(*found, table);
        (0..batch.num_rows()).map(|row| Row::of(batch, row)).collect()
    }

    fn refused(data: Data) -> Vec<(RejectReason, u64)> {
        let (batches, tally) = decode(&request(vec![metric(data)]).encode_to_vec());
        assert_eq!(batches.iter().map(|(_, batch)| batch.num_rows() as u64).sum::<u64>(), tally.accepted);
        assert_eq!(tally.received, tally.accepted + tally.rejected_count());
        tally.rejected
    }

    #[test]
    fn every_field_of_a_sum_has_its_column() {
        let exemplar = otlp::Exemplar {
            filtered_attributes: vec![entry("user", string("u"))],
            time_unix_nano: NOW + 7,
            span_id: vec![0xcd; 8],
            trace_id: vec![0xab; 16],
            value: Some(otlp::exemplar::Value::AsInt(-9)),
        };
        let point = otlp::NumberDataPoint {
            attributes: vec![entry("b", int(1)), entry("a", string("x"))],
            start_time_unix_nano: 1_795_417_205_655_285,
            time_unix_nano: NOW + 1_500,
            exemplars: vec![exemplar],
            flags: 2,
            value: Some(OtlpNumber::AsInt(-(1 << 53) - 1)),
        };
        let rows = rows(
            Table::MetricPoints,
            otlp::Metric {
                name: "cluster.upstream_rq".into(),
                description: "d".into(),
                unit: "1".into(),
                metadata: vec![entry("prometheus.type", string("counter"))],
                data: Some(sum(vec![point], 2)),
            },
        );
        let row = &rows[0];
        assert_eq!(row.text("tenant").as_deref(), Some("acme"));
        assert_eq!(row.micros("time"), Some(NOW as i64 / 1000 + 1));
        assert_eq!(row.int("time_unix_nano"), Some(NOW as i64 + 1_500));
        assert_eq!(row.int("start_time_unix_nano"), Some(1_795_417_205_655_285), "Envoy's bug, as sent");
        assert_eq!(row.text("metric_name").as_deref(), Some("cluster.upstream_rq"));
        assert_eq!(row.text("metric_description").as_deref(), Some("d"));
        assert_eq!(row.text("metric_unit").as_deref(), Some("1"));
        assert_eq!(row.text("metric_metadata").as_deref(), Some("{\"prometheus.type\":\"counter\"}"));
        assert_eq!(row.text("metric_metadata_types").as_deref(), Some("s"));
        assert_eq!(row.int("flags"), Some(2));
        assert_eq!(row.text("metric_type").as_deref(), Some("sum"));
        assert_eq!((row.int32("aggregation_temporality"), row.bool("is_monotonic")), (Some(2), Some(true)));
        assert_eq!(row.int("value_int"), Some(-9_007_199_254_740_993));
        assert_eq!(row.double("value"), Some(-9_007_199_254_740_992.0), "the nearest double");
        assert_eq!(row.map(), [("b".into(), "1".into()), ("a".into(), "x".into())]);
        assert_eq!(row.text("attribute_types").as_deref(), Some("is"));
        let exemplar = &row.elements("exemplars")[0];
        assert_eq!(exemplar.int("time_unix_nano"), Some(NOW as i64 + 7));
        assert_eq!((exemplar.double("value"), exemplar.int("value_int")), (Some(-9.0), Some(-9)));
        assert_eq!(exemplar.text("trace_id"), Some("ab".repeat(16)));
        assert_eq!(exemplar.text("span_id"), Some("cd".repeat(8)));
        assert_eq!(exemplar.map(), [("user".into(), "u".into())]);
    }

    #[test]
    fn a_gauge_has_no_temporality_and_a_double_no_exact_value() {
        let row = &rows(Table::MetricPoints, metric(gauge(vec![number(OtlpNumber::AsDouble(0.5))])))[0];
        assert_eq!(row.text("metric_type").as_deref(), Some("gauge"));
        assert_eq!((row.int32("aggregation_temporality"), row.bool("is_monotonic")), (None, None));
        assert_eq!((row.double("value"), row.int("value_int")), (Some(0.5), None));
        assert_eq!(row.int("start_time_unix_nano"), None);
        for column in ["metric_description", "metric_unit", "metric_metadata", "metric_metadata_types"] {
            assert_eq!(row.text(column), None, "{column}");
        }
        assert_eq!(row.elements("exemplars").len(), 0);
    }

    #[test]
    fn points_of_one_series_share_its_id() {
        let point = |attributes: &[(&str, i64)]| otlp::NumberDataPoint {
            attributes: attributes.iter().map(|(key, value)| entry(key, int(*value))).collect(),
            ..number(OtlpNumber::AsInt(1))
        };
        let points =
            vec![point(&[("a", 1), ("b", 2)]), point(&[("b", 2), ("a", 1)]), point(&[("a", 1)]), point(&[])];
        let rows = rows(Table::MetricPoints, metric(gauge(points)));
        let ids: Vec<_> = rows.iter().map(|row| row.int("series_id")).collect();
        assert_eq!(ids[0], ids[1]);
        assert!(ids[1] != ids[2] && ids[2] != ids[3] && ids[0] != ids[3], "{ids:?}");
    }

    #[test]
    fn numbers_are_refused_by_reason() {
        let none = otlp::NumberDataPoint { value: None, ..number(OtlpNumber::AsInt(0)) };
        let stale = otlp::NumberDataPoint { flags: 1, ..none.clone() };
        let at = |time_unix_nano| otlp::NumberDataPoint { time_unix_nano, ..number(OtlpNumber::AsInt(0)) };
        let want =
            [(RejectReason::NoValue, 1), (RejectReason::MissingTime, 1), (RejectReason::TimeOutOfRange, 2)];
        assert_eq!(refused(gauge(vec![none.clone(), stale, at(0), at(1), at(u64::MAX), at(NOW)])), want);
        assert_eq!(refused(sum(vec![none; 3], 0)), [(RejectReason::UnspecifiedTemporality, 3)]);
    }

    #[test]
    fn a_point_without_a_recorded_value_is_null() {
        let stale = otlp::NumberDataPoint { value: None, flags: 1, ..number(OtlpNumber::AsInt(0)) };
        let row = &rows(Table::MetricPoints, metric(gauge(vec![stale])))[0];
        assert_eq!((row.double("value"), row.int("value_int"), row.int("flags")), (None, None, Some(1)));
    }

    /// Points as the collector's Prometheus receiver and others send them for a series that stopped: with what is left
    /// of a value, which would be refused or counted if it were one. Each is a row without a value that keeps its flags.
    #[test]
    fn what_stands_in_place_of_a_value_that_was_not_recorded_means_nothing() {
        const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
        let numbers = [
            otlp::NumberDataPoint { flags: 1, ..number(OtlpNumber::AsDouble(1.5)) },
            otlp::NumberDataPoint { flags: 3, ..number(OtlpNumber::AsInt(7)) },
            number(OtlpNumber::AsDouble(STALE)),
            otlp::NumberDataPoint { flags: 2, ..number(OtlpNumber::AsDouble(STALE)) },
        ];
        for (point, flags) in numbers.into_iter().zip([1, 3, 1, 3]) {
            for data in [gauge(vec![point.clone()]), sum(vec![point.clone()], 2)] {
                let row = &rows(Table::MetricPoints, metric(data))[0];
                assert_eq!((row.double("value"), row.int("value_int")), (None, None), "{point:?}");
                assert_eq!(row.int("flags"), Some(flags), "{point:?}");
            }
        }

        let flagged = |point| otlp::HistogramDataPoint { flags: 1, ..point };
        let histograms = vec![
            flagged(buckets(&[1.0], &[0, 0], 0, Some(f64::NAN))),
            flagged(buckets(&[1.0], &[], 0, None)),
            flagged(buckets(&[2.0, 1.0], &[7], u64::MAX, Some(1.0))),
            buckets(&[1.0], &[0, 0], 0, Some(STALE)),
        ];
        for row in rows(Table::MetricHistograms, metric(histogram(histograms))) {
            assert_eq!((row.count("count"), row.int("flags")), (0, Some(1)));
            assert_eq!([row.double("sum"), row.double("min"), row.double("max")], [None; 3]);
            assert!(row.counts("bucket_counts").is_empty() && row.doubles("explicit_bounds").is_empty());
        }

        let exponential = otlp::ExponentialHistogramDataPoint {
            time_unix_nano: NOW,
            count: 3,
            sum: Some(f64::NAN),
            min: Some(1.0),
            scale: 5,
            zero_count: u64::MAX,
            zero_threshold: f64::NAN,
            positive: Some(Buckets { offset: 1, bucket_counts: vec![1] }),
            flags: 1,
            ..otlp::ExponentialHistogramDataPoint::default()
        };
        let stale = otlp::ExponentialHistogramDataPoint { sum: Some(STALE), flags: 0, ..exponential.clone() };
        for row in rows(Table::MetricExpHistograms, metric(exp_histogram(vec![exponential, stale]))) {
            assert_eq!((row.count("count"), row.count("zero_count"), row.int("flags")), (0, 0, Some(1)));
            assert_eq!((row.double("sum"), row.double("min"), row.int32("scale")), (None, None, Some(0)));
            assert_eq!((row.double("zero_threshold"), row.int32("positive_offset")), (Some(0.0), Some(0)));
            assert!(row.counts("positive_bucket_counts").is_empty());
        }

        let quantile = otlp::summary_data_point::ValueAtQuantile { quantile: 0.5, value: f64::NAN };
        let summary = otlp::SummaryDataPoint {
            time_unix_nano: NOW,
            count: u64::MAX,
            sum: f64::NAN,
            quantile_values: vec![quantile],
            flags: 1,
            ..otlp::SummaryDataPoint::default()
        };
        let stale = otlp::SummaryDataPoint { sum: STALE, flags: 0, ..summary.clone() };
        let data_points = vec![summary, stale];
        for row in rows(Table::MetricSummaries, metric(Data::Summary(otlp::Summary { data_points }))) {
            assert_eq!((row.count("count"), row.double("sum"), row.int("flags")), (0, Some(0.0), Some(1)));
            assert!(row.elements("quantiles").is_empty());
        }
    }

    #[test]
    fn a_value_that_is_not_a_number_is_one_unless_it_is_the_stale_marker() {
        for bits in [f64::NAN.to_bits(), 0x7ff8_0000_0000_0002, 0x7ff0_0000_0000_0001, 0xfff0_0000_0000_0002]
        {
            let point = number(OtlpNumber::AsDouble(f64::from_bits(bits)));
            let row = &rows(Table::MetricPoints, metric(gauge(vec![point])))[0];
            assert_eq!(row.double("value").map(f64::to_bits), Some(bits), "{bits:x}");
            assert_eq!(row.int("flags"), Some(0));
        }
    }

    #[test]
    fn a_point_without_a_recorded_value_still_has_a_time() {
        let at = |time_unix_nano| otlp::NumberDataPoint {
            time_unix_nano,
            flags: 1,
            ..number(OtlpNumber::AsInt(1))
        };
        let want = [(RejectReason::MissingTime, 1), (RejectReason::TimeOutOfRange, 1)];
        assert_eq!(refused(gauge(vec![at(0), at(1), at(NOW)])), want);
    }

    #[test]
    fn exemplars_without_a_value_and_invalid_ids_are_left_out() {
        let exemplar = |value, trace_id: &[u8]| otlp::Exemplar {
            value,
            trace_id: trace_id.to_vec(),
            filtered_attributes: vec![entry("k", int(1))],
            ..otlp::Exemplar::default()
        };
        let value = Some(otlp::exemplar::Value::AsDouble(2.5));
        let exemplars = vec![exemplar(None, &[1; 16]), exemplar(value, &[1; 4]), exemplar(value, &[])];
        let point = otlp::NumberDataPoint { exemplars, ..number(OtlpNumber::AsInt(1)) };
        let (batches, tally) = decode(&request(vec![metric(gauge(vec![point]))]).encode_to_vec());
        assert_eq!(tally.accepted, 1);
        let want = [(Warning::IdDropped, 1), (Warning::ExemplarDropped, 1)];
        assert_eq!(tally.warnings.given().collect::<Vec<_>>(), want);
        let kept = Row::of(&batches[0].1, 0).elements("exemplars");
        assert_eq!(kept.len(), 2);
        assert_eq!(
            (kept[0].double("value"), kept[0].int("value_int"), kept[0].text("trace_id")),
            (Some(2.5), None, None)
        );
    }

    fn buckets(bounds: &[f64], counts: &[u64], count: u64, sum: Option<f64>) -> otlp::HistogramDataPoint {
        otlp::HistogramDataPoint {
            time_unix_nano: NOW,
            explicit_bounds: bounds.to_vec(),
            bucket_counts: counts.to_vec(),
            count,
            sum,
            ..otlp::HistogramDataPoint::default()
        }
    }

    #[test]
    fn histograms_keep_their_buckets() {
        let point = otlp::HistogramDataPoint {
            min: Some(0.25),
            max: Some(9.0),
            ..buckets(&[1.0, 5.0], &[2, 0, 1], 3, Some(10.5))
        };
        let rows = rows(Table::MetricHistograms, metric(histogram(vec![point, buckets(&[], &[], 4, None)])));
        assert_eq!((rows[0].count("count"), rows[0].double("sum")), (3, Some(10.5)));
        assert_eq!((rows[0].double("min"), rows[0].double("max")), (Some(0.25), Some(9.0)));
        assert_eq!(rows[0].doubles("explicit_bounds"), [1.0, 5.0]);
        assert_eq!(rows[0].counts("bucket_counts"), [2, 0, 1]);
        assert_eq!(rows[0].int32("aggregation_temporality"), Some(2));
        assert_eq!((rows[1].count("count"), rows[1].double("sum"), rows[1].double("min")), (4, None, None));
        assert!(rows[1].counts("bucket_counts").is_empty());
    }

    #[test]
    fn histograms_that_contradict_themselves_are_refused() {
        let bad = [
            buckets(&[1.0, 1.0], &[1, 1, 1], 3, None),
            buckets(&[2.0, 1.0], &[1, 1, 1], 3, None),
            buckets(&[f64::NAN], &[1, 1], 2, None),
            buckets(&[1.0], &[3], 3, None),
            buckets(&[], &[1, 2], 3, None),
            buckets(&[1.0], &[], 0, None),
            buckets(&[1.0], &[1, 1], 3, None),
            buckets(&[1.0], &[u64::MAX, 4], 3, None),
            buckets(&[], &[], 0, Some(1.0)),
        ];
        for point in bad {
            let data = histogram(vec![point.clone(), buckets(&[], &[1], 1, Some(1.0))]);
            assert_eq!(refused(data), [(RejectReason::BadHistogramBuckets, 1)], "{point:?}");
        }
        let too_many = buckets(&[], &[], 1 << 63, None);
        assert_eq!(refused(histogram(vec![too_many])), [(RejectReason::CountOutOfRange, 1)]);
        let most = buckets(&[], &[i64::MAX as u64], i64::MAX as u64, Some(1.0));
        assert_eq!(refused(histogram(vec![most])), []);
        let unspecified =
            otlp::Histogram { data_points: vec![buckets(&[], &[], 0, None)], aggregation_temporality: 0 };
        assert_eq!(refused(Data::Histogram(unspecified)), [(RejectReason::UnspecifiedTemporality, 1)]);
    }

    #[test]
    fn exponential_histograms_keep_their_buckets_or_are_refused() {
        let point = otlp::ExponentialHistogramDataPoint {
            time_unix_nano: NOW,
            count: 10,
            scale: -2,
            zero_count: 4,
            zero_threshold: 0.125,
            positive: Some(Buckets { offset: -3, bucket_counts: vec![1, 0, 300 - 296] }),
            negative: Some(Buckets { offset: 7, bucket_counts: vec![1] }),
            ..otlp::ExponentialHistogramDataPoint::default()
        };
        let row = &rows(Table::MetricExpHistograms, metric(exp_histogram(vec![point.clone()])))[0];
        assert_eq!(
            (row.int32("scale"), row.count("zero_count"), row.double("zero_threshold")),
            (Some(-2), 4, Some(0.125))
        );
        assert_eq!((row.int32("positive_offset"), row.int32("negative_offset")), (Some(-3), Some(7)));
        assert_eq!(
            (row.counts("positive_bucket_counts"), row.counts("negative_bucket_counts")),
            (vec![1, 0, 4], vec![1])
        );
        assert_eq!(row.int32("aggregation_temporality"), Some(1));
        let off_by_one = otlp::ExponentialHistogramDataPoint { count: 11, ..point };
        assert_eq!(refused(exp_histogram(vec![off_by_one])), [(RejectReason::BadHistogramBuckets, 1)]);
    }

    #[test]
    fn summaries_keep_their_quantiles_and_have_no_exemplars() {
        let quantile = |quantile, value| otlp::summary_data_point::ValueAtQuantile { quantile, value };
        let point = otlp::SummaryDataPoint {
            time_unix_nano: NOW,
            count: 5,
            sum: 2.5,
            quantile_values: vec![quantile(0.0, 0.1), quantile(1.0, 0.9)],
            ..otlp::SummaryDataPoint::default()
        };
        let summary = |point| Data::Summary(otlp::Summary { data_points: vec![point] });
        let row = &rows(Table::MetricSummaries, metric(summary(point.clone())))[0];
        assert_eq!((row.count("count"), row.double("sum")), (5, Some(2.5)));
        let quantiles: Vec<_> = row
            .elements("quantiles")
            .iter()
            .map(|row| (row.double("quantile"), row.double("value")))
            .collect();
        assert_eq!(quantiles, [(Some(0.0), Some(0.1)), (Some(1.0), Some(0.9))]);
        assert!(row.is_null("exemplars"));
        let too_many = otlp::SummaryDataPoint { count: u64::MAX, ..point };
        assert_eq!(refused(summary(too_many)), [(RejectReason::CountOutOfRange, 1)]);
    }

    #[test]
    fn random_points_of_all_shapes_come_back_whole() {
        for seed in 0..150 {
            let mut random = Random(seed);
            let (resource, scope) = (random.resource(), random.scope());
            let numbers: Vec<_> = (0..=random.below(3)).map(|_| random.number()).collect();
            let sums: Vec<_> = (0..=random.below(3)).map(|_| random.number()).collect();
            let histograms: Vec<_> = (0..=random.below(3)).map(|_| random.histogram()).collect();
            let exp_histograms: Vec<_> = (0..=random.below(3)).map(|_| random.exp_histogram()).collect();
            let summaries: Vec<_> = (0..=random.below(3)).map(|_| random.summary()).collect();
            let metrics = vec![
                metric(gauge(numbers.clone())),
                metric(Data::Summary(otlp::Summary { data_points: summaries.clone() })),
                metric(sum(sums.clone(), 1)),
                metric(histogram(histograms.clone())),
                metric(exp_histogram(exp_histograms.clone())),
            ];
            let mut request = request(metrics);
            request.resource_metrics[0].resource = Some(resource.clone());
            request.resource_metrics[0].scope_metrics[0].scope = Some(scope.clone());
            let (batches, tally) = decode(&request.encode_to_vec());
            assert_eq!(tally.rejected, [], "seed {seed}");
            let numbers = numbers.into_iter().chain(sums).map(|point| format!("{point:?}"));
            let wants: [Vec<String>; 4] = [
                numbers.collect(),
                histograms.iter().map(|point| format!("{point:?}")).collect(),
                exp_histograms.iter().map(|point| format!("{point:?}")).collect(),
                summaries.iter().map(|point| format!("{point:?}")).collect(),
            ];
            for ((table, batch), want) in batches.iter().zip(wants) {
                let rows: Vec<_> = (0..batch.num_rows()).map(|row| Row::of(batch, row)).collect();
                let got: Vec<_> = rows.iter().map(|row| rebuilt(*table, row)).collect();
                assert_eq!(got, want, "seed {seed}");
                for row in &rows {
                    let origin = format!("{:?}", (rebuild::resource(row).0, rebuild::scope(row).0));
                    assert_eq!(origin, format!("{:?}", (&resource, &scope)), "seed {seed}");
                }
            }
        }
    }

    fn rebuilt(table: Table, row: &Row) -> String {
        match table {
            Table::MetricPoints => format!("{:?}", rebuild::number(row)),
            Table::MetricHistograms => format!("{:?}", rebuild::histogram(row)),
            Table::MetricExpHistograms => format!("{:?}", rebuild::exp_histogram(row)),
            Table::MetricSummaries => format!("{:?}", rebuild::summary(row)),
            other => panic!("{} holds no points", other.name()),
        }
    }

    #[test]
    fn numbers_packed_or_one_by_one_are_the_same() {
        // Fields 6 and 7 of a histogram point, not packed: tag, then 8 bytes each.
        let mut point = buckets(&[], &[], 3, None).encode_to_vec();
        for count in [1u64, 2] {
            point.push(6 << 3 | 1);
            point.extend(count.to_le_bytes());
        }
        point.push(7 << 3 | 1);
        point.extend(0.5f64.to_le_bytes());
        // The fields it is nested in, from the inside: Histogram, Metric, ScopeMetrics, ResourceMetrics, request.
        let mut payload = point;
        for (at, field) in [1u8, 9, 2, 2, 1].into_iter().enumerate() {
            let mut message = vec![field << 3 | 2, u8::try_from(payload.len()).expect("short")];
            message.extend(&payload);
            if at == 0 {
                // aggregation_temporality of the Histogram around the point.
                message.extend([2 << 3, 2]);
            }
            payload = message;
        }
        let (batches, tally) = decode(&payload);
        assert_eq!(tally.rejected, []);
        let row = Row::of(&batches[0].1, 0);
        assert_eq!((row.counts("bucket_counts"), row.doubles("explicit_bounds")), (vec![1, 2], vec![0.5]));
    }

    #[test]
    fn fields_that_a_shape_does_not_have_are_unknown() {
        // A Gauge whose fields 2 and 3 are fixed64 and text; in a Sum these would be wrong wire types.
        let mut data = otlp::Gauge { data_points: vec![number(OtlpNumber::AsInt(1))] }.encode_to_vec();
        data.extend(b"\x11\0\0\0\0\0\0\0\0\x1a\x01x");
        let mut payload = data;
        for field in [5u8, 2, 2, 1] {
            payload =
                [&[field << 3 | 2, u8::try_from(payload.len()).expect("short")], payload.as_slice()].concat();
        }
        let (_, tally) = decode(&payload);
        assert_eq!((tally.accepted, tally.received), (1, 1));
    }

    #[test]
    fn no_cut_of_a_payload_panics() {
        let mut random = Random(7);
        let metrics = vec![
            metric(gauge(vec![random.number()])),
            metric(histogram(vec![random.histogram()])),
            metric(exp_histogram(vec![random.exp_histogram()])),
            metric(Data::Summary(otlp::Summary { data_points: vec![random.summary()] })),
        ];
        let payload = request(metrics).encode_to_vec();
        for end in 0..payload.len() {
            let _ = decode_metrics(&payload[..end], &arrival(), &mut MetricBuilders::default());
        }
    }

    #[test]
    fn series_that_differ_in_what_is_cut_stay_apart() {
        let point = |attributes: Vec<_>| otlp::NumberDataPoint { attributes, ..number(OtlpNumber::AsInt(1)) };
        let many = |last: i64| {
            let attributes = (0..ATTRIBUTES_MAX).map(|at| entry(&format!("k{at}"), int(0)));
            point(attributes.chain([entry("last", int(last))]).collect())
        };
        let long = |last: &str| point(vec![entry("k", string(&("x".repeat(VALUE_BYTES_MAX) + last)))]);
        let points = vec![many(1), many(2), many(1), long("a"), long("b")];
        let (batches, tally) = decode(&request(vec![metric(gauge(points))]).encode_to_vec());
        let rows: Vec<_> = (0..5).map(|row| Row::of(&batches[0].1, row)).collect();
        assert_eq!(rows[0].map(), rows[1].map());
        assert_eq!(rows[3].map(), rows[4].map());
        let ids: Vec<_> = rows.iter().map(|row| row.int("series_id")).collect();
        assert_eq!(ids[0], ids[2]);
        assert!(ids[0] != ids[1] && ids[3] != ids[4], "{ids:?}");
        let want = [(Warning::AttributeDropped, 3), (Warning::ValueCut, 2)];
        assert_eq!(tally.warnings.given().collect::<Vec<_>>(), want);
    }

    #[test]
    fn stats_of_a_real_envoy_are_kept() {
        // Counted with jq in the same messages as JSON.
        let (batches, tally) =
            decode(include_bytes!("../../../../../tests/data/otlp-envoy/metrics-cumulative.pb"));
        assert_eq!(
            (tally.received, tally.rejected.as_slice(), tally.warnings.is_empty()),
            (67 + 98 + 16, [].as_slice(), true)
        );
        let counts: Vec<_> = batches.iter().map(|(table, batch)| (*table, batch.num_rows())).collect();
        assert_eq!(counts, [(Table::MetricPoints, 67 + 98), (Table::MetricHistograms, 16)]);
        let rows: Vec<_> = (0..16).map(|row| Row::of(&batches[1].1, row)).collect();
        let connect = rows
            .iter()
            .find(|row| row.text("metric_name").as_deref() == Some("cluster.upstream_cx_connect_ms"));
        let connect = connect.expect("the first histogram of the capture");
        assert_eq!(connect.int("start_time_unix_nano"), Some(1_795_417_205_655_285));
        assert_eq!(connect.double("sum"), Some(1.047_619_047_619_047_7));
        assert_eq!(
            (connect.doubles("explicit_bounds").len(), connect.counts("bucket_counts").len()),
            (19, 20)
        );

        let (batches, tally) =
            decode(include_bytes!("../../../../../tests/data/otlp-envoy/metrics-delta.pb"));
        assert_eq!((tally.received, tally.accepted), (101 + 11 + 2, 101 + 11 + 2));
        assert_eq!(Row::of(&batches[1].1, 0).int32("aggregation_temporality"), Some(1));
    }
}
