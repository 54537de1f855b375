//! Scans: the same rows whether they lie in files or in memory, and exactly those that the filter says.

use std::ops::Bound;

use arrow::datatypes::DataType;
use futures::TryStreamExt;
use meshlake_schema::filter::{Filter, Place, Test, Value};
use meshlake_schema::{TimeRange, UnixNanos};

use super::*;

/// Five spans: `a` at 1 s to `e` at 5 s.
fn spans() -> Vec<Row> {
    let attributes = |entries: &[(&str, &str)]| Cell::from(entries);
    let status = |code: i64| Cell::from(code);
    vec![
        row(
            SECOND,
            [("name", "a".into()), ("kind", 2_i64.into()), ("http_response_status_code", status(500))],
        ),
        row(2 * SECOND, [("name", "b".into()), ("kind", 3_i64.into()), ("is_proxy", true.into())]),
        row(
            3 * SECOND,
            [("name", "c".into()), ("kind", 3_i64.into()), ("attributes", attributes(&[("k", "v")]))],
        ),
        row(4 * SECOND, [("name", "d".into()), ("trace_id", "t".into()), ("adjusted_count", 2.5.into())]),
        row(
            5 * SECOND,
            [
                ("name", "e".into()),
                ("attributes", attributes(&[("k", "w"), ("http.response.status_code", "200")])),
            ],
        ),
    ]
}

async fn in_files() -> Engine {
    SnapshotBuilder::new().filtered_file(&spans(), &spans()).await.engine()
}

fn in_memory() -> Engine {
    SnapshotBuilder::new().hot(Table::Spans, 1, &spans()).engine()
}

async fn cells(engine: &Engine, scan: &Scan<'_>) -> Result<Vec<Vec<String>>, QueryError> {
    text_rows(engine.begin("default").await?.scan(scan).await?).await
}

/// The names of the rows, in order.
async fn names(engine: &Engine, scan: Scan<'_>) -> Result<String, QueryError> {
    let rows = cells(engine, &Scan { columns: Some(&["name"]), order: &["name"], ..scan }).await?;
    Ok(rows.concat().concat())
}

fn of_column(name: &str, test: Test) -> Filter {
    Filter::Is(Place::Column(name.to_owned()), test)
}

fn of_attribute(key: &str, test: Test) -> Filter {
    Filter::Is(Place::Attribute(key.to_owned()), test)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn at(seconds: i64) -> Value {
    Value::Time(UnixNanos(seconds * SECOND))
}

#[tokio::test]
async fn filters_pass_the_rows_that_they_say() {
    let status = "http.response.status_code";
    let within = |from, to| of_column("time", Test::IsWithin(from, to));
    let cases = [
        (Filter::And(vec![]), "abcde"),
        (Filter::Or(vec![]), ""),
        (Filter::equals("name", text("a")), "a"),
        (Filter::equals("name", text("' OR 1=1 --")), ""),
        (Filter::equals("kind", Value::Integer(3)), "bc"),
        (Filter::equals("adjusted_count", Value::Double(2.5)), "d"),
        (Filter::equals("is_proxy", Value::Boolean(true)), "b"),
        (Filter::equals("trace_id", text("t")), "d"),
        (Filter::is_in("name", vec![text("e"), text("x"), text("a")]), "ae"),
        (Filter::is_in("name", vec![]), ""),
        (of_column("http_response_status_code", Test::IsNull), "bcde"),
        (within(Bound::Excluded(at(2)), Bound::Included(at(4))), "cd"),
        (within(Bound::Included(at(2)), Bound::Excluded(at(4))), "bc"),
        (within(Bound::Unbounded, Bound::Excluded(at(2))), "a"),
        (of_column("http_response_status_code", Test::IsWithin(Bound::Unbounded, Bound::Unbounded)), "a"),
        (Filter::attribute("k", "v"), "c"),
        (of_attribute("k", Test::IsIn(vec![text("v"), text("w")])), "ce"),
        (of_attribute("k", Test::IsNull), "abd"),
        // In a column of its own, and in the map; text in both.
        (Filter::attribute(status, "500"), "a"),
        (Filter::attribute(status, "200"), "e"),
        (Filter::Or(vec![Filter::equals("name", text("a")), Filter::attribute("k", "w")]), "ae"),
        (Filter::equals("kind", Value::Integer(3)).and(Filter::attribute("k", "v")), "c"),
    ];
    let engines = [in_files().await, in_memory()];
    for (filter, want) in cases {
        for engine in &engines {
            let scan = Scan { filter: filter.clone(), ..Scan::of(Table::Spans) };
            assert_eq!(names(engine, scan).await.as_deref(), Ok(want), "{filter:?}");
        }
    }
}

/// What is neither true nor false in SQL, a comparison with a value that is not there, is false here.
#[tokio::test]
async fn not_passes_exactly_the_other_rows() {
    let status = Filter::equals("http_response_status_code", Value::Integer(500));
    let cases = [
        (status.clone().negated(), "bcde"),
        (status.clone().negated().negated(), "a"),
        (of_column("http_response_status_code", Test::IsNull).negated(), "a"),
        (status.clone().and(Filter::equals("name", text("a"))).negated(), "bcde"),
        (Filter::Or(vec![status, Filter::equals("name", text("b"))]).negated(), "cde"),
        (Filter::attribute("k", "v").negated(), "abde"),
        (Filter::equals("is_proxy", Value::Boolean(true)).negated(), "acde"),
    ];
    let engines = [in_files().await, in_memory()];
    for (filter, want) in cases {
        for engine in &engines {
            let scan = Scan { filter: filter.clone(), ..Scan::of(Table::Spans) };
            assert_eq!(names(engine, scan).await.as_deref(), Ok(want), "{filter:?}");
        }
    }
}

#[tokio::test]
async fn ranges_are_half_open_and_columns_come_as_asked() {
    let engine = mixed().await;
    let range = TimeRange { from: UnixNanos(SECOND), to: UnixNanos(3 * SECOND) };
    let scan = Scan { columns: Some(&["name", "time_unix_nano"]), range, ..Scan::of(Table::Spans) };
    // The span at 3 s is the end of the range, the one at 2 s another tenant's.
    assert_eq!(cells(&engine, &scan).await, Ok(vec![vec!["a".to_owned(), "1000000000".to_owned()]]));
}

#[tokio::test]
async fn all_columns_come_where_none_are_named() {
    let engine = mixed().await;
    let query = engine.begin("default").await.expect("a place is free");
    let rows = query.scan(&Scan::of(Table::Spans)).await.expect("a scan of everything");
    assert_eq!(rows.schema().fields().len(), Table::Spans.open_schema().fields().len());
    let batches: Vec<_> = rows.try_collect().await.expect("readable files");
    assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 4);
}

