//! Rows as senders make them, asked for as Prometheus's engine asks.

mod bounds;
mod catalogue;
mod deltas;
mod shapes;

use std::sync::Arc;

use meshlake_engine::{Engine, EngineConfig};
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_promql::{Hints, Labels, Matcher, Selected, Selection, parse_selector};
use meshlake_schema::budget::Holding;
use meshlake_schema::{SystemClock, Table, TimeRange};
use tokio::runtime::Runtime;

use super::reading::stems;
use super::{Stored, asked};

const SECOND: i64 = 1_000_000_000;

/// A point of `metric` at `second` of the stored series `id`.
pub fn point<const N: usize>(id: i64, metric: &str, second: i64, cells: [(&'static str, Cell); N]) -> Row {
    let mut point = row(second * SECOND, cells);
    point.insert("series_id", id.into());
    point.insert("metric_name", metric.into());
    point
}

/// The same of a gauge.
pub fn gauge(id: i64, metric: &str, second: i64, value: f64) -> Row {
    point(id, metric, second, [("metric_type", "gauge".into()), ("value", value.into())])
}

/// With more cells.
pub fn with<const N: usize>(mut row: Row, cells: [(&'static str, Cell); N]) -> Row {
    row.extend(cells);
    row
}

/// A cell of attributes, all of them strings.
pub fn attributes(pairs: &[(&str, &str)]) -> [(&'static str, Cell); 2] {
    [("attributes", pairs.into()), ("attribute_types", "s".repeat(pairs.len()).as_str().into())]
}

/// A cell of a resource, all attributes of which are strings.
pub fn resource(id: i64, json: &str) -> [(&'static str, Cell); 3] {
    let types = "s".repeat(json.matches("\":").count());
    [("resource_id", id.into()), ("resource", json.into()), ("resource_types", types.as_str().into())]
}

/// A source over rows of one table in memory.
pub struct Asked {
    runtime: Runtime,
    pub stored: Stored,
}

impl Asked {
    pub fn of(rows: impl IntoIterator<Item = (Table, Vec<Row>)>) -> Self {
        let rows = rows.into_iter().zip(1..);
        let snapshot = rows
            .fold(SnapshotBuilder::new(), |snapshot, ((table, rows), lsn)| snapshot.hot(table, lsn, &rows));
        Asked::over(Runtime::new().expect("threads"), snapshot)
    }

    pub fn over(runtime: Runtime, snapshot: SnapshotBuilder) -> Self {
        let config = EngineConfig { parallelism: 2, ..EngineConfig::default() };
        let engine =
            Engine::new(snapshot.reader(), config, Arc::new(SystemClock)).expect("no directory is named");
        let query = runtime.block_on(engine.begin("default")).expect("a snapshot");
        let stored = Stored::new(query, Arc::default(), runtime.handle().clone());
        Asked { runtime, stored }
    }

    pub fn points(rows: Vec<Row>) -> Self {
        Asked::of([(Table::MetricPoints, rows)])
    }

    /// What a selector finds later than `after` and until `until`, in seconds.
    pub fn selected(&self, selector: &str, (after, until): (i64, i64), hints: Hints<'_>) -> Selected {
        let matchers = matchers(selector);
        let (after, until) = (after * 1_000, until * 1_000);
        let selection = Selection { matchers: &matchers, after, until, hints };
        meshlake_promql::Samples::select(&self.stored, &selection).expect(selector)
    }

    /// The samples of all times, a line a series in order of labels: `{labels} value@second ..`.
    pub fn lines(&self, selector: &str) -> Vec<String> {
        lines(&self.selected(selector, (-1, i64::MAX / 1_000_000), Hints::default()))
    }
}

impl Drop for Asked {
    /// The runtime outlives what runs on it.
    fn drop(&mut self) {
        let _ = &self.runtime;
    }
}

pub fn matchers(selector: &str) -> Vec<Matcher> {
    parse_selector(selector).expect(selector)
}

/// A line a series, in order of labels.
pub fn lines(selected: &Selected) -> Vec<String> {
    let mut lines: Vec<(Labels, String)> = selected
        .series
        .iter()
        .map(|series| {
            let seconds = |time: i64| time as f64 / 1e3;
            let floats = series.floats.times.iter().zip(&series.floats.values);
            let floats = floats.map(|(time, value)| {
                let value =
                    if meshlake_promql::is_stale(*value) { "stale".to_owned() } else { value.to_string() };
                format!(" {value}@{}", seconds(*time))
            });
            let histograms = series.histograms.times.iter().zip(&series.histograms.values);
            let histograms = histograms.map(|(time, value)| format!(" {value}@{}", seconds(*time)));
            let samples: String = floats.chain(histograms).collect();
            (series.labels.clone(), format!("{}{samples}", series.labels))
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn a_gauge_is_named_and_labelled_by_the_rules() {
    let cart = r#"{"service.instance.id":"i-1","service.name":"cart","service.namespace":"shop"}"#;
    let row = with(gauge(1, "queue.size", 10, 2.5), resource(7, cart));
    let row = with(row, attributes(&[("queue.name", "orders")]));
    let row = with(
        row,
        [("metric_unit", "By".into()), ("scope_name", "lib".into()), ("scope_version", "1".into())],
    );
    let lines = Asked::points(vec![row]).lines("queue_size_bytes");
    let want = r#"{__name__="queue_size_bytes", instance="i-1", job="shop/cart", otel_scope_name="lib", otel_scope_version="1", queue_name="orders", service_instance_id="i-1", service_name="cart", service_namespace="shop"} 2.5@10"#;
    assert_eq!(lines, [want]);
}

#[test]
fn sums_that_grow_are_counters_and_others_are_not() {
    let sum = |id: i64, metric: &str, is_monotonic: bool| {
        let cells = [
            ("metric_type", "sum".into()),
            ("is_monotonic", is_monotonic.into()),
            ("aggregation_temporality", 2.into()),
            ("value", 3.0.into()),
            ("start_time_unix_nano", (5 * SECOND).into()),
        ];
        point(id, metric, 10, cells)
    };
    let asked = Asked::points(vec![sum(1, "requests", true), sum(2, "busy", false)]);
    assert_eq!(
        asked.lines(r#"{__name__=~".+"}"#),
        [r#"{__name__="busy"} 3@10"#, r#"{__name__="requests_total"} 3@10"#]
    );
    assert_eq!(asked.lines("requests"), Vec::<String>::new(), "its name is another");
    let selected = asked.selected("requests_total", (0, 60), Hints::default());
    assert_eq!(selected.series[0].floats.starts, [5_000]);
}

#[test]
fn remote_written_rows_keep_names_and_labels() {
    let remote = [("scope_name", "prometheus.remote_write".into()), ("metric_unit", "By".into())];
    let row = with(
        point(
            1,
            "node_load1",
            10,
            [("metric_type", "sum".into()), ("is_monotonic", true.into()), ("value", 1.0.into())],
        ),
        remote,
    );
    let row = with(row, attributes(&[("job", "node"), ("instance", "a:9100"), ("x.y", "z")]));
    let row = with(row, resource(7, r#"{"service.instance.id":"a:9100","service.name":"node"}"#));
    let asked = Asked::points(vec![row]);
    let want = [r#"{__name__="node_load1", instance="a:9100", job="node", "x.y"="z"} 1@10"#];
    assert_eq!(asked.lines("node_load1"), want);
    assert_eq!(asked.lines(r#"{"x.y"="z", job="node"}"#), want);
    assert_eq!(asked.lines(r#"{__name__="target_info"}"#), Vec::<String>::new(), "it sends its own");
}

#[test]
fn matchers_choose_series_by_every_label() {
    let of = |id: i64, zone: &str, job: &str| {
        let row = with(gauge(id, "up", 10, id as f64), attributes(&[("zone", zone)]));
        with(row, resource(id, &format!(r#"{{"service.name":"{job}","service.namespace":"a/b"}}"#)))
    };
    let asked =
        Asked::points(vec![of(1, "x", "c"), of(2, "y", "c"), of(3, "y", "d"), gauge(4, "up", 10, 4.0)]);
    let values = |selector: &str| -> Vec<f64> {
        let selected = asked.selected(selector, (0, 60), Hints::default());
        let mut values: Vec<f64> = selected.series.iter().map(|series| series.floats.values[0]).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let cases: [(&str, &[f64]); 9] = [
        ("up", &[1.0, 2.0, 3.0, 4.0]),
        (r#"up{job="a/b/c"}"#, &[1.0, 2.0]),
        (r#"up{job="c"}"#, &[]),
        (r#"up{job=""}"#, &[4.0]),
        (r#"up{job!="a/b/c"}"#, &[3.0, 4.0]),
        (r#"up{zone=~"x|y",job=~".*d"}"#, &[3.0]),
        (r#"up{zone!~"y"}"#, &[1.0, 4.0]),
        (r#"{__name__!="up",zone="x"}"#, &[]),
        (r#"{zone="x"}"#, &[1.0]),
    ];
    for (selector, want) in cases {
        assert_eq!(values(selector), want, "{selector}");
    }
}

/// Samples later than the start and not later than the end, to the millisecond: 9.9999 s is at 9.999 s.
#[test]
fn ends_are_those_of_prometheus() {
    let at = |nanos: i64, value: f64| {
        with(gauge(1, "m", 0, value), [("time_unix_nano", nanos.into()), ("time", (nanos / 1_000).into())])
    };
    let rows = vec![
        at(5 * SECOND, 1.0),
        at(5_001_000_000, 2.0),
        at(9_999_900_000, 3.0),
        at(10 * SECOND, 4.0),
        at(10_000_999_999, 5.0),
        at(10_001_000_000, 6.0),
    ];
    let asked = Asked::points(rows);
    let selected = asked.selected("m", (5, 10), Hints::default());
    assert_eq!(lines(&selected), [r#"{__name__="m"} 2@5.001 3@9.999 5@10"#]);
}

#[test]
fn two_senders_of_one_series_are_merged_with_a_warning() {
    let rows = vec![gauge(1, "m", 10, 1.0), gauge(2, "m", 20, 2.0), gauge(1, "m", 30, 3.0)];
    let selected = Asked::points(rows).selected("m", (0, 60), Hints::default());
    assert_eq!(lines(&selected), [r#"{__name__="m"} 1@10 2@20 3@30"#]);
    let want = r#"1 series have samples of several senders with the same labels, in order of time, such as {__name__="m"}"#;
    assert_eq!(selected.warnings, [want]);
}

#[test]
fn attributes_of_one_name_are_joined_with_a_warning() {
    let row = with(gauge(1, "m", 10, 1.0), attributes(&[("a_b", "2"), ("a.b", "1")]));
    let selected = Asked::points(vec![row]).selected("m", (0, 60), Hints::default());
    assert_eq!(lines(&selected), [r#"{__name__="m", a_b="1;2"} 1@10"#]);
    assert_eq!(selected.warnings.len(), 1, "{:?}", selected.warnings);
}

#[test]
fn no_recorded_value_is_a_stale_marker_and_a_nan_is_a_nan() {
    let stale = with(gauge(1, "m", 20, 0.0), [("flags", 1.into())]);
    let lines = Asked::points(vec![gauge(1, "m", 10, f64::NAN), stale]).lines("m");
    assert_eq!(lines, [r#"{__name__="m"} NaN@10 stale@20"#]);
}

/// Rows of one stored series whose unit changed: two names, as Prometheus would have it.
#[test]
fn a_stored_series_may_change_its_name() {
    let late = with(gauge(1, "m", 20, 2.0), [("metric_unit", "s".into())]);
    let asked = Asked::points(vec![gauge(1, "m", 10, 1.0), late]);
    assert_eq!(asked.lines("m"), [r#"{__name__="m"} 1@10"#]);
    assert_eq!(asked.lines("m_seconds"), [r#"{__name__="m_seconds"} 2@20"#]);
}

/// Series of three metrics, one of them in two units, that come in turns in a file and in the buffer.
#[test]
fn series_of_one_name_are_found_among_those_of_others() {
    let runtime = Runtime::new().expect("threads");
    let in_turns = |second: i64| -> Vec<Row> {
        let metrics = ["a", "b", "c", "a", "b", "c"];
        let plain = |(id, metric): (i64, &&str)| gauge(id, metric, second, id as f64);
        let mut rows: Vec<Row> = (1..).zip(&metrics).map(plain).collect();
        let zones = rows.iter_mut().zip(["x", "x", "x", "y", "y", "y"]);
        zones.for_each(|(row, zone)| row.extend(attributes(&[("zone", zone)])));
        rows.insert(2, with(gauge(7, "b", second, 7.0), [("metric_unit", "s".into())]));
        rows
    };
    let file = runtime.block_on(SnapshotBuilder::new().file(Table::MetricPoints, &in_turns(10), &[]));
    let asked = Asked::over(runtime, file.hot(Table::MetricPoints, 9, &in_turns(20)));
    assert_eq!(
        asked.lines("b"),
        [r#"{__name__="b", zone="x"} 2@10 2@20"#, r#"{__name__="b", zone="y"} 5@10 5@20"#]
    );
    assert_eq!(asked.lines("b_seconds"), [r#"{__name__="b_seconds"} 7@10 7@20"#]);
    assert_eq!(asked.lines(r#"{__name__=~"a|c", zone="y"}"#).len(), 2);
    assert_eq!(asked.lines(r#"{zone=~".+"}"#).len(), 6);
}

/// Names before and behind `__name__`, sets that begin alike, two metrics.
#[test]
fn stems_are_in_the_order_of_their_labels() {
    let sets: [&[(&str, &str)]; 6] = [
        &[("b", "2")],
        &[("A", "z"), ("b", "1")],
        &[("b", "1")],
        &[("b", "1"), ("c", "1")],
        &[("A", "a")],
        &[],
    ];
    let all = ["n", "m"].into_iter().flat_map(|metric| sets.map(|set| (metric, set)));
    let row = |(id, (metric, set))| with(gauge(id, metric, 1, 1.0), attributes(set));
    let asked = Asked::points((1..).zip(all).map(row).collect());
    let matchers = matchers(r#"{__name__=~"m|n"}"#);
    let budget = asked.stored.query.budget();
    let mut held = Holding::new(&*budget);
    let names = asked::Asked::of(&matchers);
    let found = stems(&asked.stored, &names, TimeRange::ALL, &mut held);
    let found = asked.runtime.block_on(found).expect("they are read");
    let labels: Vec<Labels> = found.found.iter().map(|found| found.stem.labels.clone()).collect();
    let mut want = labels.clone();
    want.sort();
    assert_eq!((labels.len(), &labels), (12, &want));
    assert_eq!(labels[0].to_string(), r#"{A="a", __name__="m"}"#);
}

/// Files hold text as it is, the buffer holds dictionaries; both make one series.
#[test]
fn files_and_buffer_are_one() {
    let runtime = Runtime::new().expect("threads");
    let row = |second: i64| with(gauge(1, "m", second, second as f64), attributes(&[("a", "b")]));
    let file = runtime.block_on(SnapshotBuilder::new().file(Table::MetricPoints, &[row(10), row(20)], &[]));
    let file = runtime.block_on(file.file(Table::MetricPoints, &[row(40)], &[]));
    let asked = Asked::over(runtime, file.hot(Table::MetricPoints, 9, &[row(30)]));
    let selected = asked.selected(r#"m{a="b"}"#, (0, 60), Hints::default());
    assert_eq!(lines(&selected), [r#"{__name__="m", a="b"} 10@10 20@20 30@30 40@40"#]);
    assert_eq!(selected.warnings, Vec::<String>::new());
}

/// Two exports of one resource 400 s apart, the second over 200 s: a sample at 10, and at 410, 560 and 610.
#[test]
fn a_resource_is_a_target_while_it_sends() {
    let target = r#"{"host.name":"h","service.name":"cart"}"#;
    let at = |second: i64, export: i64| {
        with(with(gauge(1, "m", second, 1.0), resource(7, target)), [("ingest_time", export.into())])
    };
    let asked = Asked::points(vec![at(10, 1), at(410, 2), at(500, 2), at(610, 2)]);
    let want = r#"{__name__="target_info", host_name="h", job="cart"} 1@10 1@410 1@560 1@610"#;
    assert_eq!(asked.lines("target_info"), [want]);
    assert_eq!(asked.lines(r#"target_info{job="x"}"#), Vec::<String>::new());
}
