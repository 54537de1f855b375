//! Series over hand-made snapshots, asked in PromQL.

use meshlake_engine::{Engine, EngineConfig};
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_promql::{Answer, AnswerValue, Comparison, Matcher, Options, Point, When, evaluate, parse};
use meshlake_schema::{Clock, Table, TimeRange, UnixNanos};

use super::*;
use crate::settling::settle;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

struct At(i64);

impl Clock for At {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0 * SECOND)
    }
}

/// A call of web to cart that took 10 ms, 100 bytes in and 1,000 out, as one of their proxies saw it.
fn call(second: i64, observer: &str) -> Row {
    let cells: [(&str, Cell); 15] = [
        ("duration_nano", 10_000_000.into()),
        ("observer", observer.into()),
        ("layer", "l7".into()),
        ("counted", true.into()),
        ("outcome", "ok".into()),
        ("response_code", 200.into()),
        ("request_bytes", 100.into()),
        ("response_bytes", 1_000.into()),
        ("attempts", 1.into()),
        ("source_service", "web".into()),
        ("source_workload", "web-v1".into()),
        ("source_namespace", "shop".into()),
        ("destination_service", "cart".into()),
        ("destination_workload", "cart-v1".into()),
        ("destination_namespace", "shop".into()),
    ];
    row(second * SECOND, cells)
}

