//! Names, labels, metadata, exemplars.

use std::collections::BTreeSet;

use meshlake_fixture::Exemplar as ExemplarCell;

use super::*;
use crate::series::{Found, Metadata, Source, Wanted};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn shop() -> Asked {
    Asked::of(shop_rows())
}

fn shop_rows() -> [(Table, Vec<Row>); 3] {
    let target = r#"{"host.name":"h","service.name":"cart"}"#;
    let points = vec![
        with(with(gauge(1, "queue.size", 10, 2.0), attributes(&[("zone", "x")])), resource(7, target)),
        with(gauge(2, "queue.size", 20, 2.0), attributes(&[("zone", "y")])),
        gauge(3, "load", 3_000, 1.0),
    ];
    let exemplars = [(0.2, TRACE, 15), (7.0, TRACE, 16), (0.3, "ffffffffffffffffffffffffffffffff", 17)];
    let exemplars = exemplars.map(|(value, trace_id, second)| ExemplarCell {
        time_unix_nano: second * SECOND,
        value,
        trace_id,
    });
    let histogram = point(
        4,
        "latency",
        20,
        [
            ("aggregation_temporality", 2.into()),
            ("count", 3.into()),
            ("sum", 7.5.into()),
            ("metric_unit", "s".into()),
            ("metric_description", "How long.".into()),
            ("explicit_bounds", Cell::Floats(vec![0.5])),
            ("bucket_counts", Cell::Ints(vec![2, 1])),
            ("exemplars", Cell::Exemplars(exemplars.to_vec())),
        ],
    );
    let span = row(14 * SECOND, [("trace_id", TRACE.into()), ("span_id", "00f067aa0ba902b7".into())]);
    [(Table::MetricPoints, points), (Table::MetricHistograms, vec![histogram]), (Table::Spans, vec![span])]
}

/// All that can be asked of a source, of the first 100 s and of the time from 15 s on.
fn all_told(asked: &Asked) -> Vec<String> {
    let source = &asked.stored;
    let mut told =
        vec![format!("{:?}", source.metadata(None)), format!("{:?}", source.metadata(Some("load")))];
    for (from, to) in [(0, 100), (15, 100), (21, 2_999), (0, 4_000)] {
        for selector in ["{zone=\"x\"}", "{le=\"0.5\"}", "queue_size", "{__name__=~\".+_sum|target_info\"}"] {
            let matchers = matchers(selector);
            let wanted = wanted(&matchers, from, to, 100);
            told.push(format!("{selector} {from} {:?}", source.series(&wanted)));
            told.push(format!("{:?}", source.label_names(&wanted)));
            told.push(format!("{:?}", source.label_values("__name__", &wanted)));
            told.push(format!("{:?}", source.exemplars(&wanted)));
            told.push(format!("{:?}", lines(&asked.selected(selector, (from, to), Hints::default()))));
        }
        told.push(format!("{:?}", source.series(&wanted(&[], from, to, 100))));
    }
    told
}

#[test]
fn what_was_flushed_is_told_as_what_is_buffered() {
    let runtime = Runtime::new().expect("threads");
    let flushed = shop_rows().into_iter().fold(SnapshotBuilder::new(), |snapshot, (table, rows)| {
        runtime.block_on(snapshot.flushed_file(table, &rows))
    });
    let (flushed, buffered) = (all_told(&Asked::over(runtime, flushed)), all_told(&shop()));
    assert_eq!(flushed, buffered);
}

/// Scenario: the second file has a series of the first and a new one, which came later; the third only known ones; and all
/// are asked for in a time that takes in whole files, parts of one, or none. Guarantee: labels are those of series in it.
#[test]
fn files_tell_new_series_and_known_ones_each_in_its_time() {
    let of = |id: i64, zone: &str, second: i64| {
        with(gauge(id, "queue.size", second, 1.0), attributes(&[("zone", zone), ("node", "n")]))
    };
    let files = [
        vec![of(1, "x", 10), with(gauge(9, "load", 10, 1.0), attributes(&[("zone", "l")]))],
        vec![of(1, "x", 20), of(2, "y", 30)],
        vec![of(1, "x", 50), of(2, "y", 50)],
    ];
    let told = |asked: &Asked| {
        let values = |selector: &str, from, to| {
            let matchers = if selector.is_empty() { Vec::new() } else { matchers(selector) };
            asked.stored.label_values("zone", &wanted(&matchers, from, to, 100)).expect("values").found
        };
        assert_eq!(values("", 0, 100), set(&["l", "x", "y"]));
        assert_eq!(values("queue_size", 0, 100), set(&["x", "y"]));
        assert_eq!(values("queue_size", 0, 20), set(&["x"]), "of the second file one series");
        assert_eq!(values("queue_size", 25, 40), set(&["y"]));
        assert_eq!(values("{node=\"n\"}", 0, 100), set(&["x", "y"]));
        assert_eq!(values("", 60, 100), set(&[]));
        let names = |from, to| asked.stored.label_names(&wanted(&[], from, to, 100)).expect("names").found;
        assert_eq!(names(0, 100), set(&["__name__", "node", "zone"]));
        assert_eq!(names(60, 100), set(&[]));
        let metrics = asked.stored.label_values("__name__", &wanted(&[], 20, 100, 100)).expect("names");
        assert_eq!(metrics.found, set(&["queue_size"]));
    };
    let runtime = Runtime::new().expect("threads");
    let flushed = files.iter().fold(SnapshotBuilder::new(), |snapshot, rows| {
        runtime.block_on(snapshot.flushed_file(Table::MetricPoints, rows))
    });
    told(&Asked::over(runtime, flushed));
    told(&Asked::points(files.concat()));
}

