//! Look-ups by id: the search of pages changes no answer, and neither does the place of a row.

use arrow::array::RecordBatch;

use super::*;

fn trace(n: i64) -> String {
    format!("'{n:032x}'")
}

/// Ids alone and in lists, and beside other filters.
fn filters(table: Table) -> Vec<String> {
    let span = |n: i64| format!("'{n:016x}'");
    let is_in = |from: i64, to: i64| {
        let list: Vec<String> = (from..to).map(trace).collect();
        format!("trace_id IN ({})", list.join(", "))
    };
    let mut filters = vec![
        format!("trace_id = {}", trace(4)),
        format!("{} = trace_id", trace(1)),
        format!("trace_id = {}", trace(5)),
        "trace_id = ''".to_owned(),
        "trace_id IS NULL".to_owned(),
        format!("trace_id IN ({}, {})", trace(4), trace(9)),
        format!("trace_id NOT IN ({}, {})", trace(4), trace(9)),
        is_in(0, 12),
        format!("NOT {}", is_in(0, 12)),
        format!("{} AND {}", is_in(0, 12), is_in(4, 20)),
        format!("{} OR {}", is_in(0, 12), is_in(40, 60)),
        format!("{} AND {}", is_in(0, 30), is_in(4, 20)),
        format!("{} AND time_unix_nano > {}", is_in(0, 12), 400 * SECOND),
        format!("{} AND span_id IN ({}, {}, {}, {})", is_in(0, 12), span(2), span(3), span(95), span(4)),
        format!("{} AND attributes['k'] IS NULL", is_in(0, 12)),
        format!("{} AND attributes['k'] = 'v'", is_in(0, 12)),
        format!("trace_id = {} OR trace_id = {}", trace(4), trace(9)),
        format!("trace_id = {} OR span_id = {}", trace(4), span(7)),
        format!("trace_id = {} AND span_id = {}", trace(4), span(2)),
        format!("trace_id = {} AND span_id = {}", trace(4), span(3)),
        format!("NOT (trace_id = {})", trace(4)),
        format!("trace_id = {} AND time_unix_nano > {}", trace(4), 400 * SECOND),
        format!("trace_id = {} AND attributes['k'] IS NULL", trace(4)),
        format!("trace_id = {} AND attributes['k'] = 'v'", trace(4)),
        format!("span_id = {}", span(899)),
        format!("span_id = {}", span(900)),
        format!("span_id IN ({}, {})", span(299), span(300)),
        format!("upper(span_id) = {}", span(9)),
        "span_id = trace_id".to_owned(),
    ];
    match table {
        Table::Spans => filters.push(format!("parent_span_id = {}", span(31))),
        Table::Requests => filters.push(format!("request_id = {}", span(31))),
        _ => {}
    }
    filters
}

/// 900 rows in three files, and the same in memory: ids that many rows have, few, one or none, some rows
/// without one.
#[tokio::test]
async fn a_search_for_ids_changes_no_answer() {
    for table in [Table::Spans, Table::Logs, Table::Requests] {
        let rows_of = |file: i64| -> Vec<Row> {
            let row = |i: i64| {
                let mut row = row(i * SECOND, []);
                row.insert("span_id", format!("{i:016x}").as_str().into());
                // Spans have no request id, and requests no parent.
                let name = if table == Table::Requests { "request_id" } else { "parent_span_id" };
                if i % 3 > 0 && table != Table::Logs {
                    row.insert(name, format!("{:016x}", i / 10).as_str().into());
                }
                if i % 7 > 0 {
                    row.insert("trace_id", format!("{:032x}", i * i % 97).as_str().into());
                }
                row
            };
            (300 * file..300 * (file + 1)).map(row).collect()
        };
        let (mut files, mut hot) = (SnapshotBuilder::new(), SnapshotBuilder::new());
        for file in 0..3 {
            files = files.file(table, &rows_of(file), &[]).await;
            hot = hot.hot(table, file as u64 + 1, &rows_of(file));
        }
        let (files, hot) = (files.engine(), hot.engine());
        for filter in filters(table) {
            let sql = format!(
                "SELECT count(*), count(trace_id), min(time_unix_nano), max(time_unix_nano), min(span_id) FROM {} \
                 WHERE {filter}",
                table.name()
            );
            assert_eq!(one(&files, &sql).await, one(&hot, &sql).await, "{sql}");
        }
        // All columns: most are the same in all rows of a file, and the id in all rows found.
        let all = format!("SELECT * FROM {} WHERE trace_id = {} ORDER BY time", table.name(), trace(4));
        assert_eq!(one(&files, &all).await, one(&hot, &all).await, "{all}");
        // 4 = i * i mod 97 for i = 2 and 95 mod 97: 10 + 9 below 900, less those that 7 divides.
        let of_4 = (0..900).filter(|i| i * i % 97 == 4 && i % 7 > 0).count().to_string();
        let sql = format!("SELECT count(*) FROM {} WHERE trace_id = {}", table.name(), trace(4));
        assert_eq!(one(&files, &sql).await, of_4);
    }
}

/// What the optimizer pushes into a scan goes through the search that it is wrapped in.
#[tokio::test]
async fn a_searched_scan_is_pruned_and_ordered_as_any_other() {
    let plain = "SELECT name FROM spans WHERE duration_nano > 5";
    let searched = "SELECT name FROM spans WHERE duration_nano > 5 AND attributes['k'] = 'v'";
    let rows: Vec<Row> = (0..10).map(|i| span(i, "s")).collect();
    let files = SnapshotBuilder::new().file(Table::Spans, &rows, &[]).await.engine();
    for end in ["", " ORDER BY time DESC LIMIT 3"] {
        for sql in [plain, searched] {
            let plan = one(&files, &format!("EXPLAIN {sql}{end}")).await;
            assert!(plan.contains("duration_nano_max"), "{plan}");
            assert_eq!(plan.contains("DynamicFilter"), !end.is_empty(), "{plan}");
        }
    }
}

/// Files that the first release wrote, in which row `n` is of the tenant `tenant n` and has the id `trace_id n` and
/// attributes of keys `key 10 * n` and on.
#[tokio::test]
async fn old_files_are_searched_as_any_other() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/format-1/data/tables/spans/date=2026-11-23");
    let mut builder = SnapshotBuilder::new();
    for entry in std::fs::read_dir(&directory).expect("the directory is kept") {
        let bytes = std::fs::read(entry.expect("the directory is kept").path()).expect("the file is kept");
        builder = builder.kept_file(Table::Spans, bytes).await;
    }
    let engine = builder.engine();
    let found = async |tenant: &str, filter: &str| {
        let answer =
            engine.sql(tenant, &format!("SELECT * FROM spans WHERE {filter}")).await.expect("a plan");
        let batches: Vec<RecordBatch> = answer.try_collect().await.expect("whole files");
        let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        (count, pretty_format_batches(&batches).expect("all types are printed").to_string())
    };
    let mut counts = [0; 2];
    for n in 0..6 {
        let tenant = format!("tenant {n}");
        for (i, (column, value)) in [
            ("trace_id".to_owned(), format!("trace_id {n}")),
            (format!("attributes['key {}']", 10 * n), format!("value {}", 10 * n)),
        ]
        .iter()
        .enumerate()
        {
            let ours = found(&tenant, &format!("{column} = '{value}'")).await;
            assert_eq!(ours, found(&tenant, &format!("{column} || '' = '{value}'")).await, "{column}");
            assert_eq!(found("another", &format!("{column} = '{value}'")).await.0, 0);
            counts[i] += ours.0;
        }
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
