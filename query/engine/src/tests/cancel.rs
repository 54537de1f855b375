//! A query that nobody waits for any more stops, and leaves nothing behind.

use std::path::Path;

use super::*;

/// For every wait here; what is waited for takes a fraction of it.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often a directory is looked into.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Four million rows, sorted by what no file is sorted by: more than the memory that it gets. Without a LIMIT from the
/// engine's cap, which keeps the first rows alone.
const SORTS: &str = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY r) AS n \
                     FROM (SELECT random() AS r FROM spans a CROSS JOIN spans b))";

fn spans(count: i64) -> Vec<Row> {
    (0..count).map(|second| span(second, "some name of a span")).collect()
}

fn files_below(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect(what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_stops_its_work_and_its_spilled_files_go() {
    let dir = std::env::temp_dir().join(format!("meshlake-spill-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    let config = EngineConfig {
        memory_bytes_max: 24 << 20,
        spill_dir: Some(dir.clone()),
        parallelism: 1,
        concurrent_queries_max: 1,
        ..EngineConfig::default()
    };
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &spans(2_000)).engine_with(config);
    let mut answer = engine.sql("default", SORTS).await.expect("a statement that may be asked");
    let asked = tokio::spawn(async move { answer.try_next().await.map(|_| ()) });
    until("something is spilled", || files_below(&dir) > 0).await;
    asked.abort();
    assert!(asked.await.is_err_and(|ended| ended.is_cancelled()));
    until("spilled files are gone", || files_below(&dir) == 0).await;
    // The only place is free again, so the next query does not wait for the first to end.
    let next = tokio::time::timeout(DEADLINE, one(&engine, "SELECT 1")).await;
    assert_eq!(next.as_deref(), Ok("1"));
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

/// A thousand million pairs of which none passes: the join has no rows to hand over, and nothing to wait for.
const PAIRS: &str =
    "SELECT count(*) FROM spans a, spans b, spans c WHERE a.name || b.name || c.name = 'none'";

fn one_place(timeout_seconds: u64) -> EngineConfig {
    EngineConfig { parallelism: 1, concurrent_queries_max: 1, timeout_seconds, ..EngineConfig::default() }
}

/// On one thread, which also has to notice that time has passed.
#[tokio::test]
async fn a_join_without_rows_ends_at_its_deadline() {
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &spans(1_000)).engine_with(one_place(1));
    let late = tokio::time::timeout(DEADLINE, rows(&engine, PAIRS)).await.expect("it ends");
    assert_eq!(late, Err(QueryError::TimedOut(Duration::from_secs(1))));
    let busy = engine.shared.threads.newest().handle().metrics().num_alive_tasks();
    until("its work has ended", || engine.shared.threads.newest().handle().metrics().num_alive_tasks() == 0)
        .await;
    assert!(busy <= 1, "{busy} tasks for one plan");
}

#[tokio::test]
async fn a_join_without_rows_stops_when_it_is_dropped() {
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &spans(1_000)).engine_with(one_place(600));
    let tasks = || engine.shared.threads.newest().handle().metrics().num_alive_tasks();
    let mut answer = engine.sql("default", PAIRS).await.expect("a statement that may be asked");
    assert!(tokio::time::timeout(Duration::from_millis(50), answer.try_next()).await.is_err(), "it computes");
    assert!(tasks() > 0);
    drop(answer);
    until("its work has ended", || tasks() == 0).await;
    assert_eq!(one(&engine, "SELECT 1").await, "1");
}

/// Steps of a plan that take long within one batch: a pattern compiled for each row, by a function and by an operator; a window
/// that looks at all rows before it for each row; the same of a function of windows; a list that becomes millions of rows.
const LONG_STEPS: [&str; 5] = [
    "SELECT count(*) FROM (SELECT regexp_count(a.name, '\\pL{60}' || b.span_id) AS n FROM spans a, spans b) WHERE n > 1",
    "SELECT max(a.name) FROM spans a, spans b WHERE a.name SIMILAR TO '\\pL{60}' || b.span_id || a.span_id",
    "SELECT max(m) FROM (SELECT median(a.duration_nano + b.kind) OVER (ORDER BY a.time, b.time) AS m FROM spans a, spans b)",
    "SELECT max(m) FROM (SELECT nth_value(a.name, 2) OVER (ORDER BY a.kind, b.time) AS m FROM spans a, spans b, spans c)",
    "SELECT count(*) FROM (SELECT unnest(l) AS n FROM (SELECT array_agg(a.span_id) AS l FROM spans a, spans b)) WHERE n ~ ('\\pL{60}' || n)",
];

/// None of them hands over a row before it is stopped.
#[tokio::test]
async fn a_step_that_takes_long_stops_when_it_is_dropped() {
    let config = EngineConfig { memory_bytes_max: 8 << 30, ..one_place(600) };
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &spans(1_000)).engine_with(config);
    let tasks = || engine.shared.threads.newest().handle().metrics().num_alive_tasks();
    for sql in LONG_STEPS {
        let mut answer = engine.sql("default", sql).await.expect("a statement that may be asked");
        let early = tokio::time::timeout(Duration::from_millis(300), answer.try_next()).await;
        assert!(early.is_err(), "{sql}: {early:?}");
        drop(answer);
        until("its work has ended", || tasks() == 0).await;
    }
    assert_eq!(engine.shared.template.pool_bytes(), 0);
}
