//! Torn tails, rot, lost files: what recovery keeps, and what it says is gone.

use std::ops::Range;

use meshlake_schema::Table;

use super::{Log, ROWS};
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::group::Lsn;
use crate::wal::fixture::group_of;
use crate::wal::format::RECORDS_START;
use crate::wal::recover::Damage;
use crate::wal::segment::{WalConfig, segment_name};

fn lost(first_lsn: Lsn, last_lsn: Lsn, segment_first: Lsn) -> Damage {
    let rows = (last_lsn - first_lsn + 1) * ROWS as u64;
    let rows_lost = vec![(Table::Ledger, rows)];
    Damage { segment: segment_name(segment_first), first_lsn, last_lsn, rows_lost }
}

/// However many bytes of the last record reached the disk, the ones before it stay, and the log goes on.
#[test]
fn a_tail_torn_at_any_byte_keeps_exactly_the_earlier_records() {
    let (log, _) = Log::with_records(3);
    let whole = log.disk.contents(&log.path(1)).expect("the segment is there");
    let extents = log.extents(1, 3);
    for (record, extent) in extents.iter().enumerate().skip(1) {
        let earlier: Vec<Lsn> = (1..=record as Lsn).collect();
        for end in extent.clone() {
            let mut zeroed = whole.clone();
            zeroed[end..].fill(0);
            let cut = whole[..end].to_vec();
            for content in [zeroed, cut] {
                log.disk.set_contents(&log.path(1), content);
                let (replayed, recovery) = log.recover();
                let lsns: Vec<Lsn> = replayed.iter().map(|record| record.lsn).collect();
                // A record that ends in zeros is whole when only those are missing.
                let is_whole = lsns.len() == record + 1 && whole[end..extent.end].iter().all(|b| *b == 0);
                assert!(lsns == earlier || is_whole, "cut at byte {end}: {lsns:?}");
                assert_eq!(recovery.damage, [], "cut at byte {end}");
            }
        }
    }
}