fn with<const N: usize>(mut row: Row, cells: [(&'static str, Cell); N]) -> Row {
    row.extend(cells);
    row
}

/// Calls as cart's proxy saw them, one at each of these seconds.
fn served(seconds: impl IntoIterator<Item = i64>) -> Vec<Row> {
    seconds.into_iter().map(|second| call(second, "server")).collect()
}

fn engine(rows: &[Row], now: i64) -> Engine {
    engine_of(SnapshotBuilder::new().hot(Table::Requests, 1, rows), now)
}

fn engine_of(snapshot: SnapshotBuilder, now: i64) -> Engine {
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    Engine::with_functions(snapshot.reader(), config, Arc::new(At(now)), Vec::new()).expect("no directory")
}

/// What `ask` gives of the series of these rows, at `now` in seconds.
async fn asked<T: Send + 'static>(
    rows: &[Row],
    now: i64,
    ask: impl FnOnce(&Counted) -> T + Send + 'static,
) -> T {
    let query = engine(rows, now).begin("default").await.expect("a place is free");
    let counted = Counted::new(query, Arc::new(Chunks::default()), Handle::current());
    tokio::task::spawn_blocking(move || ask(&counted)).await.expect("the answer comes")
}

async fn answer(rows: &[Row], now: i64, text: &str, when: When) -> AnswerValue {
    let text = text.to_owned();
    asked(rows, now, move |counted| evaluated(counted, &text, when).value).await
}

fn evaluated(counted: &Counted, text: &str, when: When) -> Answer {
    let tree = parse(text).expect("a query");
    let budget = counted.query.budget();
    evaluate(&tree, text, when, counted, &*budget, &Options::default()).expect("an answer")
}

fn float(point: &Point) -> f64 {
    match point {
        Point::Float(value) => *value,
        other => panic!("{other:?} is no number"),
    }
}

/// The values of a vector at an instant, which is now, each as `labels value`.
async fn vector(rows: &[Row], now: i64, text: &str) -> Vec<String> {
    match answer(rows, now, text, When::Instant(now * 1_000)).await {
        AnswerValue::Vector(_, rows) => {
            rows.iter().map(|(labels, point)| format!("{labels} {}", float(point))).collect()
        }
        other => panic!("{other:?} is no vector"),
    }
}

async fn number(rows: &[Row], now: i64, text: &str) -> Option<f64> {
    let found = vector(rows, now, text).await;
    found.first().map(|row| row.rsplit(' ').next().expect("a value").parse().expect("a number"))
}

/// Seven calls in the first minute of an hour and three in the next; nothing is extrapolated.
#[tokio::test]
async fn increase_is_the_number_of_calls() {
    let rows = served((3_600..3_607).chain(3_660..3_663));
    let ask = |now, text| number(&rows, now, text);
    assert_eq!(ask(3_660, "increase(istio_requests_total[1m])").await, Some(7.0));
    assert_eq!(ask(3_720, "increase(istio_requests_total[1m])").await, Some(3.0));
    assert_eq!(ask(3_720, "increase(istio_requests_total[2m])").await, Some(10.0));
    assert_eq!(ask(3_720, "rate(istio_requests_total[2m])").await, Some(10.0 / 120.0));
    assert_eq!(ask(3_670, "irate(istio_requests_total[1m])").await, Some(0.3));
    assert_eq!(ask(3_780, "increase(istio_requests_total[1m])").await, Some(0.0), "it is silent");
    assert_eq!(ask(3_599, "increase(istio_requests_total[1m])").await, None, "nobody called yet");
}

/// One call in each ten seconds around midnight: bare counts begin anew, and an increase is that of both days.
#[tokio::test]
async fn a_counter_counts_from_midnight() {
    let rows = served((0..12).map(|at| DAY - 60 + at * 10));
    let ask = |now, text| number(&rows, now, text);
    assert_eq!(ask(DAY, "istio_requests_total").await, Some(6.0));
    assert_eq!(ask(DAY + 10, "istio_requests_total").await, Some(1.0));
    assert_eq!(ask(DAY + 60, "istio_requests_total").await, Some(6.0));
    assert_eq!(ask(DAY + 60, "increase(istio_requests_total[2m])").await, Some(12.0));
    assert_eq!(ask(DAY + 30, "increase(istio_requests_total[1m])").await, Some(6.0));
    // A reset and no more: 0 right after midnight, then 1.
    assert_eq!(ask(DAY + 60, "resets(istio_requests_total[2m])").await, Some(1.0));
    assert_eq!(ask(2 * DAY - 1, "istio_requests_total").await, Some(6.0), "until the day ends");
    assert_eq!(ask(2 * DAY + 10, "istio_requests_total").await, None);
    assert_eq!(ask(2 * DAY + 30, "increase(istio_requests_total[1m])").await, Some(0.0));
}

/// In a subquery a counter counts from its first instant: 1 at 3,660, 2 at 3,720, and so on.
#[tokio::test]
async fn a_subquery_counts_from_its_first_instant() {
    let rows = served((0..10).map(|at| 3_600 + at * 60));
    let text = "max_over_time(istio_requests_total[3m:1m])";
    assert_eq!(number(&rows, 4_200, text).await, Some(2.0));
}

/// Both sides of one call: reporter tells which; and all 25 labels have a value.
#[tokio::test]
async fn both_sides_are_reported_with_every_label() {
    let ids = [("request_id", Cell::from("1")), ("source_principal", "spiffe://a".into())];
    let served = with(with(call(3_601, "server"), ids.clone()), [("tls_version", "TLSv1_3".into())]);
    let made = with(with(call(3_601, "client"), ids), [("response_flags_text", "UT".into())]);
    let got = vector(&[served, made], 3_660, "increase(istio_requests_total[1m])").await;
    let want = |reporter: &str, security: &str, flags: &str| {
        format!(
            "{{connection_security_policy=\"{security}\", destination_app=\"cart\", \
             destination_canonical_revision=\"latest\", destination_canonical_service=\"cart\", \
             destination_cluster=\"unknown\", destination_principal=\"unknown\", \
             destination_service=\"cart.shop.svc.cluster.local\", destination_service_name=\"cart\", \
             destination_service_namespace=\"shop\", destination_version=\"unknown\", \
             destination_workload=\"cart-v1\", destination_workload_namespace=\"shop\", \
             grpc_response_status=\"-\", reporter=\"{reporter}\", request_protocol=\"http\", \
             response_code=\"200\", response_flags=\"{flags}\", source_app=\"web\", \
             source_canonical_revision=\"latest\", source_canonical_service=\"web\", \
             source_cluster=\"unknown\", source_principal=\"spiffe://a\", source_version=\"unknown\", \
             source_workload=\"web-v1\", source_workload_namespace=\"shop\"}} 1"
        )
    };
    assert_eq!(got, [want("destination", "mutual_tls", "-"), want("source", "unknown", "UT")]);
}

/// Ten calls of 1 to 10 ms times ten: those of up to 50 ms are five, and all bytes are told.
#[tokio::test]
async fn histograms_have_envoys_buckets() {
    let rows: Vec<Row> = (1..=10)
        .map(|at| with(call(3_600 + at, "server"), [("duration_nano", (at * 10_000_000).into())]))
        .collect();
    let buckets = "sum by (le) (increase(istio_request_duration_milliseconds_bucket[1m]))";
    let of = |metric: &'static str| {
        let rows = rows.clone();
        async move { number(&rows, 3_660, &format!("increase({metric}[1m])")).await }
    };
    let got = vector(&rows, 3_660, buckets).await;
    let has = |bound: &str, count: usize| got.contains(&format!("{{le=\"{bound}\"}} {count}"));
    assert_eq!(got.len(), 20);
    assert!(
        has("5", 0) && has("10", 1) && has("25", 2) && has("50", 5) && has("100", 10) && has("+Inf", 10),
        "{got:?}"
    );
    assert_eq!(of("istio_request_duration_milliseconds_sum").await, Some(550.0));
    assert_eq!(of("istio_request_duration_milliseconds_count").await, Some(10.0));
    assert_eq!(of("istio_request_bytes_sum").await, Some(1_000.0));
    assert_eq!(of("istio_response_bytes_sum").await, Some(10_000.0));
    let one = "increase(istio_response_bytes_bucket{le=~\"500|1000\"}[1m])";
    let counts = vector(&rows, 3_660, one).await;
    assert!(counts[0].ends_with(" 10") && counts[1].ends_with(" 0") && counts.len() == 2, "{counts:?}");
}

