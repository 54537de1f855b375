//! Native histograms: the buckets of a row from spans, differences and counts.

use meshlake_schema::Table;

use crate::decode::remote_write::BUCKETS_MAX;
use crate::decode::remote_write::testing::{
    Decoded, Histogram, WriteRequest, decoded, encodings, histogram_series, rejected, spans,
};
use crate::tally::RejectReason;

/// Decodes one histogram from both messages.
fn both(histogram: &Histogram) -> [Decoded; 2] {
    let timeseries = vec![histogram_series(histogram.clone())];
    let request = WriteRequest { timeseries, ..WriteRequest::default() };
    encodings(&request).map(|(format, payload)| {
        let decoded = decoded(format, &payload);
        assert_eq!(decoded.tally.rejected, []);
        assert_eq!((decoded.tally.accepted, decoded.tally.written.histograms), (1, 1));
        decoded
    })
}

/// Prometheus's bucket 1 of schema 0 has values above 1 up to 2, which is bucket 0 of OTLP. Spans: three buckets from
/// index -1, a gap of two, two more; differences 1, 2, 1, 3, 1 are counts 1, 3, 4, 7, 8.
#[test]
fn spans_and_differences_become_consecutive_buckets() {
    let histogram = Histogram {
        count_int: Some(1 + 3 + 4 + 7 + 8 + 5 + 6 + 2),
        sum: 12.5,
        schema: 3,
        zero_threshold: 1e-3,
        zero_count_int: Some(2),
        positive_spans: spans(&[(-1, 3), (2, 2)]),
        positive_deltas: vec![1, 2, 1, 3, 1],
        negative_spans: spans(&[(4, 0), (3, 1), (0, 1)]),
        negative_deltas: vec![5, 1],
        reset_hint: 2,
        ..Histogram::default()
    };
    for decoded in both(&histogram) {
        let row = &decoded.rows(Table::MetricExpHistograms)[0];
        assert_eq!((row.int("count"), row.double("sum")), (Some(36), Some(12.5)));
        assert_eq!((row.int32("scale"), row.int("zero_count")), (Some(3), Some(2)));
        assert_eq!(row.double("zero_threshold"), Some(1e-3));
        assert_eq!(row.int32("positive_offset"), Some(-2));
        assert_eq!(row.ints("positive_bucket_counts"), Some(vec![1, 3, 4, 0, 0, 7, 8]));
        assert_eq!(row.int32("negative_offset"), Some(6), "4 + 3 - 1");
        assert_eq!(row.ints("negative_bucket_counts"), Some(vec![5, 6]));
        assert_eq!((row.double("min"), row.double("max"), row.double("count_double")), (None, None, None));
        assert_eq!((row.int32("aggregation_temporality"), row.int32("reset_hint")), (Some(2), Some(2)));
        assert!(row.exemplars().is_empty());
    }
}

/// Counts with fractions are kept as they are, beside the integers next to them.
#[test]
fn float_histograms_keep_fractions() {
    let histogram = |half: f64| Histogram {
        count_float: Some(4.0 + half),
        sum: -1.0,
        zero_count_float: Some(1.0),
        positive_spans: spans(&[(1, 1), (1, 1)]),
        positive_counts: vec![1.0 + half, 1.0],
        negative_spans: spans(&[(0, 1)]),
        negative_counts: vec![1.0],
        reset_hint: 3,
        ..Histogram::default()
    };
    for decoded in both(&histogram(0.25)) {
        let row = &decoded.rows(Table::MetricExpHistograms)[0];
        assert_eq!((row.double("count_double"), row.double("zero_count_double")), (Some(4.25), Some(1.0)));
        assert_eq!(row.doubles("positive_bucket_counts_double"), Some(vec![1.25, 0.0, 1.0]));
        assert_eq!(row.doubles("negative_bucket_counts_double"), Some(vec![1.0]));
        assert_eq!((row.int("count"), row.ints("positive_bucket_counts")), (Some(4), Some(vec![1, 0, 1])));
        assert_eq!(
            (row.int32("aggregation_temporality"), row.int32("reset_hint")),
            (None, Some(3)),
            "a gauge"
        );
    }
    for decoded in both(&histogram(0.0)) {
        let row = &decoded.rows(Table::MetricExpHistograms)[0];
        assert_eq!((row.int("count"), row.double("count_double")), (Some(4), None), "all are integers");
        assert_eq!(row.doubles("positive_bucket_counts_double"), None);
        assert_eq!(row.ints("positive_bucket_counts"), Some(vec![1, 0, 1]));
    }
}

