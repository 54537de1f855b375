//! One flipped bit anywhere in the log: it is noticed or does no harm, and what is lost is counted.

use std::collections::BTreeMap;

use meshlake_schema::TableBatch;

use super::{Log, ROWS};
use crate::disk::sim::Coin;
use crate::group::Lsn;
use crate::test_size;
use crate::wal::fixture::group_of;
use crate::wal::recover::{Recovery, Replayed};

/// A third of the flips of a run, which Parquet files and Delta logs share.
const FLIPS: u64 = 170;

/// Several segments, a restart's gap, a voided record, stale bytes of a recycled file, a torn tail's room.
fn log() -> Log {
    let (log, mut wal) = Log::with_records(40);
    wal.cutter().cut(20).expect("cut");
    for number in 41..=60 {
        wal.append(&group_of(ROWS, number)).expect("append");
    }
    log.disk.fail_syncs(0, 1);
    wal.append(&group_of(ROWS, 61)).expect_err("the sync fails");
    drop(wal);
    let mut wal = log.open();
    for number in 62..=70 {
        wal.append(&group_of(ROWS, number)).expect("append");
    }
    log
}

fn contents(replayed: &[Replayed]) -> BTreeMap<Lsn, &[TableBatch]> {
    replayed.iter().map(|record| (record.lsn, record.batches.as_slice())).collect()
}

/// `after` holds nothing but records of `before`, and its losses are counted exactly; only the very last
/// record may be missing without a count.
fn check(before: &[Replayed], after: &[Replayed], recovery: &Recovery, flip: &str) {
    let (before, after) = (contents(before), contents(after));
    for (lsn, batches) in &after {
        let want = before.get(lsn).unwrap_or_else(|| panic!("{flip}: record {lsn} is new"));
        assert!(
            batches.iter().zip(*want).all(|(got, want)| got.rows() == want.rows()),
            "{flip}: record {lsn}"
        );
        assert_eq!(batches.len(), want.len(), "{flip}: record {lsn}");
    }
    let last = before.keys().max().copied();
    let lost: Vec<Lsn> = before.keys().filter(|lsn| !after.contains_key(lsn)).copied().collect();
    let counted =
        lost.iter().filter(|lsn| recovery.damage.iter().any(|d| (d.first_lsn..=d.last_lsn).contains(lsn)));
    let counted = counted.count();
    let is_torn_tail = lost.len() == 1 && lost.first() == last.as_ref();
    assert!(counted == lost.len() || is_torn_tail, "{flip}: lost {lost:?}, reported {:?}", recovery.damage);
    let rows: u64 = recovery.damage.iter().flat_map(|damage| &damage.rows_lost).map(|(_, rows)| rows).sum();
    assert_eq!(rows, (counted * ROWS) as u64, "{flip}: {:?}", recovery.damage);
}

#[test]
fn a_flipped_bit_loses_at_most_what_is_counted() {
    let log = log();
    let before = log.recover().0;
    // Cut at 20: the segment that holds record 21 is the first; record 61 is void.
    assert_eq!(before.last().map(|record| record.lsn), Some(70));
    let segments: Vec<_> = log
        .disk
        .paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .collect();
    let mut coin = Coin(1);
    for flip in 0..test_size::from_environment("MESHLAKE_TEST_BIT_FLIPS", 3 * FLIPS) / 3 {
        let path = &segments[coin.below(segments.len() as u64) as usize];
        let disk = log.disk.crashed(0);
        let mut content = disk.contents(path).expect("the segment is there");
        let bit = coin.below(content.len() as u64 * 8) as usize;
        content[bit / 8] ^= 1 << (bit % 8);
        disk.set_contents(path, content);
        let flipped = Log::new(disk);
        let (after, recovery) = flipped.recover();
        let flip = format!("flip {flip}, bit {bit} of {}", path.display());
        check(&before, &after, &recovery, &flip);
        // It goes on from there, and says the same at the next start, but for the losses, reported once.
        drop(flipped.open());
        let (again, recovery) = flipped.recover();
        assert_eq!(
            contents(&again).keys().collect::<Vec<_>>(),
            contents(&after).keys().collect::<Vec<_>>(),
            "{flip}"
        );
        assert_eq!(recovery.damage, [], "{flip}");
    }
}
