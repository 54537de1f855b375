//! Files and buffered batches tell the highest record of each minute of start, through flush, merge and restart.

use super::golden::{copy_dir, golden};
use super::*;
use crate::maintain::Effort;
use crate::minutes::{MICROS_PER_MINUTE, MinuteLsns, RUNS_MAX};
use crate::snapshot::DataFile;

const MINUTE: i64 = MICROS_PER_MINUTE;

/// (minutes after midnight, the last of them, the record after `first`), run by run.
type Runs = Vec<(i64, i64, i64)>;

fn told(minutes: &MinuteLsns, first: Lsn) -> Runs {
    let midnight = MIDNIGHT / MINUTE;
    let run = |run: &crate::minutes::Run| {
        (run.first - midnight, run.last - midnight, run.lsn.cast_signed() - first.cast_signed())
    };
    minutes.runs().iter().map(run).collect()
}

async fn span_files(store: &Store) -> Arc<Vec<DataFile>> {
    Arc::clone(store.reader().snapshot().await.expect("in this process").files(Table::Spans))
}

async fn told_by_files(store: &Store, first: Lsn) -> Vec<Runs> {
    let files = span_files(store).await;
    let mut told: Vec<Runs> = files.iter().map(|file| told(&file.minutes, first)).collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_minute_tells_its_last_record() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    let at = |minute: i64| MIDNIGHT + minute * MINUTE;
    let first = append(&store, vec![span_rows(&[at(0), at(1), at(2)])]).await.expect("durable");
    append(&store, vec![span_rows(&[at(1), at(16)])]).await.expect("durable");
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let hot: Vec<Runs> =
        snapshot.table(Table::Spans).hot.iter().map(|hot| told(&hot.minutes, first)).collect();
    assert_eq!(hot, [vec![(0, 2, 0)], vec![(1, 1, 1), (16, 16, 1)]]);

    store.flush_all().await.expect("flush");
    let window = || vec![(0, 0, 0), (1, 1, 1), (2, 2, 0)];
    assert_eq!(told_by_files(&store, first).await, [window(), vec![(16, 16, 1)]]);
    append_span(&store, at(2)).await;
    store.flush_all().await.expect("flush");
    assert_eq!(told_by_files(&store, first).await, [window(), vec![(2, 2, 2)], vec![(16, 16, 1)]]);

    store.maintenance().run(Effort::All).await.expect("merge");
    let merged = [vec![(0, 0, 0), (1, 1, 1), (2, 2, 2)], vec![(16, 16, 1)]];
    assert_eq!(told_by_files(&store, first).await, merged);
    store.close().await;
    let store = open(dir.path()).await;
    assert_eq!(told_by_files(&store, first).await, merged);
    let snapshot = store.reader().snapshot().await.expect("in this process");
    let others = Table::ALL.into_iter().filter(|table| *table != Table::Spans);
    let others = others
        .flat_map(|table| snapshot.files(table).iter().map(|file| file.minutes.clone()).collect::<Vec<_>>());
    assert!(others.into_iter().all(|minutes| minutes == MinuteLsns::default()), "no other table needs it");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_many_windows_tells_a_few_runs_that_have_every_minute() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path()).await;
    // 64 windows of three rows get a file each; 32 of two rows, of a record each, share one.
    let window = 15 * MINUTE;
    let large: Vec<i64> = (0..64).flat_map(|i| [0, 1, 2].map(|row| MIDNIGHT + i * window + row)).collect();
    append(&store, vec![span_rows(&large)]).await.expect("durable");
    let mut last = 0;
    for i in 64..64 + 32 {
        last = append_span(&store, MIDNIGHT + i * window).await;
        last = append_span(&store, MIDNIGHT + i * window + 7 * MINUTE).await.max(last);
    }
    store.flush_all().await.expect("flush");
    let files = span_files(&store).await;
    for file in files.iter() {
        assert!(file.minutes.runs().len() <= RUNS_MAX, "{file:?}");
    }
    let told: Vec<(i64, Lsn)> =
        files.iter().flat_map(|file| file.minutes.minutes().collect::<Vec<_>>()).collect();
    let is_told =
        |time: i64, lsn: Lsn| told.iter().any(|(minute, told)| *minute == time / MINUTE && *told >= lsn);
    for i in 64..64 + 32 {
        assert!(is_told(MIDNIGHT + i * window + 7 * MINUTE, 1), "window {i}");
    }
    assert!(is_told(MIDNIGHT + 95 * window + 7 * MINUTE, last), "the last record is not forgotten");
    store.close().await;
}

/// Files of format 1 have no such tag. What is in their name counts for every minute between their times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_from_before_tell_their_last_record_for_all_their_minutes() {
    let dir = tempfile::tempdir().expect("temporary directory");
    copy_dir(&golden(), dir.path());
    let store = open(dir.path()).await;
    let files = span_files(&store).await;
    assert_eq!(files.len(), 2);
    for file in files.iter() {
        let name = file.path.filename().expect("a name").to_owned();
        let last: Lsn = name.split('-').nth(2).expect("three numbers").parse().expect("the last record");
        // All rows of that directory start in the first minute of the day.
        assert_eq!(told(&file.minutes, 0), [(0, 0, last.cast_signed())], "{name}");
    }
    store.close().await;
}