#[tokio::test]
async fn a_limit_takes_the_first_of_the_order() {
    for engine in [in_files().await, in_memory()] {
        let scan = Scan {
            columns: Some(&["name"]),
            order: &["http_response_status_code", "time"],
            limit: Some(3),
            ..Scan::of(Table::Spans)
        };
        // The one with a value first, then by time.
        let rows = cells(&engine, &scan).await.map(|rows| rows.concat().concat());
        assert_eq!(rows.as_deref(), Ok("abc"));
    }
}

#[tokio::test]
async fn scans_that_do_not_fit_their_table_are_bugs_and_deep_ones_are_refused() {
    let engine = in_memory();
    let misfits = [
        Scan { columns: Some(&["nme"]), ..Scan::of(Table::Spans) },
        Scan { order: &["nme"], ..Scan::of(Table::Spans) },
        Scan { filter: Filter::equals("nme", text("a")), ..Scan::of(Table::Spans) },
        Scan { filter: Filter::equals("kind", text("a")), ..Scan::of(Table::Spans) },
    ];
    for scan in &misfits {
        let answer = cells(&engine, scan).await;
        assert!(matches!(answer, Err(QueryError::Internal(_))), "{answer:?}");
    }
    let deep = |parts: usize| {
        let part = |i: usize| Filter::equals("name", text(&format!("{i}")));
        Scan { filter: Filter::Or((0..parts).map(part).collect()), ..Scan::of(Table::Spans) }
    };
    assert_eq!(names(&engine, deep(50)).await.as_deref(), Ok(""));
    assert!(matches!(names(&engine, deep(150)).await, Err(QueryError::Refused(_))));
    let long = Filter::is_in("name", (0..5_000).map(|i| text(&format!("{i}"))).collect());
    assert_eq!(names(&engine, Scan { filter: long, ..Scan::of(Table::Spans) }).await.as_deref(), Ok(""));
}

#[tokio::test]
async fn a_fold_may_take_what_the_pool_has_until_the_deadline() {
    let config = EngineConfig { memory_bytes_max: 1_000, timeout_seconds: 30, ..EngineConfig::default() };
    let engine = SnapshotBuilder::new().engine_with(config);
    let query = engine.begin("default").await.expect("a place is free");
    let budget = query.budget();
    assert_eq!(budget.grow(1_000), Ok(()));
    let spent = budget.grow(1).expect_err("the pool is empty");
    assert!(matches!(query.stopped(spent), QueryError::Memory(_)));
    assert_eq!(budget.check_time(), Ok(()));
    let timed_out = query.stopped(meshlake_schema::Spent::Time);
    assert_eq!(timed_out, QueryError::TimedOut(std::time::Duration::from_secs(30)));
}

