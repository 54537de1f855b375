//! The engine over hand-made snapshots: rows seen once, tenants apart, hostile statements refused.

mod attributes;
mod by_name;
mod cancel;
mod documented;
mod explain;
mod functions;
mod odd_values;
mod histograms;
mod ids;
mod nested;
mod postgres;
mod prepared;
mod refusals;
mod scalars;
mod scans;
mod texts;
mod told;
mod watched;

use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use meshlake_schema::{SystemClock, Table};

use super::*;
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

fn span(seconds: i64, name: &str) -> Row {
    row(seconds * SECOND, [("name", name.into()), ("trace_id", "0af7651916cd43dd8448eb211c80319c".into())])
}

fn of_tenant(tenant: &str, mut row: Row) -> Row {
    row.insert("tenant", tenant.into());
    row
}

trait Engines {
    fn engine(self) -> Engine;
    fn engine_with(self, config: EngineConfig) -> Engine;
}

impl Engines for SnapshotBuilder {
    fn engine(self) -> Engine {
        self.engine_with(EngineConfig {
            parallelism: 2,
            concurrent_queries_max: 4,
            ..EngineConfig::default()
        })
    }

    fn engine_with(self, config: EngineConfig) -> Engine {
        let engine = Engine::new(self.reader(), config, Arc::new(SystemClock));
        engine.expect("the configuration names no directory")
    }
}

/// The cells of the answer, row by row, as text.
async fn rows(engine: &Engine, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
    let answer = engine.sql("default", sql).await?;
    text_rows(answer).await
}

/// The cells of the rows, row by row, as text.
async fn text_rows(answer: RowStream) -> Result<Vec<Vec<String>>, QueryError> {
    let batches: Vec<_> = answer.try_collect().await?;
    let table = pretty_format_batches(&batches).map_err(|error| QueryError::Internal(error.to_string()))?;
    let table = table.to_string();
    let lines = table.lines().skip(3).filter(|line| line.starts_with('|'));
    Ok(lines
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect())
}

async fn one(engine: &Engine, sql: &str) -> String {
    match rows(engine, sql).await {
        Ok(rows) => rows.into_iter().map(|row| row.join(",")).collect::<Vec<_>>().join(";"),
        Err(error) => format!("{error:?}"),
    }
}

/// Two spans in files of two days, two in the buffer; one more of each kind of another tenant.
async fn mixed() -> Engine {
    let late = |name| row(DAY + 5 * SECOND, [("name", Cell::from(name))]);
    SnapshotBuilder::new()
        .file(Table::Spans, &[span(1, "a"), of_tenant("other", span(2, "x"))], &[])
        .await
        .file(Table::Spans, &[late("b")], &[])
        .await
        .hot(Table::Spans, 7, &[span(3, "c"), of_tenant("other", span(4, "y"))])
        .hot(Table::Spans, 8, &[late("d")])
        .engine()
}

#[tokio::test]
async fn each_row_of_files_and_buffer_is_seen_once() {
    let engine = mixed().await;
    assert_eq!(one(&engine, "SELECT name FROM spans ORDER BY name").await, "a;b;c;d");
    assert_eq!(one(&engine, "SELECT count(*) FROM spans").await, "4");
    assert_eq!(one(&engine, "SELECT count(*) FROM logs").await, "0");
}

/// Rows by time: a, c on the first day, b and d later.
#[tokio::test]
async fn values_are_compared_with_those_of_a_query_of_the_same_table() {
    let engine = mixed().await;
    for (sql, want) in [
        (
            "SELECT count(*) FROM spans WHERE time_unix_nano > ANY (SELECT time_unix_nano FROM spans WHERE name = 'a')",
            "3",
        ),
        (
            "SELECT count(*) FROM spans WHERE time_unix_nano > ALL (SELECT time_unix_nano FROM spans WHERE name IN ('a', 'c'))",
            "2",
        ),
        ("SELECT count(*) FROM spans WHERE time_unix_nano <= ALL (SELECT time_unix_nano FROM spans)", "1"),
        ("SELECT count(*) FROM spans WHERE name = ANY (SELECT name FROM spans WHERE name < 'c')", "2"),
        ("SELECT count(*) FROM spans WHERE name <> ALL (SELECT name FROM spans WHERE name < 'c')", "2"),
        ("SELECT count(*) FROM spans WHERE name < SOME (SELECT name FROM spans s WHERE s.name = 'b')", "1"),
    ] {
        assert_eq!(one(&engine, sql).await, want, "{sql}");
    }
}

