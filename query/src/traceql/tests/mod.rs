//! Searches over files and memory, against what a look at every trace says.

mod large;

use std::sync::Arc;

use meshlake_engine::{Engine, EngineConfig, Query};
use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::{SystemClock, Table, TimeRange, UnixNanos};
use meshlake_traceql::{parse, tree};

use super::*;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// One span as the tests know it.
#[derive(Debug, Clone)]
struct Made {
    trace: u64,
    id: u64,
    parent: Option<u64>,
    start: i64,
    duration: i64,
    service: &'static str,
    name: &'static str,
    is_error: bool,
    pod: &'static str,
    color: Option<&'static str>,
}

impl Made {
    fn row(&self) -> Row {
        let text = |text: String| meshlake_fixture::Cell::Text(text);
        let resource = format!(r#"{{"k8s.pod.name":"{}","service.name":"{}"}}"#, self.pod, self.service);
        let mut row = row(
            self.start,
            [
                ("trace_id", text(format!("{:032x}", self.trace))),
                ("span_id", text(format!("{:016x}", self.id))),
                ("duration_nano", self.duration.into()),
                ("service_name", self.service.into()),
                ("name", self.name.into()),
                ("status_code", i64::from(2 * u8::from(self.is_error)).into()),
                ("resource", text(resource)),
                ("resource_types", "ss".into()),
            ],
        );
        if let Some(parent) = self.parent {
            row.insert("parent_span_id", text(format!("{parent:016x}")));
        }
        if let Some(color) = self.color {
            row.insert("attributes", [("color", color)].as_slice().into());
            row.insert("attribute_types", "s".into());
        }
        row
    }
}

/// Numbers that look random and are the same each time. Source: Numerical Recipes, "quick and dirty" generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Chains of up to four spans, over two days; some traces last for hours.
fn traces(count: u64) -> Vec<Vec<Made>> {
    let mut dice = Dice(7);
    let mut of_trace = |trace: u64| {
        let begin = dice.below(2 * 86_400) as i64 * SECOND;
        let gap = dice.of(&[1, 1_000, 7_200]) * SECOND;
        let spans = 1 + dice.below(4);
        let made = |at: u64| Made {
            trace,
            id: trace * 10 + at,
            parent: (at > 0).then(|| trace * 10 + at - 1),
            start: begin + at as i64 * gap,
            duration: (1 + dice.below(2_000)) as i64 * SECOND / 1_000,
            service: dice.of(&["web", "cart", "db"]),
            name: dice.of(&["get", "put"]),
            is_error: dice.below(5) == 0,
            pod: dice.of(&["p1", "p2", "p3"]),
            color: dice.of(&[None, Some("red"), Some("blue")]),
        };
        (0..spans).map(made).collect()
    };
    (1..=count).map(&mut of_trace).collect()
}

/// Spans by their day: those of the first day in files, some of which `traces` does not count, later ones in memory.
async fn stored(traces: &[Vec<Made>]) -> Engine {
    let spans: Vec<&Made> = traces.iter().flatten().collect();
    let of_file = |file: usize| -> Vec<Row> {
        let own = spans.iter().filter(|span| span.start < DAY && span.id % 3 == file as u64);
        own.map(|span| span.row()).collect()
    };
    let hot: Vec<Row> = spans.iter().filter(|span| span.start >= DAY).map(|span| span.row()).collect();
    let snapshot = SnapshotBuilder::new().traced_file(&of_file(0)).await.traced_file(&of_file(1)).await;
    let snapshot = snapshot.file(Table::Spans, &of_file(2), &[]).await.hot(Table::Spans, 9, &hot);
    engine(snapshot)
}

fn engine(snapshot: SnapshotBuilder) -> Engine {
    let engine = Engine::new(snapshot.reader(), EngineConfig::default(), Arc::new(SystemClock));
    engine.expect("no directory is named")
}

async fn query(snapshot: SnapshotBuilder) -> Query {
    engine(snapshot).begin("default").await.expect("a place is free")
}

fn asked(text: &str, range: TimeRange, traces_max: usize) -> Search {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Search { query, range, traces_max, spans_max: 3, durations: ANY_DURATION }
}

async fn found(query: &Query, asked: &Search) -> Found {
    search(query, asked).await.unwrap_or_else(|error| panic!("{error}"))
}

type Selects = fn(&[Made], &Made) -> bool;

/// Queries, and which spans of a trace they select.
const QUERIES: [(&str, Selects); 11] = [
    ("{ }", |_, _| true),
    ("{ resource.service.name = \"cart\" }", |_, span| span.service == "cart"),
    ("{ resource.k8s.pod.name =~ \"p[12]\" && status = error }", |_, span| span.pod != "p3" && span.is_error),
    ("{ span.color = \"red\" }", |_, span| span.color == Some("red")),
    ("{ span.color = nil && duration > 1900ms }", |_, span| {
        span.color.is_none() && span.duration > 1_900 * SECOND / 1_000
    }),
    ("{ .k8s.pod.name = \"p1\" } && { .color = \"blue\" }", |all, span| {
        let (pod, color) = (|span: &Made| span.pod == "p1", |span: &Made| span.color == Some("blue"));
        all.iter().any(pod) && all.iter().any(color) && (pod(span) || color(span))
    }),
    ("{ name = \"get\" } >> { status = error }", |all, span| {
        let is_above = |other: &&Made| other.id < span.id;
        span.is_error && all.iter().filter(is_above).any(|above| above.name == "get")
    }),
    ("{ status = error } | count() > 1", |all, span| {
        span.is_error && all.iter().filter(|span| span.is_error).count() > 1
    }),
    ("{ rootServiceName = \"db\" && name = \"put\" }", |all, span| {
        all[0].service == "db" && span.name == "put"
    }),
    ("{ nestedSetParent < 0 && traceDuration > 1h }", |all, span| {
        let end = all.iter().map(|span| span.start + span.duration).max().unwrap_or_default();
        span.parent.is_none() && end - all[0].start > 3_600 * SECOND
    }),
    ("{ resource.service.name = \"nobody\" }", |_, _| false),
];

/// Ids of traces that have a selected span in the range, newest first.
fn expected(traces: &[Vec<Made>], selects: Selects, range: TimeRange) -> Vec<String> {
    let is_in = |span: &Made| (range.from.0..range.to.0).contains(&span.start);
    let mut found: Vec<(i64, u64)> = traces
        .iter()
        .filter(|spans| spans.iter().any(|span| is_in(span) && selects(spans, span)))
        .map(|spans| (-spans[0].start, spans[0].trace))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, trace)| format!("{trace:032x}")).collect()
}

