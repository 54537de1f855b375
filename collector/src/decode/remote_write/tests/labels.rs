//! Which labels make a series, and where they stand in its row.

use meshlake_schema::Table;

use crate::decode::remote_write::LABELS_MAX;
use crate::decode::remote_write::testing::{
    Label, TimeSeries, WriteRequest, decoded, encodings, labels, rejected, sample, series,
};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::tally::RejectReason;

fn with(labels: Vec<Label>) -> TimeSeries {
    TimeSeries { labels, samples: vec![sample(1.0)], ..TimeSeries::default() }
}

/// `__name__` and so many others.
fn many(count: usize) -> TimeSeries {
    let names: Vec<_> = (0..count).map(|at| format!("l{at}")).collect();
    let others = names.iter().map(|name| (name.as_str(), "v"));
    with(labels(&[("__name__", "m")].into_iter().chain(others).collect::<Vec<_>>()))
}

#[test]
fn names_and_labels_stand_as_they_are_sent() {
    let sent =
        [("__name__", "http requests_total"), ("Z", "é"), ("a.b", "1"), ("instance", "i:1"), ("job", "j/k")];
    let request = WriteRequest { timeseries: vec![series(&sent, &[sample(2.5)])], ..Default::default() };
    for (format, payload) in encodings(&request) {
        let rows = decoded(format, &payload).rows(Table::MetricPoints);
        let [row] = rows.as_slice() else { panic!("one sample is one row") };
        let texts = [
            ("tenant", Some("acme")),
            ("metric_name", Some("http requests_total")),
            ("metric_description", None),
            ("metric_unit", None),
            ("metric_metadata", None),
            ("metric_type", Some("unknown")),
            ("scope_name", Some("prometheus.remote_write")),
            ("service_name", Some("j/k")),
            ("service_namespace", None),
            ("service_instance_id", Some("i:1")),
            ("resource", Some(r#"{"service.instance.id":"i:1","service.name":"j/k"}"#)),
            ("resource_types", Some("ss")),
        ];
        for (column, want) in texts {
            assert_eq!(row.text(column).as_deref(), want, "{column}");
        }
        let want = sent[1..].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(row.attributes(), want.collect::<Vec<_>>());
    }
}

/// Neither the order of labels, nor one without a value, makes another series; a label or its value does.
#[test]
fn a_series_is_its_labels() {
    let id = |sent: &[(&str, &str)]| {
        let request = WriteRequest { timeseries: vec![series(sent, &[sample(1.0)])], ..Default::default() };
        let ids = encodings(&request).map(|(format, payload)| {
            let decoded = decoded(format, &payload);
            assert_eq!(decoded.tally.accepted, 1, "{sent:?}");
            decoded.rows(Table::MetricPoints)[0].int("series_id")
        });
        assert_eq!(ids[0], ids[1], "of both messages");
        ids[0]
    };
    let base = id(&[("__name__", "m"), ("a", "1"), ("job", "j")]);
    assert_eq!(base, id(&[("job", "j"), ("a", "1"), ("__name__", "m")]));
    assert_eq!(base, id(&[("__name__", "m"), ("a", "1"), ("b", ""), ("job", "j")]));
    for other in [
        [("__name__", "n"), ("a", "1"), ("job", "j")],
        [("__name__", "m"), ("a", "2"), ("job", "j")],
        [("__name__", "m"), ("b", "1"), ("job", "j")],
        [("__name__", "m"), ("a", "1"), ("job", "k")],
    ] {
        assert_ne!(base, id(&other), "{other:?}");
    }
}

/// Series of two targets in turns, and one without any: each row has its own target's resource.
#[test]
fn each_target_is_a_resource() {
    let of =
        |job, instance| series(&[("__name__", "m"), ("job", job), ("instance", instance)], &[sample(1.0)]);
    let timeseries = vec![of("a", "1"), of("a", "1"), of("a", "2"), of("b", "1"), of("", ""), of("a", "1")];
    let request = WriteRequest { timeseries, ..WriteRequest::default() };
    for (format, payload) in encodings(&request) {
        let rows = decoded(format, &payload).rows(Table::MetricPoints);
        let named = |column: &str| rows.iter().map(|row| row.text(column)).collect::<Vec<_>>();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(named("service_name"), [some("a"), some("a"), some("a"), some("b"), None, some("a")]);
        assert_eq!(
            named("service_instance_id"),
            [some("1"), some("1"), some("2"), some("1"), None, some("1")]
        );
        assert_eq!(named("resource")[4], some("{}"));
        let ids: Vec<_> = rows.iter().map(|row| row.int("resource_id")).collect();
        assert!(
            ids[0] == ids[1] && ids[0] == ids[5] && ids[0] != ids[2] && ids[0] != ids[3] && ids[0] != ids[4]
        );
    }
}

#[test]
fn labels_that_name_no_series_are_rejected() {
    let name = ("__name__", "m");
    let cases: [(&[(&str, &str)], RejectReason); 6] = [
        (&[], RejectReason::MissingMetricName),
        (&[("job", "j")], RejectReason::MissingMetricName),
        (&[("__name__", ""), ("job", "j")], RejectReason::MissingMetricName),
        (&[name, ("", "v")], RejectReason::BadLabel),
        (&[name, ("a", "1"), ("b", "1"), ("a", "1")], RejectReason::BadLabel),
        (&[name, name], RejectReason::BadLabel),
    ];
    for (sent, reason) in cases {
        assert_eq!(rejected(with(labels(sent))), [(reason, 1)], "{sent:?}");
    }
    let no_text = |name: &[u8], value: &[u8]| {
        let broken = Label { name: name.to_vec(), value: value.to_vec() };
        with([labels(&[("__name__", "m")]), vec![broken]].concat())
    };
    assert_eq!(rejected(no_text(b"a\xff", b"v")), [(RejectReason::BadLabel, 1)]);
    assert_eq!(rejected(no_text(b"a", b"\xc3")), [(RejectReason::BadLabel, 1)]);
}

#[test]
fn a_series_has_128_labels_beside_its_name_at_most() {
    assert_eq!(LABELS_MAX, 128);
    for (count, want) in
        [(LABELS_MAX - 1, None), (LABELS_MAX, None), (LABELS_MAX + 1, Some(1)), (100_000, Some(1))]
    {
        let reasons = rejected(many(count));
        let want: Vec<_> = want.map(|records| (RejectReason::TooManyLabels, records)).into_iter().collect();
        assert_eq!(reasons, want, "{count}");
    }
}

#[test]
fn labels_have_a_longest_name_and_value() {
    let name = |bytes: usize| with(labels(&[("__name__", "m"), (&"n".repeat(bytes), "v")]));
    let value = |bytes: usize| with(labels(&[("__name__", "m"), ("n", &"v".repeat(bytes))]));
    for (fits, one_more) in
        [(name(KEY_BYTES_MAX), name(KEY_BYTES_MAX + 1)), (value(VALUE_BYTES_MAX), value(VALUE_BYTES_MAX + 1))]
    {
        assert_eq!(rejected(fits), []);
        assert_eq!(rejected(one_more), [(RejectReason::LabelTooLong, 1)]);
    }
}