#[test]
fn a_torn_tail_is_reported_once_and_its_lsn_is_not_used_again() {
    let (log, _) = Log::with_records(3);
    let last = log.extents(1, 3)[2].clone();
    log.change(1, |content| content[last.end - 9..].fill(0xee));
    let torn = log.recover().1.torn.expect("the header of record 3 is whole");
    assert_eq!((torn.segment, torn.offset, torn.lsn), (segment_name(1), last.start as u64, 3));
    let mut wal = log.open();
    assert_eq!(wal.append(&group_of(ROWS, 9)), Ok(4));
    let (replayed, recovery) = log.recover();
    assert_eq!(replayed.iter().map(|record| record.lsn).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!((recovery.torn, recovery.damage), (None, Vec::new()));
}

/// One bit anywhere in a record that later ones follow: only that record is lost, and its rows are counted.
#[test]
fn a_flipped_bit_in_the_middle_is_damage_of_that_record() {
    let (log, _) = Log::with_records(3);
    let whole = log.disk.contents(&log.path(1)).expect("the segment is there");
    for (index, extent) in log.extents(1, 3)[..2].iter().enumerate() {
        let lsn = index as Lsn + 1;
        // The first is longer by its schema message; one bit in five bytes of it keeps the test short.
        for byte in extent.clone().step_by(if index == 0 { 5 } else { 1 }) {
            let mut content = whole.clone();
            content[byte] ^= 1 << (byte % 8);
            log.disk.set_contents(&log.path(1), content);
            let (replayed, recovery) = log.recover();
            assert_eq!(recovery.damage, [lost(lsn, lsn, 1)], "byte {byte}");
            assert!(replayed.iter().all(|record| record.lsn != lsn), "byte {byte}");
            assert_eq!((replayed.len(), recovery.torn), (2, None), "byte {byte}");
        }
    }
}

#[test]
fn a_flipped_bit_in_the_last_record_is_a_torn_tail() {
    let (log, _) = Log::with_records(3);
    let whole = log.disk.contents(&log.path(1)).expect("the segment is there");
    for byte in log.extents(1, 3)[2].clone() {
        let mut content = whole.clone();
        content[byte] ^= 1 << (byte % 8);
        log.disk.set_contents(&log.path(1), content);
        let (replayed, recovery) = log.recover();
        assert_eq!((replayed.len(), recovery.damage), (2, Vec::new()), "byte {byte}");
    }
}

/// The last record of a segment is damage, not a torn tail, when a later segment says it was durable.
#[test]
fn damage_at_the_end_of_an_older_segment_is_known_by_the_next_one() {
    let (log, wal) = Log::with_records(20);
    let second_first = log.first_lsn(1);
    let last = second_first - 1;
    let extent = log.extents(1, last as usize)[last as usize - 1].clone();
    log.change(1, |content| content[extent].fill(0));
    let (replayed, recovery) = log.recover();
    assert_eq!(recovery.damage, [lost(last, last, 1)]);
    assert_eq!(replayed.len(), 19);
    drop(wal);
}

#[test]
fn a_segment_that_is_gone_is_damage_of_all_its_records() {
    let (log, _) = Log::with_records(40);
    let second = log.first_lsn(1);
    let third = log.first_lsn(2);
    log.disk.remove(&log.path(second)).expect("remove");
    let (_, recovery) = log.recover();
    assert_eq!(recovery.damage, [lost(second, third - 1, 1)]);
}

#[test]
fn a_lost_segment_header_loses_no_record() {
    let (log, _) = Log::with_records(20);
    let second = log.first_lsn(1);
    log.change(second, |content| content[..RECORDS_START as usize].fill(0xaa));
    let (replayed, recovery) = log.recover();
    assert_eq!((replayed.len(), recovery.damage), (20, Vec::new()));
    assert_eq!(recovery.headers_lost, [segment_name(second)]);
}

#[test]
fn a_page_that_cannot_be_read_is_damage_of_the_records_on_it() {
    let (log, _) = Log::with_records(6);
    let extent = log.extents(1, 6)[2].clone();
    let page = (extent.start / 4096 * 4096) as u64;
    log.disk.make_unreadable(&log.path(1), page..page + 4096);
    let (replayed, recovery) = log.recover();
    assert!(recovery.unreadable_bytes >= 4096);
    let on_page = |extent: &Range<usize>| (extent.start as u64) < page + 4096 && extent.end as u64 > page;
    let whole = log.extents(1, 6).iter().filter(|extent| !on_page(extent)).count();
    assert_eq!(replayed.len(), whole, "page at {page}: {recovery:?}");
}

/// Restarted twice: reported at the first start only, kept until it is cut, then moved aside.
#[test]
fn a_damaged_segment_is_reported_once_and_quarantined_when_cut() {
    let (log, _) = Log::with_records(3);
    let extent = log.extents(1, 3)[1].clone();
    log.change(1, |content| content[extent.start + 20] ^= 1);
    assert_eq!(log.recover().1.damage, [lost(2, 2, 1)]);
    drop(log.open());
    let (replayed, recovery) = log.recover();
    assert_eq!(replayed.iter().map(|record| record.lsn).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(recovery.damage, []);
    let wal = log.open();
    assert!(log.names().contains(&"0/001.seg".to_owned()), "{:?}", log.names());
    wal.cutter().cut(Lsn::MAX).expect("cut");
    assert!(log.names().contains(&"quarantine/001.seg".to_owned()), "{:?}", log.names());
}

/// The counts in the headers go on across a restart, so that later damage is counted right.
#[test]
fn rows_are_counted_across_damage_and_restarts() {
    let (log, _) = Log::with_records(3);
    let extent = log.extents(1, 3)[1].clone();
    log.change(1, |content| content[extent.start + 20] ^= 1);
    let mut wal = log.open();
    for number in 5..=7 {
        assert_eq!(wal.append(&group_of(ROWS, number)), Ok(number as Lsn));
    }
    let extent = log.extents(5, 3)[1].clone();
    log.change(5, |content| content[extent.start + 20] ^= 1);
    assert_eq!(log.recover().1.damage, [lost(6, 6, 5)]);
}

/// A sender may put whole records into its data: the very next one, with the right LSN and checksums of
/// some other log. It must not be replayed.
#[test]
fn a_record_of_another_log_is_not_replayed() {
    let (log, _) = Log::with_records(2);
    let forge = Log::new(SimDisk::default());
    let forge = Log { config: WalConfig { collector_id: [9; 16], ..forge.config }, ..forge };
    let mut wal = forge.open();
    for number in 1..=3 {
        wal.append(&group_of(ROWS, number)).expect("append");
    }
    let forged_at = forge.extents(1, 3)[2].clone();
    let forged = forge.disk.contents(&forge.path(1)).expect("there")[forged_at.clone()].to_vec();
    assert_eq!(forged_at.start, log.extents(1, 2)[1].end, "both logs hold the same groups");
    log.change(1, |content| content[forged_at].copy_from_slice(&forged));
    assert_eq!(log.lsns(), [1, 2]);
}