fn ids(found: &Found) -> Vec<String> {
    found.traces.iter().map(|trace| trace.trace_id.clone()).collect()
}

#[tokio::test]
async fn a_search_finds_the_newest_traces_that_match() {
    let traces = traces(200);
    let engine = stored(&traces).await;
    let some_hours = TimeRange { from: UnixNanos(5 * 3_600 * SECOND), to: UnixNanos(30 * 3_600 * SECOND) };
    let both_days = TimeRange { from: UnixNanos(0), to: UnixNanos(3 * DAY) };
    for (text, selects) in QUERIES {
        for (range, limit) in [(both_days, 20), (some_hours, 1_000)] {
            let want = expected(&traces, selects, range);
            let query = engine.begin("default").await.expect("a place is free");
            let found = found(&query, &asked(text, range, limit)).await;
            let newest: Vec<String> = want.iter().take(limit).cloned().collect();
            assert_eq!(ids(&found), newest, "{text} of {range:?}, {limit} at most");
            assert!(found.is_complete || want.len() >= limit, "{text}: all {} are found", want.len());
            assert!(!found.is_complete || want.len() <= limit, "{text}: some are left out");
        }
    }
}

#[tokio::test]
async fn a_trace_is_told_with_its_root_its_services_and_what_was_asked() {
    let span = |id, parent, start, service, color| Made {
        trace: 1,
        id,
        parent,
        start,
        duration: 3 * SECOND,
        service,
        name: "get",
        is_error: id == 2,
        pod: "p",
        color,
    };
    let spans = [
        span(1, None, 10 * SECOND, "web", None),
        span(2, Some(1), 11 * SECOND, "cart", Some("red")),
        span(3, Some(1), 12 * SECOND, "cart", Some("blue")),
    ];
    let rows: Vec<Row> = spans.iter().chain([&spans[1]]).map(Made::row).collect();
    let query = query(SnapshotBuilder::new().traced_file(&rows).await).await;
    let text = "{ span.color != nil } | by(span.color) | select(status, resource.k8s.pod.name)";
    let found = found(&query, &asked(text, TimeRange::ALL, 5)).await;
    let [trace] = found.traces.as_slice() else { panic!("{found:?} is one trace") };
    assert_eq!((trace.start_nano, trace.duration_nano), (10 * SECOND, 5 * SECOND));
    let root = (trace.root_service.as_deref(), trace.root_name.as_deref());
    assert_eq!(root, (Some("web"), Some("get")));
    let services: Vec<_> = trace.services.iter().map(|(name, stats)| (name.as_str(), *stats)).collect();
    let stats = |spans, errors| ServiceStats { spans, errors };
    assert_eq!(services, [("cart", stats(2, 1)), ("web", stats(1, 0))], "stored twice, told once");
    let told = |set: &FoundSpanset| {
        let attributes = set.spans[0].attributes.iter().map(|(key, value)| format!("{key}={value}"));
        (set.matched, attributes.collect::<Vec<_>>().join(" "))
    };
    let sets: Vec<_> = trace.spansets.iter().map(told).collect();
    let want = [
        (1, "color=\"red\" status=error k8s.pod.name=\"p\"".to_owned()),
        (1, "color=\"blue\" status=unset k8s.pod.name=\"p\"".to_owned()),
    ];
    assert_eq!(sets, want);
}