/// Above 2^53 not every integer is a double, so a double there is kept as one.
#[test]
fn large_counts_are_exact() {
    let exact = (1u64 << 53) as f64;
    for (count, is_kept_as_double) in
        [(exact - 1.0, false), (exact, false), (exact * 2.0, true), (f64::NAN, true)]
    {
        let histogram = Histogram { count_float: Some(count), ..Histogram::default() };
        for decoded in both(&histogram) {
            let double = decoded.rows(Table::MetricExpHistograms)[0].double("count_double");
            assert_eq!(double.map(f64::to_bits), is_kept_as_double.then_some(count.to_bits()));
        }
    }
}

fn custom(histogram: Histogram) -> Histogram {
    Histogram { schema: -53, ..histogram }
}

/// Four bounds make five buckets; the span starts at the second.
#[test]
fn custom_buckets_are_explicit_bounds() {
    let base = Histogram {
        sum: 7.0,
        custom_values: vec![-1.0, 0.5, 1.0, 10.0],
        positive_spans: spans(&[(1, 2), (1, 1)]),
        ..Histogram::default()
    };
    let integers = Histogram { count_int: Some(9), positive_deltas: vec![2, 1, 1], ..base.clone() };
    let floats = Histogram { count_float: Some(9.5), positive_counts: vec![2.5, 3.0, 4.0], ..base };
    for decoded in both(&custom(integers)) {
        let row = &decoded.rows(Table::MetricHistograms)[0];
        assert_eq!(row.doubles("explicit_bounds"), Some(vec![-1.0, 0.5, 1.0, 10.0]));
        assert_eq!(row.ints("bucket_counts"), Some(vec![0, 2, 3, 0, 4]));
        assert_eq!(
            (row.int("count"), row.double("sum"), row.double("count_double")),
            (Some(9), Some(7.0), None)
        );
    }
    for decoded in both(&custom(floats)) {
        let row = &decoded.rows(Table::MetricHistograms)[0];
        assert_eq!(row.double("count_double"), Some(9.5));
        assert_eq!(row.doubles("bucket_counts_double"), Some(vec![0.0, 2.5, 3.0, 0.0, 4.0]));
        assert_eq!(row.ints("bucket_counts"), Some(vec![0, 3, 3, 0, 4]), "2.5 is rounded");
    }
    for decoded in both(&custom(Histogram { count_int: Some(0), ..Histogram::default() })) {
        assert_eq!(decoded.rows(Table::MetricHistograms)[0].ints("bucket_counts"), Some(vec![0]));
    }
}

/// The sum says so, whatever else is sent.
#[test]
fn a_stale_marker_has_no_value() {
    let sum = f64::from_bits(0x7ff0_0000_0000_0002);
    let histogram = Histogram { count_int: Some(7), sum, schema: 2, ..Histogram::default() };
    for decoded in both(&histogram) {
        let row = &decoded.rows(Table::MetricExpHistograms)[0];
        assert_eq!((row.int("flags"), row.int("count"), row.double("sum")), (Some(1), Some(0), None));
    }
}

/// A value that is no number counts and is in no bucket.
#[test]
fn of_values_that_are_no_numbers_only_the_count_knows() {
    let histogram = |sum| Histogram {
        count_int: Some(3),
        sum,
        positive_spans: spans(&[(0, 1)]),
        positive_deltas: vec![2],
        ..Histogram::default()
    };
    for decoded in both(&histogram(f64::NAN)) {
        let row = &decoded.rows(Table::MetricExpHistograms)[0];
        assert_eq!((row.int("count"), row.ints("positive_bucket_counts")), (Some(3), Some(vec![2])));
    }
    assert_eq!(rejected(histogram_series(histogram(1.0))), [(RejectReason::BadHistogramBuckets, 1)]);
}

#[test]
fn schemas_are_those_that_there_are() {
    let of = |schema| Histogram { count_int: Some(0), schema, ..Histogram::default() };
    for schema in [-4, 0, 8, 9, 52] {
        both(&of(schema));
    }
    for schema in [i32::MIN, -54, -52, -5, 53, i32::MAX] {
        let reason = RejectReason::UnknownHistogramSchema;
        assert_eq!(rejected(histogram_series(of(schema))), [(reason, 1)], "{schema}");
    }
}

