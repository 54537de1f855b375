//! Exemplars: on which row they stand, and what they say there.

use meshlake_schema::Table;

use crate::decode::remote_write::testing::{
    Decoded, Exemplar, Histogram, Label, NOW_MILLIS, Row, TimeSeries, WriteRequest, decoded, encodings,
    histogram_series, labels, sample, series,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn exemplar(value: f64, named: &[(&str, &str)]) -> Exemplar {
    Exemplar { labels: labels(named), value, timestamp: NOW_MILLIS - 1 }
}

fn alone(name: &str, exemplars: Vec<Exemplar>) -> TimeSeries {
    TimeSeries { labels: labels(&[("__name__", name)]), exemplars, ..TimeSeries::default() }
}

fn both(timeseries: Vec<TimeSeries>) -> [Decoded; 2] {
    let request = WriteRequest { timeseries, ..WriteRequest::default() };
    encodings(&request).map(|(format, payload)| decoded(format, &payload))
}

fn values(row: &Row) -> Vec<Option<f64>> {
    row.exemplars().iter().map(|exemplar| exemplar.double("value")).collect()
}

/// Labels as sent, the two ids, names of labels that stay.
type Case = (
    &'static [(&'static str, &'static str)],
    Option<&'static str>,
    Option<&'static str>,
    &'static [&'static str],
);

#[test]
fn ids_stand_in_their_columns_and_other_labels_beside() {
    let cases: [Case; 6] = [
        (&[("trace_id", TRACE), ("span_id", SPAN), ("user", "7")], Some(TRACE), Some(SPAN), &["user"]),
        (&[("traceID", TRACE)], Some(TRACE), None, &["traceID"]),
        (&[("trace_id", "abc"), ("span_id", "xyz")], None, None, &["span_id", "trace_id"]),
        (&[("trace_id", "0AF7651916CD43DD8448EB211C80319C")], None, None, &["trace_id"]),
        (&[("trace_id", "00000000000000000000000000000000")], None, None, &["trace_id"]),
        (&[], None, None, &[]),
    ];
    for (sent, trace_id, span_id, left) in cases {
        let mut with = series(&[("__name__", "m")], &[sample(1.0)]);
        with.exemplars = vec![exemplar(0.5, sent)];
        for decoded in both(vec![with]) {
            assert_eq!(decoded.tally.written.exemplars, 1);
            let exemplars = decoded.rows(Table::MetricPoints)[0].exemplars();
            assert_eq!(exemplars[0].text("trace_id").as_deref(), trace_id, "{sent:?}");
            assert_eq!(exemplars[0].text("span_id").as_deref(), span_id, "{sent:?}");
            assert_eq!(exemplars[0].int("time_unix_nano"), Some((NOW_MILLIS - 1) * 1_000_000));
            let names: Vec<_> = exemplars[0].attributes().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, left);
        }
    }
}

/// Of a series' samples and histograms the last that was accepted has them.
#[test]
fn exemplars_stand_on_the_last_row_of_their_series() {
    let mut with = series(&[("__name__", "h")], &[sample(1.0), sample(2.0)]);
    with.exemplars = vec![exemplar(0.1, &[]), exemplar(0.2, &[])];
    for decoded in both(vec![with.clone()]) {
        let rows = decoded.rows(Table::MetricPoints);
        assert_eq!((values(&rows[0]), values(&rows[1])), (vec![], vec![Some(0.1), Some(0.2)]));
    }
    with.histograms = histogram_series(Histogram { count_int: Some(0), ..Histogram::default() }).histograms;
    for decoded in both(vec![with]) {
        assert!(decoded.rows(Table::MetricPoints).iter().all(|row| values(row).is_empty()));
        assert_eq!(values(&decoded.rows(Table::MetricExpHistograms)[0]), [Some(0.1), Some(0.2)]);
    }
}

/// As Prometheus sends them: a series of their own before or behind that of their sample, labels in another order too.
#[test]
fn exemplars_sent_apart_find_their_sample() {
    let names = [("__name__", "m"), ("a", "1")];
    let mut first = alone("m", vec![exemplar(0.1, &[])]);
    first.labels = labels(&[("a", "1"), ("__name__", "m")]);
    let last = TimeSeries { exemplars: vec![exemplar(0.2, &[])], ..first.clone() };
    let timeseries = vec![first, series(&names, &[sample(1.0)]), series(&names, &[sample(2.0)]), last];
    for decoded in both(timeseries) {
        assert_eq!((decoded.tally.received, decoded.tally.written.exemplars), (2, 2));
        let rows = decoded.rows(Table::MetricPoints);
        assert_eq!((values(&rows[0]), values(&rows[1])), (vec![Some(0.1), Some(0.2)], vec![]));
    }
}

/// They are a row without a value, as late as the latest of them.
#[test]
fn exemplars_without_a_sample_are_a_row_of_their_own() {
    let mut late = exemplar(0.2, &[("trace_id", TRACE)]);
    late.timestamp = NOW_MILLIS + 7;
    for decoded in both(vec![alone("m", vec![late, exemplar(0.1, &[])])]) {
        let written = decoded.tally.written;
        assert_eq!((decoded.tally.accepted, written.samples, written.exemplars), (1, 0, 2));
        let row = &decoded.rows(Table::MetricPoints)[0];
        assert_eq!((row.double("value"), row.int("flags")), (None, Some(0)), "no stale marker");
        assert_eq!(row.int("time_unix_nano"), Some((NOW_MILLIS + 7) * 1_000_000));
        assert_eq!(values(row), [Some(0.2), Some(0.1)]);
    }
}

/// What cannot be stored is counted, also where its series is rejected, and costs no other.
#[test]
fn exemplars_that_are_left_out_are_counted() {
    let no_text = Label { name: vec![0xff], value: b"v".to_vec() };
    let broken = Exemplar { labels: vec![no_text], ..exemplar(9.0, &[]) };
    let mut with = series(&[("__name__", "m")], &[sample(1.0)]);
    with.exemplars = vec![broken, exemplar(0.1, &[("a", "1"), ("a", "2")]), exemplar(0.2, &[])];
    let mut nameless = series(&[("job", "j")], &[sample(1.0)]);
    nameless.exemplars = vec![exemplar(0.3, &[])];
    let mut old = series(&[("__name__", "old")], &[sample(1.0)]);
    old.samples[0].timestamp = 1;
    old.exemplars = vec![exemplar(0.4, &[])];
    let early = alone("early", vec![Exemplar { timestamp: 1, ..exemplar(0.5, &[]) }]);
    for decoded in both(vec![with, nameless, old, early]) {
        let written = decoded.tally.written;
        assert_eq!((written.samples, written.exemplars, written.exemplars_left_out), (1, 1, 5));
        assert_eq!((decoded.tally.received, decoded.tally.accepted), (4, 1));
        assert_eq!(values(&decoded.rows(Table::MetricPoints)[0]), [Some(0.2)]);
    }
}