/// PostgreSQL and DuckDB answer each of these.
#[tokio::test]
async fn columns_may_be_called_alike() {
    let engine = mixed().await;
    for (sql, names, want) in [
        ("SELECT 1, 1", "Int64(1),1", "1,1"),
        ("SELECT 1 AS a, 2 AS a", "a,a", "1,2"),
        ("SELECT count(*), count(*) FROM spans", "count(*),count(*)", "4,4"),
        ("SELECT name, * FROM (SELECT name, kind FROM spans WHERE name = 'a') t", "name,name,kind", "a,a,0"),
        (
            "SELECT time::date AS d, kind::int, kind::text FROM spans WHERE name = 'a' ORDER BY kind::text",
            "d,spans.kind,kind::TEXT",
            "1970-01-01,0,0",
        ),
        ("SELECT (SELECT 1), (SELECT 2)", "", "1,2"),
    ] {
        let answer = engine.sql("default", sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let fields = answer.schema().fields().iter().map(|field| field.name().as_str());
        let found = fields.collect::<Vec<_>>().join(",");
        assert!(names.is_empty() || found == names, "{sql}: {found}");
        let prepared = engine.begin("default").await.expect("a query").prepare(sql).await;
        let columns = prepared.expect("a statement").columns().fields().len();
        assert_eq!(columns, found.split(',').count(), "{sql}");
        let rows = text_rows(answer).await.expect("rows");
        assert_eq!(rows.iter().map(|row| row.join(",")).collect::<Vec<_>>(), [want], "{sql}");
    }
}

#[tokio::test]
async fn no_sql_reaches_another_tenant() {
    let engine = mixed().await;
    for sql in [
        "SELECT count(*) FROM spans WHERE tenant = 'other'",
        "SELECT count(*) FROM spans WHERE tenant <> 'default' OR true AND name = 'x'",
        "SELECT count(*) FROM spans WHERE name IN ('x', 'y')",
        "SELECT count(*) FROM (SELECT * FROM spans) s WHERE s.tenant LIKE 'o%'",
        "SELECT count(*) FROM spans WHERE trace_id = '0af7651916cd43dd8448eb211c80319c' AND tenant = 'other'",
    ] {
        assert_eq!(one(&engine, sql).await, "0", "{sql}");
    }
    assert_eq!(one(&engine, "SELECT DISTINCT tenant FROM spans").await, "default");
}

#[tokio::test]
async fn the_date_exists_for_files_and_buffer_alike() {
    let engine = mixed().await;
    let sql = "SELECT date, count(*) FROM spans GROUP BY date ORDER BY date";
    assert_eq!(one(&engine, sql).await, "1970-01-01,2;1970-01-02,2");
    assert_eq!(one(&engine, "SELECT name FROM spans WHERE date = '1970-01-02' ORDER BY name").await, "b;d");
}

#[tokio::test]
async fn an_id_is_found_in_files_and_buffer() {
    let engine = mixed().await;
    let sql = "SELECT name FROM spans WHERE trace_id = '0af7651916cd43dd8448eb211c80319c' ORDER BY name";
    assert_eq!(one(&engine, sql).await, "a;c");
    assert_eq!(one(&engine, "SELECT name FROM spans WHERE trace_id = 'no such'").await, "");
}

/// A file that cannot be read proves by its silence that it was never opened.
#[tokio::test]
async fn files_outside_the_time_range_are_not_opened() {
    let engine = SnapshotBuilder::new()
        .unreadable_file(Table::Spans, DAY)
        .hot(Table::Spans, 1, &[span(1, "a")])
        .engine();
    for sql in [
        "SELECT name FROM spans WHERE time < '1970-01-01T00:00:10Z'",
        "SELECT name FROM spans WHERE date = '1970-01-01'",
        "SELECT name FROM spans WHERE time_unix_nano BETWEEN 0 AND 86000000000000",
        "SELECT name FROM spans WHERE time < to_timestamp(10) AND name <> 'b'",
    ] {
        assert_eq!(one(&engine, sql).await, "a", "{sql}");
    }
    let opened = rows(&engine, "SELECT name FROM spans").await;
    assert!(matches!(opened, Err(QueryError::Storage(_))), "{opened:?}");
    let error = rows(&engine, "SELECT name FROM spans WHERE time < now()").await;
    assert!(matches!(error, Err(QueryError::Storage(_))), "now() is after 1970: {error:?}");
}

#[tokio::test]
async fn a_file_without_a_column_reads_as_null() {
    let engine = SnapshotBuilder::new()
        .file(Table::Spans, &[span(1, "a")], &["http_route", "adjusted_count"])
        .await
        .hot(Table::Spans, 1, &[row(2 * SECOND, [("name", "b".into()), ("http_route", "/x".into())])])
        .engine();
    let sql = "SELECT name, http_route, adjusted_count FROM spans ORDER BY name";
    assert_eq!(one(&engine, sql).await, "a,,;b,/x,0.0");
}

#[tokio::test]
async fn every_column_of_every_table_reads_from_files_and_buffer() {
    for table in Table::ALL {
        let engine = SnapshotBuilder::new()
            .file(table, &[span(1, "a")], &[])
            .await
            .hot(table.source().unwrap_or(table), 1, &[span(2, "b")])
            .engine();
        let answer = rows(&engine, &format!("SELECT * FROM {}", table.name())).await;
        let widths = answer.map(|rows| rows.iter().map(Vec::len).collect::<Vec<_>>());
        let columns = table.open_schema().fields().len();
        assert_eq!(widths, Ok(vec![columns, columns]), "{}", table.name());
    }
}

/// Two spans of a trace in files and one in the buffer; two of another in the buffer, whose derived rows are
/// in files already, as between the two commits of a flush.
#[tokio::test]
async fn traces_count_each_span_of_files_and_buffer_once() {
    let of = |trace_id: &str, seconds| row(seconds * SECOND, [("trace_id", trace_id.into())]);
    let spans = [of("b", 4), of("b", 5)];
    let derived = meshlake_schema::traces::derive(&[meshlake_fixture::batch(Table::Spans, &spans)]);
    let engine = SnapshotBuilder::new()
        .traced_file(&[of("a", 1), of("a", 2), of_tenant("other", of("a", 2))])
        .await
        .put(&derived.expect("few spans"), &[])
        .await
        .hot(Table::Spans, 7, &spans)
        .hot(Table::Spans, 8, &[of("a", 3), of_tenant("other", of("c", 3))])
        .watermark(Table::Spans, 6)
        .watermark(Table::Traces, 7)
        .engine();
    let sql = "SELECT trace_id, CAST(sum(span_count) AS BIGINT), min(time_unix_nano), max(end_unix_nano) \
               FROM traces GROUP BY trace_id ORDER BY trace_id";
    assert_eq!(one(&engine, sql).await, "a,3,1000000000,3000000000;b,2,4000000000,5000000000");
    let sql = "SELECT CAST(sum(span_count) AS BIGINT) FROM traces WHERE trace_id = 'a'";
    assert_eq!(one(&engine, sql).await, "3");
    assert_eq!(
        one(&engine, "SELECT count(*) FROM traces WHERE tenant = 'other' OR trace_id = 'c'").await,
        "0"
    );
}

#[tokio::test]
async fn the_services_of_a_trace_are_a_list() {
    let of = |service: &str| row(SECOND, [("trace_id", "a".into()), ("service_name", service.into())]);
    let engine = SnapshotBuilder::new()
        .traced_file(&[of("shop"), of("cart")])
        .await
        .hot(Table::Spans, 1, &[of("auth")])
        .engine();
    let sql = "SELECT services FROM traces WHERE array_has(services, 'cart')";
    assert_eq!(one(&engine, sql).await, "[cart, shop]");
    let sql = "SELECT DISTINCT unnest(services) AS service FROM traces ORDER BY service";
    assert_eq!(one(&engine, sql).await, "auth;cart;shop");
}

#[tokio::test]
async fn attributes_answer_whether_promoted_or_not() {
    let attributes = Cell::from([("k", "v")].as_slice());
    let spans = [row(
        SECOND,
        [
            ("http_route", "/cart".into()),
            ("http_response_status_code", 503_i64.into()),
            ("attributes", attributes),
        ],
    )];
    let sql = "SELECT s.attributes['k'], attributes['http.route'], attributes['http.response.status_code'], \
               attributes['none'] FROM spans s";
    let hot = SnapshotBuilder::new().hot(Table::Spans, 1, &spans).engine();
    assert_eq!(one(&hot, sql).await, "v,/cart,503,");
    let file = SnapshotBuilder::new().file(Table::Spans, &spans, &[]).await.engine();
    assert_eq!(one(&file, sql).await, "v,/cart,503,");
    assert_eq!(one(&file, "SELECT count(*) FROM spans WHERE attributes['http.route'] = '/cart'").await, "1");
}

#[tokio::test]
async fn tables_can_be_listed_and_described() {
    let engine = mixed().await;
    let tables = one(&engine, "SHOW TABLES").await;
    assert!(tables.contains("meshlake,public,spans,BASE TABLE"), "{tables}");
    assert!(one(&engine, "DESCRIBE requests").await.contains("upstream_host"));
    assert!(one(&engine, "SHOW COLUMNS FROM ledger").await.contains("records"));
    assert!(one(&engine, "EXPLAIN SELECT count(*) FROM spans").await.contains("physical_plan"));
    let sql = "SELECT DISTINCT routine_name FROM information_schema.routines \
               WHERE routine_name IN ('count', 'time_bucket', 'array_resize') ORDER BY 1";
    assert_eq!(
        one(&engine, sql).await,
        "count;time_bucket",
        "what may be called is listed, and nothing else"
    );
}

#[tokio::test]
async fn the_row_cap_ends_the_answer() {
    let config = EngineConfig { rows_max: 3, parallelism: 1, ..EngineConfig::default() };
    let spans: Vec<Row> = (0..5).map(|second| span(second, "a")).collect();
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &spans).engine_with(config);
    assert_eq!(rows(&engine, "SELECT name FROM spans").await, Err(QueryError::TooManyRows(3)));
    assert_eq!(rows(&engine, "SELECT name FROM spans LIMIT 3").await.map(|rows| rows.len()), Ok(3));
}

