//! The log as a whole on a simulated disk: append, crash, rot, recover, append again.
//!
//! These facts belong to no single file below: what recovery may conclude rests on what appending wrote.
//! Groups are told apart by the number in their export's hash, and their rows are made from it.

mod bit_flips;
mod damage;
mod downgrade;
mod failure;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use meshlake_schema::{Table, TableBatch};

use crate::disk::StdDisk;
use crate::disk::sim::SimDisk;
use crate::group::{ExportEntry, Group, Lsn};
use crate::wal::append::Wal;
use crate::wal::fixture::{batch_of, group_of};
use crate::wal::format::{RECORD_HEADER_BYTES, RECORDS_START, SegmentHeader};
use crate::wal::little_endian::u64_at;
use crate::wal::recover::{Recovery, Replayed, recover};
use crate::wal::segment::{Layout, WalConfig, WalError};

/// Room for the headers and about twelve records of [`ROWS`] rows.
const SEGMENT_BYTES: u64 = 1 << 15;

/// Rows of each small group.
const ROWS: usize = 3;

struct Log {
    disk: SimDisk,
    config: WalConfig,
}

impl Log {
    fn new(disk: SimDisk) -> Log {
        let config =
            WalConfig { dir: PathBuf::from("wal"), collector_id: [7; 16], segment_bytes: SEGMENT_BYTES };
        Log { disk, config }
    }

    fn recover(&self) -> (Vec<Replayed>, Recovery) {
        let mut replayed = Vec::new();
        let recovery = recover(&self.disk, &self.config, &mut |record| replayed.push(record));
        (replayed, recovery.expect("the log can be read"))
    }

    fn lsns(&self) -> Vec<Lsn> {
        self.recover().0.iter().map(|record| record.lsn).collect()
    }

    fn open(&self) -> Wal {
        let (_, recovery) = self.recover();
        let first_lsn = recovery.last_lsn + 1;
        Wal::open(Arc::new(self.disk.clone()), self.config.clone(), recovery, first_lsn).expect("open")
    }

    /// A log with records 1 to `count` of [`ROWS`] rows each.
    fn with_records(count: usize) -> (Log, Wal) {
        let log = Log::new(SimDisk::default());
        let mut wal = log.open();
        for number in 1..=count {
            assert_eq!(wal.append(&group_of(ROWS, number)), Ok(number as Lsn));
        }
        (log, wal)
    }

    fn path(&self, first_lsn: Lsn) -> PathBuf {
        Layout::new(&self.config.dir).segment(first_lsn)
    }

    fn change(&self, first_lsn: Lsn, change: impl FnOnce(&mut Vec<u8>)) {
        let mut content = self.disk.contents(&self.path(first_lsn)).expect("the segment is there");
        change(&mut content);
        self.disk.set_contents(&self.path(first_lsn), content);
    }

    fn names(&self) -> Vec<String> {
        let names = self.disk.paths().into_iter().map(|path| path.to_string_lossy().into_owned());
        names.map(|name| name.trim_start_matches("wal/").replace("00000000000000000", "")).collect()
    }

    /// First LSN of the n-th segment, counted from 0.
    fn first_lsn(&self, index: usize) -> Lsn {
        let segments = self.names().into_iter().filter_map(|name| {
            name.trim_start_matches("0/").strip_suffix(".seg").and_then(|lsn| lsn.parse().ok())
        });
        segments.collect::<Vec<Lsn>>()[index]
    }

    /// Start and end of the `count` records of a segment.
    fn extents(&self, first_lsn: Lsn, count: usize) -> Vec<Range<usize>> {
        let content = self.disk.contents(&self.path(first_lsn)).expect("the segment is there");
        let mut start = RECORDS_START as usize;
        let next = |_| {
            let end = start + RECORD_HEADER_BYTES + u64_at(&content, start + 32) as usize;
            start = end;
            end
        };
        let ends: Vec<usize> = (0..count).map(next).collect();
        let starts = std::iter::once(RECORDS_START as usize).chain(ends.iter().copied());
        starts.zip(ends.iter().copied()).map(|(start, end)| start..end).collect()
    }
}

#[test]
fn a_new_log_is_empty() {
    let (replayed, recovery) = Log::new(SimDisk::default()).recover();
    assert!(replayed.is_empty());
    assert_eq!((recovery.last_lsn, recovery.torn, recovery.damage), (0, None, Vec::new()));
}

