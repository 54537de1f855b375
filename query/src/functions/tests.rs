//! The functions over hand-made snapshots, asked as people do.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use futures::TryStreamExt;
use meshlake_calls::{By, Fold, Grain, Question, Source};
use meshlake_engine::{Engine, EngineConfig};
use meshlake_fixture::{Row, SnapshotBuilder, batch, row};
use meshlake_schema::{Clock, Table};

use super::*;

const SECOND: i64 = 1_000_000_000;

/// Every test's present: 17 minutes after the epoch.
struct Now;

impl Clock for Now {
    fn now(&self) -> UnixNanos {
        UnixNanos(1_020 * SECOND)
    }
}

/// A call of web to cart that took 10 ms, as cart's proxy saw it.
fn call(second: i64, outcome: &str) -> Row {
    row(
        second * SECOND,
        [
            ("duration_nano", 10_000_000.into()),
            ("observer", "server".into()),
            ("layer", "l7".into()),
            ("counted", true.into()),
            ("outcome", outcome.into()),
            ("source_service", "web".into()),
            ("source_namespace", "shop".into()),
            ("destination_service", "cart".into()),
            ("destination_namespace", "shop".into()),
        ],
    )
}

fn span(id: &str, parent: Option<&str>, from_millis: i64, to_millis: i64) -> Row {
    let mut span = row(
        1_000 * SECOND + from_millis * 1_000_000,
        [
            ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
            ("span_id", id.into()),
            ("service_name", "web".into()),
            ("name", "work".into()),
            ("kind", 2.into()),
            ("status_code", 2.into()),
            ("outcome", "error".into()),
            ("duration_nano", ((to_millis - from_millis) * 1_000_000).into()),
        ],
    );
    parent.map(|parent| span.insert("parent_span_id", parent.into()));
    span
}

async fn asked(snapshot: SnapshotBuilder, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let engine = Engine::with_functions(snapshot.reader(), config, Arc::new(Now), all());
    engine.expect("no directory is named").sql("default", sql).await?.try_collect().await
}

/// The cells of a statement's answer, all of which are text or numbers.
async fn cells(snapshot: SnapshotBuilder, sql: &str) -> Vec<Vec<String>> {
    let batches = asked(snapshot, sql).await.expect(sql);
    let row = |batch: &RecordBatch, row: usize| {
        let cells = batch.columns().iter().map(|column| match column.as_primitive_opt::<Float64Type>() {
            Some(numbers) => numbers.value(row).to_string(),
            None => arrow::util::display::array_value_to_string(column, row).expect("it can be shown"),
        });
        cells.collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at))).collect()
}

/// Three calls, one of them failed, and one before the last 15 minutes.
fn calls() -> SnapshotBuilder {
    let rows = [call(100, "error"), call(1_000, "ok"), call(1_001, "error"), call(1_012, "client_error")];
    SnapshotBuilder::new().hot(Table::Requests, 1, &rows)
}

#[tokio::test]
async fn golden_is_a_table() {
    let sql = "SELECT service, requests, errors, client_errors FROM golden() WHERE namespace = 'shop'";
    assert_eq!(cells(calls(), sql).await, [["cart", "3", "1", "1"]]);
    let edges = "SELECT client, server, sum(requests) FROM golden('edge', 990, 1020, '10s') GROUP BY 1, 2";
    assert_eq!(cells(calls(), edges).await, [["shop/web", "shop/cart", "3"]]);
    // Buckets begin at 1,000 and 1,010 s after the epoch.
    let buckets = "SELECT CAST(extract(epoch FROM time) AS BIGINT), requests, rate \
                   FROM golden('service', 1000, 1020, INTERVAL '10 seconds', 'cart') ORDER BY time";
    assert_eq!(cells(calls(), buckets).await, [["1000", "2", "0.2"], ["1010", "1", "0.1"]]);
    let all = "SELECT requests FROM golden('service', 0, now(), NULL, 'shop/cart', 'requests')";
    assert_eq!(cells(calls(), all).await, [["4"]]);
}