#[tokio::test]
async fn memory_is_bounded() {
    let config = EngineConfig {
        memory_bytes_max: 1_000,
        spill_bytes_max: 0,
        parallelism: 1,
        ..EngineConfig::default()
    };
    let spans: Vec<Row> = (0..2_000).map(|second| span(second, &format!("operation {second}"))).collect();
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &spans).engine_with(config);
    let answer = rows(&engine, "SELECT name, count(*) FROM spans GROUP BY name ORDER BY name").await;
    assert!(matches!(answer, Err(QueryError::Memory(_))), "{answer:?}");
}

#[tokio::test]
async fn errors_carry_the_parsers_and_planners_words() {
    let engine = mixed().await;
    let error = rows(&engine, "SELEC 1").await.expect_err("no such keyword").to_string();
    assert!(error.contains("SQL does not parse") && error.contains("SELEC"), "{error}");
    let error = rows(&engine, "SELECT nme FROM spans").await.expect_err("no such column").to_string();
    assert!(error.contains("nme"), "{error}");
    let error = rows(&engine, "SELECT 1 / (kind - kind) FROM spans").await.expect_err("division by zero");
    assert!(matches!(error, QueryError::Invalid(_)), "{error:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_the_next() {
    let waiting = AtomicUsize::new(0);
    let entered: Vec<_> = (0..WAITING_MAX).map(|_| Waiting::enter(&waiting)).collect();
    assert!(entered.iter().all(Result::is_ok));
    assert_eq!(Waiting::enter(&waiting).err(), Some(QueryError::Busy));
    drop(entered);
    assert_eq!(waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_query_that_gets_no_place_times_out() {
    let config = EngineConfig { concurrent_queries_max: 1, timeout_seconds: 0, ..EngineConfig::default() };
    let engine = SnapshotBuilder::new().engine_with(config);
    let _running = engine.begin("default").await.expect("the first place is free");
    let second = engine.begin("default").await.map(|_| ());
    assert_eq!(second, Err(QueryError::TimedOut(std::time::Duration::ZERO)));
}
