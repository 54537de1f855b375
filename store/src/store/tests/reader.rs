//! What the query side may ask beside snapshots.

use std::sync::Mutex;

use futures::StreamExt as _;

use super::*;
use crate::follow::{FOLLOWERS_MAX, Follow, Followed};
use crate::status::{InFlight, IntakeStatus};

fn spans_after(after: Lsn) -> Follow {
    Follow { table: Table::Spans, columns: vec!["time".to_owned()], tenant: "tenant-0".to_owned(), after }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_gets_a_row_when_it_is_durable() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let last = append_span(&store, MIDNIGHT).await;
    let mut rows = store.reader().follow(spans_after(last)).await.expect("a column of spans");
    let next = tokio::spawn(async move { rows.next().await });
    let lsn = append_span(&store, MIDNIGHT + 1).await;
    let next = next.await.expect("no panic").expect("it never ends").expect("no bug");
    let Followed::Rows { through, rows } = next else { panic!("nothing was missed: {next:?}") };
    assert_eq!((through, values_in(&rows, "time")), (lsn, vec![MIDNIGHT + 1]));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_bound_are_refused_until_one_ends() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let reader = store.reader();
    let mut streams = Vec::new();
    for _ in 0..FOLLOWERS_MAX {
        streams.push(reader.follow(spans_after(0)).await.expect("within the bound"));
    }
    let error = reader.follow(spans_after(0)).await.err().expect("one too many");
    assert!(error.to_string().contains("64 streams are followed already"), "{error}");
    streams.pop();
    assert!(reader.follow(spans_after(0)).await.is_ok(), "a place came free");
    drop(streams);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_of_tables_and_of_the_receiving_side() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let in_files = append_span(&store, MIDNIGHT).await;
    store.flush_all().await.expect("flush");
    append_span(&store, MIDNIGHT + 1).await;

    let intake = IntakeStatus {
        in_flight: vec![InFlight {
            tenant: "default".to_owned(),
            signal: "traces".to_owned(),
            source: "otlp_grpc".to_owned(),
            records: 3,
        }],
        ..IntakeStatus::default()
    };
    let asked = Arc::new(Mutex::new(0));
    let answer = {
        let (intake, asked) = (intake.clone(), Arc::clone(&asked));
        Arc::new(move || {
            *asked.lock().expect("no panic") += 1;
            intake.clone()
        })
    };
    let status = store.reader_with(answer).status().await.expect("in this process");
    assert_eq!((status.intake, *asked.lock().expect("no panic")), (Some(intake), 1));
    let spans = &status.store.tables[Table::Spans.index()];
    assert_eq!((spans.table, spans.watermark, spans.buffered_rows), (Table::Spans, in_files, 1));
    assert_eq!((spans.files, spans.file_rows), (1, 1));
    let file = &store.reader().snapshot().await.expect("in this process").files(Table::Spans)[0].clone();
    assert_eq!(spans.file_bytes, file.size_bytes);
    assert_eq!(store.reader().status().await.expect("in this process").intake, None);
    store.close().await;
}