#[tokio::test]
async fn spans_told_of_a_set_are_bounded_and_the_rest_is_counted() {
    let spans: Vec<Made> = traces(1).concat();
    let many: Vec<Row> = (0..5)
        .map(|at| Made { id: at + 1, parent: None, start: at as i64, ..spans[0].clone() }.row())
        .collect();
    let query = query(SnapshotBuilder::new().hot(Table::Spans, 1, &many)).await;
    let found = found(&query, &asked("{ }", TimeRange::ALL, 5)).await;
    let [set] = found.traces[0].spansets.as_slice() else { panic!("{found:?} has one set") };
    let starts: Vec<i64> = set.spans.iter().map(|span| span.start_nano).collect();
    assert_eq!((set.matched, starts), (5, vec![0, 1, 2]));
}

#[tokio::test]
async fn a_query_of_series_is_no_search() {
    let query = query(SnapshotBuilder::new()).await;
    let error = search(&query, &asked("{ } | rate()", TimeRange::ALL, 5)).await;
    assert!(matches!(error, Err(Error::OtherKind(_))), "{error:?}");
}

/// Spans of each service that a query selects, as a series without steps counts them.
async fn counts(engine: &Engine, text: &str, start: i64, end: i64) -> Vec<(String, f64)> {
    let query = engine.begin("default").await.expect("a place is free");
    let tree = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let steps = meshlake_traceql::Steps::instant(start, end).expect("an instant");
    let series = series(&query, &tree, steps).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    let told = |line: &meshlake_traceql::Line| {
        let labels: Vec<String> = line.labels.iter().map(|(_, value)| value.to_string()).collect();
        (labels.join(" "), line.values[0].unwrap_or_default())
    };
    series.lines.iter().map(told).collect()
}

/// By rows and by whole traces alike, over files and memory: what a loop over all spans says.
#[tokio::test]
async fn series_count_every_selected_span_once() {
    let traces = traces(200);
    let engine = stored(&traces).await;
    let (start, end) = (6 * 3_600 * SECOND, 30 * 3_600 * SECOND);
    let selected: [(&str, Selects); 4] = [
        ("{ }", |_, _| true),
        ("{ resource.k8s.pod.name = \"p2\" && span.color != nil }", |_, span| {
            span.pod == "p2" && span.color.is_some()
        }),
        ("{ rootServiceName = \"db\" }", |all, _| all[0].service == "db"),
        ("{ name = \"get\" } >> { status = error }", |all, span| {
            span.is_error && all.iter().filter(|above| above.id < span.id).any(|above| above.name == "get")
        }),
    ];
    for (text, selects) in selected {
        let query = format!("{text} | count_over_time() by (resource.service.name)");
        let mut want: std::collections::BTreeMap<String, f64> = std::collections::BTreeMap::new();
        for spans in &traces {
            for span in spans.iter().filter(|span| span.start > start && span.start <= end) {
                if selects(spans, span) {
                    *want.entry(format!("{:?}", span.service)).or_default() += 1.0;
                }
            }
        }
        assert_eq!(counts(&engine, &query, start, end).await, Vec::from_iter(want), "{query}");
    }
}

#[tokio::test]
async fn series_of_a_query_of_spans_there_are_none() {
    let query = query(SnapshotBuilder::new()).await;
    let steps = meshlake_traceql::Steps::instant(0, SECOND).expect("an instant");
    let error = series(&query, &parse("{ }").expect("a query"), steps).await;
    assert!(matches!(error, Err(Error::OtherKind(_))), "{error:?}");
}

