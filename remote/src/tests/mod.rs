//! What is asked across a socket is what is answered in one process.

mod collector;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use arrow::compute::concat_batches;
use futures::{StreamExt as _, TryStreamExt as _};
use meshlake_schema::{Table, TimeRange, UnixNanos};
use meshlake_store::{Follow, Followed, HotScan, ReadError, Reader as _, Snapshot};
use object_store::memory::InMemory;

use crate::held::HELD_MAX;
use crate::{RemoteReader, Server, socket_path};
use collector::{Collector, MINUTE_MICROS, file, rows, spans_of_text};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// A reader across a connection to `server`.
async fn reader(server: &Server) -> RemoteReader {
    let connection = server.connection().await.expect("two sockets");
    RemoteReader::over(connection, Arc::new(InMemory::new())).expect("a connection")
}

fn scan(table: Table, columns: &[&str], tenant: &str) -> HotScan {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    HotScan { table, columns, tenant: tenant.to_owned(), range: TimeRange::ALL, filter: None }
}

fn all_of(table: Table, tenant: &str) -> HotScan {
    let columns: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
    scan(table, &columns, tenant)
}

/// Waits for a count that another task changes.
async fn until_held(server: &Server, want: usize) {
    let reached = async {
        while server.snapshots_held() != want {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(LONG, reached).await;
    assert!(in_time.is_ok(), "{} are held, not {want}", server.snapshots_held());
}

/// Every type of column there is, with nulls, in two batches whose dictionaries differ, of two tenants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffered_rows_of_every_table_come_across_as_they_are() {
    let collector = Collector::default();
    let received = Table::ALL.into_iter().filter(|table| table.log_id().is_some());
    for table in received {
        collector.publish(1, rows(table, 7));
        collector.publish(2, rows(table, 40));
    }
    let server = Server::start(collector.reader());
    let [near, far] = [collector.snapshot(), reader(&server).await.snapshot().await.expect("it answers")];
    for table in Table::ALL {
        for tenant in ["tenant-0", "tenant-1", "nobody"] {
            let asked = all_of(table, tenant);
            let [near, far] =
                [&near, &far].map(|snapshot| snapshot.hot(&asked).expect("columns of the table"));
            let near: Vec<_> = near.try_collect().await.expect("no bug");
            let far: Vec<_> = far.try_collect().await.expect("it answers");
            let schema = near.first().map(arrow::array::RecordBatch::schema);
            assert_eq!(
                far.first().map(arrow::array::RecordBatch::schema),
                schema,
                "{} of {tenant}",
                table.name()
            );
            let Some(schema) = schema else { continue };
            let [near, far] = [near, far].map(|rows| concat_batches(&schema, &rows).expect("of one schema"));
            assert_eq!(near, far, "{} of {tenant}", table.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_come_in_the_order_asked_for_and_a_wrong_one_is_named() {
    let collector = Collector::default();
    collector.publish(1, rows(Table::Spans, 5));
    let server = Server::start(collector.reader());
    let snapshot = reader(&server).await.snapshot().await.expect("it answers");
    let asked = scan(Table::Spans, &["trace_id", "time"], "tenant-0");
    let batches: Vec<_> = snapshot.hot(&asked).expect("columns").try_collect().await.expect("it answers");
    let names: Vec<_> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["trace_id", "time"]);
    let error = snapshot.hot(&scan(Table::Spans, &["nope"], "tenant-0")).err().expect("no such column");
    assert!(error.to_string().contains("no column nope"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_files_come_once() {
    let collector = Collector::default();
    collector.set_files(Table::Spans, vec![file("tables/spans/date=2026-11-23/a b%20ü.parquet", 3)]);
    collector.set_files(Table::Requests, vec![file("tables/requests/x.parquet", 1)]);
    let server = Server::start(collector.reader());
    let reader = reader(&server).await;
    let first = reader.snapshot().await.expect("it answers");
    let second = reader.snapshot().await.expect("it answers");
    for table in Table::ALL {
        assert_eq!(first.files(table), collector.snapshot().files(table), "{}", table.name());
        assert!(Arc::ptr_eq(first.files(table), second.files(table)), "{} came twice", table.name());
    }
    collector
        .set_files(Table::Spans, vec![file("tables/spans/b.parquet", 4), file("tables/spans/c.parquet", 5)]);
    let third = reader.snapshot().await.expect("it answers");
    assert_eq!(third.files(Table::Spans), collector.snapshot().files(Table::Spans));
    assert!(Arc::ptr_eq(third.files(Table::Requests), first.files(Table::Requests)));
    assert_eq!(first.files(Table::Spans).len(), 1, "a snapshot never changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_across_knows_what_one_here_knows() {
    let collector = Collector::default();
    collector.set_files(Table::Spans, vec![file("tables/spans/a.parquet", 3)]);
    collector.set_files(Table::Calls1m, vec![file("tables/calls_1m/a.parquet", 2)]);
    collector.set_watermark(Table::Spans, 3, 20_000);
    collector.publish(4, rows(Table::Requests, 9));
    collector.publish(5, rows(Table::Ledger, 30));
    let server = Server::start(collector.reader());
    let [near, far] = [collector.snapshot(), reader(&server).await.snapshot().await.expect("it answers")];
    for table in Table::ALL {
        assert_eq!(far.watermark(table), near.watermark(table), "{}", table.name());
    }
    for table in [Table::Calls10s, Table::Calls1m, Table::Calls10m] {
        let open = |snapshot: &Snapshot| snapshot.open(table, TimeRange::ALL);
        assert!(!open(&near).is_empty(), "buffered requests were never settled");
        assert_eq!(open(&far), open(&near), "{}", table.name());
        let minute = |count: i64| UnixNanos::from_micros(count * MINUTE_MICROS);
        let range = TimeRange { from: minute(1), to: minute(2) };
        assert_eq!(far.open(table, range), near.open(table, range), "{}", table.name());
    }
    let [near, far] = [near.unflushed("tenant-0").await, far.unflushed("tenant-0").await];
    assert_eq!(far, near);
    assert!(near.is_ok_and(|unflushed| !unflushed.is_empty()), "the case has some");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_held_while_it_or_its_rows_are_read() {
    let collector = Collector::default();
    collector.publish(1, rows(Table::Logs, 5));
    let server = Server::start(collector.reader());
    let reader = reader(&server).await;
    let [one, other] =
        [reader.snapshot().await.expect("it answers"), reader.snapshot().await.expect("it answers")];
    until_held(&server, 2).await;
    drop(other);
    until_held(&server, 1).await;
    // What is published later is not in it.
    collector.publish(2, rows(Table::Logs, 3));
    let stream = one.hot(&all_of(Table::Logs, "tenant-0")).expect("columns");
    drop(one);
    let batches: Vec<_> = stream.try_collect().await.expect("the stream holds it");
    // Row i is of tenant-(i % 2).
    assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 3);
    until_held(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_held_is_let_go() {
    let collector = Collector::default();
    let server = Server::start(collector.reader());
    let connection = server.connection().await.expect("two sockets");
    let process =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let asked = process.spawn(async move {
        let reader = RemoteReader::over(connection, Arc::new(InMemory::new())).expect("a connection");
        let snapshots =
            [reader.snapshot().await.expect("it answers"), reader.snapshot().await.expect("it answers")];
        std::mem::forget((snapshots, reader));
    });
    asked.await.expect("no panic");
    until_held(&server, 2).await;
    process.shutdown_background();
    until_held(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_beyond_the_bound_are_refused_until_one_is_let_go() {
    let server = Server::start(Collector::default().reader());
    let reader = reader(&server).await;
    let mut snapshots = Vec::new();
    for _ in 0..HELD_MAX {
        snapshots.push(reader.snapshot().await.expect("within the bound"));
    }
    let error = reader.snapshot().await.expect_err("one too many");
    assert_eq!(error, ReadError("256 snapshots are held already".to_owned()));
    snapshots.pop();
    until_held(&server, HELD_MAX - 1).await;
    assert!(reader.snapshot().await.is_ok());
}

/// The collector dies while rows are on their way: the stream must not look as if it had ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_cut_off_end_with_an_error() {
    let collector = Collector::default();
    // 40 MB, five times what may be on its way.
    (1..=40).for_each(|lsn| collector.publish(lsn, spans_of_text(1 << 20)));
    let process =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let server = {
        let _in_process = process.enter();
        Server::start(collector.reader())
    };
    let connecting = process.spawn(async move { server.connection().await.map(|end| (end, server)) });
    let (connection, server) = connecting.await.expect("no panic").expect("two sockets");
    let reader = RemoteReader::over(connection, Arc::new(InMemory::new())).expect("a connection");
    let snapshot = reader.snapshot().await.expect("it answers");
    let mut rows = snapshot.hot(&all_of(Table::Spans, "tenant-0")).expect("columns");
    assert!(rows.next().await.is_some_and(|batch| batch.is_ok()));
    std::mem::forget(server);
    process.shutdown_background();
    let rest: Vec<_> = rows.collect().await;
    assert!(rest.len() < 39, "all of it was there already");
    assert!(rest.last().is_some_and(Result::is_err), "{} batches and no error", rest.len());
    let error = reader.snapshot().await.expect_err("nobody is there");
    assert!(error.to_string().contains("the collector is gone: "), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followed_steps_come_across_as_they_are() {
    let collector = Collector::default();
    let from = |column: &str| Follow {
        table: Table::Logs,
        columns: vec![column.to_owned(), "tenant".to_owned()],
        tenant: "tenant-0".to_owned(),
        after: 3,
    };
    let project = |lsn: u64, count: usize| {
        let all = rows(Table::Logs, count);
        let columns =
            ["attributes", "tenant"].map(|name| all.rows().schema().index_of(name).expect("a column"));
        Followed::Rows { through: lsn, rows: all.rows().project(&columns).expect("its columns") }
    };
    let steps = [
        project(4, 6),
        Followed::Missed { after: 4, through: 90 },
        Followed::Missed { after: 90, through: u64::MAX },
        project(7, 1),
    ];
    collector.follow_with(steps.to_vec());
    let server = Server::start(collector.reader());
    let reader = reader(&server).await;
    let came: Vec<_> =
        reader.follow(from("attributes")).await.expect("columns of logs").try_collect().await.expect("steps");
    assert_eq!(came, steps);
    let error = reader.follow(from("nope")).await.err().expect("no such column");
    assert!(error.to_string().contains("no column nope"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_comes_across_as_it_is() {
    let collector = Collector::default();
    let server = Server::start(collector.reader());
    let [near, far] = [collector.reader().status().await, reader(&server).await.status().await];
    assert_eq!(format!("{far:?}"), format!("{near:?}"));
}

/// The path is longer than a socket's may be (108 bytes, unix(7)); what a dead process left there is replaced, and a
/// reader finds the next process by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_in_the_data_directory_is_found_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let data_dir = dir.path().join("d".repeat(200));
    std::fs::create_dir(&data_dir).expect("it is new");
    let collector = Collector::default();
    let reader = RemoteReader::at(&socket_path(&data_dir), Arc::new(InMemory::new()));
    assert!(reader.snapshot().await.is_err(), "nobody is there yet");
    for _ in 0..2 {
        let server = Server::listen(collector.reader(), &data_dir).expect("a socket");
        let asked = tokio::time::timeout(LONG, async {
            while reader.snapshot().await.is_err() {
                tokio::task::yield_now().await;
            }
        });
        asked.await.expect("the reader connects anew");
        drop(server);
    }
    let socket_dir = socket_path(&data_dir);
    let mode = std::fs::metadata(socket_dir.parent().expect("a directory"))
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else may enter");
}
