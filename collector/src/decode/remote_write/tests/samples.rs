//! Float samples: values to the bit, times to the millisecond, what 2.0 says beside them.

use meshlake_schema::Table;
use prost::Message as _;

use crate::decode::remote_write::testing::{
    Metadata2, NOW_MILLIS, Request2, Sample, TimeSeries2, WriteRequest, decoded, encodings, sample, series,
};
use crate::decode::remote_write::{VERSION_1, VERSION_2};
use crate::tally::RejectReason;

const HOUR: i64 = 3_600_000;

/// Prometheus's `StaleNaN` ends the series; every other NaN is a value.
#[test]
fn values_are_kept_to_the_bit() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let nan = f64::from_bits(0x7ff8_0000_0000_0001);
    let (inf, tiny) = (f64::INFINITY, f64::MIN_POSITIVE / 2.0);
    let values = [0.0, 0.1, -1e308, tiny, inf, -inf, nan, stale];
    let samples = values.map(sample);
    let request =
        WriteRequest { timeseries: vec![series(&[("__name__", "m")], &samples)], ..Default::default() };
    for (format, payload) in encodings(&request) {
        let decoded = decoded(format, &payload);
        assert_eq!((decoded.tally.accepted, decoded.tally.written.samples), (8, 8));
        for (row, value) in decoded.rows(Table::MetricPoints).iter().zip(values) {
            let is_stale = value.to_bits() == stale.to_bits();
            assert_eq!(row.double("value").map(f64::to_bits), (!is_stale).then_some(value.to_bits()));
            assert_eq!(row.int("flags"), Some(i64::from(is_stale)), "{value}");
            assert_eq!(row.int("value_int"), None);
        }
    }
}

/// Neither prost nor Prometheus writes a negative zero, which equals the default; whoever does sends it as eight bytes.
#[test]
fn a_negative_zero_is_kept_where_it_is_sent() {
    let request =
        WriteRequest { timeseries: vec![series(&[("__name__", "m")], &[sample(1.0)])], ..Default::default() };
    let mut payload = request.encode_to_vec();
    let at = payload.windows(8).position(|bytes| bytes == 1f64.to_le_bytes()).expect("the value");
    payload[at..at + 8].copy_from_slice(&(-0f64).to_le_bytes());
    let value = decoded(&VERSION_1, &payload).rows(Table::MetricPoints)[0].double("value");
    assert_eq!(value.map(f64::to_bits), Some((-0f64).to_bits()));
}

/// Times in any order are taken; those outside the window, on either side to the millisecond, are rejected alone.
#[test]
fn each_sample_is_judged_by_its_own_time() {
    let far = [0, -1, i64::MIN, i64::MAX, NOW_MILLIS - HOUR - 1, NOW_MILLIS + HOUR + 1, 9_300_000_000_000];
    let near = [NOW_MILLIS + HOUR, NOW_MILLIS - HOUR, NOW_MILLIS + 1, NOW_MILLIS];
    let samples: Vec<_> =
        far.iter().chain(&near).map(|time| Sample { timestamp: *time, ..sample(1.0) }).collect();
    let request =
        WriteRequest { timeseries: vec![series(&[("__name__", "m")], &samples)], ..Default::default() };
    for (format, payload) in encodings(&request) {
        let decoded = decoded(format, &payload);
        assert_eq!(decoded.tally.rejected, [(RejectReason::TimeOutOfRange, far.len() as u64)]);
        let times: Vec<_> =
            decoded.rows(Table::MetricPoints).iter().filter_map(|row| row.int("time_unix_nano")).collect();
        assert_eq!(times, near.map(|time| time * 1_000_000));
    }
}

fn of_2(symbols: &[&str], series: TimeSeries2) -> Request2 {
    let symbols = symbols.iter().map(|symbol| symbol.as_bytes().to_vec()).collect();
    let labels_refs = vec![1, 2];
    Request2 { symbols, timeseries: vec![TimeSeries2 { labels_refs, ..series }] }
}

/// A start of 0 is none; that of a sample comes before that of its series, which release candidates of 2.0 had.
#[test]
fn a_start_is_kept_where_one_is_told() {
    let at = |start_timestamp| Sample { start_timestamp, ..sample(1.0) };
    let request = |created_timestamp| {
        let samples = vec![at(0), at(NOW_MILLIS - HOUR), at(-1), at(i64::MAX)];
        of_2(&["", "__name__", "m"], TimeSeries2 { samples, created_timestamp, ..Default::default() })
    };
    for (created, want) in [(0, None), (5, Some(5_000_000))] {
        let rows = decoded(&VERSION_2, &request(created).encode_to_vec()).rows(Table::MetricPoints);
        let starts: Vec<_> = rows.iter().map(|row| row.int("start_time_unix_nano")).collect();
        let before = (NOW_MILLIS - HOUR) * 1_000_000;
        assert_eq!(starts, [want, Some(before), Some(-1_000_000), Some(i64::MAX)]);
    }
}