/// A connection of two minutes: sent is what went to the caller, in Envoy's words as in Istio's.
#[tokio::test]
async fn connections_have_bytes_and_no_requests() {
    let connection = [("layer", Cell::from("l4")), ("duration_nano", (120 * SECOND).into())];
    let rows = [with(call(3_601, "server"), connection)];
    let ask = |metric: &'static str| {
        let rows = rows.clone();
        async move {
            number(&rows, 3_660, &format!("sum(increase({metric}{{request_protocol='tcp'}}[1m]))")).await
        }
    };
    assert_eq!(ask("istio_tcp_sent_bytes_total").await, Some(1_000.0));
    assert_eq!(ask("istio_tcp_received_bytes_total").await, Some(100.0));
    assert_eq!(ask("istio_tcp_connections_opened_total").await, Some(1.0));
    assert_eq!(ask("istio_requests_total").await, None);
}

/// A span of web's query to its database, which took 20 ms and failed.
fn query_span() -> Row {
    let cells: [(&str, Cell); 10] = [
        ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
        ("span_id", "00000000000000aa".into()),
        ("service_name", "web".into()),
        ("service_namespace", "shop".into()),
        ("name", "SELECT".into()),
        ("kind", 3.into()),
        ("db_system_name", "mysql".into()),
        ("server_address", "db".into()),
        ("outcome", "error".into()),
        ("duration_nano", 20_000_000.into()),
    ];
    row(3_605 * SECOND, cells)
}

async fn of_spans(text: &'static str) -> Vec<String> {
    let engine = engine_of(SnapshotBuilder::new().hot(Table::Spans, 1, &[query_span()]), 3_660);
    let query = engine.begin("default").await.expect("a place is free");
    let counted = Counted::new(query, Arc::new(Chunks::default()), Handle::current());
    let answer = move || evaluated(&counted, text, When::Instant(3_660_000));
    match tokio::task::spawn_blocking(answer).await.expect("an answer").value {
        AnswerValue::Vector(_, rows) => rows.iter().map(|(l, p)| format!("{l} {}", float(p))).collect(),
        other => panic!("{other:?} is no vector"),
    }
}