#[test]
fn contradictions_are_rejected() {
    let base = || Histogram {
        count_int: Some(3),
        positive_spans: spans(&[(0, 2)]),
        positive_deltas: vec![1, 1],
        ..Histogram::default()
    };
    both(&base());
    let float = || Histogram {
        count_float: Some(1.0),
        positive_spans: spans(&[(0, 1)]),
        positive_counts: vec![1.0],
        ..Histogram::default()
    };
    both(&float());
    let bounds = |custom_values: &[f64]| {
        let (count_int, positive_deltas) = (Some(1), vec![1]);
        let positive_spans = spans(&[(0, 1)]);
        let custom_values = custom_values.to_vec();
        custom(Histogram {
            count_int,
            positive_deltas,
            positive_spans,
            custom_values,
            ..Histogram::default()
        })
    };
    both(&bounds(&[1.0, 2.0]));
    let cases = [
        ("more than the buckets have", Histogram { count_int: Some(4), ..base() }),
        ("fewer counts than spans say", Histogram { positive_spans: spans(&[(0, 3)]), ..base() }),
        ("more counts than spans say", Histogram { positive_spans: spans(&[(0, 1)]), ..base() }),
        ("a count below zero", Histogram { positive_deltas: vec![1, -2], count_int: Some(0), ..base() }),
        ("a count beyond 64 bits", Histogram { positive_deltas: vec![i64::MAX, 1], ..base() }),
        ("a second span that goes back", Histogram { positive_spans: spans(&[(0, 1), (-1, 1)]), ..base() }),
        ("an index below 32 bits", Histogram { positive_spans: spans(&[(i32::MIN, 2)]), ..base() }),
        ("bounds and powers of two", Histogram { custom_values: vec![1.0], ..base() }),
        ("a zero count of the other kind", Histogram { zero_count_float: Some(0.0), ..base() }),
        ("a float count below zero", Histogram { count_float: Some(-1.0), ..float() }),
        ("a float zero count below zero", Histogram { zero_count_float: Some(-1.0), ..float() }),
        ("a float bucket below zero", Histogram { positive_counts: vec![-1.0], ..float() }),
        ("bounds that do not ascend", bounds(&[2.0, 2.0])),
        ("a bound that is no number", bounds(&[1.0, f64::NAN])),
        ("a lone bound that is no number", bounds(&[f64::NAN])),
        ("an infinite last bound", bounds(&[1.0, f64::INFINITY])),
        ("a zero bucket beside bounds", Histogram { zero_threshold: 0.1, ..bounds(&[1.0]) }),
        ("negative buckets beside bounds", Histogram { negative_spans: spans(&[(0, 0)]), ..bounds(&[1.0]) }),
        ("a bucket below the first", Histogram { positive_spans: spans(&[(-1, 1)]), ..bounds(&[1.0]) }),
        ("a bucket above the last", Histogram { positive_spans: spans(&[(2, 1)]), ..bounds(&[1.0]) }),
    ];
    for (what, histogram) in cases {
        let reasons = rejected(histogram_series(histogram));
        assert_eq!(reasons, [(RejectReason::BadHistogramBuckets, 1)], "{what}");
    }
    let too_large = Histogram { count_int: Some(1 << 63), sum: f64::NAN, ..Histogram::default() };
    assert_eq!(rejected(histogram_series(too_large)), [(RejectReason::CountOutOfRange, 1)]);
}

/// Two buckets as far apart as they may be, and one farther; a gap over all of 32 bits costs nothing.
#[test]
fn a_histogram_reaches_over_65536_buckets_at_most() {
    assert_eq!(BUCKETS_MAX, 65_536);
    let apart = |gap| Histogram {
        count_int: Some(2),
        positive_spans: spans(&[(0, 1), (gap, 1)]),
        positive_deltas: vec![1, 0],
        ..Histogram::default()
    };
    for decoded in both(&apart(65_534)) {
        let counts =
            decoded.rows(Table::MetricExpHistograms)[0].ints("positive_bucket_counts").expect("a list");
        assert_eq!((counts.len(), counts.iter().sum::<i64>()), (65_536, 2));
    }
    for gap in [65_535, i32::MAX] {
        assert_eq!(rejected(histogram_series(apart(gap))), [(RejectReason::TooManyBuckets, 1)], "{gap}");
    }
}