/// All series of a metric, some and none, by labels that all of them have, that some lack and that none has: names and values are
/// those of the series that match.
#[test]
fn names_and_values_are_those_of_series_that_match() {
    let of = |id, metric, pairs: &[(&str, &str)]| with(gauge(id, metric, 10, 1.0), attributes(pairs));
    let rows = [
        of(1, "m", &[("a", "1"), ("b", "x")]),
        of(2, "m", &[("a", "1"), ("b", "y")]),
        of(3, "m", &[("a", "1")]),
        of(4, "n", &[("a", "2"), ("b", "x")]),
    ];
    let runtime = Runtime::new().expect("threads");
    let flushed = runtime.block_on(SnapshotBuilder::new().flushed_file(Table::MetricPoints, &rows));
    let asked = Asked::over(runtime, flushed);
    for (selector, count) in [
        (r#"{a="1"}"#, 3),
        (r#"{a=~"1|2"}"#, 4),
        (r#"m{a="2"}"#, 0),
        (r#"{a!="1", __name__=~".+"}"#, 1),
        (r#"{b="x"}"#, 2),
        (r#"{b!="x", __name__="m"}"#, 2),
        (r#"{b=~"|y", a="1"}"#, 2),
        (r#"{b="", a="1"}"#, 1),
        (r#"{b=~".+", a!="1"}"#, 1),
        (r#"{none="", a="2"}"#, 1),
        (r#"{none="1"}"#, 0),
        (r#"{none!="1", a="1"}"#, 3),
        (r#"{a="1", a!~"1"}"#, 0),
    ] {
        let matchers = matchers(selector);
        let wanted = wanted(&matchers, 0, 100, 100);
        let series = asked.stored.series(&wanted).expect(selector).found;
        assert_eq!(series.len(), count, "{selector}");
        let names = series.iter().flat_map(Labels::iter).map(|label| label.name.to_string());
        let told = asked.stored.label_names(&wanted).expect(selector).found;
        assert_eq!(told, names.collect(), "{selector}");
        for name in ["a", "b", "none", "__name__"] {
            let values = series.iter().map(|labels| labels.get(name).to_owned());
            let told = asked.stored.label_values(name, &wanted).expect(selector).found;
            assert_eq!(told, values.filter(|value| !value.is_empty()).collect(), "{name} of {selector}");
        }
    }
}

/// The file of points is not there at all.
#[test]
fn names_and_labels_are_told_without_a_look_at_points() {
    let runtime = Runtime::new().expect("threads");
    let (_, points) = &shop_rows()[0];
    let points = meshlake_fixture::batch(Table::MetricPoints, points);
    let series = meshlake_schema::derived::of(Table::MetricPointsSeries).expect("it is derived");
    let series = series.derive(&[points]).expect("few points");
    let snapshot = SnapshotBuilder::new().unreadable_file(Table::MetricPoints, 10 * SECOND);
    let snapshot = snapshot.derived_from(Table::MetricPoints);
    let snapshot = runtime.block_on(snapshot.put(&series, &[]));
    let asked = Asked::over(runtime, snapshot);
    let wanted = wanted(&[], 0, 4_000, 100);
    let names = asked.stored.label_values("__name__", &wanted).expect("names").found;
    assert_eq!(names, set(&["load", "queue_size", "target_info"]));
    assert_eq!(asked.stored.label_values("zone", &wanted).expect("values").found, set(&["x", "y"]));
    let metrics = asked.stored.metadata(None).expect("metadata");
    assert_eq!(
        metrics.iter().map(|told| told.metric.as_str()).collect::<Vec<_>>(),
        ["load", "queue_size", "target_info"]
    );
    let matchers = matchers("load");
    let selection = Selection { matchers: &matchers, after: 0, until: 4_000_000, hints: Hints::default() };
    assert!(meshlake_promql::Samples::select(&asked.stored, &selection).is_err(), "samples are in it");
}

fn wanted<'a>(matchers: &'a [Matcher], from: i64, to: i64, limit: usize) -> Wanted<'a> {
    Wanted { matchers, from: from * 1_000, to: to * 1_000, limit }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn names_and_labels_are_told_without_samples() {
    let shop = shop();
    let values = |label: &str, matchers: &[Matcher]| {
        shop.stored.label_values(label, &wanted(matchers, 0, 100, 100)).expect(label).found
    };
    let names = [
        "latency_seconds_bucket",
        "latency_seconds_count",
        "latency_seconds_sum",
        "queue_size",
        "target_info",
    ];
    assert_eq!(values("__name__", &[]), set(&names), "load is later");
    assert_eq!(values("__name__", &matchers(r#"{zone="x"}"#)), set(&["queue_size"]));
    assert_eq!(values("zone", &[]), set(&["x", "y"]));
    assert_eq!(values("zone", &matchers(r#"{job="cart"}"#)), set(&["x"]));
    assert_eq!(values("le", &[]), set(&["+Inf", "0.5"]));
    assert_eq!(values("le", &matchers(r#"{le!="+Inf"}"#)), set(&["0.5"]));
    assert_eq!(values("absent", &[]), set(&[]));
    let names =
        |matchers: &[Matcher]| shop.stored.label_names(&wanted(matchers, 0, 100, 100)).expect("names").found;
    assert_eq!(names(&[]), set(&["__name__", "host_name", "job", "le", "service_name", "zone"]));
    assert_eq!(names(&matchers("latency_seconds_count")), set(&["__name__"]));
}

#[test]
fn series_are_told_with_a_limit() {
    let shop = shop();
    let series = |selector: &str, limit: usize| -> (Vec<String>, bool) {
        let found = shop.stored.series(&wanted(&matchers(selector), 0, 100, limit)).expect(selector);
        (found.found.iter().map(ToString::to_string).collect(), found.is_cut)
    };
    let latency = [
        r#"{__name__="latency_seconds_bucket", le="+Inf"}"#,
        r#"{__name__="latency_seconds_bucket", le="0.5"}"#,
        r#"{__name__="latency_seconds_count"}"#,
        r#"{__name__="latency_seconds_sum"}"#,
    ];
    let latency = latency.map(str::to_owned);
    assert_eq!(series(r#"{__name__=~"latency.*"}"#, 4), (latency.to_vec(), false));
    assert_eq!(series(r#"{__name__=~"latency.*"}"#, 3), (latency[..3].to_vec(), true));
    assert_eq!(series("load", 9), (Vec::new(), false));
}

#[test]
fn metadata_is_what_senders_told() {
    let told = |metric: Option<&str>| shop().stored.metadata(metric).expect("metadata");
    let of = |metric: &str, kind, help: &str, unit: &str| Metadata {
        metric: metric.to_owned(),
        kind,
        help: help.to_owned(),
        unit: unit.to_owned(),
    };
    let want = [
        of("latency_seconds", "histogram", "How long.", "seconds"),
        of("load", "gauge", "", ""),
        of("queue_size", "gauge", "", ""),
        of("target_info", "gauge", "Target metadata", ""),
    ];
    assert_eq!(told(None), want);
    assert_eq!(told(Some("load")), want[1..2]);
}

#[test]
fn a_remote_writers_word_for_the_type_counts() {
    let row = with(
        gauge(1, "a_b", 10, 1.0),
        [
            ("scope_name", "prometheus.remote_write".into()),
            ("metric_metadata", r#"{"prometheus.type":"stateset"}"#.into()),
            ("metric_unit", "seconds".into()),
        ],
    );
    let told = Asked::points(vec![row]).stored.metadata(None).expect("metadata");
    assert_eq!(
        (told[0].metric.as_str(), told[0].kind, told[0].unit.as_str()),
        ("a_b", "stateset", "seconds")
    );
}

/// Of three exemplars one has a trace that is not stored, and two are in different buckets.
#[test]
fn exemplars_with_stored_traces_are_told() {
    let shop = shop();
    let exemplars = |selector: &str, from: i64| -> Vec<(String, Vec<(f64, i64)>)> {
        let found: Found<_> =
            shop.stored.exemplars(&wanted(&matchers(selector), from, 100, 10)).expect(selector);
        let pairs = |exemplars: Vec<crate::series::Exemplar>| {
            assert!(exemplars.iter().all(|exemplar| exemplar.labels.get("trace_id") == TRACE));
            exemplars.iter().map(|exemplar| (exemplar.value, exemplar.time)).collect()
        };
        found.found.into_iter().map(|(labels, told)| (labels.get("le").to_owned(), pairs(told))).collect()
    };
    let low = ("0.5".to_owned(), vec![(0.2, 15_000)]);
    let high = ("+Inf".to_owned(), vec![(7.0, 16_000)]);
    assert_eq!(exemplars("latency_seconds_bucket", 0), [high.clone(), low.clone()]);
    assert_eq!(exemplars(r#"latency_seconds_bucket{le="0.5"}"#, 0), [low]);
    assert_eq!(exemplars("latency_seconds_bucket", 16), [high]);
    assert_eq!(exemplars("queue_size", 0), []);
}