/// Grafana's panel draws parts of a ring, which have to be 1 together: 3 calls, 1 error, 1 client error.
#[tokio::test]
async fn the_graph_is_two_tables_that_a_panel_draws() {
    let nodes = "SELECT id, title, subtitle, round(3 * arc__ok), round(3 * arc__client_errors), round(3 * arc__errors), \
                 round(arc__ok + arc__client_errors + arc__errors, 9) FROM graph_nodes() WHERE requests > 0";
    assert_eq!(cells(calls(), nodes).await, [["shop/cart", "cart", "shop", "1", "1", "1", "1"]]);
    let caller = "SELECT title, arc__ok IS NULL, kind FROM graph_nodes() WHERE requests = 0";
    assert_eq!(cells(calls(), caller).await, [["web", "true", "service"]]);
    let edges = "SELECT e.source, n.title, e.requests, e.seen_by_server, e.seen_by_client \
                 FROM graph_edges() e JOIN graph_nodes() n ON n.id = e.target";
    assert_eq!(cells(calls(), edges).await, [["shop/web", "cart", "3", "true", "false"]]);
    let focused = "SELECT count(*) FROM graph_nodes('service', NULL, NULL, 'web', 0)";
    assert_eq!(cells(calls(), focused).await, [["1"]]);
}

#[tokio::test]
async fn what_operators_ask_are_tables() {
    let versions = "SELECT service, subset IS NULL, requests, share, verdict IS NULL FROM versions('cart')";
    assert_eq!(cells(calls(), versions).await, [["shop/cart", "true", "3", "1", "true"]]);
    let told = || {
        let mut call = call(1_000, "client_error");
        call.extend([("destination_instance", "cart-0".into()), ("response_flags_text", "RL".into())]);
        SnapshotBuilder::new().hot(Table::Requests, 1, &[call])
    };
    let balance = "SELECT instance, verdict, requests, odd IS NULL FROM balance('shop/cart')";
    assert_eq!(cells(told(), balance).await, [["cart-0", "not_enough", "1", "true"]]);
    let policies = "SELECT client, server, at, policy, reason, requests, share FROM policies()";
    assert_eq!(
        cells(told(), policies).await,
        [["shop/web", "shop/cart", "server", "rate_limit", "RL", "1", "1"]]
    );
}

/// Calls of 1 to 199 ms, in three minutes, once as rows and once as cells made of those.
async fn settled() -> SnapshotBuilder {
    let rows: Vec<Row> = (0..199)
        .map(|number: i64| {
            let mut row = call(900 + number / 2, "ok");
            row.insert("duration_nano", ((number + 1) * 1_000_000).into());
            row
        })
        .collect();
    let range = Range::new(UnixNanos(840 * SECOND), UnixNanos(1_020 * SECOND), Some(Duration::from_secs(10)));
    let range = range.expect("not empty");
    let mut fold = Fold::new(Question { range, by: By::Whole, grain: Grain::Whole, source: Source::Auto });
    fold.add_requests(batch(Table::Requests, &rows).rows());
    let settled = fold.settle().expect("a few cells");
    let snapshot = SnapshotBuilder::new().hot(Table::Requests, 1, &rows);
    let cells = |table| settled.rows(table, "default", UnixNanos(0)).expect("columns of the table");
    snapshot.put(&cells(Table::Calls1m), &[]).await.put(&cells(Table::Calls10m), &[]).await
}

#[tokio::test]
async fn histograms_of_cells_tell_what_golden_does() {
    let percentiles =
        "SELECT requests, p50_ms, p90_ms, p95_ms, p99_ms, max_ms FROM golden('service', 840, 1020)";
    let golden = cells(settled().await, percentiles).await;
    for table in ["calls_1m", "calls_10m"] {
        let merged = format!(
            "SELECT hist_count(h), hist_quantile(h, 0.5), hist_quantile(h, 0.9), hist_quantile(h, 0.95), \
             hist_quantile(h, 0.99), h['max_nano'] / 1e6 \
             FROM (SELECT hist_merge(latency_zero_milli, latency_buckets, latency_counts_milli, latency_min_nano, \
             latency_max_nano) AS h FROM {table} WHERE entry = 'received')"
        );
        assert_eq!(cells(settled().await, &merged).await, golden, "{table}");
    }
    // Nearest rank of 199 values: the 100th is 100 ms, the 190th 190 ms.
    let exact = "SELECT abs(p50_ms / 100 - 1) < 0.0109 AND abs(p95_ms / 190 - 1) < 0.0109 FROM golden('service', 840, 1020)";
    assert_eq!(cells(settled().await, exact).await, [["true"]]);
}