#[test]
fn groups_of_every_table_come_back_with_their_requests() {
    let log = Log::new(SimDisk::default());
    let mut wal = log.open();
    let exports = vec![ExportEntry { hash: 1 << 100, rows: vec![(Table::Spans, 4)] }];
    let group = Group { batches: Table::received().map(|table| batch_of(table, 4, 1)).collect(), exports };
    assert_eq!((wal.append(&group), wal.append(&group)), (Ok(1), Ok(2)));
    let (replayed, recovery) = log.recover();
    assert_eq!(replayed.len(), 2);
    for record in &replayed {
        assert_eq!(record.exports, group.exports);
        let equal = |(read, want): (&TableBatch, &TableBatch)| {
            read.table() == want.table() && read.rows() == want.rows()
        };
        assert!(record.batches.iter().zip(&group.batches).all(equal));
    }
    assert_eq!((recovery.records, recovery.last_lsn, recovery.torn), (2, 3, None));
}

#[test]
fn a_log_on_the_real_disk_is_read_back() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let disk = Arc::new(StdDisk);
    let config = WalConfig { dir: dir.path().join("wal"), ..Log::new(SimDisk::default()).config };
    let read = || {
        let mut lsns = Vec::new();
        let recovery = recover(disk.as_ref(), &config, &mut |record| lsns.push(record.lsn));
        (lsns, recovery.expect("the log can be read"))
    };
    let mut wal = Wal::open(disk.clone(), config.clone(), read().1, 1).expect("open");
    for number in 1..=40 {
        wal.append(&group_of(ROWS, number)).expect("append");
        if number == 20 {
            wal.cutter().cut(20).expect("cut");
        }
    }
    let (lsns, recovery) = read();
    assert_eq!(lsns, (lsns[0]..=40).collect::<Vec<_>>());
    assert!(lsns[0] > 1 && lsns[0] <= 21, "the first segments are cut: {lsns:?}");
    assert_eq!((recovery.torn, recovery.damage), (None, Vec::new()));
}

/// Scenario: segments are cut, the process restarts, more are cut. Guarantee: every export is remembered, oldest
/// first, whether its record is in the log or was cut by this or an earlier process.
#[test]
fn requests_outlive_their_segments() {
    let (log, wal) = Log::with_records(40);
    let hashes = || log.recover().1.take_exports().iter().map(|export| export.hash).collect::<Vec<_>>();
    wal.cutter().cut(15).expect("cut");
    assert!(log.lsns()[0] > 1);
    assert_eq!(hashes(), (1..=40).collect::<Vec<_>>());
    drop(wal);
    let wal = log.open();
    // LSN 41 may have been used by a record that was torn.
    wal.cutter().cut(41).expect("cut");
    assert!(log.lsns().is_empty());
    assert_eq!(hashes(), (1..=40).collect::<Vec<_>>());
    let damaged =
        log.disk.paths().into_iter().find(|path| path.extension().is_some_and(|end| end == "requests"));
    let damaged = damaged.expect("a file of exports");
    log.disk.set_contents(&damaged, vec![0; 10]);
    let left = hashes();
    assert!(!left.contains(&1) && left.ends_with(&[39, 40]), "{left:?}");
    drop(log.open());
    assert!(log.disk.contents(&damaged).is_none(), "what nobody can read is removed");
}

#[test]
fn records_fill_one_segment_after_another() {
    let (log, wal) = Log::with_records(40);
    assert!(wal.stats().segments > 2, "{:?}", wal.stats());
    assert_eq!(wal.stats().bytes, wal.stats().segments * SEGMENT_BYTES);
    assert_eq!(log.lsns(), (1..=40).collect::<Vec<_>>());
}

#[test]
fn cut_segments_are_gone_and_their_files_are_used_again() {
    let (log, mut wal) = Log::with_records(40);
    let segments = wal.stats().segments;
    wal.cutter().cut(40).expect("cut");
    assert_eq!(wal.stats().segments, 1);
    let spares = log.names().iter().filter(|name| name.ends_with(".spare")).count();
    assert_eq!(spares, 2);
    for number in 41..=80 {
        wal.append(&group_of(ROWS, number)).expect("append");
    }
    assert!(log.names().iter().all(|name| !name.ends_with(".spare")), "{segments}: {:?}", log.names());
    let lsns = log.lsns();
    assert_eq!(lsns, (lsns[0]..=80).collect::<Vec<_>>());
    assert!(lsns[0] > 1);
}