/// The types of `Metadata.MetricType` by number: what a sample of each is, and what is kept of the type.
#[test]
fn what_is_said_of_a_metric_is_kept() {
    let types = [
        (0, "unknown", None),
        (1, "sum", Some("counter")),
        (2, "gauge", Some("gauge")),
        (3, "unknown", Some("histogram")),
        (4, "unknown", Some("gaugehistogram")),
        (5, "unknown", Some("summary")),
        (6, "gauge", Some("info")),
        (7, "gauge", Some("stateset")),
        (8, "unknown", None),
    ];
    for (metric_type, want, name) in types {
        let metadata = Some(Metadata2 { metric_type, help_ref: 3, unit_ref: 4 });
        let series = TimeSeries2 { samples: vec![sample(1.0)], metadata, ..Default::default() };
        let request = of_2(&["", "__name__", "m", "what \"it\" counts", "seconds"], series);
        let rows = decoded(&VERSION_2, &request.encode_to_vec()).rows(Table::MetricPoints);
        let row = &rows[0];
        assert_eq!(row.text("metric_type").as_deref(), Some(want), "{metric_type}");
        let is_sum = want == "sum";
        assert_eq!(row.int32("aggregation_temporality"), is_sum.then_some(2));
        assert_eq!(row.text("is_monotonic").as_deref(), is_sum.then_some("true"));
        let json = name.map(|name| format!(r#"{{"prometheus.type":"{name}"}}"#));
        assert_eq!(
            (row.text("metric_metadata"), row.text("metric_metadata_types").is_some()),
            (json, name.is_some())
        );
        assert_eq!(row.text("metric_description").as_deref(), Some("what \"it\" counts"));
        assert_eq!(row.text("metric_unit").as_deref(), Some("seconds"));
    }
}

/// One series is wrong in each request, and the one behind it is stored.
#[test]
fn references_are_followed_or_reject_their_series_alone() {
    let symbols = ["", "__name__", "m", "a"];
    let with = |labels_refs: Vec<u32>, help_ref| TimeSeries2 {
        labels_refs,
        samples: vec![sample(1.0)],
        metadata: Some(Metadata2 { metric_type: 1, help_ref, unit_ref: 0 }),
        ..TimeSeries2::default()
    };
    let cases = [
        (with(vec![1, 2], 0), None),
        (with(vec![1, 2, 3], 0), Some(RejectReason::BadSymbol)),
        (with(vec![1, 4], 0), Some(RejectReason::BadSymbol)),
        (with(vec![1, 2, 3, u32::MAX], 0), Some(RejectReason::BadSymbol)),
        (with(vec![1, 2], 4), Some(RejectReason::BadSymbol)),
        (with(vec![], 0), Some(RejectReason::MissingMetricName)),
    ];
    for (series, reason) in cases {
        let mut request = of_2(&symbols, TimeSeries2 { samples: vec![sample(2.0)], ..Default::default() });
        request.timeseries.insert(0, series);
        let decoded = decoded(&VERSION_2, &request.encode_to_vec());
        let want: Vec<_> = reason.map(|reason| (reason, 1)).into_iter().collect();
        assert_eq!(decoded.tally.rejected, want);
        assert_eq!(decoded.tally.written.samples, decoded.tally.accepted);
        assert_eq!(decoded.rows(Table::MetricPoints).last().and_then(|row| row.double("value")), Some(2.0));
    }
    let request =
        of_2(&["x", "__name__", "m"], TimeSeries2 { samples: vec![sample(1.0)], ..Default::default() });
    let tally = decoded(&VERSION_2, &request.encode_to_vec()).tally;
    assert_eq!(tally.rejected, [(RejectReason::BadSymbol, 1)], "the first symbol is not empty");
}

/// References one by one are the same as packed ones (protobuf.dev, "Encoding"), and a name and its value may stand in
/// different fields.
#[test]
fn references_need_not_be_packed() {
    let request =
        of_2(&["", "__name__", "m"], TimeSeries2 { samples: vec![sample(3.0)], ..Default::default() });
    let packed = request.encode_to_vec();
    // Field 1 of the series, `0a 02 01 02`, becomes `08 01 08 02`.
    let at = packed.windows(4).position(|bytes| bytes == b"\x0a\x02\x01\x02").expect("the references");
    let unpacked = [&packed[..at], b"\x08\x01\x08\x02", &packed[at + 4..]].concat();
    for payload in [packed, unpacked] {
        let rows = decoded(&VERSION_2, &payload).rows(Table::MetricPoints);
        assert_eq!(rows[0].text("metric_name").as_deref(), Some("m"));
    }
}

#[test]
fn metadata_alone_is_no_record() {
    let request = WriteRequest { metadata: vec![Default::default()], ..WriteRequest::default() };
    assert_eq!(decoded(&VERSION_1, &request.encode_to_vec()).tally.received, 0);
    let metadata = Some(Metadata2 { metric_type: 1, help_ref: 0, unit_ref: 0 });
    let request = of_2(&["", "__name__", "m"], TimeSeries2 { metadata, ..Default::default() });
    assert_eq!(decoded(&VERSION_2, &request.encode_to_vec()).tally.received, 0);
}