#[tokio::test]
async fn what_only_spans_tell_of_a_database_is_kialis_and_tempos() {
    assert_eq!(of_spans("increase(istio_requests_total[1m])").await, [""; 0]);
    let extension = "{dest_cluster=\"unknown\", dest_name=\"db\", dest_namespace=\"unknown\", extension=\"meshlake\", \
                     flags=\"-\", protocol=\"http\", secure=\"false\", source_cluster=\"unknown\", \
                     source_is_root=\"true\", source_name=\"web\", source_namespace=\"shop\", status_code=\"500\"} 1";
    assert_eq!(of_spans("increase(kiali_ext_requests_total[1m])").await, [extension]);
    let edge =
        "client=\"web\", client_service_namespace=\"shop\", connection_type=\"database\", server=\"db\"";
    let failed = "increase(traces_service_graph_request_failed_total[1m])";
    assert_eq!(of_spans(failed).await, [format!("{{{edge}}} 1")]);
    let info = format!("{{__name__=\"traces_service_graph_connection_info\", {edge}}} 1");
    assert_eq!(of_spans("traces_service_graph_connection_info").await, [info]);
    let seconds = "increase(traces_service_graph_request_server_seconds_sum[1m])";
    assert_eq!(of_spans(seconds).await, [format!("{{{edge}}} 0.02")]);
    let calls = "{service=\"web\", service_namespace=\"shop\", span_kind=\"SPAN_KIND_CLIENT\", \
                 span_name=\"SELECT\", status_code=\"STATUS_CODE_ERROR\"} 1";
    assert_eq!(of_spans("increase(traces_spanmetrics_calls_total[1m])").await, [calls]);
    let info =
        "{__name__=\"traces_target_info\", job=\"shop/web\", service=\"web\", service_namespace=\"shop\"} 1";
    assert_eq!(of_spans("traces_target_info").await, [info]);
}

/// Over a range by steps: 2 calls in each minute of the hour's first ten.
#[tokio::test]
async fn a_range_is_answered_step_by_step() {
    let rows = served((0..20).map(|at| 3_600 + at * 30));
    let when = When::Range { start: 3_600_000, end: 4_320_000, step: 240_000 };
    let text = "sum(increase(istio_requests_total{reporter=\"destination\"}[4m]))";
    let AnswerValue::Matrix(found) = answer(&rows, 4_400, text, when).await else { panic!("no matrix") };
    let values: Vec<(i64, f64)> =
        found[0].1.iter().map(|(time, point)| (*time / 1_000, float(point))).collect();
    assert_eq!(values, [(3_600, 0.0), (3_840, 8.0), (4_080, 8.0), (4_320, 4.0)]);
}

fn wanted(matchers: &[Matcher]) -> Wanted<'_> {
    Wanted { matchers, from: 0, to: 4_000_000, limit: 1_000 }
}

#[tokio::test]
async fn names_and_labels_are_told_without_samples() {
    let rows = served([3_601]);
    let told = asked(&rows, 3_700, |counted| {
        let names = counted.label_values("__name__", &wanted(&[])).expect("names").found;
        let of = [Matcher::equal("__name__", "istio_requests_total")];
        let services = counted.label_values("destination_service_name", &wanted(&of)).expect("values").found;
        let not = [Matcher::new("reporter", Comparison::NotEqual, "destination").expect("no expression")];
        let none = counted.series(&wanted(&not)).expect("series").found.len();
        let labels = counted.label_names(&wanted(&of)).expect("labels").found.len();
        let cut = counted.series(&Wanted { limit: 3, ..wanted(&[]) }).expect("series");
        let bounds = counted.label_values("le", &wanted(&[])).expect("bounds").found.len();
        let about = counted.metadata(Some("istio_request_bytes")).expect("metadata");
        (names.len(), services, none, labels, (cut.found.len(), cut.is_cut), bounds, about[0].kind)
    });
    let (names, services, others, labels, cut, bounds, kind) = told.await;
    assert_eq!(names, METRICS.len(), "all, so that Kiali misses none");
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["cart"]);
    // Of the service graph, and of both services: neither has a reporter.
    assert!(others > 0);
    // The 25 and the name; Envoy's 20 bounds, and Tempo's of the service graph and of spans.
    assert_eq!((labels, cut, kind), (26, (3, true), "histogram"));
    assert_eq!(bounds, 20 + 8 + 14 - ["+Inf"].len() + 1);
    let nothing = asked(&[], 3_700, |counted| {
        (
            counted.label_values("__name__", &wanted(&[])).expect("names"),
            counted.metadata(None).expect("none"),
        )
    });
    assert_eq!(nothing.await, (Found::default(), Vec::new()));
}