/// Of four calls three are in the last 15 minutes, and the newest two are asked for.
#[tokio::test]
async fn calls_are_a_table() {
    let sql = "SELECT source, target, outcome, server_ms, client_ms IS NULL, seen_by FROM calls() ORDER BY time DESC";
    let row = |outcome| vec!["shop/web", "shop/cart", outcome, "10", "true", "server"];
    assert_eq!(cells(calls(), sql).await, ["client_error", "error", "ok"].map(row));
    let cut = "SELECT CAST(extract(epoch FROM time) AS BIGINT) FROM calls(0, 1020, 'cart', 'requests', 2)";
    assert_eq!(cells(calls(), cut).await, [["1012"], ["1001"]]);
    let sums = "SELECT (SELECT sum(requests) FROM calls(0, 1020)) - (SELECT sum(requests) FROM golden('edge', 0, 1020))";
    assert_eq!(cells(calls(), sums).await, [["0"]]);
}

/// A pod of cart until second 500, another from then on, one call a second.
#[tokio::test]
async fn rollouts_are_a_table() {
    let rows: Vec<Row> = (100..1_000)
        .map(|second| {
            let mut call = call(second, "ok");
            call.insert("destination_instance", if second < 500 { "cart-1" } else { "cart-2" }.into());
            call
        })
        .collect();
    let snapshot = SnapshotBuilder::new().hot(Table::Requests, 1, &rows);
    let sql = "SELECT service, kind, came, went, verdict, lost, extract(epoch FROM \"from\") FROM rollouts('cart', 100, 1000)";
    assert_eq!(cells(snapshot, sql).await, [["shop/cart", "restart", "1", "1", "none", "0", "460"]]);
}

/// Of the root's 100 ms the child ran 30; the other began when it had ended, and runs to the root's end.
#[tokio::test]
async fn a_trace_is_a_tree() {
    let rows = [
        span("00000000000000a2", Some("00000000000000a1"), 60, 100),
        span("00000000000000a1", None, 0, 100),
        span("00000000000000a3", Some("00000000000000a1"), 10, 40),
    ];
    let snapshot = || SnapshotBuilder::new().hot(Table::Spans, 1, &rows);
    let sql = "SELECT right(span_id, 2), depth, duration_ms, self_ms, critical_ms, kind, status \
               FROM trace_tree('0AF7651916CD43DD8448EB211C80319C') ORDER BY position";
    let want = [
        ["a1", "0", "100", "30", "30", "server", "error"],
        ["a3", "1", "30", "30", "30", "server", "error"],
        ["a2", "1", "40", "40", "40", "server", "error"],
    ];
    assert_eq!(cells(snapshot(), sql).await, want);
    assert_eq!(
        cells(snapshot(), "SELECT count(*) FROM trace_tree('00000000000000000000000000000001')").await,
        [["0"]]
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said() {
    let cases = [
        ("golden('pod')", "by=pod is not one of service, operation, edge, version, instance"),
        ("golden('service', 20, 10)", "the range is empty"),
        ("golden('service', 0, 100, '15s')", "step 15s is not a multiple of 10 s"),
        (
            "graph_nodes('service', NULL, NULL, NULL, NULL, 'logs')",
            "source: \"logs\" is not one of auto, requests, spans",
        ),
        ("calls(NULL, NULL, NULL, 'auto', 1001)", "limit is not between 1 and 1000"),
        ("calls(NULL, NULL, NULL, 'auto', 0)", "limit is not between 1 and 1000"),
        ("trace_tree()", "name a trace id"),
        ("versions()", "name a service"),
        ("balance()", "name a service"),
        (
            "versions('cart', NULL, NULL, NULL, 'logs')",
            "source: \"logs\" is not one of auto, requests, spans",
        ),
    ];
    for (call, want) in cases {
        let error = asked(calls(), &format!("SELECT * FROM {call}")).await.expect_err(call);
        assert!(matches!(&error, QueryError::Invalid(said) if said.contains(want)), "{call}: {error:?}");
    }
}

/// The manual has a line for each function, and for none that is not there.
#[test]
fn every_function_is_in_the_manual() {
    let (_, below) = include_str!("../../../docs/sql.md")
        .split_once("\n## Functions that are tables\n")
        .expect("the manual has the section");
    let section = below.split("\n## ").next().unwrap_or_default();
    let lines = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('('));
    let documented: std::collections::BTreeSet<_> = lines.map(|(name, _)| name).collect();
    let functions = all();
    let functions: std::collections::BTreeSet<_> = functions.iter().map(|function| function.name()).collect();
    assert_eq!(documented, functions);
}