/// A recycled file is full of whole records of its earlier life; none of them may come back.
#[test]
fn stale_records_of_a_recycled_segment_end_it() {
    let (log, mut wal) = Log::with_records(20);
    let second = log.first_lsn(1);
    wal.cutter().cut(second - 1).expect("cut");
    let mut number = 20;
    while log.names().iter().any(|name| name.ends_with(".spare")) {
        number += 1;
        wal.append(&group_of(ROWS, number)).expect("append");
    }
    let recycled = log.disk.contents(&log.path(number as Lsn)).expect("the newest segment starts with it");
    let stale = recycled[log.extents(number as Lsn, 1)[0].end..].windows(4).filter(|w| w == b"MLR1").count();
    assert!(stale > 0, "the file has a past");
    let (replayed, recovery) = log.recover();
    assert_eq!(replayed.last().map(|record| record.lsn), Some(number as Lsn));
    assert_eq!((recovery.torn, recovery.damage), (None, Vec::new()));
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own() {
    let (log, mut wal) = Log::with_records(1);
    assert_eq!(wal.append(&group_of(2000, 2)), Ok(2));
    assert_eq!(wal.append(&group_of(ROWS, 3)), Ok(3));
    let size = log.disk.contents(&log.path(2)).expect("a segment of its own").len() as u64;
    assert!(size > SEGMENT_BYTES);
    assert_eq!(log.lsns(), [1, 2, 3]);
    wal.cutter().cut(2).expect("cut");
    let left: Vec<_> = log.names().into_iter().filter(|name| !name.ends_with(".requests")).collect();
    assert_eq!(left, ["0/001.spare", "0/003.seg"], "only files of the usual size are used again");
}

#[test]
fn a_large_first_record_grows_its_segment() {
    let log = Log::new(SimDisk::default());
    let mut wal = log.open();
    assert_eq!(wal.append(&group_of(2000, 1)), Ok(1));
    for seed in 0..20 {
        assert_eq!(Log::new(log.disk.crashed(seed)).lsns(), [1], "seed {seed}");
    }
}

#[test]
fn a_restart_goes_on_above_every_lsn_that_may_have_been_used() {
    let (log, wal) = Log::with_records(3);
    drop(wal);
    assert_eq!(log.recover().1.last_lsn, 4);
    let (_, recovery) = log.recover();
    let mut wal = Wal::open(Arc::new(log.disk.clone()), log.config.clone(), recovery, 100).expect("open");
    assert_eq!(wal.append(&group_of(ROWS, 100)), Ok(100));
    let (replayed, recovery) = log.recover();
    assert_eq!(replayed.iter().map(|record| record.lsn).collect::<Vec<_>>(), [1, 2, 3, 100]);
    assert_eq!((recovery.damage, recovery.last_lsn), (Vec::new(), 101));
}

#[test]
fn restarts_without_records_do_not_pile_up_segments() {
    let (log, wal) = Log::with_records(2);
    drop(wal);
    for _ in 0..200 {
        drop(log.open());
    }
    let segments = log.names().iter().filter(|name| name.ends_with(".seg")).count();
    assert_eq!(segments, 2, "{:?}", log.names());
    assert_eq!(log.lsns(), [1, 2]);
    let header = log.disk.contents(&log.path(log.recover().1.last_lsn)).expect("the newest segment");
    let header: &[u8; 4096] = header[..4096].try_into().expect("a header");
    assert_eq!(SegmentHeader::decode(header).expect("whole").voids.len(), 1);
}

#[test]
fn a_log_of_another_collector_is_refused() {
    let (log, _) = Log::with_records(1);
    let config = WalConfig { collector_id: [8; 16], ..log.config.clone() };
    let error = recover(&log.disk, &config, &mut |_| {}).expect_err("another collector's");
    assert!(matches!(error, WalError::ForeignSegment { .. }), "{error}");
}

#[test]
fn a_segment_without_a_number_is_refused_by_name() {
    let (log, _) = Log::with_records(1);
    log.disk.set_contents(&log.config.dir.join("0/backup.seg"), vec![0; 10]);
    let error = recover(&log.disk, &log.config, &mut |_| {}).expect_err("no number");
    assert!(error.to_string().contains("wal/0/backup.seg"), "{error}");
}