/// The rows, and cells of some tables of the hour from second 3,600 on.
async fn settled(rows: &[Row], tables: &[Table]) -> SnapshotBuilder {
    let query = engine(rows, 7_200).begin("default").await.expect("a place is free");
    let hour = TimeRange { from: UnixNanos(3_600 * SECOND), to: UnixNanos(7_200 * SECOND) };
    let mut snapshot = SnapshotBuilder::new().hot(Table::Requests, 1, rows);
    for table in tables {
        let cells = settle(&query, &[*table], hour, query.budget()).await.expect("a few cells");
        snapshot = snapshot.settled_file(&cells.batches[0], 60..=119, 1).await;
    }
    snapshot
}

/// What is told of cells alone, of those of some widths, is what is told of the rows.
#[tokio::test]
async fn cells_tell_what_rows_do() {
    let rows: Vec<Row> = (0..40)
        .flat_map(|at| {
            let ids = [("request_id", Cell::from(at.to_string().as_str())), ("path", "/a".into())];
            ["client", "server"].map(|observer| with(call(3_600 + at * 61, observer), ids.clone()))
        })
        .collect();
    let questions = [
        ("sort(sum by (reporter, response_code) (increase(istio_requests_total[10m])))", 4_200),
        ("sum by (reporter) (increase(istio_requests_total[70s]))", 4_210),
        ("sum by (le) (rate(istio_request_duration_milliseconds_bucket[1m]))", 5_040),
        ("sum by (span_name, span_kind) (increase(traces_spanmetrics_calls_total[1m]))", 5_040),
        ("istio_request_bytes_sum", 6_000),
    ];
    let of_rows = SnapshotBuilder::new().hot(Table::Requests, 1, &rows);
    let all: Vec<Table> = Table::settled().collect();
    let of_cells = [settled(&rows, &all).await, settled(&rows, &all[1..]).await];
    let ask = |snapshot: SnapshotBuilder| async move {
        let query = engine_of(snapshot, 7_200).begin("default").await.expect("a place is free");
        let counted = Counted::new(query, Arc::new(Chunks::default()), Handle::current());
        let ask = move || questions.map(|(text, now)| evaluated(&counted, text, When::Instant(now * 1_000)));
        tokio::task::spawn_blocking(ask).await.expect("an answer")
    };
    let want = ask(of_rows).await;
    let [fine, coarse] = of_cells;
    assert_eq!(ask(fine).await, want);
    // Without cells of ten seconds: the call at 4,149 s, and of the minute of that at 4,210 s a sixth.
    let coarse = ask(coarse).await;
    for at in [0, 2, 3] {
        assert_eq!(coarse[at], want[at], "{}", questions[at].0);
    }
    let AnswerValue::Vector(_, values) = &coarse[1].value else { panic!("no vector") };
    assert_eq!(values.iter().map(|(_, point)| float(point)).collect::<Vec<_>>(), [1.0 + 1.0 / 6.0; 2]);
    assert!(coarse[1].infos[0].contains("only counts of 60 s are kept"), "{:?}", coarse[1].infos);
}
