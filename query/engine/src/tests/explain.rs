//! EXPLAIN and EXPLAIN ANALYZE: what of the stored data a statement reads.

use super::*;

/// The row of `files` alone, and all of the answer.
async fn explained(engine: &Engine, sql: &str) -> (String, String) {
    let rows = rows(engine, sql).await.expect("a statement that may be explained");
    // A plan has several lines, of which only the first has its kind beside it.
    let files = rows.iter().skip_while(|row| row[0] != "files").map(|row| row[1].clone());
    (files.collect::<Vec<_>>().join("\n"), format!("{rows:?}"))
}

/// Three files of two days, one of which cannot be read: it is not, and that is said.
async fn three_files() -> Engine {
    SnapshotBuilder::new()
        .file(Table::Spans, &[span(1, "a"), span(2, "b")], &[])
        .await
        .file(Table::Spans, &[span(3, "c")], &[])
        .await
        .unreadable_file(Table::Spans, DAY)
        .file(Table::Logs, &[row(SECOND, [])], &[])
        .await
        .hot(Table::Spans, 9, &[span(4, "d")])
        .engine()
}

#[tokio::test]
async fn files_read_and_skipped_are_told_without_reading_them() {
    let engine = three_files().await;
    let (files, _) = explained(&engine, "EXPLAIN SELECT name FROM spans WHERE date = '1970-01-01'").await;
    assert_eq!(files, "spans: 2 of 3 files read, 1 skipped");
    let (files, _) =
        explained(&engine, "EXPLAIN SELECT s.name FROM spans s, logs WHERE s.time < now()").await;
    assert_eq!(files, "spans: 3 of 3 files read, 0 skipped\nlogs: 1 of 1 files read, 0 skipped");
    let (files, _) = explained(&engine, "EXPLAIN SELECT 1").await;
    assert_eq!(files, "");
}

#[tokio::test]
async fn what_ran_tells_its_row_groups_and_rows() {
    let engine = three_files().await;
    let sql = "EXPLAIN ANALYZE SELECT count(*), min(name) FROM spans WHERE time < '1970-01-01T00:01:00Z'";
    let (files, all) = explained(&engine, sql).await;
    let want = "spans: 2 of 3 files read, 1 skipped; row groups: 2 of 2 read, 0 skipped; 3 rows";
    assert_eq!(files, want);
    assert!(all.contains("AggregateExec") && all.contains("output_rows"), "{all}");
    // One file's only row group is left out by its statistics.
    let sql = "EXPLAIN ANALYZE SELECT name FROM spans WHERE time < '1970-01-01T00:00:10Z' AND name = 'c'";
    let (files, _) = explained(&engine, sql).await;
    let want = "spans: 2 of 3 files read, 1 skipped; row groups: 1 of 2 read, 1 skipped; 1 rows";
    assert_eq!(files, want);
}

/// Groups are all that is asked for, and which ones is left open: they end at the limit. Those of sorted rows read all of them,
/// as DataFusion takes them for something else (see `soft_limit`).
#[tokio::test]
async fn groups_end_at_a_limit() {
    let engine = three_files().await;
    let day = "date = '1970-01-01'";
    for groups in ["SELECT DISTINCT name FROM spans", "SELECT name FROM spans"] {
        let by = if groups.contains("DISTINCT") { "" } else { "GROUP BY name" };
        let (_, plan) = explained(&engine, &format!("EXPLAIN {groups} WHERE {day} {by} LIMIT 2")).await;
        assert!(plan.contains("lim=[2]"), "{plan}");
    }
    let sorted = format!("(SELECT name FROM spans WHERE {day} ORDER BY name LIMIT 3)");
    for sql in [
        format!("SELECT DISTINCT name FROM {sorted} LIMIT 1"),
        format!("SELECT DISTINCT name || '' FROM {sorted} ORDER BY 1 LIMIT 1"),
        format!("SELECT name FROM {sorted} GROUP BY name LIMIT 1"),
    ] {
        assert_eq!(one(&engine, &sql).await, "a", "{sql}");
    }
    let some = format!("SELECT count(*) FROM (SELECT DISTINCT name FROM spans WHERE {day} LIMIT 2)");
    assert_eq!(one(&engine, &some).await, "2");
}

#[tokio::test]
async fn no_path_is_shown() {
    let engine = three_files().await;
    for explain in
        ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN ANALYZE", "EXPLAIN ANALYZE VERBOSE", "EXPLAIN FORMAT TREE"]
    {
        let sql = format!("{explain} SELECT name FROM spans WHERE time < '1970-01-01T00:01:00Z'");
        let (_, all) = explained(&engine, &sql).await;
        assert!(!all.contains(".parquet"), "{explain}: {all}");
    }
}

/// What reads outside or runs too long is stopped as it is without EXPLAIN.
#[tokio::test]
async fn explaining_has_the_bounds_of_what_it_explains() {
    let engine = three_files().await;
    let broken = rows(&engine, "EXPLAIN ANALYZE SELECT min(name) FROM spans").await;
    assert!(matches!(broken, Err(QueryError::Storage(_))), "{broken:?}");
    let hidden = rows(&engine, "EXPLAIN ANALYZE SELECT * FROM information_schema.df_settings").await;
    assert!(matches!(hidden, Err(QueryError::Refused(_) | QueryError::Invalid(_))), "{hidden:?}");
    let config = EngineConfig { timeout_seconds: 0, ..EngineConfig::default() };
    let hasty = SnapshotBuilder::new().hot(Table::Spans, 1, &[span(1, "a")]).engine_with(config);
    let late = rows(&hasty, "EXPLAIN ANALYZE SELECT count(*) FROM spans").await;
    assert!(matches!(late, Err(QueryError::TimedOut(_))), "{late:?}");
    let format = rows(&engine, "EXPLAIN FORMAT GRAPHVIZ SELECT 1").await;
    assert!(matches!(format, Err(QueryError::Refused(_))), "{format:?}");
}