/// Files that have a column and that lack it, of one value and of several, and rows in memory, of two tenants.
#[tokio::test]
async fn a_lean_scan_has_the_same_rows_in_the_forms_asked_for() {
    let others = spans().into_iter().map(|row| of_tenant("other", row));
    let rows: Vec<Row> = spans().into_iter().chain(others).collect();
    let engine = SnapshotBuilder::new()
        .file(Table::Spans, &rows, &[])
        .await
        .file(Table::Spans, &spans(), &["name", "http_request_method"])
        .await
        .file(Table::Spans, &spans()[..1], &[])
        .await
        .hot(Table::Spans, 1, &rows)
        .engine();
    let columns = ["time_unix_nano", "name", "kind", "outcome", "http_request_method", "is_proxy", "links"];
    let lean = Lean {
        dictionaries: &["name", "outcome", "http_request_method"],
        nested: &[("links", &["trace_id", "span_id"])],
    };
    for filter in [
        Filter::And(vec![]),
        Filter::equals("is_proxy", Value::Boolean(true)),
        Filter::equals("name", text("d")),
        Filter::attribute("k", "v"),
    ] {
        let range = TimeRange { from: UnixNanos(SECOND), to: UnixNanos(5 * SECOND) };
        let order = &["time_unix_nano", "name"];
        let plain = Scan { columns: Some(&columns), filter, range, order, ..Scan::of(Table::Spans) };
        let want = cells(&engine, &plain).await.expect("columns of spans");
        let lean = Scan { lean: Some(lean), ..plain };
        assert!(!want.is_empty());
        assert_eq!(cells(&engine, &lean).await, Ok(want), "{:?}", lean.filter);
    }
    let scan = Scan { columns: Some(&columns), lean: Some(lean), ..Scan::of(Table::Spans) };
    let query = engine.begin("default").await.expect("a place is free");
    let rows = query.scan(&scan).await.expect("columns of spans");
    let type_of = |name: &str| rows.schema().field_with_name(name).expect("asked for").data_type().clone();
    assert_eq!(type_of("name"), meshlake_schema::Kind::Dictionary.hot_type());
    let DataType::List(link) = type_of("links") else { panic!("a list") };
    let DataType::Struct(fields) = link.data_type() else { panic!("of structs") };
    assert_eq!(fields.len(), 2);
}

/// Two files with one span each, one in the buffer.
#[tokio::test]
async fn a_scan_may_be_of_some_files_or_of_the_buffer() {
    let builder = SnapshotBuilder::new().file(Table::Spans, &[span(1, "a")], &[]).await;
    let builder = builder.file(Table::Spans, &[span(2, "b")], &[]).await;
    let engine = builder.hot(Table::Spans, 1, &[span(3, "c")]).engine();
    let query = engine.begin("default").await.expect("a snapshot");
    let [first, second] = query.files(Table::Spans) else { panic!("two files") };
    let cases = [
        (Part::Whole, "abc"),
        (Part::Files(&[second]), "b"),
        (Part::Files(&[second, first]), "ab"),
        (Part::Files(&[]), ""),
        (Part::Buffered, "c"),
    ];
    for (part, want) in cases {
        assert_eq!(
            names(&engine, Scan { part, ..Scan::of(Table::Spans) }).await.as_deref(),
            Ok(want),
            "{part:?}"
        );
    }
}

/// Whether the plan of a statement compares tenants row by row.
async fn compares_tenants(engine: &Engine, tenant: &str, sql: &str) -> bool {
    let plan = engine.sql(tenant, &format!("EXPLAIN {sql}")).await.expect("a plan");
    let plan = text_rows(plan).await.expect("rows of a plan");
    plan.iter().flatten().any(|cell| cell.contains("tenant@"))
}

#[tokio::test]
async fn tenants_are_compared_until_footers_say_that_there_is_one() {
    let engine = SnapshotBuilder::new()
        .file(Table::Spans, &[span(1, "a"), span(2, "b")], &[])
        .await
        .file(Table::Spans, &[span(3, "c")], &[])
        .await
        .hot(Table::Spans, 7, &[span(4, "d"), of_tenant("other", span(5, "x"))])
        .engine();
    let sql = "SELECT name FROM spans WHERE kind >= 0 ORDER BY name";
    assert!(compares_tenants(&engine, "default", sql).await, "nothing is known yet");
    assert_eq!(one(&engine, sql).await, "a;b;c;d");
    assert!(!compares_tenants(&engine, "default", sql).await, "all files are of one");
    assert_eq!(one(&engine, sql).await, "a;b;c;d");
    assert_eq!(one(&engine, "SELECT count(*), min(tenant), max(name) FROM spans").await, "4,default,d");
    assert_eq!(one(&engine, "SELECT count(*) FROM spans").await, "4");
    // Of another tenant's the same footers say nothing of the kind.
    let others = engine.sql("other", "SELECT name, tenant FROM spans").await.expect("a plan");
    assert_eq!(text_rows(others).await.expect("rows"), [["x", "other"]]);
}

#[tokio::test]
async fn a_file_of_several_tenants_shows_each_its_own() {
    let engine = mixed().await;
    for _ in 0..2 {
        for (tenant, want) in
            [("default", vec!["a", "b", "c", "d"]), ("other", vec!["x", "y"]), ("nobody", vec![])]
        {
            let answer = engine.sql(tenant, "SELECT name FROM spans ORDER BY name").await.expect("a plan");
            assert_eq!(text_rows(answer).await.expect("rows").concat(), want, "{tenant}");
            let count = engine.sql(tenant, "SELECT count(*) FROM spans").await.expect("a plan");
            assert_eq!(text_rows(count).await.expect("a row").concat(), [want.len().to_string()], "{tenant}");
        }
    }
}
