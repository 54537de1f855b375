//! Names, labels, metadata, exemplars.

use std::collections::BTreeSet;

use meshlake_fixture::Exemplar as ExemplarCell;

use super::*;
use crate::series::{Found, Metadata, Source, Wanted};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn shop() -> Asked {
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
    Asked::of([
        (Table::MetricPoints, points),
        (Table::MetricHistograms, vec![histogram]),
        (Table::Spans, vec![span]),
    ])
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