#[tokio::test]
async fn names_and_values_are_those_of_the_range_and_of_spans_that_pass() {
    let span = |id, start, service, color| Made {
        trace: id,
        id,
        parent: None,
        start,
        duration: 1,
        service,
        name: "get",
        is_error: false,
        pod: "p",
        color,
    };
    let old = [span(1, SECOND, "web", Some("red"))].map(|span| span.row());
    let new = [span(2, DAY, "cart", Some("blue")), span(3, DAY + 1, "db", None)].map(|span| span.row());
    let snapshot = SnapshotBuilder::new().traced_file(&old).await.hot(Table::Spans, 1, &new);
    let query = query(snapshot).await;
    let browse = |from, text: Option<&str>, limit| Browse {
        range: TimeRange { from: UnixNanos(from), to: UnixNanos(2 * DAY) },
        query: text.map(|text| parse(text).expect("a query")),
        limit,
    };
    let field = |scope, key| tree::Field::attribute(scope, key);
    let values_of = async |browse: Browse, field: tree::Field| {
        let browsed = values(&query, &browse, &field).await.expect("it is answered");
        let told: Vec<String> = browsed.found.iter().map(|told| told.0.to_string()).collect();
        (told.join(" "), browsed.is_complete)
    };
    let color = || field(tree::Scope::Span, "color");
    let service = || field(tree::Scope::Resource, "service.name");
    assert_eq!(values_of(browse(0, None, 9), color()).await, ("\"blue\" \"red\"".to_owned(), true));
    assert_eq!(values_of(browse(DAY, None, 9), color()).await, ("\"blue\"".to_owned(), true));
    let of_blue = browse(0, Some("{ span.color = \"blue\" }"), 9);
    assert_eq!(values_of(of_blue, service()).await, ("\"cart\"".to_owned(), true));
    assert!(values_of(browse(0, None, 3), service()).await.1);
    assert!(!values_of(browse(0, None, 2), service()).await.1);
    let root = tree::Field::intrinsic(tree::Intrinsic::RootService);
    assert_eq!(values_of(browse(0, None, 9), root).await.0, "\"cart\" \"db\" \"web\"");
    let names = names(&query, &browse(0, None, 9), &SCOPES).await.expect("it is answered").found;
    let of = |scope| names[&scope].iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!(of(tree::Scope::Span), "color");
    assert_eq!(of(tree::Scope::Resource), "k8s.pod.name service.name");
    assert_eq!((of(tree::Scope::Event), of(tree::Scope::Link)), (String::new(), String::new()));
}

/// `http.request.method` has a column. What another spelling filled, or what is of another type, is in the map, and rows say what it is.
#[tokio::test]
async fn values_of_a_column_are_told_by_files_unless_the_map_has_some() {
    let span = |column: Option<&str>, map: &[(&str, &str)], types: &str| -> Row {
        let mut row = row(1, [("attributes", map.into()), ("attribute_types", types.into())]);
        row.extend(column.map(|column| ("http_request_method", column.into())));
        row
    };
    let check = async |files: &[Row], hot: &[Row], scope: tree::Scope, want: (&[&str], usize)| {
        let snapshot = SnapshotBuilder::new().file(Table::Spans, files, &[]).await;
        let query = query(snapshot.hot(Table::Spans, 1, hot)).await;
        let browse = Browse { range: TimeRange::ALL, query: None, limit: 9 };
        let field = tree::Field::attribute(scope, "http.request.method");
        let browsed = values(&query, &browse, &field).await.expect("it is answered");
        let told: Vec<String> = browsed.found.iter().map(|told| told.0.to_string()).collect();
        assert_eq!(
            (told.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), browsed.inspected_spans),
            want
        );
        assert!(browsed.is_complete);
    };
    let plain = [span(Some("GET"), &[("k", "v")], "s"), span(Some("PUT"), &[], ""), span(None, &[], "")];
    let spelled = [plain.to_vec(), vec![span(Some("POST"), &[("http.method", "POST")], "s")]].concat();
    let typed = [plain.to_vec(), vec![span(None, &[("http.request.method", "5")], "i")]].concat();
    // Of three rows in a file none is looked at, of one in memory that one; then all of a file.
    for scope in [tree::Scope::Span, tree::Scope::Any] {
        check(&plain, &[], scope, (&["\"GET\"", "\"PUT\""], 0)).await;
        check(&plain, &[span(Some("HEAD"), &[], "")], scope, (&["\"GET\"", "\"HEAD\"", "\"PUT\""], 1)).await;
        check(&spelled, &[], scope, (&["\"GET\"", "\"PUT\""], 4)).await;
        check(&typed, &[], scope, (&["5", "\"GET\"", "\"PUT\""], 4)).await;
    }
}
