//! What `inspect` says of a directory with known contents, whole and damaged, at rest and under load.

use std::collections::BTreeMap;

use super::golden::{copy_dir, golden};
use super::*;
use crate::inspect::{FileSum, FindingKind, InspectError, Inspection, Watermark, inspect};
use crate::wal::format::{RECORD_HEADER_BYTES, RECORDS_START};
use crate::wal::little_endian::u64_at;

const WINDOW: i64 = 15 * 60 * 1_000_000;

async fn look(dir: &Path) -> Inspection {
    inspect(dir).await.expect("the directory can be read")
}

fn findings(inspection: &Inspection) -> Vec<(FindingKind, String)> {
    inspection.findings().into_iter().map(|finding| (finding.kind, finding.text)).collect()
}

/// Every file below `dir` with its contents.
fn contents(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("the directory is readable") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => files.extend(contents(&path)),
            false => drop(files.insert(path.clone(), fs::read(&path).expect("readable"))),
        }
    }
    files
}

/// Three spans in files of two windows (LSN 1), three more in the log alone (LSN 2 to 4).
async fn known(dir: &Path) -> Store {
    let store = open(dir).await;
    let times = [MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + WINDOW];
    append(&store, vec![span_rows(&times), ledger_rows(&[(MIDNIGHT, 3)])]).await.expect("durable");
    store.flush_all().await.expect("flush");
    for i in 2..=4 {
        append_span(&store, MIDNIGHT + i).await;
    }
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_told_as_it_was_made_and_not_changed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = known(dir.path()).await;
    let app_id = format!("{:032x}/0", store.collector_id());
    assert_eq!(look(dir.path()).await.running_pid, Some(std::process::id()));
    store.close().await;
    let before = contents(dir.path());
    let inspection = look(dir.path()).await;
    assert!(contents(dir.path()) == before, "looking changed a file");

    assert_eq!((inspection.running_pid, inspection.findings()), (None, vec![]));
    // LSN 5 may have been used by a record that left no trace.
    assert_eq!((inspection.wal.last_lsn, inspection.next_lsn), (5, 6));
    let [segment] = &inspection.wal.segments[..] else { panic!("{:?}", inspection.wal.segments) };
    assert_eq!((segment.first_lsn, segment.last_lsn, segment.records), (1, Some(4), 4));
    assert_eq!(segment.rows, [(Table::Spans, 3 + 3), (Table::Ledger, 1 + 3)]);
    assert_eq!(segment.size_bytes, 1 << 20);
    assert_eq!(segment.used_bytes, records(&before)[3].1 as u64);

    let spans = &inspection.tables[Table::Spans.index()];
    assert_eq!(spans.watermarks, [Watermark { app_id: app_id.clone(), lsn: 1 }]);
    // Version 0 makes the table, 1 adds the files.
    assert_eq!((spans.version, spans.files.files, spans.files.rows), (Some(1), 2, 3));
    let on_disk = before.iter().filter(|(path, _)| path.to_string_lossy().contains("spans/date="));
    assert_eq!(spans.files.bytes, on_disk.map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    let windows: Vec<_> =
        spans.windows.iter().map(|w| (w.date.as_str(), w.window.as_str(), w.sum.rows)).collect();
    assert_eq!(windows, [("2026-11-23", "0000", 2), ("2026-11-23", "0015", 1)]);
    assert_eq!(spans.time_micros, Some((MIDNIGHT, MIDNIGHT + WINDOW)));
    let traces = &inspection.tables[Table::Traces.index()];
    assert_eq!(traces.watermarks, [Watermark { app_id: format!("{app_id}/spans"), lsn: 1 }]);
    let logs = &inspection.tables[Table::Logs.index()];
    assert_eq!((logs.version, logs.files), (Some(0), FileSum::default()));
}

/// Start and end of each record of the one segment.
fn records(files: &BTreeMap<std::path::PathBuf, Vec<u8>>) -> Vec<(usize, usize)> {
    let bytes =
        files.iter().find(|(path, _)| path.ends_with("wal/0/00000000000000000001.seg")).expect("there").1;
    let mut records = Vec::new();
    let mut start = RECORDS_START as usize;
    while bytes[start..].starts_with(b"MLR1") {
        let end = start + RECORD_HEADER_BYTES + u64_at(bytes, start + 32) as usize;
        records.push((start, end));
        start = end;
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_the_log_is_told_as_a_start_would() {
    let dir = tempfile::tempdir().expect("temporary directory");
    known(dir.path()).await.close().await;
    let path = dir.path().join("wal/0/00000000000000000001.seg");
    let whole = fs::read(&path).expect("read");
    let records = records(&contents(dir.path()));
    let with = async |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&path, bytes).expect("write");
        findings(&look(dir.path()).await)
    };

    let middle = usize::midpoint(records[1].0, records[1].1);
    let lost = "LSN 2 to 2 of 00000000000000000001.seg are lost; rows: 1 of spans, 1 of ledger";
    assert_eq!(with(&|bytes| bytes[middle] ^= 1).await, [(FindingKind::Damage, lost.to_owned())]);

    let torn = format!(
        "LSN 4 at byte {} of 00000000000000000001.seg is torn: it was never acknowledged, or is the very last and damaged",
        records[3].0
    );
    let tail = with(&|bytes| bytes[records[3].1 - 8..].fill(0xee)).await;
    assert_eq!(tail, [(FindingKind::Notice, torn)]);

    let header = "00000000000000000001.seg: one of two headers is damaged";
    assert_eq!(with(&|bytes| bytes[100] ^= 1).await, [(FindingKind::Notice, header.to_owned())]);

    let foreign = with(&|bytes| {
        for copy in [0, 4096] {
            bytes[copy + 16] ^= 1;
            let checksum = crc32c::crc32c(&bytes[copy + 12..copy + 4096]);
            bytes[copy + 8..copy + 12].copy_from_slice(&checksum.to_le_bytes());
        }
    });
    let foreign = foreign.await;
    assert!(
        foreign[0].0 == FindingKind::Unusable && foreign[0].1.ends_with("belongs to another collector"),
        "{foreign:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_and_a_log_that_differ_are_told() {
    let dir = tempfile::tempdir().expect("temporary directory");
    known(dir.path()).await.close().await;
    let spans = dir.path().join("tables/spans/date=2026-11-23");
    fs::write(spans.join("0000-9-9-00000000deadbeef.parquet"), b"7 bytes").expect("write");
    let mut files: Vec<_> =
        fs::read_dir(&spans).expect("read").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    fs::remove_file(&files[0]).expect("remove");
    fs::write(&files[2], b"short").expect("write");
    let inspection = look(dir.path()).await;
    let table = &inspection.tables[Table::Spans.index()];
    assert_eq!(table.orphaned, FileSum { files: 1, bytes: 7, rows: 0 });
    let missing = files[0].strip_prefix(dir.path()).expect("below").display().to_string();
    let short = files[2].strip_prefix(dir.path()).expect("below").display().to_string();
    let said = findings(&inspection);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], (FindingKind::Damage, format!("{missing} is in the table's log and not on disk")));
    assert!(said[1].1.starts_with(&format!("{short} has 5 bytes instead of ")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watermarks_are_found_in_a_checkpoint_alone() {
    let dir = tempfile::tempdir().expect("temporary directory");
    copy_dir(&golden(), dir.path());
    let log = dir.path().join("tables/spans/_delta_log");
    for version in 0..=2 {
        fs::remove_file(log.join(format!("{version:020}.json"))).expect("remove");
    }
    let inspection = look(dir.path()).await;
    let spans = &inspection.tables[Table::Spans.index()];
    let app_id = format!("{:032x}/0", inspection.collector_id);
    assert_eq!((spans.version, &spans.watermarks[..]), (Some(2), &[Watermark { app_id, lsn: 2 }][..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_none_is_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let absent = inspect(&dir.path().join("absent")).await;
    assert!(matches!(absent, Err(InspectError::Missing { .. })), "{absent:?}");
    let empty = inspect(dir.path()).await;
    assert!(matches!(empty, Err(InspectError::DataDir(_))), "{empty:?}");
    assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 0, "nothing was made");
}

/// Segments of 64 KiB are filled, cut and written again all the time while they are looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_use_never_looks_damaged() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let small = StoreConfig { segment_bytes: 64 << 10, ..config(dir.path()) };
    let store = Store::open(small, Arc::new(SystemClock)).await.expect("the store opens");
    let is_done = AtomicBool::new(false);
    let loading = async {
        for i in 0..300 {
            append_span(&store, MIDNIGHT + i).await;
            if i % 50 == 49 {
                store.flush_all().await.expect("flush");
            }
        }
        is_done.store(true, Ordering::SeqCst);
    };
    let looking = async {
        let mut looks = 0;
        while !is_done.load(Ordering::SeqCst) {
            let said = findings(&look(dir.path()).await);
            assert!(said.iter().all(|(kind, _)| *kind == FindingKind::Notice), "look {looks}: {said:?}");
            looks += 1;
        }
        looks
    };
    let ((), looks) = futures::future::join(loading, looking).await;
    assert!(looks > 1, "looked {looks} times");
    store.close().await;
}
